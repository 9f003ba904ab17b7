import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { FL } from '../disk/dinode.js';
import { ext2_alloc, ext2_free } from '../space/balloc.js';
import type { Blocks } from '../space/balloc.js';
import { WRITE } from '../volume/transact.js';
import { ext2_bmaprun } from './bmap.js';
import { ext_insert, ext_remove } from './exttree.js';
import { NDADDR } from './indirect.js';
import { indir_insert, indir_remove } from './indirwrite.js';
import type { Inode } from './inode.js';
import { MAX_LBN } from './run.js';

/** Blocks of files, whichever map they have. All inside operations; the caller stores the inode. */

/** The largest size of a file with this map, bytes. */
export function maxfilesize(ip: Inode): number {
  const { bsize } = ip.i_fs;
  if (ip.has(FL.EXTENTS)) return (MAX_LBN - 1) * bsize;
  const nindir = bsize / 4;
  const blocks = Math.min(NDADDR + nindir + nindir ** 2 + nindir ** 3, MAX_LBN - 1);
  // i_blocks counts 512 bytes in 32 bits, unless huge_file widens it.
  return Math.min(blocks * bsize, ip.i_fs.hugefile ? Infinity : 2 ** 32 * 512);
}

/** Where the next block of a file should lie: behind the one before it, else in the group of its inode. */
export function blockgoal(ip: Inode, lbn: number): MaybePromise<number> {
  if (lbn === 0) return ip.i_em.groupgoal(ip.i_number);
  if (ip.i_nextlbn === lbn) return ip.i_nextblock;
  const run = ext2_bmaprun(ip, lbn - 1, 1);
  const goal = (block: number): number => (block !== 0 ? block + 1 : ip.i_em.groupgoal(ip.i_number));
  return run instanceof Promise ? run.then((r) => goal(r.block || r.unwritten)) : goal(run.block || run.unwritten);
}

/** Blocks for the file from `lbn` on, in a row; not yet part of it. @throws ENOSPC EIO */
export function newblocks(ip: Inode, lbn: number, want: number, ctx: Context): MaybePromise<Blocks> {
  const goal = blockgoal(ip, lbn);
  if (goal instanceof Promise) return goal.then((g) => ext2_alloc(WRITE(ip.i_em), g, want, ctx));
  return ext2_alloc(WRITE(ip.i_em), goal, want, ctx);
}

/** They become part of it. @throws ENOSPC for the map: the blocks are free again; EIO */
export async function enterblocks(
  ip: Inode, lbn: number, { block, count }: Blocks, unwritten: boolean, ctx: Context,
): Promise<void> {
  let entered = 0;
  try {
    if (ip.has(FL.EXTENTS)) await ext_insert(ip, { lbn, count, block, unwritten });
    else await indir_insert(ip, lbn, count, block, ctx, (n) => (entered = n));
  } catch (thrown) {
    ip.i_blocks += (entered * ip.i_fs.bsize) / 512;
    await ext2_free(WRITE(ip.i_em), block + entered, count - entered);
    throw thrown;
  }
  ip.i_blocks += (count * ip.i_fs.bsize) / 512;
  ip.i_nextlbn = lbn + count;
  ip.i_nextblock = block + count;
}

/** They do not. */
export function giveback(ip: Inode, { block, count }: Blocks): Promise<void> {
  return ext2_free(WRITE(ip.i_em), block, count);
}

/** Takes blocks from..to-1 away from the file: they become free with the next flush. @throws EIO ENOSPC */
export async function removeblocks(ip: Inode, from: number, to: number): Promise<void> {
  const state = WRITE(ip.i_em);
  const metadata = (ip.i_mode & 0xf000) === 0x4000;
  const { bsize } = ip.i_fs;
  const taken = (block: number, count: number): void => {
    ip.i_blocks = Math.max(0, ip.i_blocks - (count * bsize) / 512);
    if (metadata) for (let i = 0; i < count; i++) state.order.forget(block + i);
    state.frees.push(block, count);
  };
  const node = (block: number): void => state.freenode(ip, block);
  ip.i_nextlbn = -1;
  if (!ip.has(FL.EXTENTS)) return indir_remove(ip, from, to, taken, node);
  return ext_remove(ip, from, to, (e) => taken(e.block, e.count), node);
}

/** Groups in which one operation frees blocks, at most: the bitmap and descriptor of each is part of a transaction. */
const REMOVE_GROUPS = 16;
/** Runs that are looked at for one operation. */
const REMOVE_RUNS = 4096;

/**
 * The least block, `from` or behind, from which on blocks up to `to` can be taken away in one operation. @throws EIO
 */
export async function removable(ip: Inode, from: number, to: number): Promise<number> {
  const { i_fs: fs } = ip;
  if (fs.ngroups <= REMOVE_GROUPS) return from;
  const groups = new Set<number>();
  const groupof = (block: number): number => Math.floor((block - fs.s_first_data_block) / fs.s_blocks_per_group);
  let start = to;
  let looked = 0;
  // Looks at windows of blocks from the end, each twice as long as the one before.
  for (let end = to, window = 1024; end > from; window *= 2) {
    const lo = Math.max(from, end - window);
    for (const { lbn, block, blocks } of (await runsof(ip, lo, end)).reverse()) {
      for (let g = groupof(block); g <= groupof(block + blocks - 1); g++) groups.add(g);
      if (start < to && (groups.size > REMOVE_GROUPS || ++looked > REMOVE_RUNS)) return start;
      start = lbn;
    }
    end = lo;
  }
  return from;
}

async function runsof(ip: Inode, from: number, to: number): Promise<{ lbn: number; block: number; blocks: number }[]> {
  const runs: { lbn: number; block: number; blocks: number }[] = [];
  for (let lbn = from; lbn < to; ) {
    const got = ext2_bmaprun(ip, lbn, Math.min(to - lbn, 4 * ip.i_fs.s_blocks_per_group));
    const run = got instanceof Promise ? await got : got;
    const block = run.block || run.unwritten;
    if (block !== 0) runs.push({ lbn, block, blocks: run.blocks });
    lbn += run.blocks;
  }
  return runs;
}

/** @throws EFBIG EINVAL */
export function checksize(ip: Inode, size: number): void {
  if (!(size >= 0)) throw errno(E.EINVAL);
  if (size > maxfilesize(ip)) throw errno(E.EFBIG);
}
