/** The third part of a check: the bitmap against what files have, and what nobody has. */
import { FileSet } from '../../dir/fileset.js';
import { ALLOCATION_POSSIBLE, ATTR_ARCHIVE, ENTRY_BYTES, IN_USE, NO_FAT_CHAIN, T_END } from '../../disk/entry.js';
import { set_new_meta } from '../../file/node.js';
import { fixedZone } from '../../../lib/dostime.js';
import { CHAIN_END } from '../../space/fat.js';
import type { Checker } from './checker.js';
import { ClusterSet } from './clusterset.js';

/** FSCK0000.REC to FSCK9999.REC. */
const FILES_MAX = 10_000;
/** Entries of a file with such a name. */
const RECORD_ENTRIES = 3;
const PIECE_BYTES = 65536;

/** Reads the bitmap piece by piece; `piece` may change it and says whether it has. */
async function each_piece(
  c: Checker, bitmap: readonly number[], visit: (bits: Uint8Array, cluster: number, count: number) => boolean,
): Promise<void> {
  const { volume } = c;
  const bytes = Math.ceil(volume.boot.ClusterCount / 8);
  const piece = new Uint8Array(Math.min(PIECE_BYTES, volume.clbytes));
  for (let done = 0; done < bytes; done += piece.length) {
    const at = volume.at(bitmap[Math.floor(done / volume.clbytes)]) + (done % volume.clbytes);
    const n = Math.min(piece.length, bytes - done);
    await c.read(piece, n, at);
    const first = 2 + done * 8;
    if (visit(piece, first, Math.min(n * 8, volume.end - first))) await c.write(piece.slice(0, n), at);
  }
}

/** Compares; what files have must not be free. @returns clusters in use that nobody has */
export async function check_bitmap(c: Checker, bitmap: readonly number[]): Promise<ClusterSet> {
  const lost = new ClusterSet();
  let free = 0;
  await each_piece(c, bitmap, (bits, first, count) => {
    for (let i = 0; i < count; i++) {
      const set = ((bits[i >>> 3] >>> (i & 7)) & 1) === 1;
      const used = c.used.has(first + i);
      if (set && !used) lost.add(first + i, 1);
      else if (!set && used) free++;
      // A byte at a time where nothing differs.
      if ((i & 7) === 0 && i + 8 <= count && bits[i >>> 3] === 0 && c.used.row(first + i, 8, false) === 8) i += 7;
    }
    return false;
  });
  if (free === 0) return lost;
  const fix = c.problem('preen', `the bitmap calls ${free} clusters free that files have`);
  if (fix !== null) {
    await each_piece(c, bitmap, (bits, first, count) => {
      let changed = false;
      for (let i = 0; i < count; i++) {
        if (!c.used.has(first + i) || ((bits[i >>> 3] >>> (i & 7)) & 1) === 1) continue;
        bits[i >>> 3] |= 1 << (i & 7);
        changed = true;
      }
      return changed;
    });
    fix.fixed = 'SET';
  }
  return lost;
}

/** A row of lost clusters, or a chain of them. */
interface LostFile {
  readonly clusters: number[];
}

/** What lies together: chains that the FAT still has, else rows. */
async function lost_files(c: Checker, lost: ClusterSet): Promise<LostFile[]> {
  const { volume } = c;
  const led = new ClusterSet();
  const each = async (visit: (cluster: number) => Promise<void>): Promise<void> => {
    for (let cluster = 2; cluster < volume.end; cluster++) {
      cluster += lost.row(cluster, volume.end - cluster, false);
      if (cluster < volume.end) await visit(cluster);
    }
  };
  const islost = (cluster: number): boolean => volume.iscluster(cluster) && lost.has(cluster);
  await each(async (cluster) => {
    const next = await c.cell(cluster);
    if (islost(next) && next !== cluster) led.add(next, 1);
  });
  const taken = new ClusterSet();
  const files: LostFile[] = [];
  const follow = async (first: number): Promise<void> => {
    const clusters: number[] = [];
    for (let cluster = first; ; ) {
      taken.add(cluster, 1);
      clusters.push(cluster);
      const next = await c.cell(cluster);
      if (islost(next) && !taken.has(next)) cluster = next;
      else if (next !== CHAIN_END && islost(cluster + 1) && !taken.has(cluster + 1) && !led.has(cluster + 1)) cluster++;
      else break;
    }
    files.push({ clusters });
  };
  await each(async (cluster) => {
    if (!taken.has(cluster) && !led.has(cluster)) await follow(cluster);
  });
  // What is left leads in circles.
  await each(async (cluster) => {
    if (!taken.has(cluster)) await follow(cluster);
  });
  return files;
}

