/**
 * What the conformance matrix is written over: the same calls on a file system mounted in a rump kernel and on one
 * mounted in the host. Paths are relative to the volume (or the folder that {@link Fs.at} chose) and may be exact
 * bytes; '' is the folder itself. Constants (O_*, SEEK_*, S_IF*, R_OK, LOCK_*, F_*) are those of src/kernel. Every call
 * fails with an error whose `code` is NetBSD's name of the errno.
 */
export type Name = string | Uint8Array;

export interface FileStat {
  /** S_IFMT bits. */
  type: number;
  /** 0..07777. */
  mode: number;
  ino: bigint;
  dev: bigint;
  nlink: number;
  uid: number;
  gid: number;
  size: number;
  /** Units of 512 bytes. */
  blocks: number;
  major: number;
  minor: number;
  /** Nanoseconds since 1970, signed. */
  atime: bigint;
  mtime: bigint;
  ctime: bigint;
  birthtime: bigint;
}

export interface Entry {
  /** Byte string: one character 0..255 a byte. */
  name: string;
  /** S_IFMT bits. */
  type: number;
}

export interface VolumeStat {
  /** Bytes. */
  size: number;
  free: number;
  files: number;
  ffree: number;
  namemax: number;
  readonly: boolean;
}

export interface RecordLock {
  /** F_RDLCK, F_WRLCK, F_UNLCK. */
  type: number;
  start: number;
  /** 0: to the end. */
  length: number;
}

/** Opaque: only the adapter that made it can use it. */
export type Handle = unknown;

/** A time to set: nanoseconds since 1970, or now, or as it is. */
export type NewTime = bigint | 'now' | 'omit';

export interface Fs {
  /** The name of the directory that the volume is mounted at, or of the folder chosen. */
  readonly rootName: string;
  /** The same file system from another folder. */
  at(folder: string): Fs;
  /** Another process with this credential, superuser by default. */
  proc(uid?: number, gid?: number, groups?: readonly number[]): Promise<Fs>;
  /** Ends what {@link proc} made. */
  exit(): Promise<void>;

  open(path: Name, flags: number, mode?: number): Promise<number>;
  close(fd: number): Promise<void>;
  read(fd: number, length: number): Promise<Uint8Array>;
  write(fd: number, data: Uint8Array): Promise<number>;
  pread(fd: number, length: number, position: number): Promise<Uint8Array>;
  pwrite(fd: number, data: Uint8Array, position: number): Promise<number>;
  lseek(fd: number, offset: number, whence: number): Promise<number>;
  ftruncate(fd: number, length: number): Promise<void>;
  truncate(path: Name, length: number): Promise<void>;
  fsync(fd: number): Promise<void>;
  fdatasync(fd: number): Promise<void>;
  fallocate(fd: number, position: number, length: number): Promise<void>;
  /** Punches a hole. */
  fdiscard(fd: number, position: number, length: number): Promise<void>;

  stat(path: Name): Promise<FileStat>;
  lstat(path: Name): Promise<FileStat>;
  fstat(fd: number): Promise<FileStat>;
  access(path: Name, mode: number): Promise<void>;
  chmod(path: Name, mode: number): Promise<void>;
  fchmod(fd: number, mode: number): Promise<void>;
  /** -1 leaves one alone. */
  chown(path: Name, uid: number, gid: number): Promise<void>;
  lchown(path: Name, uid: number, gid: number): Promise<void>;
  fchown(fd: number, uid: number, gid: number): Promise<void>;
  utimes(path: Name, atime: NewTime, mtime: NewTime): Promise<void>;
  lutimes(path: Name, atime: NewTime, mtime: NewTime): Promise<void>;
  futimes(fd: number, atime: NewTime, mtime: NewTime): Promise<void>;

  /** All entries but "." and "..". */
  readdir(path: Name): Promise<Entry[]>;
  /** A descriptor for {@link getdents}, to be closed by {@link closedir}. */
  opendir(path: Name): Promise<Handle>;
  /** The next entries, "." and ".." left out, at most about `max`; an empty array at the end only. */
  getdents(dir: Handle, max: number): Promise<Entry[]>;
  closedir(dir: Handle): Promise<void>;

