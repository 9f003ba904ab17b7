import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  F_GETLK,
  F_SETLK,
  F_UNLCK,
  O_DIRECTORY,
  O_RDONLY,
  SEEK_SET,
  UTIME_NOW,
  UTIME_OMIT,
} from '../../src/kernel/fcntl.js';
import type { RumpKernel } from '../../src/kernel/rump.js';
import type { Fhandle, Stat } from '../../src/kernel/stat.js';
import { ALLPERMS, S_IFMT, ST_RDONLY, major, makedev, minor } from '../../src/kernel/stat.js';
import type { Flock, RumpSys, Timestamp } from '../../src/kernel/sys/rumpsys.js';
import type { Entry, FileStat, Fs, Handle, Name, NewTime, RecordLock, VolumeStat } from './fs.js';

const NS = 1_000_000_000n;
/** More than any case makes. */
const ENTRIES_MAX = 100_000;
const encoder = new TextEncoder();

function join(root: string, path: Name): Name {
  if (typeof path === 'string') return path === '' ? root : `${root}/${path}`;
  const head = encoder.encode(`${root}/`);
  const whole = new Uint8Array(head.length + path.length);
  whole.set(head);
  whole.set(path, head.length);
  return whole;
}

function ns(sec: number, nsec: number): bigint {
  return BigInt(sec) * NS + BigInt(nsec);
}

function timestamp(time: NewTime): Timestamp {
  if (time === 'now') return { sec: 0, nsec: UTIME_NOW };
  if (time === 'omit') return { sec: 0, nsec: UTIME_OMIT };
  const nsec = ((time % NS) + NS) % NS;
  return { sec: Number((time - nsec) / NS), nsec: Number(nsec) };
}

function fileStat(st: Stat): FileStat {
  return {
    type: st.st_mode & S_IFMT,
    mode: st.st_mode & ALLPERMS,
    ino: st.st_ino,
    dev: BigInt(st.st_dev),
    nlink: st.st_nlink,
    uid: st.st_uid,
    gid: st.st_gid,
    size: st.st_size,
    blocks: st.st_blocks,
    major: major(st.st_rdev),
    minor: minor(st.st_rdev),
    atime: ns(st.st_atime, st.st_atimensec),
    mtime: ns(st.st_mtime, st.st_mtimensec),
    ctime: ns(st.st_ctime, st.st_ctimensec),
    birthtime: ns(st.st_birthtime, st.st_birthtimensec),
  };
}

function flock(lock: RecordLock): Flock {
  return { l_start: lock.start, l_len: lock.length, l_pid: 0, l_type: lock.type, l_whence: SEEK_SET };
}

/** {@link Fs} over the system calls of a rump kernel. */
export class RumpFs implements Fs {
  private readonly kernel: RumpKernel;
  private readonly sys: RumpSys;
  private readonly root: string;

  /** `root`: absolute path of the mount point. */
  constructor(kernel: RumpKernel, sys: RumpSys, root: string) {
    this.kernel = kernel;
    this.sys = sys;
    this.root = root;
  }

  get rootName(): string {
    return this.root.slice(this.root.lastIndexOf('/') + 1);
  }

  at(folder: string): Fs {
    return new RumpFs(this.kernel, this.sys, `${this.root}/${folder}`);
  }

  async proc(uid = 0, gid = 0, groups: readonly number[] = []): Promise<Fs> {
    return new RumpFs(this.kernel, this.kernel.newproc(uid, gid, groups), this.root);
  }

  async exit(): Promise<void> {}

