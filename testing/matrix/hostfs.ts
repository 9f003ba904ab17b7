import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import nodefs from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  F_RDLCK, F_UNLCK, F_WRLCK, O_ACCMODE, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_SYNC, O_TRUNC,
  O_WRONLY, SEEK_DATA, SEEK_HOLE,
} from '../../src/kernel/fcntl.js';
import {
  ALLPERMS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../../src/kernel/stat.js';
import { libc, netbsdCode } from './hostlibc.js';
import type { Entry, FileStat, Fs, Handle, Name, NewTime, RecordLock, VolumeStat } from './fs.js';

const NS = 1_000_000_000n;
const UTIME_NOW = 0x3fffffffn;
const UTIME_OMIT = 0x3ffffffen;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const fdcalls = {
  open: promisify(nodefs.open),
  close: promisify(nodefs.close),
  read: promisify(nodefs.read),
  write: promisify(nodefs.write),
  fstat: promisify(nodefs.fstat),
  fsync: promisify(nodefs.fsync),
  fdatasync: promisify(nodefs.fdatasync),
  fchmod: promisify(nodefs.fchmod),
  fchown: promisify(nodefs.fchown),
};
const fsp = nodefs.promises;

function hostFlags(flags: number): number {
  const c = nodefs.constants;
  const access =
    (flags & O_ACCMODE) === O_RDONLY ? c.O_RDONLY : (flags & O_ACCMODE) === O_WRONLY ? c.O_WRONLY : c.O_RDWR;
  let result = access;
  for (const [ours, theirs] of [
    [O_CREAT, c.O_CREAT],
    [O_EXCL, c.O_EXCL],
    [O_TRUNC, c.O_TRUNC],
    [O_APPEND, c.O_APPEND],
    [O_SYNC, c.O_SYNC],
    [O_NOFOLLOW, c.O_NOFOLLOW],
    [O_DIRECTORY, c.O_DIRECTORY],
  ] as const)
    if (flags & ours) result |= theirs;
  return result;
}

function fileStat(st: nodefs.BigIntStats): FileStat {
  const mode = Number(st.mode);
  const rdev = st.rdev;
  return {
    type: mode & S_IFMT,
    mode: mode & ALLPERMS,
    ino: st.ino,
    dev: st.dev,
    nlink: Number(st.nlink),
    uid: Number(st.uid),
    gid: Number(st.gid),
    size: Number(st.size),
    blocks: Number(st.blocks),
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
    atime: st.atimeNs,
    mtime: st.mtimeNs,
    ctime: st.ctimeNs,
    birthtime: st.birthtimeNs,
  };
}

function direntType(entry: nodefs.Dirent<Buffer>): number {
  if (entry.isFile()) return S_IFREG;
  if (entry.isDirectory()) return S_IFDIR;
  if (entry.isSymbolicLink()) return S_IFLNK;
  if (entry.isFIFO()) return S_IFIFO;
  if (entry.isSocket()) return S_IFSOCK;
  if (entry.isCharacterDevice()) return S_IFCHR;
  return entry.isBlockDevice() ? S_IFBLK : 0;
}

function timespecs(...times: NewTime[]): Buffer {
  const buf = Buffer.alloc(16 * times.length);
  for (const [i, time] of times.entries()) {
    const nsec = typeof time === 'bigint' ? ((time % NS) + NS) % NS : time === 'now' ? UTIME_NOW : UTIME_OMIT;
    buf.writeBigInt64LE(typeof time === 'bigint' ? (time - nsec) / NS : 0n, 16 * i);
    buf.writeBigInt64LE(nsec, 16 * i + 8);
  }
  return buf;
}

/** struct flock of 64-bit Linux. */
function flockStruct(lock: RecordLock): Buffer {
  const buf = Buffer.alloc(32);
  buf.writeInt16LE(lock.type === F_RDLCK ? 0 : lock.type === F_WRLCK ? 1 : 2, 0);
  buf.writeBigInt64LE(BigInt(lock.start), 8);
  buf.writeBigInt64LE(BigInt(lock.length), 16);
  return buf;
}

function refuse(what: string): never {
  throw Object.assign(new Error(`a host mount has no ${what}`), { code: 'ENOSYS' });
}

/** node:fs's codes under NetBSD's names. */
async function translated<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code !== undefined) (error as { code: string }).code = netbsdCode(code);
    throw error;
  }
}

