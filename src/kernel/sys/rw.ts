/** read, write and their families, lseek. */
import { E, Errno, errno } from '../errno.js';
import { MNT_SYNCHRONOUS, O_DSYNC, O_SYNC, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from '../fcntl.js';
import type { Context } from '../context.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { IO_APPEND, IO_DSYNC, IO_SYNC, Uio } from '../vfs/uio.js';
import { VDIR, VREG, Vattr } from '../vfs/vattr.js';
import { mnt_dirtied } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import type { Cookie } from '../vfs/vnops.js';
import { VS_ACTIVE } from '../vfs/vnode.js';
import { check_buffer, check_offset, fd_getopen } from './at.js';
import type { File } from './file.js';
import { closef } from './close.js';

function readable(l: Lwp, fd: number): File {
  const fp = l.p.p_fd.get(fd);
  if (!fp.f_read) throw errno(E.EBADF);
  if (fp.f_vnode.v_type === VDIR) throw errno(E.EISDIR);
  return fp;
}

function writable(l: Lwp, fd: number): File {
  const fp = l.p.p_fd.get(fd);
  if (!fp.f_write) throw errno(E.EBADF);
  return fp;
}

/** An error after part was moved is a short transfer; the next call will meet the error again. */
function partial(thrown: unknown, uio: Uio, wanted: number): void {
  if (!(thrown instanceof Errno) || uio.uio_resid === wanted) throw thrown;
}

/** VOP_READ under the shared lock. */
function vn_read(vp: Vnode, uio: Uio, ctx: Context): MaybePromise<void> {
  const wait = vp.v_lock.enter(false);
  if (wait) return vn_read_wait(vp, uio, ctx, wait);
  const wanted = uio.uio_resid;
  let done: MaybePromise<void>;
  try {
    done = vp.v_op.read(vp, uio, 0, ctx);
  } catch (thrown) {
    vp.v_lock.exit(false);
    partial(thrown, uio, wanted);
    return undefined;
  }
  if (done instanceof Promise) return vn_read_finish(vp, uio, wanted, done);
  vp.v_lock.exit(false);
  return undefined;
}

async function vn_read_wait(vp: Vnode, uio: Uio, ctx: Context, wait: Promise<void>): Promise<void> {
  await wait;
  const wanted = uio.uio_resid;
  try {
    await vp.v_op.read(vp, uio, 0, ctx);
  } catch (thrown) {
    partial(thrown, uio, wanted);
  } finally {
    vp.v_lock.exit(false);
  }
}

async function vn_read_finish(vp: Vnode, uio: Uio, wanted: number, done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (thrown) {
    partial(thrown, uio, wanted);
  } finally {
    vp.v_lock.exit(false);
  }
}

/** VOP_WRITE under the exclusive lock. */
async function vn_write(l: Lwp, fp: File, uio: Uio, append: boolean): Promise<void> {
  const vp = fp.f_vnode;
  const mp = vp.v_mount;
  let ioflag = append || fp.f_appendonly ? IO_APPEND : 0;
  if ((fp.f_flag & O_SYNC) !== 0 || (mp.mnt_flag & MNT_SYNCHRONOUS) !== 0) ioflag |= IO_SYNC;
  else if ((fp.f_flag & O_DSYNC) !== 0) ioflag |= IO_DSYNC;
  const wanted = uio.uio_resid;
  const wait = vp.v_lock.enter(true);
  if (wait) await wait;
  try {
    const done = vp.v_op.write(vp, uio, ioflag, l);
    if (done instanceof Promise) await done;
  } catch (thrown) {
    partial(thrown, uio, wanted);
  } finally {
    vp.v_lock.exit(true);
    if (vp.v_state === VS_ACTIVE) mnt_dirtied(l.kernel, mp);
  }
}

function total(bufs: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const buf of bufs) bytes += buf.length;
  return bytes;
}

