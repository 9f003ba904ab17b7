/** The stat and access families. */
import type { Context } from '../context.js';
import { E, errno } from '../errno.js';
import { AT_EACCESS, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, R_OK, W_OK, X_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { Stat } from '../stat.js';
import { vop_access_locked } from '../vfs/lookup.js';
import type { Mount } from '../vfs/mount.js';
import { Vattr, vttoif } from '../vfs/vattr.js';
import type { Vnode } from '../vfs/vnode.js';
import { at_lookup, at_namei, copyinpath } from './at.js';
import { closef } from './close.js';
import type { Path } from './rumpsys.js';

/** Vattrs to fill and throw away: stat is the most frequent call there is. */
const spare: Vattr[] = [];
const SPARE_MAX = 16;

/** A Stat from attributes of a file of `mp`. */
export function stat_fill(mp: Mount, va: Vattr, st: Stat): void {
  st.st_dev = mp.mnt_fsid;
  st.st_mode = vttoif(va.va_type) | va.va_mode;
  st.st_ino = va.va_fileid;
  st.st_nlink = va.va_nlink;
  st.st_uid = va.va_uid;
  st.st_gid = va.va_gid;
  st.st_rdev = va.va_rdev;
  st.st_size = va.va_size;
  st.st_blocks = Math.ceil(va.va_bytes / 512);
  st.st_blksize = va.va_blocksize;
  st.st_flags = va.va_flags;
  st.st_gen = va.va_gen;
  st.st_atime = va.va_atime;
  st.st_atimensec = va.va_atimensec;
  st.st_mtime = va.va_mtime;
  st.st_mtimensec = va.va_mtimensec;
  st.st_ctime = va.va_ctime;
  st.st_ctimensec = va.va_ctimensec;
  st.st_birthtime = va.va_birthtime;
  st.st_birthtimensec = va.va_birthtimensec < 0 ? 0 : va.va_birthtimensec;
}

function fill(vp: Vnode, va: Vattr, st: Stat): void {
  stat_fill(vp.v_mount, va, st);
  if (spare.length < SPARE_MAX) spare.push(va);
}

async function vn_stat_wait(vp: Vnode, st: Stat, ctx: Context, va: Vattr, wait: Promise<void>): Promise<void> {
  await wait;
  try {
    await vp.v_op.getattr(vp, va, ctx);
  } finally {
    vp.v_lock.exit(false);
  }
  fill(vp, va, st);
}

async function vn_stat_finish(vp: Vnode, st: Stat, va: Vattr, got: Promise<void>): Promise<void> {
  try {
    await got;
  } finally {
    vp.v_lock.exit(false);
  }
  fill(vp, va, st);
}

/** VOP_GETATTR under the shared lock, as a Stat. */
function vn_stat(vp: Vnode, st: Stat, ctx: Context): MaybePromise<void> {
  const va = spare.pop() ?? new Vattr();
  const wait = vp.v_lock.enter(false);
  if (wait) return vn_stat_wait(vp, st, ctx, va, wait);
  let got: MaybePromise<void>;
  try {
    got = vp.v_op.getattr(vp, va, ctx);
  } catch (thrown) {
    vp.v_lock.exit(false);
    throw thrown;
  }
  if (got instanceof Promise) return vn_stat_finish(vp, st, va, got);
  vp.v_lock.exit(false);
  fill(vp, va, st);
  return undefined;
}

/** stat of a referenced vnode; gives the reference back. */
export async function stat_referenced(l: Lwp, vp: Vnode, st: Stat): Promise<Stat> {
  try {
    const wait = vn_stat(vp, st, l);
    if (wait) await wait;
  } finally {
    const released = l.kernel.vrele(vp);
    if (released) await released;
  }
  return st;
}

export async function sys_fstatat(l: Lwp, fd: number, path: Path, into: Stat | undefined, flags = 0): Promise<Stat> {
  const found = at_namei(l, fd, copyinpath(path), (flags & AT_SYMLINK_NOFOLLOW) === 0, (flags & AT_EMPTY_PATH) !== 0);
  const vp = found instanceof Promise ? await found : found;
  return stat_referenced(l, vp, into ?? new Stat());
}

/** lstat relative to `fd`; false if the name does not exist. */
export function sys_lookupat(l: Lwp, fd: number, path: Path, st: Stat): MaybePromise<boolean> {
  const found = at_lookup(l, fd, copyinpath(path));
  return found instanceof Promise ? found.then((vp) => lookup_stat(l, vp, st)) : lookup_stat(l, found, st);
}

/** Gives the reference back. */
function lookup_stat(l: Lwp, vp: Vnode | null, st: Stat): MaybePromise<boolean> {
  if (vp === null) return false;
  let wait: MaybePromise<void>;
  try {
    wait = vn_stat(vp, st, l);
  } catch (thrown) {
    const released = l.kernel.vrele(vp);
    if (!(released instanceof Promise)) throw thrown;
    return released.then(() => Promise.reject(thrown as Error));
  }
  if (wait instanceof Promise) return lookup_finish(l, vp, wait);
  const released = l.kernel.vrele(vp);
  return released instanceof Promise ? released.then(() => true) : true;
}

async function lookup_finish(l: Lwp, vp: Vnode, wait: Promise<void>): Promise<boolean> {
  try {
    await wait;
    return true;
  } finally {
    await l.kernel.vrele(vp);
  }
}

export function sys_fgetattr(l: Lwp, fd: number, st: Stat): MaybePromise<void> {
  const fp = l.p.p_fd.get(fd);
  const wait = vn_stat(fp.f_vnode, st, l);
  if (wait === undefined) return undefined;
  // The descriptor may be closed while we wait. Nothing else has run so far, so it is not too late to hold it.
  fp.f_count++;
  return wait.finally(() => closef(l, fp));
}

export async function sys_fstat(l: Lwp, fd: number, into: Stat | undefined): Promise<Stat> {
  const st = into ?? new Stat();
  const wait = sys_fgetattr(l, fd, st);
  if (wait) await wait;
  return st;
}

export async function sys_faccessat(l: Lwp, fd: number, path: Path, mode: number, flags = 0): Promise<void> {
  if ((mode & ~(R_OK | W_OK | X_OK)) !== 0) throw errno(E.EINVAL);
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) throw errno(E.EINVAL);
  const vp = await at_namei(
    l,
    fd,
    copyinpath(path),
    (flags & AT_SYMLINK_NOFOLLOW) === 0,
    (flags & AT_EMPTY_PATH) !== 0,
  );
  try {
    if (mode !== 0) await vop_access_locked(vp, mode, l);
  } finally {
    await l.kernel.vrele(vp);
  }
}
