import type { Cred } from '../cred.js';
import { makeCred } from '../cred.js';
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_TRUNC,
  O_WRONLY,
} from '../fcntl.js';
import { Lwp } from '../proc.js';
import type { Proc } from '../proc.js';
import { S_IFIFO } from '../stat.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Dirent, Fhandle, Stat, Statvfs } from '../stat.js';
import type { MountArgs } from '../vfs/vfsops.js';
import { sys_fallocate, sys_fdiscard, sys_posix_fallocate } from './alloc.js';
import {
  sys_chflags, sys_fchflags, sys_fchmod, sys_fchmodat, sys_fchown, sys_fchownat, sys_ftruncate, sys_futimens,
  sys_truncate, sys_utimensat,
} from './attr.js';
import { sys_close } from './close.js';
import { sys_chdir, sys_chroot, sys_fchdir, sys_fchroot, sys_getcwd, sys_umask } from './cwd.js';
import { sys_getdents, sys_getdirentriesattr } from './dir.js';
import { sys_dup, sys_dup3, sys_exit, sys_fcntl } from './dup.js';
import {
  extattr_delete, extattr_get, extattr_list, extattr_pread, extattr_pwrite, extattr_set, extattr_size,
} from './extattr.js';
import { sys_fhopen, sys_fhstat, sys_fhstatvfs, sys_getfh } from './fh.js';
import { sys_flock } from './lock.js';
import { sys_mount, sys_unmount } from './mount.js';
import { sys_linkat, sys_mkdirat, sys_mknodat, sys_readlinkat, sys_symlinkat, sys_unlinkat } from './name.js';
import { sys_openat } from './open.js';
import { sys_fpathconf, sys_pathconf } from './pathconf.js';
import { sys_renameat2 } from './rename.js';
import { sys_fmounttraits, sys_isspelled, sys_onchange } from './traits.js';
import type { ChangeListener } from '../vfs/changes.js';
import type { Flock, MountFacts, Path, RumpSys, TakeDirent, Timestamp } from './rumpsys.js';
import {
  sys_lseek,
  sys_pread,
  sys_preadv,
  sys_pwrite,
  sys_pwritev,
  sys_read,
  sys_readv,
  sys_write,
  sys_writev,
} from './rw.js';
import { sys_faccessat, sys_fgetattr, sys_fstat, sys_fstatat, sys_lookupat } from './stat.js';
import { sys_fstatvfs, sys_fsync, sys_fsync_range, sys_getvfsstat, sys_statvfs, sys_sync } from './sync.js';
import { xattr_get, xattr_list, xattr_remove, xattr_set } from './xattr.js';

/**
 * Credentials that a process remembers, so that a server acting for many users does not make them anew at each request.
 */
const CREDS_MAX = 256;