/** Reads into the buffers in turn until one stays short. Returns bytes read. */
async function readv_at(l: Lwp, fp: File, bufs: readonly Uint8Array[], position: number): Promise<number> {
  let done = 0;
  for (const buf of bufs) {
    const uio = new Uio(buf, 0, buf.length, position + done);
    try {
      await vn_read(fp.f_vnode, uio, l);
    } catch (thrown) {
      if (done > 0 && thrown instanceof Errno) return done;
      throw thrown;
    }
    done += buf.length - uio.uio_resid;
    if (uio.uio_resid > 0) break;
  }
  return done;
}

/** One buffer, so that a vector is written in one VOP_WRITE (atomic with O_APPEND). */
function gather(bufs: readonly Uint8Array[]): Uint8Array {
  if (bufs.length === 1) return bufs[0]!;
  const whole = new Uint8Array(total(bufs));
  let at = 0;
  for (const buf of bufs) {
    whole.set(buf, at);
    at += buf.length;
  }
  return whole;
}

export async function sys_pread(
  l: Lwp,
  fd: number,
  buf: Uint8Array,
  position: number,
  offset = 0,
  length = buf.length - offset,
): Promise<number> {
  const fp = readable(l, fd);
  check_buffer(buf, offset, length);
  check_offset(position);
  const uio = new Uio(buf, offset, length, position);
  fp.f_count++;
  try {
    const wait = vn_read(fp.f_vnode, uio, l);
    if (wait) await wait;
  } finally {
    const closed = closef(l, fp);
    if (closed) await closed;
  }
  return length - uio.uio_resid;
}

export async function sys_preadv(l: Lwp, fd: number, bufs: readonly Uint8Array[], position: number): Promise<number> {
  const fp = readable(l, fd);
  check_offset(position);
  fp.f_count++;
  try {
    return await readv_at(l, fp, bufs, position);
  } finally {
    await closef(l, fp);
  }
}

export async function sys_read(
  l: Lwp,
  fd: number,
  buf: Uint8Array,
  offset = 0,
  length = buf.length - offset,
): Promise<number> {
  check_buffer(buf, offset, length);
  const whole = offset === 0 && length === buf.length;
  return sys_readv(l, fd, [whole ? buf : buf.subarray(offset, offset + length)]);
}

export async function sys_readv(l: Lwp, fd: number, bufs: readonly Uint8Array[]): Promise<number> {
  const fp = readable(l, fd);
  fp.f_count++;
  try {
    const wait = fp.f_lock.enter(true);
    if (wait) await wait;
    try {
      const bytes = await readv_at(l, fp, bufs, fp.f_offset);
      fp.f_offset += bytes;
      return bytes;
    } finally {
      fp.f_lock.exit(true);
    }
  } finally {
    await closef(l, fp);
  }
}

/**
 * Positioned writes go where they are told to even through O_APPEND descriptors (POSIX), but never into an append-only
 * file.
 */
export async function sys_pwrite(
  l: Lwp,
  fd: number,
  buf: Uint8Array,
  position: number,
  offset = 0,
  length = buf.length - offset,
): Promise<number> {
  const fp = writable(l, fd);
  check_buffer(buf, offset, length);
  check_offset(position);
  if (length === 0) return 0;
  if (!Number.isSafeInteger(position + length)) throw errno(E.EFBIG);
  const uio = new Uio(buf, offset, length, position);
  fp.f_count++;
  try {
    await vn_write(l, fp, uio, false);
  } finally {
    const closed = closef(l, fp);
    if (closed) await closed;
  }
  return length - uio.uio_resid;
}

export async function sys_pwritev(l: Lwp, fd: number, bufs: readonly Uint8Array[], position: number): Promise<number> {
  if (bufs.length === 0) {
    writable(l, fd);
    return 0;
  }
  return sys_pwrite(l, fd, gather(bufs), position);
}

