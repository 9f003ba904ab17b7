import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE } from '../../../kernel/fcntl.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { FL } from '../disk/dinode.js';
import { WRITE, transact } from '../volume/transact.js';
import { checksize, enterblocks, giveback, newblocks, removable, removeblocks } from './blocks.js';
import { ext2_bmaprun } from './bmap.js';
import type { Inode } from './inode.js';
import { VTOI } from './inode.js';
import { outline } from './outline.js';
import { mustbeplain } from './plain.js';
import { T_CHANGE, T_UPDATE, inode_put, inode_touch } from './store.js';
import { ext2_cut } from './truncate.js';
import { zeroat, zerorange, zerotail } from './zero.js';

/**
 * Room for files ahead of their data, and holes: piece by piece, in operations that a journal can hold, with a pause
 * after each in which others get on and the caller may give up.
 */

/** A piece is not larger, bytes: where a file has no extents, zeros are written. */
const PIECE_BYTES = 16 << 20;
/** Blocks that are asked for at once. */
const WANT_BLOCKS = 32768;
/** Runs of blocks of one operation. */
const RUNS = 8;

function range(vp: Vnode, offset: number, length: number): void {
  if (vp.v_type !== VREG) throw errno(E.EOPNOTSUPP);
  if (!(offset >= 0 && length > 0)) throw errno(E.EINVAL);
}

async function pause(ip: Inode, ctx: Context): Promise<void> {
  await ip.i_em.em_kernel.rumpuser.rumpuser_clock_sleep(0);
  if (ctx.signal?.aborted === true) throw errno(E.EINTR);
}

/** VOP_FALLOCATE. @throws EFBIG ENOSPC EIO EINTR; the size is then as before, though holes may have been filled */
export async function ext2_fallocate(
  vp: Vnode, offset: number, length: number, ctx: Context, mode: number,
): Promise<void> {
  range(vp, offset, length);
  const ip = VTOI(vp);
  mustbeplain(ip);
  checksize(ip, offset + length);
  if (ip.i_inline !== null) await transact(WRITE(ip.i_em), () => outline(ip));
  const keep = (mode & FALLOC_KEEP_SIZE) !== 0;
  const extents = ip.has(FL.EXTENTS);
  const osize = ip.i_size;
  const end = offset + length;
  if (keep && end > osize && !extents)
    throw errno(E.EOPNOTSUPP, `inode ${ip.i_number} has no extents: no blocks behind its end can be kept for it`);
  try {
    await reserve(ip, offset, end, keep, ctx);
  } catch (thrown) {
    if (end > osize) await ext2_cut(WRITE(ip.i_em), ip, osize);
    throw thrown;
  }
  if ((mode & FALLOC_ZERO_RANGE) !== 0 && offset < osize) await zero(ip, offset, Math.min(end, osize), ctx);
}

/** Fills the holes of a range. */
async function reserve(ip: Inode, offset: number, end: number, keep: boolean, ctx: Context): Promise<void> {
  const state = WRITE(ip.i_em);
  const { bsize } = ip.i_fs;
  const last = Math.ceil(end / bsize);
  for (let lbn = Math.floor(offset / bsize); lbn < last; ) {
    let next = lbn;
    await transact(state, async () => {
      next = lbn;
      if (!keep && ip.i_size < end) {
        const zeroed = zerotail(ip, ip.i_size, end);
        if (zeroed) await zeroed;
      }
      for (let runs = 0; runs < RUNS && next < last && !(runs > 0 && state.order.crowded); runs++)
        next += await fill(ip, next, last, ctx);
      if (!keep) ip.i_size = Math.max(ip.i_size, Math.min(end, next * bsize));
      inode_touch(ip, T_UPDATE | T_CHANGE);
      await inode_put(ip);
    });
    lbn = next;
    if (lbn < last) await pause(ip, ctx);
  }
}

/** The run of blocks from `lbn` on, which gets blocks if it is a hole. @returns how many blocks have them now */
async function fill(ip: Inode, lbn: number, last: number, ctx: Context): Promise<number> {
  const { bsize } = ip.i_fs;
  const run = await ext2_bmaprun(ip, lbn, last - lbn);
  if (run.block !== 0 || run.unwritten !== 0) return run.blocks;
  const extents = ip.has(FL.EXTENTS);
  const want = Math.min(run.blocks, extents ? WANT_BLOCKS : PIECE_BYTES / bsize);
  const got = await newblocks(ip, lbn, want, ctx);
  const blocks = { block: got.block, count: Math.min(got.count, want) };
  if (!extents) {
    try {
      await zeroat(ip, blocks.block * bsize, blocks.count * bsize);
    } catch (thrown) {
      await giveback(ip, got);
      throw thrown;
    }
  }
  await enterblocks(ip, lbn, blocks, extents, ctx);
  return blocks.count;
}

/** Zeros in the place of what the blocks of a range hold; they stay. */
async function zero(ip: Inode, offset: number, end: number, ctx: Context): Promise<void> {
  for (let at = offset; at < end; ) {
    if (at > offset) await pause(ip, ctx);
    const to = Math.min(end, at + PIECE_BYTES);
    await transact(WRITE(ip.i_em), async () => {
      await zerorange(ip, at, to);
      inode_touch(ip, T_UPDATE | T_CHANGE);
      await inode_put(ip);
    });
    at = to;
  }
}

/** VOP_FDISCARD: whole blocks become holes, the edges zeros. @throws EIO; EINTR: a part of it is there */
export async function ext2_fdiscard(vp: Vnode, offset: number, length: number, ctx: Context): Promise<void> {
  range(vp, offset, length);
  const ip = VTOI(vp);
  mustbeplain(ip);
  if (ip.i_inline !== null) await transact(WRITE(ip.i_em), () => outline(ip));
  const { bsize } = ip.i_fs;
  const end = Math.min(offset + length, ip.i_size);
  if (offset >= end) return;
  const first = Math.ceil(offset / bsize);
  const last = end === ip.i_size ? Math.ceil(end / bsize) : Math.floor(end / bsize);
  await transact(WRITE(ip.i_em), async () => {
    await zerorange(ip, offset, Math.min(end, first * bsize));
    if (last >= first) await zerorange(ip, Math.max(offset, last * bsize), end);
    inode_touch(ip, T_UPDATE | T_CHANGE);
    await inode_put(ip);
  });
  for (let to = last; to > first; ) {
    if (to < last) await pause(ip, ctx);
    const from = await removable(ip, first, to);
    const upto = to;
    await transact(WRITE(ip.i_em), async () => {
      await removeblocks(ip, from, upto);
      await inode_put(ip);
    });
    to = from;
  }
}
