import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { genfs_clear_setid } from '../../../kernel/vfs/genfs.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { device_failed } from '../../../kernel/vfs/mntdev.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import { IO_APPEND, IO_DSYNC, IO_SYNC } from '../../../kernel/vfs/uio.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { IN_CHANGE, IN_UPDATE } from '../../ufs/inode.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { ffs_allocblks, ffs_allocfrags, ffs_blkpref } from '../space/alloc.js';
import { ffs_growtail, isfragment, unalloc } from './balloc.js';
import { UFS_NDADDR } from '../disk/fs_const.js';
import { ffs_row } from './indir.js';
import type { Row } from './indir.js';
import { touchmeta } from '../order/changes.js';
import { WRITE } from '../volume/writestate.js';
import { ffs_shrink } from './truncate.js';

/**
 * VOP_WRITE. Data goes from the caller's memory to the device in runs of consecutive blocks, uncopied; only partly
 * filled new blocks are put together with their zeros in between. A step writes one run and then makes it part of the
 * file, so that after every step (and error) the file is whole.
 */

/** Bytes of one transfer at most. */
const MAXRUN = 1024 * 1024;

export async function ffs_write(vp: Vnode, uio: Uio, ioflag: number, ctx: Context): Promise<void> {
  const ip = VTOI(vp);
  if (vp.v_type !== VREG) throw errno(E.EISDIR);
  if ((ioflag & IO_APPEND) !== 0) uio.uio_offset = ip.i_size;
  if (uio.uio_resid === 0) return;
  if (uio.uio_offset + uio.uio_resid > ip.i_ump.um_maxfilesize) throw errno(E.EFBIG);
  const state = WRITE(ip.i_ump);
  const { order } = state;
  const resid = uio.uio_resid;
  const osize = ip.i_size;
  for (let flushed = false; uio.uio_resid > 0; ) {
    const wait = order.begin();
    if (wait) await wait;
    const before = uio.uio_resid;
    try {
      // A few steps a transaction: enough not to feel it, few enough not to keep a flush waiting.
      for (let steps = 0; steps < 8 && uio.uio_resid > 0 && !(steps > 0 && order.crowded); steps++) {
        await step(ip, uio, ctx);
      }
      flushed = false;
    } catch (error) {
      if (device_failed(error)) state.lose(ip.i_number);
      if (uio.uio_resid < before) flushed = false;
      if (flushed || !order.roomcoming(error)) {
        // An earlier step has grown the last block for data that now does not come.
        const size = Math.max(osize, uio.uio_offset);
        if (ip.i_size > size) await ffs_shrink(ip, size);
        throw error;
      }
      flushed = true;
    } finally {
      if (uio.uio_resid < resid) {
        order.touch(ip, IN_CHANGE | IN_UPDATE);
        ip.i_mode = genfs_clear_setid(vp.v_type, ip.i_mode, ctx);
      }
      order.end();
    }
    if (flushed) await order.flush(true);
  }
  if ((ioflag & (IO_SYNC | IO_DSYNC)) !== 0) await order.flush(false);
}

/** Writes all of `uio` inside a transaction of the caller. */
export async function ffs_write1(ip: Inode, uio: Uio, ctx: Context): Promise<void> {
  while (uio.uio_resid > 0) await step(ip, uio, ctx);
}

/** Writes one run. The size covers what was written; nothing stays behind it if the step throws. */
async function step(ip: Inode, uio: Uio, ctx: Context): Promise<void> {
  const { i_fs: fs } = ip;
  const osize = ip.i_size;
  const end = uio.uio_offset + uio.uio_resid;
  try {
    if (end > osize && fs.blkoff(osize) !== 0) await ffs_growtail(ip, end, ctx, uio.uio_offset, end);
    const lbn = fs.lblkno(uio.uio_offset);
    const got = ffs_row(ip, lbn, ctx);
    const row = (got instanceof Promise ? await got : got)!;
    try {
      const wait = row.get(lbn - row.first) !== 0 ? overwrite(ip, row, lbn, uio) : fill(ip, row, lbn, uio, ctx);
      if (wait) await wait;
    } finally {
      row.release();
    }
  } catch (error) {
    if (end > osize) await ffs_shrink(ip, osize);
    throw error;
  }
  // ffs_growtail was ahead of the data; a size behind the data is right only where it was so before.
  if (uio.uio_offset > osize) ip.i_size = Math.max(ip.i_size, uio.uio_offset);
}

