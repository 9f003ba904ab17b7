/** Giving a file another map: where blocks that several claim are copied, and where a directory gets more of them. */
import { E, Errno } from '../../../../kernel/errno.js';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../../kernel/stat.js';
import { FL, I_BLOCK_BYTES, inode_seed } from '../../disk/dinode.js';
import { INCOMPAT } from '../../disk/features.js';
import { xattr_checksum } from '../../disk/xattr.js';
import { cluster_of } from '../volume/copies.js';
import type { FileRun } from '../volume/filemap.js';
import { put_extents, put_pointers } from '../volume/filemap.js';
import type { Checker, Place } from './checker.js';
import { file_map } from './map.js';

/**
 * Gives an inode a map of these runs, in blocks that nobody has; the blocks of the old map are free afterwards.
 * @returns false: there is no room
 */
export async function remap(c: Checker, place: Place, runs: readonly FileRun[]): Promise<boolean> {
  const { fs } = c;
  const i_block = new DataView(new ArrayBuffer(I_BLOCK_BYTES));
  const seed = fs.metadata_csum ? inode_seed(fs, place.ino, place.d.i_generation) : undefined;
  try {
    if ((place.d.i_flags & FL.EXTENTS) !== 0) await put_extents(c, i_block, runs, seed);
    else await put_pointers(c, i_block, runs);
  } catch (thrown) {
    if (!(thrown instanceof Errno) || (thrown.errno !== E.ENOSPC && thrown.errno !== E.EFBIG)) throw thrown;
    return false;
  }
  place.bytes.set(new Uint8Array(i_block.buffer), place.at + 0x28);
  await c.putinode(place);
  c.again = true;
  return true;
}

/** Appends a run to others that it may continue. */
export function add_run(runs: FileRun[], run: FileRun): void {
  const last = runs[runs.length - 1];
  if (last !== undefined && last.lbn + last.length === run.lbn && last.start + last.length === run.start &&
    last.unwritten === run.unwritten)
    runs[runs.length - 1] = { ...last, length: last.length + run.length };
  else runs.push(run);
}

/** Copies what more than one inode claims: the first that claims it keeps it. */
export async function check_shared(c: Checker): Promise<void> {
  if (c.shared.count === 0) return;
  const owned = new Set<number>();
  const blocks = new Set<number>();
  for (const { ino } of [...c.known.values()].sort((a, b) => a.ino - b.ino)) {
    const place = await c.inode(ino);
    const { d } = place;
    const type = d.i_mode & S_IFMT;
    const mapped = (d.i_flags & FL.INLINE_DATA) === 0 && (type === S_IFREG || type === S_IFDIR ||
      (d.i_flags & FL.EXTENTS) !== 0 || d.i_size >= I_BLOCK_BYTES);
    if (d.i_file_acl !== 0) await attributes(c, place, owned, blocks);
    if (!mapped) continue;
    const { runs, meta } = await file_map(c, place, false);
    const mine = new Set<number>();
    const doubled = (cluster: number): boolean => c.shared.has(cluster) && owned.has(cluster);
    let bad = false;
    for (const block of meta) {
      const cluster = cluster_of(c.fs, block);
      if (!c.shared.has(cluster)) continue;
      if (owned.has(cluster) || mine.has(cluster)) bad = true;
      mine.add(cluster);
    }
    for (const { start, length } of runs)
      for (let i = 0; i < length && !bad; i++) {
        const cluster = cluster_of(c.fs, start + i);
        if (!c.shared.has(cluster)) continue;
        bad = doubled(cluster) || (c.fs.clusterblocks === 1 && mine.has(cluster));
        mine.add(cluster);
      }
    if (bad && c.problem('damage', 'shared', `inode ${ino} has blocks that others have, too`, 'COPIED'))
      await copied(c, place, runs, owned);
    else for (const cluster of mine) owned.add(cluster);
  }
}

/** Gives an inode blocks of its own for those that are owned already; what there is no room for goes. */
async function copied(c: Checker, place: Place, runs: readonly FileRun[], owned: Set<number>): Promise<void> {
  const { fs } = c;
  const fresh: FileRun[] = [];
  const kept: number[] = [];
  let to = -1;
  let group = -1;
  for (const { lbn, start, length, unwritten } of runs)
    for (let i = 0; i < length; i++) {
      const from = start + i;
      const cluster = cluster_of(fs, from);
      let block = from;
      if (c.shared.has(cluster)) {
        const mine = Math.floor((lbn + i) / fs.clusterblocks);
        if (mine !== group || to < 0) {
          group = mine;
          to = -1;
          if (owned.has(cluster) || kept.includes(cluster)) {
            try {
              to = c.balloc();
            } catch (thrown) {
              if (!(thrown instanceof Errno)) throw thrown;
              continue;
            }
          } else kept.push(cluster);
        }
        if (to >= 0) {
          block = to + ((lbn + i) % fs.clusterblocks);
          await c.bwrite(block, (await c.bread(from)).slice());
        }
      }
      add_run(fresh, unwritten === true ? { lbn: lbn + i, start: block, length: 1, unwritten }
        : { lbn: lbn + i, start: block, length: 1 });
    }
  for (const cluster of kept) owned.add(cluster);
  if (!(await remap(c, place, fresh))) await c.clearinode(place);
}

/** The same of a block of attributes that is something else, too. */
async function attributes(c: Checker, place: Place, owned: Set<number>, blocks: Set<number>): Promise<void> {
  const { fs } = c;
  const block = place.d.i_file_acl;
  const cluster = cluster_of(fs, block);
  if (!c.shared.has(cluster) || blocks.has(block)) return;
  if (!owned.has(cluster)) {
    owned.add(cluster);
    blocks.add(block);
    return;
  }
  if (!c.problem('damage', 'shared', `inode ${place.ino}: its attributes lie in a block that others have`, 'COPIED'))
    return;
  const bytes = (await c.bread(block)).slice();
  const view = new DataView(bytes.buffer);
  let to = 0;
  try {
    to = c.balloc();
    view.setUint32(4, 1, true);
    if (fs.metadata_csum) view.setUint32(0x10, xattr_checksum(fs, bytes, to), true);
    await c.bwrite(to, bytes);
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
  }
  place.view.setUint32(place.at + 0x68, to % 2 ** 32, true);
  if (fs.incompat(INCOMPAT['64bit'])) place.view.setUint16(place.at + 0x76, Math.floor(to / 2 ** 32), true);
  await c.putinode(place);
  c.again = true;
}