  mkdir(path: Name, mode?: number): Promise<void>;
  rmdir(path: Name): Promise<void>;
  unlink(path: Name): Promise<void>;
  rename(from: Name, to: Name): Promise<void>;
  link(from: Name, to: Name): Promise<void>;
  symlink(target: Name, path: Name): Promise<void>;
  readlink(path: Name): Promise<Uint8Array>;
  mkfifo(path: Name, mode: number): Promise<void>;
  /** `type` is S_IFCHR, S_IFBLK, S_IFSOCK or S_IFIFO. */
  mknod(path: Name, type: number, mode: number, major: number, minor: number): Promise<void>;

  statvfs(path: Name): Promise<VolumeStat>;
  sync(): Promise<void>;
  flock(fd: number, operation: number): Promise<void>;
  /** fcntl F_SETLK. */
  setlk(fd: number, lock: RecordLock): Promise<void>;
  /** fcntl F_GETLK: the lock that is in the way, or null. */
  getlk(fd: number, lock: RecordLock): Promise<RecordLock | null>;

  getxattr(path: Name, name: string): Promise<Uint8Array>;
  /** `flags`: 1 create, 2 replace. */
  setxattr(path: Name, name: string, value: Uint8Array, flags?: number): Promise<void>;
  listxattr(path: Name): Promise<string[]>;
  removexattr(path: Name, name: string): Promise<void>;

  getflags(path: Name): Promise<number>;
  chflags(path: Name, flags: number): Promise<void>;
  getfh(path: Name): Promise<Handle>;
  /** A handle whose file number is wrong. */
  badfh(path: Name): Promise<Handle>;
  fhopen(fh: Handle, flags: number): Promise<number>;
  fhstat(fh: Handle): Promise<FileStat>;
}

/** What a format or a way to reach it can do. A case that needs more is left out, by name. */
export type Feature =
  | 'hardlinks' | 'symlinks' | 'devices' | 'fifos' | 'owners' | 'modes' | 'nstimes' | 'times64' | 'birthtime' | 'flags'
  | 'xattr' | 'holes' | 'seekhole' | 'fallocate' | 'fdiscard' | 'filehandles' | 'flock' | 'recordlocks' | 'bytenames'
  | 'limited' | 'nodelimit' | 'readonly' | 'update' | 'remount' | 'processes' | 'linkcounts' | 'blocks'
  /** The group of a new file is its directory's, not its maker's. */
  | 'bsdgroups';

/** A volume under test. */
export interface Volume {
  /** As superuser. */
  readonly fs: Fs;
  /** mount -u; needs 'update'. */
  update?(readonly: boolean, force?: boolean): Promise<void>;
  /** Unmounts and mounts again; needs 'remount'. `readonly` needs 'readonly'. */
  remount?(readonly: boolean): Promise<void>;
  /** Unmounts; throws when the volume is damaged. */
  cleanup(): Promise<void>;
}

/** What most formats take: bytes of the longest name. */
export const NAMEMAX = 255;

export interface Target {
  readonly name: string;
  /** Bytes of the longest name (of ASCII characters), 40 or more; default {@link NAMEMAX}. */
  readonly namemax?: number;
  /** Cases that it is known to fail, with the reason. A declared failure that passes is an error. */
  readonly expected?: Readonly<Record<string, string>>;
  readonly features: ReadonlySet<Feature>;
  /**
   * The volume is only read, and holds the tree of testing/matrix/reading.ts: those cases run, all on one volume.
   */
  readonly reading?: boolean;
  /** All cases that can share a volume do, each in its own folder. Else each has its own volume. */
  readonly shared?: boolean;
  /** An empty volume of about `size_bytes` (16 MiB at the least unless given). */
  make(size_bytes?: number): Promise<Volume>;
}