/** Hands `n` bytes to the device, which may put the write off: it then outlives this process. */
function send(ip: Inode, uio: Uio, n: number, at: number): MaybePromise<void> {
  const { um_posting, um_dev } = ip.i_ump;
  return um_posting !== null
    ? um_posting.post(uio.uio_buf, uio.uio_bufoff, n, at, ip.i_number)
    : um_dev.write(uio.uio_buf, uio.uio_bufoff, n, at);
}

/** Writes into blocks that the file has. */
function overwrite(ip: Inode, row: Row, lbn: number, uio: Uio): MaybePromise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const { fs_bsize, fs_frag } = fs;
  const i = lbn - row.first;
  const off = fs.blkoff(uio.uio_offset);
  const wanted = Math.min(uio.uio_resid, MAXRUN);
  const size = Math.max(ip.i_size, uio.uio_offset + wanted);
  const fsb = row.block(i, fs.sblksize(size, lbn) / fs.fs_fsize);
  let n = Math.min(wanted, fs_bsize - off);
  for (let k = 1; n < wanted && i + k < row.length; k++) {
    if (row.get(i + k) !== fsb + k * fs_frag) break;
    row.block(i + k, fs.sblksize(size, lbn + k) / fs.fs_fsize);
    n = Math.min(wanted, n + fs_bsize);
  }
  const state = WRITE(ump);
  state.unflushed = true;
  const wait = send(ip, uio, n, fs.fsbtob(fsb) + off);
  return wait instanceof Promise ? wait.then(() => overwritten(ip, uio, n)) : overwritten(ip, uio, n);
}

function overwritten(ip: Inode, uio: Uio, n: number): void {
  uio.advance(n);
  if (uio.uio_offset <= ip.i_size) return;
  ip.i_size = uio.uio_offset;
  touchmeta(ip, 0);
}

/** Gives the file the blocks that it lacks from `lbn` on, as many as lie in a row, and writes them. */
function fill(ip: Inode, row: Row, lbn: number, uio: Uio, ctx: Context): MaybePromise<void> {
  const { i_fs: fs } = ip;
  const { fs_bsize } = fs;
  const i = lbn - row.first;
  // Short of the data's end a step ends with a block, so that the size never says less than is allocated.
  const end = Math.min(uio.uio_offset + uio.uio_resid, fs.lblktosize(lbn) + MAXRUN);
  const finalsize = Math.max(ip.i_size, uio.uio_offset + uio.uio_resid);
  const pref = ffs_blkpref(ip, lbn, i, i > 0 ? row.get(i - 1) : 0);
  if (isfragment(ip, finalsize, lbn)) {
    const frags = fs.sblksize(finalsize, lbn) / fs.fs_fsize;
    const fsb = ffs_allocfrags(ip, pref, frags, ctx);
    return fsb instanceof Promise
      ? fsb.then((got) => put(ip, row, i, got, frags, uio, end))
      : put(ip, row, i, fsb, frags, uio, end);
  }
  let want = row.holes(i, Math.min(row.length - i, Math.ceil((end - fs.lblktosize(lbn)) / fs_bsize)));
  // Only the last of them can be one.
  if (want > 1 && isfragment(ip, finalsize, lbn + want - 1)) want--;
  // A section of the file ends (ffs_blkpref): the next step moves on to another group.
  if (fs.fs_maxbpg > 0 && lbn >= UFS_NDADDR) want = Math.min(want, fs.fs_maxbpg - (i % fs.fs_maxbpg));
  const got = ffs_allocblks(ip, pref, want, ctx);
  if (got instanceof Promise) return got.then(({ fsb, blks }) => put(ip, row, i, fsb, blks * fs.fs_frag, uio, end));
  return put(ip, row, i, got.fsb, got.blks * fs.fs_frag, uio, end);
}