  open(path: Name, flags: number, mode = 0o644): Promise<number> {
    return this.sys.open(join(this.root, path), flags, mode);
  }
  close(fd: number): Promise<void> {
    return this.sys.close(fd);
  }
  async read(fd: number, length: number): Promise<Uint8Array> {
    const buf = new Uint8Array(length).fill(0xa5);
    return buf.subarray(0, await this.sys.read(fd, buf));
  }
  write(fd: number, data: Uint8Array): Promise<number> {
    return this.sys.write(fd, data);
  }
  async pread(fd: number, length: number, position: number): Promise<Uint8Array> {
    // Not zeros: a hole must be written by the file system.
    const buf = new Uint8Array(length).fill(0xa5);
    return buf.subarray(0, await this.sys.pread(fd, buf, position));
  }
  pwrite(fd: number, data: Uint8Array, position: number): Promise<number> {
    return this.sys.pwrite(fd, data, position);
  }
  lseek(fd: number, offset: number, whence: number): Promise<number> {
    return this.sys.lseek(fd, offset, whence);
  }
  ftruncate(fd: number, length: number): Promise<void> {
    return this.sys.ftruncate(fd, length);
  }
  truncate(path: Name, length: number): Promise<void> {
    return this.sys.truncate(join(this.root, path), length);
  }
  fsync(fd: number): Promise<void> {
    return this.sys.fsync(fd);
  }
  fdatasync(fd: number): Promise<void> {
    return this.sys.fdatasync(fd);
  }
  fallocate(fd: number, position: number, length: number): Promise<void> {
    return this.sys.posix_fallocate(fd, position, length);
  }
  fdiscard(fd: number, position: number, length: number): Promise<void> {
    return this.sys.fdiscard(fd, position, length);
  }

  async stat(path: Name): Promise<FileStat> {
    return fileStat(await this.sys.stat(join(this.root, path)));
  }
  async lstat(path: Name): Promise<FileStat> {
    return fileStat(await this.sys.lstat(join(this.root, path)));
  }
  async fstat(fd: number): Promise<FileStat> {
    return fileStat(await this.sys.fstat(fd));
  }
  access(path: Name, mode: number): Promise<void> {
    return this.sys.access(join(this.root, path), mode);
  }
  chmod(path: Name, mode: number): Promise<void> {
    return this.sys.chmod(join(this.root, path), mode);
  }
  fchmod(fd: number, mode: number): Promise<void> {
    return this.sys.fchmod(fd, mode);
  }
  chown(path: Name, uid: number, gid: number): Promise<void> {
    return this.sys.chown(join(this.root, path), uid, gid);
  }
  lchown(path: Name, uid: number, gid: number): Promise<void> {
    return this.sys.lchown(join(this.root, path), uid, gid);
  }
  fchown(fd: number, uid: number, gid: number): Promise<void> {
    return this.sys.fchown(fd, uid, gid);
  }
  utimes(path: Name, atime: NewTime, mtime: NewTime): Promise<void> {
    return this.sys.utimensat(AT_FDCWD, join(this.root, path), timestamp(atime), timestamp(mtime));
  }
  lutimes(path: Name, atime: NewTime, mtime: NewTime): Promise<void> {
    return this.sys.utimensat(AT_FDCWD, join(this.root, path), timestamp(atime), timestamp(mtime), AT_SYMLINK_NOFOLLOW);
  }
  futimes(fd: number, atime: NewTime, mtime: NewTime): Promise<void> {
    return this.sys.futimens(fd, timestamp(atime), timestamp(mtime));
  }

  async readdir(path: Name): Promise<Entry[]> {
    const dir = await this.opendir(path);
    const entries: Entry[] = [];
    for (;;) {
      const some = await this.getdents(dir, 64);
      if (some.length === 0) break;
      entries.push(...some);
      if (entries.length > ENTRIES_MAX) throw new Error(`readdir of "${String(path)}" has no end`);
    }
    await this.closedir(dir);
    return entries;
  }
  opendir(path: Name): Promise<Handle> {
    return this.sys.open(join(this.root, path), O_RDONLY | O_DIRECTORY);
  }
  async getdents(dir: Handle, max: number): Promise<Entry[]> {
    for (;;) {
      const dirents = await this.sys.getdents(dir as number, max);
      const entries = dirents
        .filter((d) => d.d_name !== '.' && d.d_name !== '..')
        .map((d) => ({ name: d.d_name, type: d.d_type << 12 }));
      if (entries.length > 0 || dirents.length === 0) return entries;
    }
  }
  closedir(dir: Handle): Promise<void> {
    return this.sys.close(dir as number);
  }

