import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Dirent, Fhandle, Stat, Statvfs } from '../stat.js';
import type { ChangeListener } from '../vfs/changes.js';
import type { MountTraits } from '../vfs/traits.js';
import type { MountArgs, Survives } from '../vfs/vfsops.js';

/** The traits of a mount as plain data. */
export interface MountFacts extends Pick<MountTraits,
  'aliases' | 'unicode' | 'namemax' | 'shared' | 'timeouts' | 'hardlinks' | 'symlinks' | 'specials' | 'interruptible' |
  'access' | 'wideids'> {
  /** Different names may be the same to the format. */
  readonly folds: boolean;
  readonly survives: Survives;
  /** The mount is read-only now. */
  readonly readonly: boolean;
}

/** A Unicode string (becomes UTF-8) or exact bytes. */
export type Path = string | Uint8Array;

/** flock(2)/fcntl(2) record lock. l_len 0 means to the end of the file, however it grows. */
export interface Flock {
  l_start: number;
  l_len: number;
  /** Owner; filled by F_GETLK. */
  l_pid: number;
  /** F_RDLCK, F_WRLCK, F_UNLCK. */
  l_type: number;
  /** SEEK_SET, SEEK_CUR, SEEK_END. */
  l_whence: number;
}

/**
 * Takes one entry of a directory; false: there is no room for it. `known`: its attributes are in the Stat that the call
 * was given; else they were not to be had at once, and lstat says what they are, or why not.
 */
export type TakeDirent = (entry: Dirent, known: boolean) => boolean;

/** A time for the utimes family: seconds (signed) and nanoseconds, or UTIME_NOW / UTIME_OMIT in nsec. */
export interface Timestamp {
  sec: number;
  nsec: number;
}

/**
 * The system calls: the only way in. `rump_sys_openat` of C is `rump.sys.openat` here. Each fails by throwing an
 * {@link Errno}. A RumpSys belongs to one process (descriptors, current directory, root, umask) and one credential;
 * {@link withCred} gives the same process under another credential.
 * Buffers: bytes [offset, offset+length) of `buf` are used; both default to the whole. Sizes and offsets are bytes, at
 * most 2^53-1. Calls that fill a Stat or Statvfs return the object that they were given (or a new one).
 *
 * Where systems differ: O_NOFOLLOW on a symlink is EFTYPE; unlink of a directory EPERM; link follows symlinks (linkat
 * does not unless asked); rename between two names of one file does nothing; pwrite ignores O_APPEND; devices and fifos
 * cannot be opened for I/O (ENXIO) nor sockets (EOPNOTSUPP), but by O_PATH; file handles are for the superuser and for
 * credentials that the host has checked. Calls that fail after part was transferred return the part.
 */
export interface RumpSys {
  /** The same process, acting as somebody else. */
  withCred(uid: number, gid: number, groups?: readonly number[], hostchecked?: boolean): RumpSys;

  /**
   * The same process and credential, for a caller who may give up: calls that take long end with EINTR once `signal` is
   * aborted. Cheap: to be made for one call.
   */
  withSignal(signal: AbortSignal): RumpSys;

  /** The process ends: its descriptors are closed, its locks go. Nothing may be called on it afterwards. */
  exit(): Promise<void>;

  open(path: Path, flags: number, mode?: number): Promise<number>;
  openat(fd: number, path: Path, flags: number, mode?: number): Promise<number>;
  /** creat(2): open with O_WRONLY | O_CREAT | O_TRUNC. */
  creat(path: Path, mode: number): Promise<number>;
  close(fd: number): Promise<void>;
  read(fd: number, buf: Uint8Array, offset?: number, length?: number): Promise<number>;
  pread(fd: number, buf: Uint8Array, position: number, offset?: number, length?: number): Promise<number>;
  readv(fd: number, bufs: readonly Uint8Array[]): Promise<number>;
  preadv(fd: number, bufs: readonly Uint8Array[], position: number): Promise<number>;
  write(fd: number, buf: Uint8Array, offset?: number, length?: number): Promise<number>;
  pwrite(fd: number, buf: Uint8Array, position: number, offset?: number, length?: number): Promise<number>;
  writev(fd: number, bufs: readonly Uint8Array[]): Promise<number>;
  pwritev(fd: number, bufs: readonly Uint8Array[], position: number): Promise<number>;
  /** Of a directory: `offset` is the d_off of an entry, or 0; only SEEK_SET moves. */
  lseek(fd: number, offset: number | bigint, whence: number): Promise<number>;

