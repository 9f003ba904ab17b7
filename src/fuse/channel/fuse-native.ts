/**
 * The second channel: the fuse-native package (an optional dependency), for hosts where /dev/fuse cannot be spoken to
 * directly. It binds libfuse 2, whose operations go by path, over the same system calls. What it cannot carry, and why
 * the first channel is the better one wherever it works:
 *
 * - the caller's uid, gid and pid: everything is done as the mounting user, with the host's default_permissions before
 *   it
 * - inode, device and block numbers above 32 bits; times before 1970 or finer than a millisecond
 * - utimensat: the package hands over the access time twice, so the modification time is set to it, too
 * - names that are not UTF-8 (such entries are not listed), locks, holes, fallocate, copies, rename flags
 * - the end of a mount that somebody else unmounts: it is noticed by looking at the list of mounts
 */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from '../../kernel/fcntl.js';
import { errnoOf, Errno } from '../../kernel/errno.js';
import type { LogLevel } from '../../kernel/rumpuser/rumpuser.js';
import type { Stat, Statvfs } from '../../kernel/stat.js';
import type { Path, RumpSys } from '../../kernel/sys/rumpsys.js';
import { MountFailure } from '../mount/failure.js';
import { mounted } from '../mount/mount.js';
import { readMountinfo } from '../mount/mountinfo.js';
import { SUBTYPE, escapeOption } from '../mount/options.js';
import type { HostMount } from '../mount/options.js';
import { hostErrno } from '../protocol/errno.js';
import { decodeDev, encodeDev, openFlags } from '../protocol/linux.js';

export interface ServeNativeOptions {
  /** A process of the kernel for this mount alone, superuser. */
  readonly sys: RumpSys;
  readonly root?: Path;
  readonly mount: HostMount;
  readonly log?: (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;
  readonly onReady?: () => void;
}

/** What of the package is used. */
interface FuseNative {
  mount(done: (error: Error | null) => void): void;
  unmount(done: (error: Error | null) => void): void;
}
type FuseNativeClass = new (
  mountpoint: string,
  operations: Record<string, unknown>,
  options: Record<string, unknown>,
) => FuseNative;

/** How often the list of mounts is looked at, milliseconds. */
const LOOK_MS = 500;
const U32 = 0xffffffff;

async function load(): Promise<FuseNativeClass> {
  try {
    const name = 'fuse-native'; // not a literal: the package may be absent when this is compiled
    return ((await import(name)) as { default: FuseNativeClass }).default;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0]! : String(error);
    if (/libfuse/.test(why)) {
      throw new MountFailure(
        `the fuse-native channel needs libfuse 2 (Debian: the package libfuse2): ${why}`,
        'ENOENT',
      );
    }
    throw new MountFailure(`the fuse-native channel needs the npm package fuse-native: ${why}`, 'ENOENT');
  }
}

function milliseconds(sec: number, nsec: number): number {
  return Math.max(0, sec * 1000 + Math.floor(nsec / 1e6));
}

function statOf(st: Stat): Record<string, number> {
  return {
    mode: st.st_mode,
    uid: st.st_uid,
    gid: st.st_gid,
    size: st.st_size,
    dev: 0,
    nlink: st.st_nlink,
    ino: Number(BigInt.asUintN(32, st.st_ino)),
    rdev: encodeDev(st.st_rdev),
    blksize: st.st_blksize,
    blocks: st.st_blocks,
    atime: milliseconds(st.st_atime, st.st_atimensec),
    mtime: milliseconds(st.st_mtime, st.st_mtimensec),
    ctime: milliseconds(st.st_ctime, st.st_ctimensec),
  };
}

/** In units large enough for 32-bit counts. */
function statfsOf(sv: Statvfs): Record<string, number> {
  let unit = 1;
  while (sv.f_blocks / unit > U32) unit *= 2;
  const blocks = (n: number) => Math.floor(Math.max(0, n) / unit);
  const files = (n: number) => Math.min(n, U32);
  return {
    bsize: sv.f_frsize * unit,
    frsize: sv.f_frsize * unit,
    blocks: blocks(sv.f_blocks),
    bfree: blocks(sv.f_bfree),
    bavail: blocks(sv.f_bavail),
    files: files(sv.f_files),
    ffree: files(sv.f_ffree),
    favail: files(sv.f_favail),
    fsid: 0,
    flag: 0,
    namemax: sv.f_namemax,
  };
}

type Done = (error: number, ...answer: unknown[]) => void;

/** An operation in the package's form (arguments, then a callback) from a function that answers or throws. */
function operation(
  work: (...args: never[]) => Promise<unknown>,
  log: NonNullable<ServeNativeOptions['log']>,
  zero?: unknown,
): (...args: unknown[]) => void {
  return (...args) => {
    const done = args.pop() as Done;
    (work as (...args: unknown[]) => Promise<unknown>)(...args).then(
      (answer) => (answer === undefined ? done(0) : done(0, answer)),
      (thrown: unknown) => {
        if (!(thrown instanceof Errno)) {
          log('error', 'a request met a fault of this program', {
            error: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown),
          });
        }
        if (zero === undefined) done(-hostErrno(errnoOf(thrown)));
        else done(-hostErrno(errnoOf(thrown)), zero);
      },
    );
  };
}

