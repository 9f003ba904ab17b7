import type { Context } from '../../../kernel/context.js';
import type { Inode } from '../volume/inode.js';
import { ffs_allocblks, ffs_allocfrags, ffs_blkpref, ffs_realloccg, ffs_unrealloc } from '../space/alloc.js';
import { ffs_blkfree } from '../space/blkfree.js';
import { UFS_NDADDR } from '../disk/fs_const.js';
import { ffs_row } from './indir.js';
import { release, touchmeta } from '../order/changes.js';
import { WRITE } from '../volume/writestate.js';

/**
 * Giving blocks to files. New blocks are written (with data or zeros, whole) before a pointer to them is set, so that
 * no error on the way leaves a file with somebody else's old bytes.
 */

const ZEROS = new Uint8Array(65536);

/** Writes zeros to the device. The caller says in WriteState.newdata whether the place is new to the disk. */
export async function ffs_zero(ip: Inode, at: number, length: number): Promise<void> {
  const { um_dev } = ip.i_ump;
  WRITE(ip.i_ump).unflushed = true;
  while (length > 0) {
    const n = Math.min(length, ZEROS.length);
    const wait = um_dev.write(ZEROS, 0, n, at);
    if (wait) await wait;
    at += n;
    length -= n;
  }
}

/**
 * Prepares the last, partly filled block of a file for growth to `newsize` bytes: gives it the fragments that it then
 * needs, and makes everything in it behind the old end zero but what is about to be written (dataoff..dataend-1, file
 * offsets). The size becomes `newsize`, or the end of the block. A hole at the end stays one.
 * @throws ENOSPC EIO; the size is then as before
 */
export async function ffs_growtail(
  ip: Inode,
  newsize: number,
  ctx: Context,
  dataoff: number,
  dataend: number,
): Promise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  const used = fs.blkoff(ip.i_size);
  if (used === 0 || newsize <= ip.i_size) return;
  const lbn = fs.lblkno(ip.i_size);
  const base = fs.lblktosize(lbn);
  const row = await ffs_row(ip, lbn, null);
  if (row === null) return;
  try {
    const i = lbn - row.first;
    const ofrags = fs.sblksize(ip.i_size, lbn) / fs.fs_fsize;
    const nfrags = fs.sblksize(newsize, lbn) / fs.fs_fsize;
    const from = row.block(i, ofrags);
    if (from === 0) return;
    let to = from;
    let stale = ofrags * fs.fs_fsize;
    if (nfrags > ofrags) {
      const pref = ffs_blkpref(ip, lbn, i, i > 0 ? row.get(i - 1) : 0);
      to = await ffs_realloccg(ip, from, ofrags, nfrags, pref, ctx);
      state.newdata = true;
      if (to !== from) stale = used;
    }
    const end = nfrags * fs.fs_fsize;
    const written = Math.max(used, dataoff - base);
    try {
      if (to !== from) await copy(ip, from, to, used);
      await ffs_zero(ip, fs.fsbtob(to) + used, Math.min(written, end) - used);
      const behind = Math.max(stale, used, dataend - base);
      await ffs_zero(ip, fs.fsbtob(to) + behind, end - behind);
    } catch (error) {
      if (nfrags > ofrags) await ffs_unrealloc(ip, from, ofrags, to, nfrags);
      throw error;
    }
    if (to !== from) {
      row.set(i, 1, to);
      const wait = release(ip, from, ofrags);
      if (wait) await wait;
    }
    ip.i_size = Math.min(newsize, base + fs.fs_bsize);
    touchmeta(ip, 0);
  } finally {
    row.release();
  }
}

/** Copies the first `length` bytes (below a block) of one place to another, whole fragments. */
async function copy(ip: Inode, from: number, to: number, length: number): Promise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const bytes = new Uint8Array(fs.fragroundup(length));
  await ump.um_dev.read(bytes, 0, length, fs.fsbtob(from));
  WRITE(ump).unflushed = true;
  await ump.um_dev.write(bytes, 0, bytes.length, fs.fsbtob(to));
}

/**
 * Sees to it that block `lbn` is allocated as a file of `newsize` bytes has it; zeros if it is new. Its fragments, if
 * it is the present last block, are ffs_growtail's business. The size does not change.
 * @throws ENOSPC EFBIG EIO
 */
export async function ffs_ensureblock(ip: Inode, lbn: number, newsize: number, ctx: Context): Promise<void> {
  const { i_fs: fs } = ip;
  const row = (await ffs_row(ip, lbn, ctx))!;
  try {
    const i = lbn - row.first;
    if (row.get(i) !== 0) return;
    const frags = fs.sblksize(Math.max(newsize, ip.i_size), lbn) / fs.fs_fsize;
    const fsb = await ffs_newblock(ip, lbn, i, i > 0 ? row.get(i - 1) : 0, frags, ctx);
    row.set(i, 1, fsb);
  } finally {
    row.release();
  }
}

/**
 * Allocates a block of `frags` fragments filled with zeros, for pointer `indx` of a row whose pointer before it is
 * `prev`.
 */
async function ffs_newblock(
  ip: Inode,
  lbn: number,
  indx: number,
  prev: number,
  frags: number,
  ctx: Context,
): Promise<number> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  const pref = ffs_blkpref(ip, lbn, indx, prev);
  const fsb =
    frags === fs.fs_frag ? (await ffs_allocblks(ip, pref, 1, ctx)).fsb : await ffs_allocfrags(ip, pref, frags, ctx);
  state.newdata = true;
  try {
    await ffs_zero(ip, fs.fsbtob(fsb), frags * fs.fs_fsize);
  } catch (error) {
    await unalloc(ip, fsb, frags);
    throw error;
  }
  return fsb;
}

/** Takes back an allocation to which no pointer was set. */
export async function unalloc(ip: Inode, fsb: number, frags: number): Promise<void> {
  ip.i_blocks -= (frags * ip.i_fs.fs_fsize) / 512;
  await ffs_blkfree(ip.i_ump, fsb, frags);
}

/** Is block `lbn` of a file of `size` bytes kept in fragments? */
export function isfragment(ip: Inode, size: number, lbn: number): boolean {
  return lbn < UFS_NDADDR && (lbn + 1) * ip.i_fs.fs_bsize > size;
}