  stat(path: Path, into?: Stat): Promise<Stat>;
  lstat(path: Path, into?: Stat): Promise<Stat>;
  fstat(fd: number, into?: Stat): Promise<Stat>;
  fstatat(fd: number, path: Path, into?: Stat, flags?: number): Promise<Stat>;
  /**
   * Ours, for servers, which call nothing more often: fstat, and lstat relative to a directory, where a name that is
   * missing is an answer (false) and no error. Both answer, or throw, at once if nothing has to be waited for.
   */
  fgetattr(fd: number, into: Stat): MaybePromise<void>;
  lookupat(fd: number, path: Path, into: Stat): MaybePromise<boolean>;
  /**
   * Ours, for servers. What is particular to the mount that holds the file `fd` stands for; whether the entry that
   * `name` finds in a directory is spelled just so (where names do not fold, always); who is to hear of what others
   * changed.
   */
  fmounttraits(fd: number): MountFacts;
  isspelled(fd: number, name: Path): Promise<boolean>;
  onchange(listener: ChangeListener): void;
  /** Entries from the descriptor's position, which moves; at most `max` (default 128); an empty array at the end. */
  getdents(fd: number, max?: number): Promise<Dirent[]>;
  /**
   * Ours, after Darwin's: getdents with the attributes of each entry but "." and "..", as lstat would give them; for
   * who asks for them anyway. Hands up to `max` entries to `take` until it refuses one; the position is then behind the
   * last one taken. Returns how many were taken. `take` may make no system calls.
   */
  getdirentriesattr(fd: number, max: number, into: Stat, take: TakeDirent): Promise<number>;
  access(path: Path, mode: number): Promise<void>;
  faccessat(fd: number, path: Path, mode: number, flags?: number): Promise<void>;

  chmod(path: Path, mode: number): Promise<void>;
  lchmod(path: Path, mode: number): Promise<void>;
  fchmod(fd: number, mode: number): Promise<void>;
  fchmodat(fd: number, path: Path, mode: number, flags?: number): Promise<void>;
  /** -1 leaves uid or gid alone. */
  chown(path: Path, uid: number, gid: number): Promise<void>;
  lchown(path: Path, uid: number, gid: number): Promise<void>;
  fchown(fd: number, uid: number, gid: number): Promise<void>;
  fchownat(fd: number, path: Path, uid: number, gid: number, flags?: number): Promise<void>;
  chflags(path: Path, flags: number): Promise<void>;
  lchflags(path: Path, flags: number): Promise<void>;
  fchflags(fd: number, flags: number): Promise<void>;

  link(from: Path, to: Path): Promise<void>;
  linkat(fromfd: number, from: Path, tofd: number, to: Path, flags?: number): Promise<void>;
  symlink(target: Path, path: Path): Promise<void>;
  symlinkat(target: Path, fd: number, path: Path): Promise<void>;
  readlink(path: Path): Promise<Uint8Array>;
  /** An empty path reads the symlink that `fd` (O_PATH) stands for. */
  readlinkat(fd: number, path: Path): Promise<Uint8Array>;
  rename(from: Path, to: Path): Promise<void>;
  renameat(fromfd: number, from: Path, tofd: number, to: Path): Promise<void>;
  /** Ours, after Linux: RENAME_NOREPLACE; RENAME_EXCHANGE and RENAME_WHITEOUT are EINVAL where the driver cannot. */
  renameat2(fromfd: number, from: Path, tofd: number, to: Path, flags: number): Promise<void>;
  unlink(path: Path): Promise<void>;
  unlinkat(fd: number, path: Path, flags?: number): Promise<void>;
  mkdir(path: Path, mode: number): Promise<void>;
  mkdirat(fd: number, path: Path, mode: number): Promise<void>;
  rmdir(path: Path): Promise<void>;
  mknod(path: Path, mode: number, dev: bigint): Promise<void>;
  mknodat(fd: number, path: Path, mode: number, dev: bigint): Promise<void>;
  mkfifo(path: Path, mode: number): Promise<void>;
  mkfifoat(fd: number, path: Path, mode: number): Promise<void>;

  truncate(path: Path, length: number): Promise<void>;
  ftruncate(fd: number, length: number): Promise<void>;
  /** undefined times mean now. */
  utimes(path: Path, atime?: Timestamp, mtime?: Timestamp): Promise<void>;
  lutimes(path: Path, atime?: Timestamp, mtime?: Timestamp): Promise<void>;
  futimes(fd: number, atime?: Timestamp, mtime?: Timestamp): Promise<void>;
  utimensat(fd: number, path: Path, atime?: Timestamp, mtime?: Timestamp, flags?: number): Promise<void>;
  futimens(fd: number, atime?: Timestamp, mtime?: Timestamp): Promise<void>;

  statvfs(path: Path, into?: Statvfs): Promise<Statvfs>;
  fstatvfs(fd: number, into?: Statvfs): Promise<Statvfs>;
  getvfsstat(): Promise<Statvfs[]>;
  sync(): Promise<void>;
  fsync(fd: number): Promise<void>;
  fdatasync(fd: number): Promise<void>;
  fsync_range(fd: number, how: number, start: number, length: number): Promise<void>;