function operations(sys: RumpSys, log: NonNullable<ServeNativeOptions['log']>): Record<string, unknown> {
  const op = (work: (...args: never[]) => Promise<unknown>) => operation(work, log);
  const time = (ms: number) => ({ sec: Math.floor(ms / 1000), nsec: Math.round((ms % 1000) * 1e6) });
  /** read and write answer with the count alone, or with the error in its place. */
  const transfer = (work: (fd: number, buffer: Buffer, length: number, position: number) => Promise<number>) =>
    (_path: string, fd: number, buffer: Buffer, length: number, position: number, done: (count: number) => void) => {
      operation(
        (() => work(fd - 1, buffer, length, position)) as () => Promise<unknown>,
        log,
      )((error: number, count: number) => done(error === 0 ? count : error));
    };
  return {
    statfs: op(async (path: string) => statfsOf(await sys.statvfs(path))),
    getattr: op(async (path: string) => statOf(await sys.lstat(path))),
    readlink: op(async (path: string) => Buffer.from(await sys.readlink(path)).toString()),
    readdir: op(async (path: string) => list(sys, path)),
    mkdir: op((path: string, mode: number) => sys.mkdir(path, mode & 0o7777)),
    rmdir: op((path: string) => sys.rmdir(path)),
    unlink: op((path: string) => sys.unlink(path)),
    rename: op((from: string, to: string) => sys.rename(from, to)),
    link: op((from: string, to: string) => sys.link(from, to)),
    symlink: op((target: string, path: string) => sys.symlink(target, path)),
    mknod: op((path: string, mode: number, rdev: number) => sys.mknod(path, mode, decodeDev(rdev))),
    chmod: op((path: string, mode: number) => sys.chmod(path, mode & 0o7777)),
    chown: op((path: string, uid: number, gid: number) =>
      sys.lchown(path, uid === U32 ? -1 : uid, gid === U32 ? -1 : gid),
    ),
    utimens: op((path: string, atime: number, mtime: number) =>
      sys.utimensat(AT_FDCWD, path, time(atime), time(mtime), AT_SYMLINK_NOFOLLOW),
    ),
    truncate: op((path: string, size: number) => sys.truncate(path, size)),
    ftruncate: op((_path: string, fd: number, size: number) => sys.ftruncate(fd - 1, size)),
    open: op(async (path: string, flags: number) => (await sys.open(path, openFlags(flags))) + 1),
    create: op(async (path: string, mode: number) => (await sys.open(path, O_CREAT | O_RDWR, mode & 0o7777)) + 1),
    release: op((_path: string, fd: number) => sys.close(fd - 1)),
    read: transfer((fd, buffer, length, position) => sys.pread(fd, buffer, position, 0, length)),
    write: transfer((fd, buffer, length, position) => sys.pwrite(fd, buffer, position, 0, length)),
    fsync: op((_path: string, datasync: boolean, fd: number) => (datasync ? sys.fdatasync(fd - 1) : sys.fsync(fd - 1))),
    fsyncdir: op(() => sys.sync()),
    setxattr: op((path: string, name: string, value: Buffer, _position: number, flags: number) =>
      sys.lsetxattr(path, name, Uint8Array.from(value), flags),
    ),
    getxattr: op(async (path: string, name: string) => Buffer.from(await sys.lgetxattr(path, name))),
    listxattr: op((path: string) => sys.llistxattr(path)),
    removexattr: op((path: string, name: string) => sys.lremovexattr(path, name)),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Names of a directory, whole; those that are not UTF-8 left out, since nothing could be done with them. */
async function list(sys: RumpSys, path: string): Promise<string[]> {
  const fd = await sys.open(path, O_RDONLY | O_DIRECTORY);
  try {
    const names: string[] = [];
    for (;;) {
      const entries = await sys.getdents(fd, 1024);
      if (entries.length === 0) return names;
      for (const { d_name } of entries) {
        try {
          names.push(utf8.decode(Buffer.from(d_name, 'latin1')));
        } catch {
          // not UTF-8
        }
      }
    }
  } finally {
    await sys.close(fd);
  }
}

/** Mounts and serves until the mount ends; the volume is then to be closed by the caller. @throws MountFailure */
export async function serveNative(options: ServeNativeOptions): Promise<void> {
  const { mount } = options;
  const log = options.log ?? (() => {});
  const Fuse = await load();
  const { sys } = options;
  sys.umask(0);
  await sys.chroot(options.root ?? '/');
  await sys.chdir('/');
  const user = sys.withCred(process.getuid!(), process.getgid!(), [], true);
  const fuse = new Fuse(mount.mountpoint, operations(user, log), {
    timeout: false,
    fsname: escapeOption(mount.source),
    subtype: SUBTYPE,
    allowOther: mount.allow_other,
    defaultPermissions: mount.default_permissions,
    // The package knows no options for these; libfuse takes them with whatever stands before them.
    ...(extra(mount) === '' ? {} : { maxRead: `131072,${extra(mount)}` }),
  });
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) =>
      error === null || error === undefined
        ? resolve()
        : reject(new MountFailure(`fuse-native cannot mount on ${mount.mountpoint}: ${error.message}`, 'EPERM')),
    );
  });
  const info = mounted(mount.mountpoint);
  options.onReady?.();
  await new Promise<void>((resolve) => {
    const look = setInterval(() => {
      if (readMountinfo().some((candidate) => candidate.id === info.id && candidate.device === info.device)) return;
      clearInterval(look);
      resolve();
    }, LOOK_MS);
  });
}

function extra(mount: HostMount): string {
  return [
    mount.readonly ? 'ro' : '',
    mount.suid ? '' : 'nosuid',
    mount.dev ? '' : 'nodev',
    mount.exec ? '' : 'noexec',
    mount.noatime === true ? 'noatime' : '',
  ]
    .filter((option) => option !== '')
    .join(',');
}