/**
 * {@link Fs} over a file system mounted in the host, through node:fs and the C library. Must not run in the process
 * that serves the mount.
 */
export class HostFs implements Fs {
  private readonly root: string;

  /** `root`: absolute path of the mount point. */
  constructor(root: string) {
    this.root = root;
  }

  private path(path: Name): Buffer {
    if (typeof path === 'string') return Buffer.from(path === '' ? this.root : `${this.root}/${path}`);
    return Buffer.concat([Buffer.from(`${this.root}/`), path]);
  }
  /** With the NUL that C wants. */
  private cpath(path: Name): Buffer {
    return Buffer.concat([this.path(path), Buffer.of(0)]);
  }

  get rootName(): string {
    return basename(this.root);
  }
  at(folder: string): Fs {
    return new HostFs(`${this.root}/${folder}`);
  }
  proc(uid = 0, gid = 0, groups: readonly number[] = []): Promise<Fs> {
    return startProcess(this.root, uid, gid, groups);
  }
  async exit(): Promise<void> {}

  open(path: Name, flags: number, mode = 0o644): Promise<number> {
    return translated(fdcalls.open(this.path(path), hostFlags(flags), mode));
  }
  close(fd: number): Promise<void> {
    return translated(fdcalls.close(fd));
  }
  async read(fd: number, length: number): Promise<Uint8Array> {
    const buf = new Uint8Array(length).fill(0xa5);
    const { bytesRead } = await translated(fdcalls.read(fd, buf, 0, length, null));
    return buf.subarray(0, bytesRead);
  }
  async write(fd: number, data: Uint8Array): Promise<number> {
    return (await translated(fdcalls.write(fd, data, 0, data.length, null))).bytesWritten;
  }
  async pread(fd: number, length: number, position: number): Promise<Uint8Array> {
    const buf = new Uint8Array(length).fill(0xa5);
    const { bytesRead } = await translated(fdcalls.read(fd, buf, 0, length, position));
    return buf.subarray(0, bytesRead);
  }
  async pwrite(fd: number, data: Uint8Array, position: number): Promise<number> {
    return (await translated(fdcalls.write(fd, data, 0, data.length, position))).bytesWritten;
  }
  async lseek(fd: number, offset: number, whence: number): Promise<number> {
    // Linux numbers SEEK_DATA and SEEK_HOLE as NetBSD does.
    if (whence > SEEK_HOLE || (whence === SEEK_DATA && offset < 0)) refuse('such whence');
    return libc('lseek', fd, offset, whence);
  }
  async ftruncate(fd: number, length: number): Promise<void> {
    libc('ftruncate', fd, length); // node's own takes a negative length for 0
  }
  truncate(path: Name, length: number): Promise<void> {
    return translated(fsp.truncate(this.path(path), length));
  }
  fsync(fd: number): Promise<void> {
    return translated(fdcalls.fsync(fd));
  }
  fdatasync(fd: number): Promise<void> {
    return translated(fdcalls.fdatasync(fd));
  }
  async fallocate(fd: number, position: number, length: number): Promise<void> {
    libc('fallocate', fd, 0, position, length);
  }
  async fdiscard(fd: number, position: number, length: number): Promise<void> {
    libc('fallocate', fd, 0x3 /* FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */, position, length);
  }