/**
 * Writes the new frags fsb..fsb+frags-1 with data up to file offset `end` and zeros around it, and enters them in the
 * row.
 */
function put(ip: Inode, row: Row, i: number, fsb: number, frags: number, uio: Uio, end: number): MaybePromise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  const base = fs.lblktosize(row.first + i);
  const bytes = frags * fs.fs_fsize;
  const head = uio.uio_offset - base;
  const n = Math.min(end - base, bytes) - head;
  const at = fs.fsbtob(fsb);
  state.newdata = true;
  state.unflushed = true;
  let wait: MaybePromise<void>;
  try {
    wait = head === 0 && n === bytes ? send(ip, uio, n, at) : padded(ip, uio, at, head, n, bytes);
  } catch (error) {
    return notput(ip, fsb, frags, error);
  }
  if (wait instanceof Promise) {
    return wait.then(
      () => entered(ip, row, i, fsb, frags, uio, n),
      (error: unknown) => notput(ip, fsb, frags, error),
    );
  }
  entered(ip, row, i, fsb, frags, uio, n);
}

function entered(ip: Inode, row: Row, i: number, fsb: number, frags: number, uio: Uio, n: number): void {
  row.set(i, Math.ceil(frags / ip.i_fs.fs_frag), fsb);
  uio.advance(n);
  if (uio.uio_offset > ip.i_size) ip.i_size = uio.uio_offset;
  touchmeta(ip, 0);
}

async function notput(ip: Inode, fsb: number, frags: number, error: unknown): Promise<never> {
  await unalloc(ip, fsb, frags);
  throw error;
}

/**
 * Writes `head` zeros, `n` bytes of data, and zeros up to `bytes`: whole blocks in the middle straight, the edges
 * copied.
 */
function padded(ip: Inode, uio: Uio, at: number, head: number, n: number, bytes: number): MaybePromise<void> {
  const { um_dev: dev } = ip.i_ump;
  const { fs_bsize } = ip.i_fs;
  const from = uio.uio_bufoff - head; // where the first byte of the run would lie
  if (bytes > fs_bsize) return paddedblocks(ip, uio, at, head, n, bytes);
  // Files below a block are the usual case: memory of its own for each would be most of what their writing costs.
  const edge = spare.length >= bytes ? spare : new Uint8Array(fs_bsize);
  spare = NONE;
  edgeinto(edge, uio, from, head, head + n, 0, bytes);
  const wait = dev.write(edge, 0, bytes, at);
  if (wait instanceof Promise) return wait;
  spare = edge;
}

/** Memory for an edge that nobody uses just now. */
const NONE = new Uint8Array(0);
let spare: Uint8Array = NONE;

async function paddedblocks(ip: Inode, uio: Uio, at: number, head: number, n: number, bytes: number): Promise<void> {
  const { um_dev: dev } = ip.i_ump;
  const { fs_bsize } = ip.i_fs;
  const from = uio.uio_bufoff - head;
  let start = 0;
  if (head > 0) {
    await dev.write(edgeof(uio, from, head, head + n, 0, fs_bsize), 0, fs_bsize, at);
    start = fs_bsize;
  }
  const whole = start + Math.max(0, Math.floor((head + n - start) / fs_bsize) * fs_bsize);
  if (whole > start) await dev.write(uio.uio_buf, from + start, whole - start, at + start);
  if (whole < bytes) await dev.write(edgeof(uio, from, head, head + n, whole, bytes), 0, bytes - whole, at + whole);
}

/** Bytes lo..hi-1 of the run: data where there is some (first..last-1), else zero. */
function edgeof(uio: Uio, from: number, first: number, last: number, lo: number, hi: number): Uint8Array {
  const edge = new Uint8Array(hi - lo);
  edgeinto(edge, uio, from, first, last, lo, hi);
  return edge;
}

function edgeinto(edge: Uint8Array, uio: Uio, from: number, first: number, last: number, lo: number, hi: number): void {
  const a = Math.max(lo, first);
  const b = Math.max(a, Math.min(hi, last));
  edge.fill(0, 0, a - lo);
  edge.set(uio.uio_buf.subarray(from + a, from + b), a - lo);
  edge.fill(0, b - lo, hi - lo);
}
