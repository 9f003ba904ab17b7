import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { UFS_MAXDIRSIZE } from '../../ufs/dir.js';
import type { Inode } from '../volume/inode.js';
import { ffs_allocblks, ffs_allocfrags, ffs_blkpref, ffs_realloccg, ffs_unrealloc } from '../space/alloc.js';
import { DirDep } from '../order/dirdep.js';
import { ffs_row } from '../file/indir.js';
import { BK_DIR } from '../order/ordering.js';
import { release, touchmeta } from '../order/changes.js';
import { ORDER, WRITE } from '../volume/writestate.js';
import { ffs_shrink } from '../file/truncate.js';

/**
 * Directories grow by a chunk and shrink by blocks. Their blocks are buffers; see order/flush.ts for when they are
 * written.
 */

/** An empty chunk: one entry without a file. */
function emptychunk(bp: Buf, at: number, dirblksiz: number, le: boolean): void {
  bp.b_data.fill(0, at, at + dirblksiz);
  bp.b_view.setUint16(at + 4, dirblksiz, le);
}

/**
 * Adds an empty chunk to the end of a directory.
 * @returns the buffer of the block that holds it, referenced
 * @throws ENOSPC EFBIG EIO; the directory is then as before
 */
export async function ffs_dirgrow(dp: Inode, ctx: Context): Promise<Buf> {
  const { i_ump: ump, i_fs: fs } = dp;
  const state = WRITE(ump);
  const { order } = state;
  const { um_dirblksiz } = ump;
  const osize = dp.i_size;
  if (osize % um_dirblksiz !== 0) {
    throw state.damage(`directory inode ${dp.i_number}: size ${osize} is no multiple of ${um_dirblksiz}`);
  }
  const newsize = osize + um_dirblksiz;
  if (newsize > UFS_MAXDIRSIZE) throw errno(E.EFBIG);
  const lbn = fs.lblkno(osize);
  const off = fs.blkoff(osize);
  const nsize = fs.sblksize(newsize, lbn);
  let bp: Buf;
  try {
    bp = off === 0 ? await newblock(dp, lbn, nsize, ctx) : await largerblock(dp, lbn, off, nsize, ctx);
  } catch (error) {
    await ffs_shrink(dp, osize);
    throw error;
  }
  emptychunk(bp, off, um_dirblksiz, ump.um_le);
  const dep = DirDep.of(bp);
  if (state.isnew(dp)) dep.isnew = true;
  else if (dep.newchunk < 0) dep.newchunk = off / um_dirblksiz;
  order.bdwrite(bp, BK_DIR);
  dp.i_size = newsize;
  touchmeta(dp, 0);
  dp.i_dirindex?.setfree(osize, um_dirblksiz);
  return bp;
}

async function newblock(dp: Inode, lbn: number, nsize: number, ctx: Context): Promise<Buf> {
  const { i_ump: ump, i_fs: fs } = dp;
  const row = (await ffs_row(dp, lbn, ctx))!;
  try {
    const i = lbn - row.first;
    if (row.get(i) !== 0) {
      throw WRITE(ump).damage(`directory inode ${dp.i_number}: block ${lbn} behind its end is at frag ${row.get(i)}`);
    }
    const pref = ffs_blkpref(dp, lbn, i, i > 0 ? row.get(i - 1) : 0);
    const frags = nsize / fs.fs_fsize;
    const fsb =
      frags === fs.fs_frag ? (await ffs_allocblks(dp, pref, 1, ctx)).fsb : await ffs_allocfrags(dp, pref, frags, ctx);
    row.set(i, 1, fsb);
    const bp = ump.um_bufcache.getblk(ump.um_dev, fs.fsbtob(fsb), nsize);
    bp.b_data.fill(0);
    bp.b_private = null;
    return bp;
  } finally {
    row.release();
  }
}

async function largerblock(dp: Inode, lbn: number, off: number, nsize: number, ctx: Context): Promise<Buf> {
  const { i_ump: ump, i_fs: fs } = dp;
  const { um_bufcache: cache, um_dev: dev } = ump;
  const state = WRITE(ump);
  const { order } = state;
  const row = await ffs_row(dp, lbn, null);
  if (row === null) throw state.damage(`directory inode ${dp.i_number}: block ${lbn} is a hole`);
  try {
    const i = lbn - row.first;
    const osize = fs.sblksize(dp.i_size, lbn);
    const ofrags = osize / fs.fs_fsize;
    const nfrags = nsize / fs.fs_fsize;
    const from = row.block(i, ofrags);
    if (from === 0) throw state.damage(`directory inode ${dp.i_number}: block ${lbn} is a hole`);
    const old = await cache.bread(dev, fs.fsbtob(from), osize);
    if (nfrags === ofrags) return old;
    let to = 0;
    try {
      to = await ffs_realloccg(dp, from, ofrags, nfrags, 0, ctx);
      // A moved block appears on the disk at once, with all that it lost: too early for names that must wait.
      if (to !== from && old.b_private instanceof DirDep && old.b_private.maxrank > 0) await order.reopen();
    } catch (error) {
      if (to !== 0) await ffs_unrealloc(dp, from, ofrags, to, nfrags);
      cache.brelse(old);
      throw error;
    }
    const dep = old.b_private instanceof DirDep ? old.b_private : new DirDep();
    cache.brelse(old);
    order.binval(from, ofrags);
    const bp = cache.getblk(dev, fs.fsbtob(to), nsize);
    bp.b_data.set(old.b_data);
    bp.b_data.fill(0, osize);
    bp.b_private = dep;
    if (to !== from) {
      dep.moved = true;
      row.set(i, 1, to);
      const wait = release(dp, from, ofrags);
      if (wait) await wait;
    }
    return bp;
  } finally {
    row.release();
  }
}

/** Cuts a directory behind byte `useful` (rounded up to a block), unless the order of writing forbids it. */
export async function ffs_dirshrink(dp: Inode, useful: number): Promise<void> {
  const { i_ump: ump, i_fs: fs } = dp;
  const length = Math.max(fs.blkroundup(useful), fs.fs_bsize, fs.blkroundup(dp.i_size - ORDER(ump).mosttrim));
  if (length >= dp.i_size) return;
  for (let lbn = fs.lblkno(length); lbn * fs.fs_bsize < dp.i_size; lbn++) {
    const row = await ffs_row(dp, lbn, null);
    if (row === null) return;
    const fsb = row.get(lbn - row.first);
    row.release();
    const bp = fsb === 0 ? undefined : ump.um_bufcache.incore(ump.um_dev, fs.fsbtob(fsb));
    if (bp === undefined) continue;
    const dep = bp.b_private;
    ump.um_bufcache.brelse(bp);
    if (dep instanceof DirDep && dep.ordered) return;
  }
  await ffs_shrink(dp, length);
  dp.i_dirindex?.truncate(length);
}
