import { DIRENT_BYTES, clusterOffset } from '../../disk/bpb.js';
import { SLOT_EMPTY } from '../../disk/direntry.js';
import type { FsckContext } from './context.js';
import type { Found } from './files.js';

/** A directory with its entries in memory: what is on the device, and where. */
export interface Directory {
  readonly file: Found;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Names FSCKnnnn.REN that were tried. */
  renamed: number;
  /** Entries up to the end of the directory. */
  readonly end: number;
  /** Byte offsets of its pieces on the device. */
  readonly offsets: number[];
  /** Byte offset of an entry on the device. */
  offsetOf(slot: number): number;
}

/** The byte offsets of a directory's pieces on the device, and their length. */
function piecesOf(ctx: FsckContext, file: Found): { offsets: number[]; bytes: number } {
  const { g } = ctx;
  if (file.offset < 0 && g.rootBytes > 0) return { offsets: [g.rootOffset], bytes: g.rootBytes };
  const offsets: number[] = [];
  for (let c = file.start, n = 0; n < file.clusters; n++, c = ctx.get(c)) offsets.push(clusterOffset(g, c));
  return { offsets, bytes: g.clusterBytes };
}

/** Reads a directory whose clusters were claimed. */
export async function readDirectory(ctx: FsckContext, file: Found): Promise<Directory> {
  const { offsets, bytes: piece } = piecesOf(ctx, file);
  const bytes = new Uint8Array(offsets.length * piece);
  for (const [i, offset] of offsets.entries()) await ctx.dev.read(bytes, i * piece, piece, offset);
  let end = 0;
  while (end < bytes.length / DIRENT_BYTES && bytes[end * DIRENT_BYTES] !== SLOT_EMPTY) end++;
  const offsetOf = (slot: number): number =>
    offsets[Math.floor((slot * DIRENT_BYTES) / piece)]! + ((slot * DIRENT_BYTES) % piece);
  return { file, bytes, view: new DataView(bytes.buffer), renamed: 0, end, offsets, offsetOf };
}

/** The directory with another cluster, which holds zeros on the device. `dir` is not used any more. */
export function withCluster(ctx: FsckContext, dir: Directory, cluster: number): Directory {
  const length = dir.bytes.length + ctx.g.clusterBytes;
  let { buffer } = dir.bytes;
  if (buffer.byteLength < length) {
    // Twice as much, so that many clusters one after the other cost no more than the last of them.
    const larger = new Uint8Array(length * 2);
    larger.set(dir.bytes);
    ({ buffer } = larger);
  }
  dir.offsets.push(clusterOffset(ctx.g, cluster));
  return { ...dir, bytes: new Uint8Array(buffer, 0, length), view: new DataView(buffer) };
}

/** Changes bytes of an entry, here and on the device. */
export async function patchEntry(
  ctx: FsckContext,
  dir: Directory,
  slot: number,
  change: (at: number) => void,
): Promise<void> {
  const at = slot * DIRENT_BYTES;
  change(at);
  await ctx.patch(dir.offsetOf(slot), dir.bytes.subarray(at, at + DIRENT_BYTES));
}
