/** fcntl record locks and flock. */
import { E, errno } from '../errno.js';
import {
  F_GETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, SEEK_CUR, SEEK_END,
  SEEK_SET,
} from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { Lockf } from '../vfs/lockf.js';
import type { LockOwner, LockRange } from '../vfs/lockf.js';
import { VREG } from '../vfs/vattr.js';
import { vimpl } from '../vfs/vnimpl.js';
import type { Vnode } from '../vfs/vnode.js';
import { VS_ACTIVE } from '../vfs/vnode.js';
import { fd_getopen } from './at.js';
import type { File } from './file.js';
import { closef } from './close.js';
import type { Flock } from './rumpsys.js';
import { file_size } from './rw.js';

function lockf_of(vp: Vnode): Lockf {
  if (vp.v_state !== VS_ACTIVE) throw errno(E.EBADF);
  return (vimpl(vp).lockf ??= new Lockf());
}

/** The bytes that a Flock means. @throws EINVAL EOVERFLOW */
async function range_of(l: Lwp, fp: File, flock: Flock, owner: LockOwner, pid: number): Promise<LockRange> {
  if (!Number.isSafeInteger(flock.l_start) || !Number.isSafeInteger(flock.l_len)) throw errno(E.EINVAL);
  let start = flock.l_start;
  if (flock.l_whence === SEEK_CUR) start += fp.f_offset;
  else if (flock.l_whence === SEEK_END) start += await file_size(l, fp);
  else if (flock.l_whence !== SEEK_SET) throw errno(E.EINVAL);
  let end: number;
  if (flock.l_len > 0) {
    end = start + flock.l_len - 1;
  } else if (flock.l_len === 0) {
    end = Infinity;
  } else {
    end = start - 1;
    start += flock.l_len;
  }
  if (start < 0) throw errno(E.EINVAL);
  if (!Number.isSafeInteger(start) || (end !== Infinity && !Number.isSafeInteger(end))) throw errno(E.EOVERFLOW);
  return { lf_start: start, lf_end: end, lf_type: flock.l_type, lf_owner: owner, lf_pid: pid };
}

/** F_GETLK, F_SETLK, F_SETLKW. */
export async function file_advlock(
  l: Lwp, fd: number, command: number, flock: Flock, owner: bigint | undefined,
): Promise<0 | Flock> {
  const fp = fd_getopen(l, fd);
  const vp = fp.f_vnode;
  if (vp.v_type !== VREG) throw errno(E.EINVAL);
  const type = flock.l_type;
  if (type !== F_RDLCK && type !== F_WRLCK && !(type === F_UNLCK && command !== F_GETLK)) throw errno(E.EINVAL);
  if (command !== F_GETLK && ((type === F_RDLCK && !fp.f_read) || (type === F_WRLCK && !fp.f_write))) {
    throw errno(E.EBADF);
  }
  fp.f_count++;
  try {
    const want = await range_of(l, fp, flock, owner ?? l.p, owner === undefined ? l.p.p_pid : flock.l_pid);
    const lockf = lockf_of(vp);
    if (command === F_GETLK) return getlk(l, lockf, want, flock);
    await l.kernel.locks.setlk(lockf, true, want, command === F_SETLKW, l.signal);
    // The descriptor may have been closed while we waited: close has released the locks of the process, so must we.
    if (owner === undefined && type !== F_UNLCK && !still_open(l, fd, fp)) {
      l.kernel.locks.release(lockf, true, l.p);
      throw errno(E.EBADF);
    }
    return 0;
  } finally {
    await closef(l, fp);
  }
}

function still_open(l: Lwp, fd: number, fp: File): boolean {
  try {
    return l.p.p_fd.get(fd) === fp;
  } catch {
    return false;
  }
}

function getlk(l: Lwp, lockf: Lockf, want: LockRange, flock: Flock): Flock {
  const held = l.kernel.locks.getlk(lockf, true, want);
  if (held === undefined) {
    flock.l_type = F_UNLCK;
    return flock;
  }
  flock.l_type = held.lf_type;
  flock.l_whence = SEEK_SET;
  flock.l_start = held.lf_start;
  flock.l_len = held.lf_end === Infinity ? 0 : held.lf_end - held.lf_start + 1;
  flock.l_pid = held.lf_pid;
  return flock;
}

/** flock(2) on an open file. */
export async function file_flock(l: Lwp, fp: File, operation: number, owner?: bigint): Promise<void> {
  const kind = operation & ~LOCK_NB;
  if (kind !== LOCK_SH && kind !== LOCK_EX && kind !== LOCK_UN) throw errno(E.EINVAL);
  const who: LockOwner = owner ?? fp;
  const lf_type = kind === LOCK_UN ? F_UNLCK : kind === LOCK_EX ? F_WRLCK : F_RDLCK;
  const want: LockRange = { lf_start: 0, lf_end: Infinity, lf_type, lf_owner: who, lf_pid: l.p.p_pid };
  if (kind !== LOCK_UN) (fp.f_flockowners ??= new Set()).add(who);
  await l.kernel.locks.setlk(lockf_of(fp.f_vnode), false, want, (operation & LOCK_NB) === 0, l.signal);
}

export async function sys_flock(l: Lwp, fd: number, operation: number, owner?: bigint): Promise<void> {
  const fp = fd_getopen(l, fd);
  fp.f_count++;
  try {
    await file_flock(l, fp, operation, owner);
  } finally {
    await closef(l, fp);
  }
}

export const LOCK_COMMANDS: readonly number[] = [F_GETLK, F_SETLK, F_SETLKW];
