/** dup family and fcntl. */
import { E, errno } from '../errno.js';
import {
  FD_CLOEXEC, F_CLOSEM, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_MAXFD, F_SETFD, F_SETFL, O_ACCMODE, O_APPEND,
  O_CLOEXEC, O_DIRECT, O_DSYNC, O_NONBLOCK, O_PATH, O_RSYNC, O_SEARCH, O_SYNC,
} from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { DeadVnode } from '../vfs/vnimpl.js';
import { OPEN_MAX } from './descriptors.js';
import { LOCK_COMMANDS, file_advlock } from './lock.js';
import { sys_close } from './close.js';
import type { Flock } from './rumpsys.js';

/** What fcntl(F_SETFL) may change. */
const FCNTLFLAGS = O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_RSYNC | O_DIRECT;

function dup_from(l: Lwp, fd: number, min: number, cloexec: boolean): number {
  const fp = l.p.p_fd.get(fd);
  const to = l.p.p_fd.alloc(fp, min, cloexec);
  fp.f_count++;
  return to;
}

export async function sys_dup(l: Lwp, fd: number): Promise<number> {
  return dup_from(l, fd, 0, false);
}

/** dup2 and dup3 (flags: O_CLOEXEC). The file that was open at `to` is closed first. */
export async function sys_dup3(l: Lwp, from: number, to: number, flags: number): Promise<number> {
  if ((flags & ~O_CLOEXEC) !== 0) throw errno(E.EINVAL);
  const fp = l.p.p_fd.get(from);
  if (!Number.isInteger(to) || to < 0 || to >= OPEN_MAX) throw errno(E.EBADF);
  if (from === to) return to;
  let closing: void | Promise<void> = undefined;
  if (l.p.p_fd.has(to)) closing = sys_close(l, to);
  // Before waiting for the close: nobody else may get the number meanwhile.
  fp.f_count++;
  l.p.p_fd.put(to, fp, (flags & O_CLOEXEC) !== 0);
  if (closing instanceof Promise) await closing;
  return to;
}

export async function sys_fcntl(
  l: Lwp, fd: number, command: number, arg: number | Flock, owner: bigint | undefined,
): Promise<number | Flock> {
  if (LOCK_COMMANDS.includes(command)) {
    if (typeof arg === 'number') throw errno(E.EFAULT);
    return file_advlock(l, fd, command, arg, owner);
  }
  if (typeof arg !== 'number') throw errno(E.EINVAL);
  const fds = l.p.p_fd;
  if (command === F_CLOSEM) {
    if (fd < 0) throw errno(E.EBADF);
    for (const open of fds.numbers(fd)) await sys_close(l, open);
    return 0;
  }
  if (command === F_MAXFD) return fds.numbers().at(-1) ?? -1;
  const fp = fds.get(fd);
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (!Number.isInteger(arg) || arg < 0 || arg >= OPEN_MAX) throw errno(E.EINVAL);
      return dup_from(l, fd, arg, command === F_DUPFD_CLOEXEC);
    case F_GETFD:
      return fds.getCloexec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      fds.setCloexec(fd, (arg & FD_CLOEXEC) !== 0);
      return 0;
    case F_GETFL:
      return fp.f_flag & (O_ACCMODE | FCNTLFLAGS | O_PATH | O_SEARCH);
    case F_SETFL:
      fp.f_flag = (fp.f_flag & ~FCNTLFLAGS) | (arg & FCNTLFLAGS);
      return 0;
    default:
      throw errno(E.EINVAL);
  }
}

/** The process ends: closes everything and gives its directories back. */
export async function sys_exit(l: Lwp): Promise<void> {
  const { p, kernel: k } = l;
  if (!k.procs.delete(p)) return;
  for (const fd of p.p_fd.numbers()) {
    try {
      await sys_close(l, fd);
    } catch {
      // exit(2) cannot fail; the file is closed all the same
    }
  }
  const { p_cwd, p_root } = p;
  // Calls that come too late find nothing.
  p.p_cwd = p.p_root = new DeadVnode(p_root.v_mount);
  await k.vrele(p_cwd);
  await k.vrele(p_root);
}