  async stat(path: Name): Promise<FileStat> {
    return fileStat(await translated(fsp.stat(this.path(path), { bigint: true })));
  }
  async lstat(path: Name): Promise<FileStat> {
    return fileStat(await translated(fsp.lstat(this.path(path), { bigint: true })));
  }
  async fstat(fd: number): Promise<FileStat> {
    return fileStat((await translated(fdcalls.fstat(fd, { bigint: true }))) as nodefs.BigIntStats);
  }
  access(path: Name, mode: number): Promise<void> {
    return translated(fsp.access(this.path(path), mode));
  }
  chmod(path: Name, mode: number): Promise<void> {
    return translated(fsp.chmod(this.path(path), mode));
  }
  fchmod(fd: number, mode: number): Promise<void> {
    return translated(fdcalls.fchmod(fd, mode));
  }
  chown(path: Name, uid: number, gid: number): Promise<void> {
    return translated(fsp.chown(this.path(path), uid, gid));
  }
  lchown(path: Name, uid: number, gid: number): Promise<void> {
    return translated(fsp.lchown(this.path(path), uid, gid));
  }
  fchown(fd: number, uid: number, gid: number): Promise<void> {
    return translated(fdcalls.fchown(fd, uid, gid));
  }
  async utimes(path: Name, atime: NewTime, mtime: NewTime): Promise<void> {
    libc('utimensat', AT_FDCWD, this.cpath(path), timespecs(atime, mtime), 0);
  }
  async lutimes(path: Name, atime: NewTime, mtime: NewTime): Promise<void> {
    libc('utimensat', AT_FDCWD, this.cpath(path), timespecs(atime, mtime), AT_SYMLINK_NOFOLLOW);
  }
  async futimes(fd: number, atime: NewTime, mtime: NewTime): Promise<void> {
    libc('futimens', fd, timespecs(atime, mtime));
  }

  async readdir(path: Name): Promise<Entry[]> {
    const entries = (await translated(
      fsp.readdir(this.path(path), { withFileTypes: true, encoding: 'buffer' }),
    )) as unknown as nodefs.Dirent<Buffer>[];
    return entries.map((entry) => ({ name: entry.name.toString('latin1'), type: direntType(entry) }));
  }
  async opendir(path: Name): Promise<Handle> {
    // encoding 'buffer' is missing in the types of opendir
    return translated(
      fsp.opendir(this.path(path) as unknown as string, { encoding: 'buffer' as BufferEncoding, bufferSize: 8 }),
    );
  }
  async getdents(dir: Handle, max: number): Promise<Entry[]> {
    const entries: Entry[] = [];
    while (entries.length < max) {
      const entry = (await translated((dir as nodefs.Dir).read())) as unknown as nodefs.Dirent<Buffer> | null;
      if (entry === null) break;
      entries.push({ name: entry.name.toString('latin1'), type: direntType(entry) });
    }
    return entries;
  }
  closedir(dir: Handle): Promise<void> {
    return translated((dir as nodefs.Dir).close());
  }

  async mkdir(path: Name, mode = 0o755): Promise<void> {
    await translated(fsp.mkdir(this.path(path), mode));
  }
  rmdir(path: Name): Promise<void> {
    return translated(fsp.rmdir(this.path(path)));
  }
  unlink(path: Name): Promise<void> {
    return translated(fsp.unlink(this.path(path)));
  }
  rename(from: Name, to: Name): Promise<void> {
    return translated(fsp.rename(this.path(from), this.path(to)));
  }
  link(from: Name, to: Name): Promise<void> {
    return translated(fsp.link(this.path(from), this.path(to)));
  }
  symlink(target: Name, path: Name): Promise<void> {
    return translated(fsp.symlink(typeof target === 'string' ? target : Buffer.from(target), this.path(path)));
  }
  readlink(path: Name): Promise<Uint8Array> {
    return translated(fsp.readlink(this.path(path), { encoding: 'buffer' }));
  }
  async mkfifo(path: Name, mode: number): Promise<void> {
    libc('mknod', this.cpath(path), S_IFIFO | mode, 0);
  }
  async mknod(path: Name, type: number, mode: number, major: number, minor: number): Promise<void> {
    const [maj, min] = [BigInt(major), BigInt(minor)];
    libc(
      'mknod',
      this.cpath(path),
      type | mode,
      ((maj & 0xfffn) << 8n) | ((maj & ~0xfffn) << 32n) | (min & 0xffn) | ((min & ~0xffn) << 12n),
    );
  }

