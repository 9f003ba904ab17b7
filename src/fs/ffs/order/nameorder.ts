import { S_IFDIR, S_IFMT } from '../../../kernel/stat.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Inode } from '../volume/inode.js';
import { DirDep } from './dirdep.js';
import { IW } from '../volume/writestate.js';
import type { InodeWrite, WriteState } from '../volume/writestate.js';

/**
 * The order in which directory chunks may reach the disk: a file that the disk knows must never be without a name there
 * because an old one left before the new one came. See dirdep.ts for ranks.
 */

const MAXNEWNAMES = 4;
/**
 * Files (the one that loses a name, and new directories above its names) that one removal looks at before it flushes
 * instead.
 */
const MAXNEWFILES = 24;

/** A name of `ip` was written into a chunk of `bp`, a block of directory `dir`. */
export function nameadded(state: WriteState, ip: Inode, dir: Inode, bp: Buf, chunk: number): void {
  const iw = IW(ip);
  if (iw.namesepoch !== state.namesepoch) {
    iw.namesepoch = state.namesepoch;
    iw.newnames.length = 0;
    iw.manynames = false;
  }
  const dep = DirDep.of(bp);
  if (iw.newnames.some((name) => name.dep === dep && name.chunk === chunk && name.dir === dir)) return;
  if (iw.newnames.length === MAXNEWNAMES) iw.manynames = true;
  else iw.newnames.push({ dep, chunk, dir });
}

/** The names since the last flush; null: none. */
function newnames(state: WriteState, ip: Inode): InodeWrite | null {
  const iw = ip.i_private as InodeWrite | null;
  return iw !== null && iw.namesepoch === state.namesepoch ? iw : null;
}

/**
 * A name of `ip` is about to go from chunk `chunk` of `bp`, a block of directory `dp`. Sees to it that the names that
 * `ip` was given since the last flush, and those of new directories above them, reach the disk before.
 * @returns false if no order of writing achieves that: then flush first (Ordering.reopen)
 */
export function namegoing(state: WriteState, ip: Inode, dp: Inode, bp: Buf, chunk: number): boolean {
  const isdir = (ip.i_mode & S_IFMT) === S_IFDIR;
  if (state.isnew(dp) || (state.isnew(ip) && isdir)) {
    // The disk never had this name; but the names of other files may depend on this chunk.
    return !(bp.b_private instanceof DirDep && bp.b_private.issource(chunk));
  }
  return state.isnew(ip) || before(state, ip, bp, chunk, { left: MAXNEWFILES });
}

/** All new names of `ip`, and of the new directories that they are in, get before chunk `chunk` of `bp`. */
function before(state: WriteState, ip: Inode, bp: Buf, chunk: number, budget: { left: number }): boolean {
  const iw = newnames(state, ip);
  if (iw === null) return true;
  if (iw.manynames || budget.left-- <= 0) return false;
  for (const name of iw.newnames) {
    if (!edge(name.dep, name.chunk, bp, chunk)) return false;
    if (state.isnew(name.dir) && !before(state, name.dir, bp, chunk, budget)) return false;
  }
  return true;
}

/**
 * The name of a directory itself goes from a chunk, and chunks of its own have ranks up to `rank`: it must not overtake
 * them. Like {@link namegoing}.
 */
export function rankfloor(rank: number, bp: Buf, chunk: number): boolean {
  if (rank === 0) return true;
  const dep = DirDep.of(bp);
  if (dep.moved) return false;
  if (dep.rank(chunk) >= rank) return true;
  if (dep.issource(chunk)) return false;
  dep.setrank(chunk, rank);
  return true;
}

/** Chunk i of `from`'s block must be on the disk before chunk j of b. */
function edge(from: DirDep, i: number, b: Buf, j: number): boolean {
  const to = DirDep.of(b);
  if (from === to && i === j) return true;
  if (to.moved) return false;
  const least = from.isnew || from.moved ? 0 : from.rank(i) + 1;
  if (to.rank(j) < least) {
    if (to.issource(j)) return false;
    to.setrank(j, least);
  }
  from.setsource(i);
  return true;
}
