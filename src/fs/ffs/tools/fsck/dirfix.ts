import { put64 } from '../../../lib/endian.js';
import { UFS_NDADDR } from '../../disk/fs.js';
import { allocFrags, freeFrags } from './alloc.js';
import type { FsckBuf, FsckContext } from './context.js';
import type { DirInfo } from './dirtable.js';
import { NPTRS, directFrags } from './inodeview.js';
import { ginode, indirectPtr } from './walk.js';

/** Size and blocks of a directory, as far as repair must change them. */

function emptyChunks(ctx: FsckContext, buf: FsckBuf, from: number): void {
  for (let off = from; off + ctx.dirblksiz <= buf.bytes.length; off += ctx.dirblksiz) {
    buf.bytes.fill(0, off, off + ctx.dirblksiz);
    buf.view.setUint16(off + 4, ctx.dirblksiz, ctx.fs.le);
  }
}

/** A fresh block of `frags` fragments full of empty chunks, written; 0 if the volume is full. */
async function emptyBlock(ctx: FsckContext, frags: number): Promise<number> {
  const fsb = allocFrags(ctx, frags);
  if (fsb === 0) return 0;
  const buf = await ctx.getblk(fsb, frags * ctx.fs.fs_fsize);
  emptyChunks(ctx, buf, 0);
  await ctx.bwrite(buf);
  return fsb;
}

/**
 * Enters a block into the first indirect block, which is made if there is none.
 * @returns fragments spent on that, or -1
 */
async function setIndirect(ctx: FsckContext, dir: number, index: number, fsb: number): Promise<number> {
  const { fs } = ctx;
  const { inode, buf } = await ginode(ctx, dir);
  let at = inode.ptr(UFS_NDADDR);
  let spent = 0;
  if (at === 0) {
    // Nothing is read between here and the write of the inode's block but the new block itself.
    at = allocFrags(ctx, fs.fs_frag);
    if (at === 0) return -1;
    const fresh = await ctx.getblk(at, fs.fs_bsize);
    fresh.bytes.fill(0);
    await ctx.bwrite(fresh);
    inode.setptr(UFS_NDADDR, at);
    await ctx.bwrite(buf);
    spent = fs.fs_frag;
  }
  if (!ctx.blocks.inRange(at, fs.fs_frag)) return -1;
  const ind = await ctx.getblk(at, fs.fs_bsize);
  if (fs.ufs2) put64(ind.view, 8 * index, fsb, fs.le);
  else ind.view.setInt32(4 * index, fsb, fs.le);
  await ctx.bwrite(ind);
  return spent;
}

/**
 * Adds one empty chunk to the end of a directory.
 * @returns false if the volume is full or the directory at its limit
 */
export async function growDirectory(ctx: FsckContext, dir: number): Promise<boolean> {
  const { fs, dirblksiz } = ctx;
  const { inode } = await ginode(ctx, dir);
  const size = Math.ceil(inode.size / dirblksiz) * dirblksiz;
  const lbn = Math.floor(size / fs.fs_bsize);
  const within = size % fs.fs_bsize;
  if (lbn >= UFS_NDADDR + fs.fs_nindir) return false;
  let spent = 0;
  let fresh = 0;
  if (lbn >= UFS_NDADDR) {
    if (within === 0) {
      const fsb = await emptyBlock(ctx, fs.fs_frag);
      if (fsb === 0) return false;
      const more = await setIndirect(ctx, dir, lbn - UFS_NDADDR, fsb);
      if (more < 0) {
        freeFrags(ctx, fsb, fs.fs_frag);
        return false;
      }
      spent = fs.fs_frag + more;
    } else if (inode.ptr(UFS_NDADDR) !== 0 && ctx.blocks.inRange(inode.ptr(UFS_NDADDR), fs.fs_frag)) {
      const ind = await ctx.getblk(inode.ptr(UFS_NDADDR), fs.fs_bsize);
      const fsb = indirectPtr(ctx, ind, lbn - UFS_NDADDR);
      if (!ctx.blocks.inRange(fsb, fs.fs_frag)) return false;
      const block = await ctx.getblk(fsb, fs.fs_bsize);
      emptyChunks(ctx, block, within);
      await ctx.bwrite(block);
    } else {
      return false;
    }
  } else {
    const have = within === 0 ? 0 : Math.ceil(within / fs.fs_fsize);
    const need = Math.ceil((within + dirblksiz) / fs.fs_fsize);
    const old = inode.ptr(lbn);
    if (have > 0 && !ctx.blocks.inRange(old, have)) return false;
    if (need > have) {
      const fsb = await emptyBlock(ctx, need);
      if (fsb === 0) return false;
      if (have > 0) {
        const from = await ctx.getblk(old, have * fs.fs_fsize);
        const to = await ctx.getblk(fsb, need * fs.fs_fsize);
        to.bytes.set(from.bytes.subarray(0, within));
        await ctx.bwrite(to);
        freeFrags(ctx, old, have);
      }
      fresh = fsb;
      spent = need - have;
    } else {
      const block = await ctx.getblk(old, have * fs.fs_fsize);
      emptyChunks(ctx, block, within);
      await ctx.bwrite(block);
    }
  }
  // Asked for again: in the meantime the block may have left memory, or changed.
  const after = await ginode(ctx, dir);
  if (fresh !== 0) after.inode.setptr(lbn, fresh);
  after.inode.size = size + dirblksiz;
  after.inode.blocks = after.inode.blocks + spent * (fs.fs_fsize / 512);
  await ctx.bwrite(after.buf);
  const info = ctx.dirs.get(dir);
  if (info !== undefined) info.size = size + dirblksiz;
  return true;
}

/** Puts a block of empty chunks where directory `dir` has none. @returns false if that is not possible there */
export async function fillHole(ctx: FsckContext, dir: number, lbn: number): Promise<boolean> {
  const { fs } = ctx;
  const { inode } = await ginode(ctx, dir);
  if (lbn >= UFS_NDADDR && (lbn >= UFS_NDADDR + fs.fs_nindir || inode.ptr(UFS_NDADDR) === 0)) return false;
  const frags = lbn >= UFS_NDADDR ? fs.fs_frag : directFrags(fs, inode.size, lbn);
  const fsb = await emptyBlock(ctx, frags);
  if (fsb === 0) return false;
  if (lbn >= UFS_NDADDR && (await setIndirect(ctx, dir, lbn - UFS_NDADDR, fsb)) < 0) return false;
  const after = await ginode(ctx, dir);
  if (lbn < UFS_NDADDR) after.inode.setptr(lbn, fsb);
  after.inode.blocks = after.inode.blocks + frags * (fs.fs_fsize / 512);
  await ctx.bwrite(after.buf);
  return true;
}

/** Cuts a directory off before block `lbn`. The blocks behind are found free in the next run. */
export async function truncateDirectory(ctx: FsckContext, info: DirInfo, lbn: number): Promise<void> {
  const { fs } = ctx;
  const { inode, buf } = await ginode(ctx, info.ino);
  info.size = lbn * fs.fs_bsize;
  inode.size = info.size;
  for (let i = Math.min(lbn, UFS_NDADDR); i < NPTRS; i++) {
    // An indirect block that still serves the part before stays; its surplus pointers go in the next run.
    if (i >= UFS_NDADDR && lbn > UFS_NDADDR && i - UFS_NDADDR === 0) continue;
    inode.setptr(i, 0);
  }
  await ctx.bwrite(buf);
  ctx.rerun = true;
}