export async function sys_write(
  l: Lwp,
  fd: number,
  buf: Uint8Array,
  offset = 0,
  length = buf.length - offset,
): Promise<number> {
  const fp = writable(l, fd);
  check_buffer(buf, offset, length);
  if (length === 0) return 0;
  fp.f_count++;
  try {
    const wait = fp.f_lock.enter(true);
    if (wait) await wait;
    try {
      if (!Number.isSafeInteger(fp.f_offset + length)) throw errno(E.EFBIG);
      const uio = new Uio(buf, offset, length, fp.f_offset);
      await vn_write(l, fp, uio, fp.f_append);
      fp.f_offset = uio.uio_offset; // with IO_APPEND the driver has moved it to the end first
      return length - uio.uio_resid;
    } finally {
      fp.f_lock.exit(true);
    }
  } finally {
    await closef(l, fp);
  }
}

export async function sys_writev(l: Lwp, fd: number, bufs: readonly Uint8Array[]): Promise<number> {
  if (bufs.length === 0) {
    writable(l, fd);
    return 0;
  }
  return sys_write(l, fd, gather(bufs));
}

async function vn_seek(l: Lwp, vp: Vnode, offset: number, whence: number): Promise<number> {
  if (vp.v_type !== VREG) throw errno(E.EINVAL);
  if (offset < 0) throw errno(E.ENXIO);
  const wait = vp.v_lock.enter(false);
  if (wait) await wait;
  try {
    if (vp.v_op.seek !== undefined) return await vp.v_op.seek(vp, offset, whence, l);
    const va = new Vattr();
    await vp.v_op.getattr(vp, va, l);
    if (offset >= va.va_size) throw errno(E.ENXIO);
    return whence === SEEK_DATA ? offset : va.va_size;
  } finally {
    vp.v_lock.exit(false);
  }
}

async function vn_size(l: Lwp, vp: Vnode): Promise<number> {
  const wait = vp.v_lock.enter(false);
  if (wait) await wait;
  try {
    const va = new Vattr();
    await vp.v_op.getattr(vp, va, l);
    return va.va_size;
  } finally {
    vp.v_lock.exit(false);
  }
}

/** The end of the file that `fp` is open on; bytes. */
export async function file_size(l: Lwp, fp: File): Promise<number> {
  return vn_size(l, fp.f_vnode);
}

/** Of a directory: to the cookie behind an entry, or to its start. */
async function seekdir(l: Lwp, fp: File, cookie: Cookie): Promise<number> {
  if (cookie < 0 || cookie >= 2n ** 64n) throw errno(E.EINVAL);
  fp.f_count++;
  try {
    const wait = fp.f_lock.enter(true);
    if (wait) await wait;
    fp.f_cookie = cookie;
    fp.f_lock.exit(true);
    return Number(cookie);
  } finally {
    await closef(l, fp);
  }
}

export async function sys_lseek(l: Lwp, fd: number, offset: Cookie, whence: number): Promise<number> {
  const fp = fd_getopen(l, fd);
  if (fp.f_vnode.v_type === VDIR && (whence === SEEK_SET || whence === SEEK_CUR)) {
    if (typeof offset === 'number' && !Number.isSafeInteger(offset)) throw errno(E.EINVAL);
    if (whence === SEEK_SET) return seekdir(l, fp, offset);
    if (Number(offset) === 0) return Number(fp.f_cookie);
    throw errno(E.EINVAL, 'a position in a directory is no number that could be added to');
  }
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset)) {
    // No file reaches so far.
    throw errno((whence === SEEK_DATA || whence === SEEK_HOLE) && !Number.isNaN(offset) ? E.ENXIO : E.EINVAL);
  }
  fp.f_count++;
  try {
    const wait = fp.f_lock.enter(true);
    if (wait) await wait;
    try {
      let position: number;
      if (whence === SEEK_SET) position = offset;
      else if (whence === SEEK_CUR) position = fp.f_offset + offset;
      else if (whence === SEEK_END) position = (await vn_size(l, fp.f_vnode)) + offset;
      else if (whence === SEEK_DATA || whence === SEEK_HOLE) position = await vn_seek(l, fp.f_vnode, offset, whence);
      else throw errno(E.EINVAL);
      check_offset(position);
      fp.f_offset = position;
      return position;
    } finally {
      fp.f_lock.exit(true);
    }
  } finally {
    await closef(l, fp);
  }
}