function samegroups(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const NOGROUPS: readonly number[] = Object.freeze([]);

/** The faces of one process under different credentials, the one used last first. */
class Faces {
  private readonly faces: Syscalls[] = [];

  get(p: Proc, uid: number, gid: number, groups: readonly number[], hostchecked: boolean): Syscalls {
    const faces = this.faces;
    for (let i = 0; i < faces.length; i++) {
      const face = faces[i]!;
      const cred = face.l.cred;
      if (
        cred.cr_uid !== uid ||
        cred.cr_gid !== gid ||
        cred.cr_hostchecked !== hostchecked ||
        !samegroups(cred.cr_groups, groups)
      ) {
        continue;
      }
      if (i > 0) {
        faces[i] = faces[i - 1]!;
        faces[i - 1] = face;
      }
      return face;
    }
    const copy = groups.length === 0 ? NOGROUPS : Object.freeze([...groups]);
    const face = new Syscalls(p, makeCred(uid, gid, copy, hostchecked), this);
    if (faces.length >= CREDS_MAX) faces.pop();
    faces.unshift(face);
    return face;
  }
}

/**
 * The system calls of one process under one credential. Each does nothing but pass on to the function of its family.
 */
export class Syscalls implements RumpSys {
  readonly l: Lwp;

  constructor(
    p: Proc,
    cred: Cred,
    private readonly faces: Faces = new Faces(),
    signal?: AbortSignal,
  ) {
    this.l = new Lwp(p, cred, signal);
  }

  withCred(uid: number, gid: number, groups: readonly number[] = NOGROUPS, hostchecked = false): RumpSys {
    return this.faces.get(this.l.p, uid, gid, groups, hostchecked);
  }

  withSignal(signal: AbortSignal): RumpSys {
    return new Syscalls(this.l.p, this.l.cred, this.faces, signal);
  }

  exit(): Promise<void> {
    return sys_exit(this.l);
  }

  open(path: Path, flags: number, mode = 0): Promise<number> {
    return sys_openat(this.l, AT_FDCWD, path, flags, mode);
  }
  openat(fd: number, path: Path, flags: number, mode = 0): Promise<number> {
    return sys_openat(this.l, fd, path, flags, mode);
  }
  creat(path: Path, mode: number): Promise<number> {
    return sys_openat(this.l, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  }
  async close(fd: number): Promise<void> {
    const wait = sys_close(this.l, fd);
    if (wait) await wait;
  }
  read(fd: number, buf: Uint8Array, offset?: number, length?: number): Promise<number> {
    return sys_read(this.l, fd, buf, offset, length);
  }
  pread(fd: number, buf: Uint8Array, position: number, offset?: number, length?: number): Promise<number> {
    return sys_pread(this.l, fd, buf, position, offset, length);
  }
  readv(fd: number, bufs: readonly Uint8Array[]): Promise<number> {
    return sys_readv(this.l, fd, bufs);
  }
  preadv(fd: number, bufs: readonly Uint8Array[], position: number): Promise<number> {
    return sys_preadv(this.l, fd, bufs, position);
  }
  write(fd: number, buf: Uint8Array, offset?: number, length?: number): Promise<number> {
    return sys_write(this.l, fd, buf, offset, length);
  }
  pwrite(fd: number, buf: Uint8Array, position: number, offset?: number, length?: number): Promise<number> {
    return sys_pwrite(this.l, fd, buf, position, offset, length);
  }
  writev(fd: number, bufs: readonly Uint8Array[]): Promise<number> {
    return sys_writev(this.l, fd, bufs);
  }
  pwritev(fd: number, bufs: readonly Uint8Array[], position: number): Promise<number> {
    return sys_pwritev(this.l, fd, bufs, position);
  }
  lseek(fd: number, offset: number | bigint, whence: number): Promise<number> {
    return sys_lseek(this.l, fd, offset, whence);
  }

  stat(path: Path, into?: Stat): Promise<Stat> {
    return sys_fstatat(this.l, AT_FDCWD, path, into, 0);
  }
  lstat(path: Path, into?: Stat): Promise<Stat> {
    return sys_fstatat(this.l, AT_FDCWD, path, into, AT_SYMLINK_NOFOLLOW);
  }
  fstat(fd: number, into?: Stat): Promise<Stat> {
    return sys_fstat(this.l, fd, into);
  }
  fstatat(fd: number, path: Path, into?: Stat, flags?: number): Promise<Stat> {
    return sys_fstatat(this.l, fd, path, into, flags);
  }
  fgetattr(fd: number, into: Stat): MaybePromise<void> {
    return sys_fgetattr(this.l, fd, into);
  }
  fmounttraits(fd: number): MountFacts {
    return sys_fmounttraits(this.l, fd);
  }
  isspelled(fd: number, name: Path): Promise<boolean> {
    return sys_isspelled(this.l, fd, name);
  }
  onchange(listener: ChangeListener): void {
    sys_onchange(this.l, listener);
  }
  lookupat(fd: number, path: Path, into: Stat): MaybePromise<boolean> {
    return sys_lookupat(this.l, fd, path, into);
  }
  getdents(fd: number, max?: number): Promise<Dirent[]> {
    return sys_getdents(this.l, fd, max);
  }
  getdirentriesattr(fd: number, max: number, into: Stat, take: TakeDirent): Promise<number> {
    return sys_getdirentriesattr(this.l, fd, max, into, take);
  }
  access(path: Path, mode: number): Promise<void> {
    return sys_faccessat(this.l, AT_FDCWD, path, mode);
  }
  faccessat(fd: number, path: Path, mode: number, flags?: number): Promise<void> {
    return sys_faccessat(this.l, fd, path, mode, flags);
  }

  chmod(path: Path, mode: number): Promise<void> {
    return sys_fchmodat(this.l, AT_FDCWD, path, mode);
  }
  lchmod(path: Path, mode: number): Promise<void> {
    return sys_fchmodat(this.l, AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
  }
  fchmod(fd: number, mode: number): Promise<void> {
    return sys_fchmod(this.l, fd, mode);
  }
  fchmodat(fd: number, path: Path, mode: number, flags?: number): Promise<void> {
    return sys_fchmodat(this.l, fd, path, mode, flags);
  }
  chown(path: Path, uid: number, gid: number): Promise<void> {
    return sys_fchownat(this.l, AT_FDCWD, path, uid, gid);
  }
  lchown(path: Path, uid: number, gid: number): Promise<void> {
    return sys_fchownat(this.l, AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
  }
  fchown(fd: number, uid: number, gid: number): Promise<void> {
    return sys_fchown(this.l, fd, uid, gid);
  }
  fchownat(fd: number, path: Path, uid: number, gid: number, flags?: number): Promise<void> {
    return sys_fchownat(this.l, fd, path, uid, gid, flags);
  }
  chflags(path: Path, flags: number): Promise<void> {
    return sys_chflags(this.l, path, flags);
  }
  lchflags(path: Path, flags: number): Promise<void> {
    return sys_chflags(this.l, path, flags, AT_SYMLINK_NOFOLLOW);
  }
  fchflags(fd: number, flags: number): Promise<void> {
    return sys_fchflags(this.l, fd, flags);
  }

  /** Follows a symlink, as NetBSD's link(2) does. */
  link(from: Path, to: Path): Promise<void> {
    return sys_linkat(this.l, AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
  }
  linkat(fromfd: number, from: Path, tofd: number, to: Path, flags?: number): Promise<void> {
    return sys_linkat(this.l, fromfd, from, tofd, to, flags);
  }
  symlink(target: Path, path: Path): Promise<void> {
    return sys_symlinkat(this.l, target, AT_FDCWD, path);
  }
  symlinkat(target: Path, fd: number, path: Path): Promise<void> {
    return sys_symlinkat(this.l, target, fd, path);
  }
  readlink(path: Path): Promise<Uint8Array> {
    return sys_readlinkat(this.l, AT_FDCWD, path);
  }
  readlinkat(fd: number, path: Path): Promise<Uint8Array> {
    return sys_readlinkat(this.l, fd, path);
  }
  rename(from: Path, to: Path): Promise<void> {
    return sys_renameat2(this.l, AT_FDCWD, from, AT_FDCWD, to, 0);
  }
  renameat(fromfd: number, from: Path, tofd: number, to: Path): Promise<void> {
    return sys_renameat2(this.l, fromfd, from, tofd, to, 0);
  }
  renameat2(fromfd: number, from: Path, tofd: number, to: Path, flags: number): Promise<void> {
    return sys_renameat2(this.l, fromfd, from, tofd, to, flags);
  }
  unlink(path: Path): Promise<void> {
    return sys_unlinkat(this.l, AT_FDCWD, path);
  }
  unlinkat(fd: number, path: Path, flags?: number): Promise<void> {
    return sys_unlinkat(this.l, fd, path, flags);
  }
  mkdir(path: Path, mode: number): Promise<void> {
    return sys_mkdirat(this.l, AT_FDCWD, path, mode);
  }
  mkdirat(fd: number, path: Path, mode: number): Promise<void> {
    return sys_mkdirat(this.l, fd, path, mode);
  }
  rmdir(path: Path): Promise<void> {
    return sys_unlinkat(this.l, AT_FDCWD, path, AT_REMOVEDIR);
  }
  mknod(path: Path, mode: number, dev: bigint): Promise<void> {
    return sys_mknodat(this.l, AT_FDCWD, path, mode, dev);
  }
  mknodat(fd: number, path: Path, mode: number, dev: bigint): Promise<void> {
    return sys_mknodat(this.l, fd, path, mode, dev);
  }
  mkfifo(path: Path, mode: number): Promise<void> {
    return sys_mknodat(this.l, AT_FDCWD, path, (mode & 0o7777) | S_IFIFO, 0n);
  }
  mkfifoat(fd: number, path: Path, mode: number): Promise<void> {
    return sys_mknodat(this.l, fd, path, (mode & 0o7777) | S_IFIFO, 0n);
  }

  truncate(path: Path, length: number): Promise<void> {
    return sys_truncate(this.l, path, length);
  }
  ftruncate(fd: number, length: number): Promise<void> {
    return sys_ftruncate(this.l, fd, length);
  }
  utimes(path: Path, atime?: Timestamp, mtime?: Timestamp): Promise<void> {
    return sys_utimensat(this.l, AT_FDCWD, path, atime, mtime);
  }
  lutimes(path: Path, atime?: Timestamp, mtime?: Timestamp): Promise<void> {
    return sys_utimensat(this.l, AT_FDCWD, path, atime, mtime, AT_SYMLINK_NOFOLLOW);
  }
  futimes(fd: number, atime?: Timestamp, mtime?: Timestamp): Promise<void> {
    return sys_futimens(this.l, fd, atime, mtime);
  }
  utimensat(fd: number, path: Path, atime?: Timestamp, mtime?: Timestamp, flags?: number): Promise<void> {
    return sys_utimensat(this.l, fd, path, atime, mtime, flags);
  }
  futimens(fd: number, atime?: Timestamp, mtime?: Timestamp): Promise<void> {
    return sys_futimens(this.l, fd, atime, mtime);
  }

  statvfs(path: Path, into?: Statvfs): Promise<Statvfs> {
    return sys_statvfs(this.l, path, into);
  }
  fstatvfs(fd: number, into?: Statvfs): Promise<Statvfs> {
    return sys_fstatvfs(this.l, fd, into);
  }
  getvfsstat(): Promise<Statvfs[]> {
    return sys_getvfsstat(this.l);
  }
  sync(): Promise<void> {
    return sys_sync(this.l);
  }
  fsync(fd: number): Promise<void> {
    return sys_fsync(this.l, fd, false);
  }
  fdatasync(fd: number): Promise<void> {
    return sys_fsync(this.l, fd, true);
  }
  fsync_range(fd: number, how: number, start: number, length: number): Promise<void> {
    return sys_fsync_range(this.l, fd, how, start, length);
  }

  getfh(path: Path): Promise<Fhandle> {
    return sys_getfh(this.l, path);
  }
  fhopen(fh: Fhandle, flags: number): Promise<number> {
    return sys_fhopen(this.l, fh, flags);
  }
  fhstat(fh: Fhandle, into?: Stat): Promise<Stat> {
    return sys_fhstat(this.l, fh, into);
  }
  fhstatvfs(fh: Fhandle, into?: Statvfs): Promise<Statvfs> {
    return sys_fhstatvfs(this.l, fh, into);
  }

  mount(type: string, path: Path, flags: number, args?: Partial<MountArgs> & { fspec_name?: string }): Promise<void> {
    return sys_mount(this.l, type, path, flags, args);
  }
  unmount(path: Path, flags = 0): Promise<void> {
    return sys_unmount(this.l, path, flags);
  }

  chdir(path: Path): Promise<void> {
    return sys_chdir(this.l, path);
  }
  fchdir(fd: number): Promise<void> {
    return sys_fchdir(this.l, fd);
  }
  chroot(path: Path): Promise<void> {
    return sys_chroot(this.l, path);
  }
  fchroot(fd: number): Promise<void> {
    return sys_fchroot(this.l, fd);
  }
  __getcwd(): Promise<Uint8Array> {
    return sys_getcwd(this.l);
  }
  umask(mask: number): number {
    return sys_umask(this.l, mask);
  }
  dup(fd: number): Promise<number> {
    return sys_dup(this.l, fd);
  }
  dup2(from: number, to: number): Promise<number> {
    return sys_dup3(this.l, from, to, 0);
  }
  dup3(from: number, to: number, flags: number): Promise<number> {
    return sys_dup3(this.l, from, to, flags);
  }
  fcntl(fd: number, command: number, arg: number | Flock = 0, owner?: bigint): Promise<number | Flock> {
    return sys_fcntl(this.l, fd, command, arg, owner);
  }
  flock(fd: number, operation: number, owner?: bigint): Promise<void> {
    return sys_flock(this.l, fd, operation, owner);
  }
  pathconf(path: Path, name: number): Promise<number> {
    return sys_pathconf(this.l, path, name);
  }
  fpathconf(fd: number, name: number): Promise<number> {
    return sys_fpathconf(this.l, fd, name);
  }
  posix_fallocate(fd: number, position: number, length: number): Promise<void> {
    return sys_posix_fallocate(this.l, fd, position, length);
  }
  fallocate(fd: number, mode: number, position: number, length: number): Promise<void> {
    return sys_fallocate(this.l, fd, mode, position, length);
  }
  fdiscard(fd: number, position: number, length: number): Promise<void> {
    return sys_fdiscard(this.l, fd, position, length);
  }

  extattr_get_fd(fd: number, namespace: number, name: Path): Promise<Uint8Array> {
    return extattr_get(this.l, { fd }, namespace, name);
  }
  extattr_set_fd(fd: number, namespace: number, name: Path, value: Uint8Array): Promise<number> {
    return extattr_set(this.l, { fd }, namespace, name, value);
  }
  extattr_pread_fd(fd: number, namespace: number, name: Path, into: Uint8Array, position: number): Promise<number> {
    return extattr_pread(this.l, { fd }, namespace, name, into, position);
  }
  extattr_pwrite_fd(fd: number, namespace: number, name: Path, piece: Uint8Array, position: number): Promise<number> {
    return extattr_pwrite(this.l, { fd }, namespace, name, piece, position);
  }
  extattr_size_fd(fd: number, namespace: number, name: Path): Promise<number> {
    return extattr_size(this.l, { fd }, namespace, name);
  }
  extattr_delete_fd(fd: number, namespace: number, name: Path): Promise<void> {
    return extattr_delete(this.l, { fd }, namespace, name);
  }
  extattr_list_fd(fd: number, namespace: number): Promise<string[]> {
    return extattr_list(this.l, { fd }, namespace);
  }
  extattr_get_file(path: Path, namespace: number, name: Path): Promise<Uint8Array> {
    return extattr_get(this.l, { path, follow: true }, namespace, name);
  }
  extattr_set_file(path: Path, namespace: number, name: Path, value: Uint8Array): Promise<number> {
    return extattr_set(this.l, { path, follow: true }, namespace, name, value);
  }
  extattr_delete_file(path: Path, namespace: number, name: Path): Promise<void> {
    return extattr_delete(this.l, { path, follow: true }, namespace, name);
  }
  extattr_list_file(path: Path, namespace: number): Promise<string[]> {
    return extattr_list(this.l, { path, follow: true }, namespace);
  }
  extattr_get_link(path: Path, namespace: number, name: Path): Promise<Uint8Array> {
    return extattr_get(this.l, { path, follow: false }, namespace, name);
  }
  extattr_set_link(path: Path, namespace: number, name: Path, value: Uint8Array): Promise<number> {
    return extattr_set(this.l, { path, follow: false }, namespace, name, value);
  }
  extattr_delete_link(path: Path, namespace: number, name: Path): Promise<void> {
    return extattr_delete(this.l, { path, follow: false }, namespace, name);
  }
  extattr_list_link(path: Path, namespace: number): Promise<string[]> {
    return extattr_list(this.l, { path, follow: false }, namespace);
  }

  getxattr(path: Path, name: Path): Promise<Uint8Array> {
    return xattr_get(this.l, { path, follow: true }, name);
  }
  lgetxattr(path: Path, name: Path): Promise<Uint8Array> {
    return xattr_get(this.l, { path, follow: false }, name);
  }
  fgetxattr(fd: number, name: Path): Promise<Uint8Array> {
    return xattr_get(this.l, { fd }, name);
  }
  setxattr(path: Path, name: Path, value: Uint8Array, flags?: number): Promise<void> {
    return xattr_set(this.l, { path, follow: true }, name, value, flags);
  }
  lsetxattr(path: Path, name: Path, value: Uint8Array, flags?: number): Promise<void> {
    return xattr_set(this.l, { path, follow: false }, name, value, flags);
  }
  fsetxattr(fd: number, name: Path, value: Uint8Array, flags?: number): Promise<void> {
    return xattr_set(this.l, { fd }, name, value, flags);
  }
  listxattr(path: Path): Promise<string[]> {
    return xattr_list(this.l, { path, follow: true });
  }
  llistxattr(path: Path): Promise<string[]> {
    return xattr_list(this.l, { path, follow: false });
  }
  flistxattr(fd: number): Promise<string[]> {
    return xattr_list(this.l, { fd });
  }
  removexattr(path: Path, name: Path): Promise<void> {
    return xattr_remove(this.l, { path, follow: true }, name);
  }
  lremovexattr(path: Path, name: Path): Promise<void> {
    return xattr_remove(this.l, { path, follow: false }, name);
  }
  fremovexattr(fd: number, name: Path): Promise<void> {
    return xattr_remove(this.l, { fd }, name);
  }
}
