/** chmod, chown, chflags, utimes and truncate families. */
import { E, errno } from '../errno.js';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT, W_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { ALLPERMS } from '../stat.js';
import {
  APPEND, IMMUTABLE, genfs_access_va, genfs_can_chflags, genfs_can_chmod, genfs_can_chown, genfs_can_chtimes,
  genfs_clear_setid,
} from '../vfs/genfs.js';
import { VA_UTIMES_NULL, VDIR, VREG, Vattr } from '../vfs/vattr.js';
import { vn_change } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { at_namei, check_offset, copyinpath } from './at.js';
import type { File } from './file.js';
import { closef } from './close.js';
import type { Path, Timestamp } from './rumpsys.js';

/**
 * Decides what is to be changed, from the attributes as they are; null for nothing. Throws if the change is not
 * allowed.
 */
type Change = (vp: Vnode, va: Vattr) => MaybePromise<Vattr | null>;

/** Changes attributes of a referenced vnode. `flagged`: immutable and append-only files refuse it. */
async function vn_setattr(l: Lwp, vp: Vnode, flagged: boolean, change: Change): Promise<void> {
  await vn_change(l.kernel, vp, async () => {
    const va = new Vattr();
    const got = vp.v_op.getattr(vp, va, l);
    if (got instanceof Promise) await got;
    if (flagged && (va.va_flags & (IMMUTABLE | APPEND)) !== 0) throw errno(E.EPERM);
    const changed = change(vp, va);
    const vap = changed instanceof Promise ? await changed : changed;
    if (vap === null) return false;
    const set = vp.v_op.setattr(vp, vap, l);
    if (set instanceof Promise) await set;
    return true;
  });
}

async function setattr_at(
  l: Lwp,
  fd: number,
  path: Path,
  flags: number,
  flagged: boolean,
  change: Change,
): Promise<void> {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) throw errno(E.EINVAL);
  const found = at_namei(l, fd, copyinpath(path), (flags & AT_SYMLINK_NOFOLLOW) === 0, (flags & AT_EMPTY_PATH) !== 0);
  const vp = found instanceof Promise ? await found : found;
  try {
    await vn_setattr(l, vp, flagged, change);
  } finally {
    const released = l.kernel.vrele(vp);
    if (released) await released;
  }
}

async function setattr_fd(l: Lwp, fp: File, flagged: boolean, change: Change): Promise<void> {
  fp.f_count++;
  try {
    await vn_setattr(l, fp.f_vnode, flagged, change);
  } finally {
    const closed = closef(l, fp);
    if (closed) await closed;
  }
}

function chmod(l: Lwp, mode: number): Change {
  return (vp, va) => {
    genfs_can_chmod(vp, va, l, mode);
    const vap = new Vattr();
    vap.va_mode = mode & ALLPERMS;
    return vap;
  };
}

function check_id(id: number): void {
  if (id !== -1 && !(Number.isInteger(id) && id >= 0 && id <= 0xffffffff)) throw errno(E.EINVAL);
}

function chown(l: Lwp, uid: number, gid: number): Change {
  check_id(uid);
  check_id(gid);
  return (vp, va) => {
    const vap = new Vattr();
    const newuid = uid === -1 ? va.va_uid : uid;
    const newgid = gid === -1 ? va.va_gid : gid;
    if (uid === -1 && gid === -1) return null;
    genfs_can_chown(va, l, newuid, newgid);
    vap.va_uid = newuid;
    vap.va_gid = newgid;
    const mode = genfs_clear_setid(vp.v_type, va.va_mode, l);
    if (mode !== va.va_mode) vap.va_mode = mode;
    return vap;
  };
}

function chflags(l: Lwp, flags: number): Change {
  return (vp, va) => {
    const vap = new Vattr();
    vap.va_flags = genfs_can_chflags(vp, va, l, flags >>> 0);
    return vap;
  };
}

/** A time that is neither UTIME_NOW nor UTIME_OMIT must be one. @throws EINVAL */
function check_time(time: Timestamp | undefined): void {
  if (time === undefined || time.nsec === UTIME_NOW || time.nsec === UTIME_OMIT) return;
  if (!Number.isSafeInteger(time.sec) || !Number.isInteger(time.nsec) || time.nsec < 0 || time.nsec > 999_999_999) {
    throw errno(E.EINVAL);
  }
}