/** Clusters that nobody has become files, FSCK0000.REC and so on, in the root directory. */
export async function keep_lost(c: Checker, lost: ClusterSet): Promise<void> {
  if (lost.count === 0) return;
  const fix = c.problem('safe', `${lost.count} clusters are in use that no file has`);
  if (fix === null) return;
  const files = await lost_files(c, lost);
  for (const { clusters } of files) for (const cluster of clusters) c.used.add(cluster, 1);
  // More than there are names become one file.
  if (files.length > FILES_MAX / 2) {
    files.push({ clusters: files.splice(FILES_MAX / 2).flatMap(({ clusters }) => clusters) });
  }
  // Of a full volume the root gets what was lost last.
  const spare = (): number | undefined => {
    while (files.length > 0 && files[files.length - 1].clusters.length === 0) files.pop();
    return files[files.length - 1]?.clusters.pop();
  };
  const room = new RootRoom(c, spare);
  const names = await root_names(c);
  let number = 0;
  let kept = 0;
  for (let i = 0; i < files.length && number >= 0; i++) {
    while (names.has(c.names.key(recname(number)))) number++;
    number = await keep_file(c, files[i], number, room);
    if (number >= 0 && i < files.length) kept++;
  }
  fix.fixed = `KEPT IN ${kept} FILES`;
  if (number < 0) c.unresolved = true;
  c.again = true;
}

/** @returns the number behind that of the file; -1: the root has no room */
async function keep_file(c: Checker, { clusters }: LostFile, number: number, room: RootRoom): Promise<number> {
  const { volume } = c;
  const places = await room.take(RECORD_ENTRIES);
  if (places === undefined) return -1;
  // It may have been what the root was given.
  if (clusters.length === 0) return number;
  const inrow = clusters.every((cluster, i) => cluster === clusters[0] + i);
  if (!inrow) for (let i = 0; i < clusters.length; i++) await c.setcell(clusters[i], clusters[i + 1] ?? CHAIN_END);
  if (number >= FILES_MAX) return -1;
  const set = new FileSet();
  set.clear();
  set.setname(recname(number), c.names.hash(recname(number)));
  set_new_meta(set, ATTR_ARCHIVE, Math.floor(Date.now() / 1000), 0, fixedZone(0));
  const bytes = clusters.length * volume.clbytes;
  set.setstream(ALLOCATION_POSSIBLE | (inrow ? NO_FAT_CHAIN : 0), clusters[0], bytes, bytes);
  set.sum();
  for (let i = 0; i < set.count; i++) await c.write(set.bytes.slice(i * ENTRY_BYTES, (i + 1) * ENTRY_BYTES), places[i]);
  return number + 1;
}

function recname(number: number): string {
  return `FSCK${String(number).padStart(4, '0')}.REC`;
}

/** Keys of names in the root that could be one of ours: all have two entries behind the first. */
async function root_names(c: Checker): Promise<Set<string>> {
  const keys = new Set<string>();
  const set = new FileSet();
  for await (const { bytes } of c.volume.rootentries()) {
    if (bytes === null) break;
    if (bytes[0] === 0x85) set.count = 0;
    if (set.count >= 19) continue;
    set.bytes.set(bytes, set.count++ * ENTRY_BYTES);
    if (set.count === 3 && set.problem() === undefined) keys.add(c.names.key(set.name()));
  }
  return keys;
}

/** Room in the root, from its beginning on; it becomes longer by a cluster that nobody has or that `spare` gives. */
class RootRoom {
  private readonly content: Uint8Array;
  private clusters: number[] | undefined;
  /** The next entry to be looked at: which cluster, and the byte in it. */
  private index = 0;
  private into = 0;
  private ended = false;

  constructor(private readonly c: Checker, private readonly spare: () => number | undefined) {
    this.content = new Uint8Array(c.volume.clbytes);
  }

  /** Places of `n` entries in a row that are not in use; undefined: there is no room, and none can be made. */
  async take(n: number): Promise<number[] | undefined> {
    const { c, content } = this;
    if (this.clusters === undefined) {
      const { clusters, broken } = await c.volume.rootchain();
      if (broken !== undefined) return undefined;
      this.clusters = clusters;
      await c.read(content, content.length, c.volume.at(clusters[0]));
    }
    for (let row: number[] = []; ; ) {
      if (this.into === content.length && !(await this.next())) return undefined;
      const at = c.volume.at(this.clusters[this.index]) + this.into;
      // What is behind the end may be anything.
      if (!this.ended && content[this.into] === T_END) await this.end(at);
      row = (content[this.into] & IN_USE) === 0 ? [...row, at] : [];
      this.into += ENTRY_BYTES;
      if (row.length === n) return row;
    }
  }

  private async end(at: number): Promise<void> {
    this.ended = true;
    this.content.fill(0, this.into);
    await this.c.write(this.content.slice(this.into), at);
  }

  /** Goes on to the next cluster, or to a new one. */
  private async next(): Promise<boolean> {
    const { c, content } = this;
    const clusters = this.clusters!;
    if (this.index + 1 === clusters.length) {
      const more = clusters.length < c.volume.dirclusters ? (c.vacant(1)?.first ?? this.spare()) : undefined;
      if (more === undefined) return false;
      c.used.add(more, 1);
      await c.write(new Uint8Array(content.length), c.volume.at(more));
      await c.setcell(more, CHAIN_END);
      await c.setcell(clusters[this.index], more);
      clusters.push(more);
    }
    this.index++;
    this.into = 0;
    if (this.ended) content.fill(0);
    else await c.read(content, content.length, c.volume.at(clusters[this.index]));
    // Old entries behind the end of the directory are in its clusters still.
    if (this.ended) await c.write(content.slice(), c.volume.at(clusters[this.index]));
    return true;
  }
}