  async statvfs(path: Name): Promise<VolumeStat> {
    const buf = Buffer.alloc(128);
    libc('statvfs', this.cpath(path), buf);
    const field = (i: number) => Number(buf.readBigUInt64LE(8 * i)); // struct statvfs of 64-bit Linux
    return {
      size: field(2) * field(1),
      free: field(3) * field(1),
      files: field(5),
      ffree: field(6),
      namemax: field(10),
      readonly: (field(9) & 1) !== 0,
    };
  }
  async sync(): Promise<void> {
    // syncfs of this mount alone would be kinder to the host, but sync(2) is what is tested.
    libc('sync');
  }
  async flock(fd: number, operation: number): Promise<void> {
    libc('flock', fd, operation);
  }
  async setlk(fd: number, lock: RecordLock): Promise<void> {
    libc('fcntl', fd, 6 /* F_SETLK */, flockStruct(lock));
  }
  async getlk(fd: number, lock: RecordLock): Promise<RecordLock | null> {
    const buf = flockStruct(lock);
    libc('fcntl', fd, 5 /* F_GETLK */, buf);
    const type = [F_RDLCK, F_WRLCK, F_UNLCK][buf.readInt16LE(0)]!;
    return type === F_UNLCK
      ? null
      : { type, start: Number(buf.readBigInt64LE(8)), length: Number(buf.readBigInt64LE(16)) };
  }

  async getxattr(path: Name, name: string): Promise<Uint8Array> {
    const buf = Buffer.alloc(65536);
    return new Uint8Array(buf.subarray(0, libc('getxattr', this.cpath(path), name, buf, buf.length)));
  }
  async setxattr(path: Name, name: string, value: Uint8Array, flags = 0): Promise<void> {
    libc('setxattr', this.cpath(path), name, value.length === 0 ? Buffer.alloc(1) : value, value.length, flags);
  }
  async listxattr(path: Name): Promise<string[]> {
    const buf = Buffer.alloc(65536);
    const text = buf.toString('latin1', 0, libc('listxattr', this.cpath(path), buf, buf.length));
    return text.split('\0').slice(0, -1);
  }
  async removexattr(path: Name, name: string): Promise<void> {
    libc('removexattr', this.cpath(path), name);
  }

  getflags(): Promise<number> {
    return refuse('file flags');
  }
  chflags(): Promise<void> {
    return refuse('file flags');
  }
  getfh(): Promise<Handle> {
    return refuse('file handles');
  }
  badfh(): Promise<Handle> {
    return refuse('file handles');
  }
  fhopen(): Promise<number> {
    return refuse('file handles');
  }
  fhstat(): Promise<FileStat> {
    return refuse('file handles');
  }
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly code?: string;
  readonly message?: string;
}

/** A child process under another credential, whose HostFs does what is asked here. Needs root. */
async function startProcess(root: string, uid: number, gid: number, groups: readonly number[]): Promise<Fs> {
  const child: ChildProcess = fork(
    fileURLToPath(new URL('./hosthelper.js', import.meta.url)),
    [String(uid), String(gid), groups.join(',')],
    { serialization: 'advanced', execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  );
  let lastId = 0;
  const waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  child.on('message', (answer: Answer) => {
    const who = waiting.get(answer.id)!;
    waiting.delete(answer.id);
    if (answer.message === undefined) who.resolve(answer.result);
    else who.reject(Object.assign(new Error(answer.message), { code: answer.code }));
  });
  child.on('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error('the helper process has ended'));
    waiting.clear();
  });
  const ask = (folder: string, method: string, args: unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      const id = ++lastId;
      waiting.set(id, { resolve, reject });
      child.send({ id, folder, method, args });
    });
  const proxyAt = (folder: string): Fs =>
    new Proxy({} as Fs, {
      get(_target, name: string) {
        if (name === 'then') return undefined;
        if (name === 'rootName') return basename(folder);
        if (name === 'at') return (sub: string) => proxyAt(`${folder}/${sub}`);
        if (name === 'proc') {
          return (u: number, g: number, gs: readonly number[] = []) => startProcess(folder, u, g, gs);
        }
        if (name === 'exit') {
          return () =>
            new Promise<void>((gone) => {
              child.once('exit', () => gone());
              child.disconnect();
            });
        }
        return (...args: unknown[]) => ask(folder, name, args);
      },
    });
  return proxyAt(root);
}