function utimes(l: Lwp, atime: Timestamp | undefined, mtime: Timestamp | undefined): Change {
  check_time(atime);
  check_time(mtime);
  const anow = atime === undefined || atime.nsec === UTIME_NOW;
  const mnow = mtime === undefined || mtime.nsec === UTIME_NOW;
  const aomit = atime?.nsec === UTIME_OMIT;
  const momit = mtime?.nsec === UTIME_OMIT;
  return (vp, va) => {
    if (aomit && momit) return null;
    const vap = new Vattr();
    if (anow && mnow) vap.va_vaflags = VA_UTIMES_NULL;
    const now = l.kernel.now();
    if (!aomit) {
      vap.va_atime = anow ? now.sec : atime!.sec;
      vap.va_atimensec = anow ? now.nsec : atime!.nsec;
    }
    if (!momit) {
      vap.va_mtime = mnow ? now.sec : mtime!.sec;
      vap.va_mtimensec = mnow ? now.nsec : mtime!.nsec;
      // A file cannot have been changed before it was born.
      const born = va.va_birthtime !== 0 || va.va_birthtimensec > 0;
      const earlier =
        vap.va_mtime < va.va_birthtime || (vap.va_mtime === va.va_birthtime && vap.va_mtimensec < va.va_birthtimensec);
      if (born && earlier) {
        vap.va_birthtime = vap.va_mtime;
        vap.va_birthtimensec = vap.va_mtimensec;
      }
    }
    const allowed = genfs_can_chtimes(vp, va, l, vap.va_vaflags);
    return allowed instanceof Promise ? allowed.then(() => vap) : vap;
  };
}

/** `permitted`: the descriptor was opened for writing, so the mode does not matter any more. */
function truncate(l: Lwp, length: number, permitted: boolean): Change {
  return (vp, va) => {
    if (vp.v_type === VDIR) throw errno(E.EISDIR);
    if (vp.v_type !== VREG) throw errno(E.EINVAL);
    const vap = new Vattr();
    vap.va_size = length;
    const mode = genfs_clear_setid(vp.v_type, va.va_mode, l);
    if (mode !== va.va_mode) vap.va_mode = mode;
    if (permitted) return vap;
    const allowed = genfs_access_va(vp, va, W_OK, l);
    return allowed instanceof Promise ? allowed.then(() => vap) : vap;
  };
}

export function sys_fchmodat(l: Lwp, fd: number, path: Path, mode: number, flags = 0): Promise<void> {
  return setattr_at(l, fd, path, flags, true, chmod(l, mode));
}
export async function sys_fchmod(l: Lwp, fd: number, mode: number): Promise<void> {
  return setattr_fd(l, l.p.p_fd.get(fd), true, chmod(l, mode));
}

export async function sys_fchownat(l: Lwp, fd: number, path: Path, uid: number, gid: number, flags = 0): Promise<void> {
  return setattr_at(l, fd, path, flags, true, chown(l, uid, gid));
}
export async function sys_fchown(l: Lwp, fd: number, uid: number, gid: number): Promise<void> {
  return setattr_fd(l, l.p.p_fd.get(fd), true, chown(l, uid, gid));
}

export function sys_chflags(l: Lwp, path: Path, flags: number, atflags = 0): Promise<void> {
  return setattr_at(l, AT_FDCWD, path, atflags, false, chflags(l, flags));
}
export async function sys_fchflags(l: Lwp, fd: number, flags: number): Promise<void> {
  return setattr_fd(l, l.p.p_fd.get(fd), false, chflags(l, flags));
}

export async function sys_utimensat(
  l: Lwp,
  fd: number,
  path: Path,
  atime?: Timestamp,
  mtime?: Timestamp,
  flags = 0,
): Promise<void> {
  return setattr_at(l, fd, path, flags, true, utimes(l, atime, mtime));
}
export async function sys_futimens(l: Lwp, fd: number, atime?: Timestamp, mtime?: Timestamp): Promise<void> {
  return setattr_fd(l, l.p.p_fd.get(fd), true, utimes(l, atime, mtime));
}

export async function sys_truncate(l: Lwp, path: Path, length: number): Promise<void> {
  check_offset(length);
  return setattr_at(l, AT_FDCWD, path, 0, true, truncate(l, length, false));
}

/**
 * Through an O_PATH descriptor like truncate(2): the caller needs write permission.
 * @throws EINVAL not open for writing
 */
export async function sys_ftruncate(l: Lwp, fd: number, length: number): Promise<void> {
  check_offset(length);
  const fp = l.p.p_fd.get(fd);
  if (!fp.f_path && !fp.f_write) throw errno(E.EINVAL);
  return setattr_fd(l, fp, true, truncate(l, length, fp.f_write));
}