  getfh(path: Path): Promise<Fhandle>;
  fhopen(fh: Fhandle, flags: number): Promise<number>;
  fhstat(fh: Fhandle, into?: Stat): Promise<Stat>;
  fhstatvfs(fh: Fhandle, into?: Statvfs): Promise<Statvfs>;

  /** args.fspec may also be a name given to etfs_register. */
  mount(type: string, path: Path, flags: number, args?: Partial<MountArgs> & { fspec_name?: string }): Promise<void>;
  unmount(path: Path, flags?: number): Promise<void>;

  chdir(path: Path): Promise<void>;
  fchdir(fd: number): Promise<void>;
  chroot(path: Path): Promise<void>;
  fchroot(fd: number): Promise<void>;
  __getcwd(): Promise<Uint8Array>;
  umask(mask: number): number;
  dup(fd: number): Promise<number>;
  dup2(from: number, to: number): Promise<number>;
  dup3(from: number, to: number, flags: number): Promise<number>;
  /**
   * F_GETLK returns the Flock filled; F_DUPFD and F_GET* a number; others 0. `owner` names the lock owner where it is
   * not the process (FUSE).
   */
  fcntl(fd: number, command: number, arg?: number | Flock, owner?: bigint): Promise<number | Flock>;
  flock(fd: number, operation: number, owner?: bigint): Promise<void>;
  pathconf(path: Path, name: number): Promise<number>;
  fpathconf(fd: number, name: number): Promise<number>;
  /** Interrupted it fails with EINTR; the size is then as before. */
  posix_fallocate(fd: number, position: number, length: number): Promise<void>;
  /**
   * Ours, after Linux: `mode` is FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE, both, 0, or FALLOC_PUNCH_HOLE with
   * FALLOC_KEEP_SIZE (fdiscard).
   */
  fallocate(fd: number, mode: number, position: number, length: number): Promise<void>;
  fdiscard(fd: number, position: number, length: number): Promise<void>;

  extattr_get_fd(fd: number, namespace: number, name: Path): Promise<Uint8Array>;
  extattr_set_fd(fd: number, namespace: number, name: Path, value: Uint8Array): Promise<number>;
  /** Ours: values in pieces, and their size, for attributes that are too large to be had whole (streams, forks). */
  extattr_pread_fd(fd: number, namespace: number, name: Path, into: Uint8Array, position: number): Promise<number>;
  extattr_pwrite_fd(fd: number, namespace: number, name: Path, piece: Uint8Array, position: number): Promise<number>;
  extattr_size_fd(fd: number, namespace: number, name: Path): Promise<number>;
  extattr_delete_fd(fd: number, namespace: number, name: Path): Promise<void>;
  extattr_list_fd(fd: number, namespace: number): Promise<string[]>;
  extattr_get_file(path: Path, namespace: number, name: Path): Promise<Uint8Array>;
  extattr_set_file(path: Path, namespace: number, name: Path, value: Uint8Array): Promise<number>;
  extattr_delete_file(path: Path, namespace: number, name: Path): Promise<void>;
  extattr_list_file(path: Path, namespace: number): Promise<string[]>;
  extattr_get_link(path: Path, namespace: number, name: Path): Promise<Uint8Array>;
  extattr_set_link(path: Path, namespace: number, name: Path, value: Uint8Array): Promise<number>;
  extattr_delete_link(path: Path, namespace: number, name: Path): Promise<void>;
  extattr_list_link(path: Path, namespace: number): Promise<string[]>;

  /**
   * Linux-style names: "user.x", "system.x", "trusted.x" and "security.x". XATTR_CREATE 1, XATTR_REPLACE 2. Listed
   * names are byte strings.
   */
  getxattr(path: Path, name: Path): Promise<Uint8Array>;
  lgetxattr(path: Path, name: Path): Promise<Uint8Array>;
  fgetxattr(fd: number, name: Path): Promise<Uint8Array>;
  setxattr(path: Path, name: Path, value: Uint8Array, flags?: number): Promise<void>;
  lsetxattr(path: Path, name: Path, value: Uint8Array, flags?: number): Promise<void>;
  fsetxattr(fd: number, name: Path, value: Uint8Array, flags?: number): Promise<void>;
  listxattr(path: Path): Promise<string[]>;
  llistxattr(path: Path): Promise<string[]>;
  flistxattr(fd: number): Promise<string[]>;
  removexattr(path: Path, name: Path): Promise<void>;
  lremovexattr(path: Path, name: Path): Promise<void>;
  fremovexattr(fd: number, name: Path): Promise<void>;
}
