import type { BlockDevice } from '../../../kernel/blkdev.js';
import {
  FS_BAD_MAGIC,
  FS_MAGIC_OFFSET,
  FS_UFS1_MAGIC,
  FS_UFS2EA_MAGIC,
  FS_UFS2_MAGIC,
  SBLOCKSEARCH,
  SBLOCKSIZE,
} from '../disk/fs.js';

/** ext2's superblock lies at 1024, and its magic 56 bytes in. */
const EXT2FS_SBOFF = 1024;
const EXT2FS_MAGIC_OFFSET = 56;
const EXT2FS_MAGIC = 0xef53;
const LFS_MAGIC = 0x00070162;
const MAXBSIZE = 65536;

/** Byte offsets at which some system looks for a superblock, or may find the first copy of one. */
function places(): number[] {
  const found = new Set<number>([EXT2FS_SBOFF]);
  for (const offset of SBLOCKSEARCH) {
    found.add(offset);
    for (let unit = SBLOCKSIZE; unit <= MAXBSIZE; unit *= 2) found.add(Math.ceil((offset + SBLOCKSIZE) / unit) * unit);
  }
  return [...found].sort((a, b) => a - b);
}

/** Byte offset of the magic number of an older file system in these bytes, or undefined. */
function magicAt(view: DataView): number | undefined {
  for (const le of [true, false]) {
    const ffs = view.getUint32(FS_MAGIC_OFFSET, le);
    if (ffs === FS_UFS1_MAGIC || ffs === FS_UFS2_MAGIC || ffs === FS_UFS2EA_MAGIC || ffs === FS_BAD_MAGIC) {
      return FS_MAGIC_OFFSET;
    }
    if (view.getUint32(0, le) === LFS_MAGIC) return 0;
  }
  return view.getUint16(EXT2FS_MAGIC_OFFSET, true) === EXT2FS_MAGIC ? EXT2FS_MAGIC_OFFSET : undefined;
}

/**
 * Takes the magic number out of every superblock of an older file system that a system might find in place of ours:
 * FFS of either kind at any of its places, LFS, ext2. All else of the old content is left.
 */
export async function zapOldSuperblocks(
  dev: BlockDevice,
  out: { write(bytes: Uint8Array, length: number, offset: number): Promise<void> },
): Promise<void> {
  const bytes = new Uint8Array(SBLOCKSIZE);
  const view = new DataView(bytes.buffer);
  for (const offset of places()) {
    if (offset + SBLOCKSIZE > dev.size_bytes) continue;
    const r = dev.read(bytes, 0, SBLOCKSIZE, offset);
    if (r instanceof Promise) await r;
    const magic = magicAt(view);
    if (magic === undefined) continue;
    await out.write(new Uint8Array(4), 4, offset + magic);
  }
}