  mkdir(path: Name, mode = 0o755): Promise<void> {
    return this.sys.mkdir(join(this.root, path), mode);
  }
  rmdir(path: Name): Promise<void> {
    return this.sys.rmdir(join(this.root, path));
  }
  unlink(path: Name): Promise<void> {
    return this.sys.unlink(join(this.root, path));
  }
  rename(from: Name, to: Name): Promise<void> {
    return this.sys.rename(join(this.root, from), join(this.root, to));
  }
  link(from: Name, to: Name): Promise<void> {
    return this.sys.link(join(this.root, from), join(this.root, to));
  }
  symlink(target: Name, path: Name): Promise<void> {
    return this.sys.symlink(target, join(this.root, path));
  }
  readlink(path: Name): Promise<Uint8Array> {
    return this.sys.readlink(join(this.root, path));
  }
  mkfifo(path: Name, mode: number): Promise<void> {
    return this.sys.mkfifo(join(this.root, path), mode);
  }
  mknod(path: Name, type: number, mode: number, maj: number, min: number): Promise<void> {
    return this.sys.mknod(join(this.root, path), type | mode, makedev(maj, min));
  }

  async statvfs(path: Name): Promise<VolumeStat> {
    const sv = await this.sys.statvfs(join(this.root, path));
    return {
      size: sv.f_blocks * sv.f_frsize, free: sv.f_bfree * sv.f_frsize, files: sv.f_files, ffree: sv.f_ffree,
      namemax: sv.f_namemax, readonly: (sv.f_flag & ST_RDONLY) !== 0,
    };
  }
  sync(): Promise<void> {
    return this.sys.sync();
  }
  flock(fd: number, operation: number): Promise<void> {
    return this.sys.flock(fd, operation);
  }
  async setlk(fd: number, lock: RecordLock): Promise<void> {
    await this.sys.fcntl(fd, F_SETLK, flock(lock));
  }
  async getlk(fd: number, lock: RecordLock): Promise<RecordLock | null> {
    const found = (await this.sys.fcntl(fd, F_GETLK, flock(lock))) as Flock;
    return found.l_type === F_UNLCK ? null : { type: found.l_type, start: found.l_start, length: found.l_len };
  }

  getxattr(path: Name, name: string): Promise<Uint8Array> {
    return this.sys.getxattr(join(this.root, path), name);
  }
  setxattr(path: Name, name: string, value: Uint8Array, flags = 0): Promise<void> {
    return this.sys.setxattr(join(this.root, path), name, value, flags);
  }
  listxattr(path: Name): Promise<string[]> {
    return this.sys.listxattr(join(this.root, path));
  }
  removexattr(path: Name, name: string): Promise<void> {
    return this.sys.removexattr(join(this.root, path), name);
  }

  async getflags(path: Name): Promise<number> {
    return (await this.sys.stat(join(this.root, path))).st_flags;
  }
  chflags(path: Name, flags: number): Promise<void> {
    return this.sys.chflags(join(this.root, path), flags);
  }
  getfh(path: Name): Promise<Handle> {
    return this.sys.getfh(join(this.root, path));
  }
  async badfh(path: Name): Promise<Handle> {
    const fh = await this.sys.getfh(join(this.root, path));
    return { fh_fsid: fh.fh_fsid, fh_fid: { fid_ino: 2 ** 31 + 12345, fid_gen: fh.fh_fid.fid_gen } } satisfies Fhandle;
  }
  fhopen(fh: Handle, flags: number): Promise<number> {
    return this.sys.fhopen(fh as Fhandle, flags);
  }
  async fhstat(fh: Handle): Promise<FileStat> {
    return fileStat(await this.sys.fhstat(fh as Fhandle));
  }
}

