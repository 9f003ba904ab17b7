/**
 * Mounting: as the superuser by mount(2) (where koffi has no library by mount(8)), as anybody else with fusermount3.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { MountFailure, codeOf } from './failure.js';
import { libc } from './libc.js';
import { readMountinfo, topMount } from './mountinfo.js';
import type { MountInfo } from './mountinfo.js';
import { FSTYPE, fusermountOptions, mountData, mountFlags, mountOptions } from './options.js';
import type { HostMount } from './options.js';

const DEV_FUSE = '/dev/fuse';
const O_PATH = 0o10000000;

export function isSuperuser(): boolean {
  return process.geteuid?.() === 0;
}

/** Opens the FUSE device. @throws MountFailure */
export function openDevFuse(): number {
  try {
    return openSync(DEV_FUSE, constants.O_RDWR);
  } catch (error) {
    throw devFuseFailure(codeOf(error));
  }
}

function devFuseFailure(code: string): MountFailure {
  switch (code) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return new MountFailure(
        `${DEV_FUSE} is missing: this kernel has no FUSE (as root: modprobe fuse; in a container: give it the device ` +
          `${DEV_FUSE})`,
        code,
      );
    case 'EACCES':
    case 'EPERM':
      return new MountFailure(
        `no permission to open ${DEV_FUSE} (as root: chmod 666 ${DEV_FUSE}; in a container: allow the device)`,
        code,
      );
    default:
      return new MountFailure(`${DEV_FUSE} cannot be opened: ${code}`, code);
  }
}

/** The absolute path of a directory that can be mounted on. @throws MountFailure */
export function checkMountpoint(directory: string): string {
  let real: string;
  try {
    real = realpathSync(directory);
    if (!statSync(real).isDirectory()) throw new MountFailure(`mount point ${directory} is not a directory`, 'ENOTDIR');
  } catch (error) {
    if (error instanceof MountFailure) throw error;
    const code = codeOf(error);
    if (code === 'ENOENT') {
      throw new MountFailure(`mount point ${directory} does not exist (make it first: mkdir ${directory})`, code);
    }
    if (code === 'ENOTDIR') throw new MountFailure(`mount point ${directory} is not a directory`, code);
    if (code === 'ENOTCONN') {
      throw new MountFailure(
        `mount point ${directory} is what a dead file system server left behind (fusermount3 -uz ${directory}, or as ` +
          `root umount -l ${directory}, then again)`,
        code,
      );
    }
    throw new MountFailure(`mount point ${directory} cannot be used: ${code || String(error)}`, code);
  }
  const top = topMount(readMountinfo(), real);
  if (top?.fstype === FSTYPE) {
    throw new MountFailure(
      `mount point ${directory} is busy: ${top.source} is mounted there by rumpfuse already`,
      'EBUSY',
    );
  }
  return real;
}

/** What another program said, as one line. */
function said(stderr: string, program: string): string {
  const line = stderr.split('\n').map((text) => text.trim()).find((text) => text !== '') ?? 'no reason given';
  return line.startsWith(program) ? line : `${program}: ${line}`;
}

/** The directory itself, whatever its name leads to later: a descriptor. @throws MountFailure */
export function holdMountpoint(real: string): number {
  try {
    return openSync(real, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    throw new MountFailure(`mount point ${real} cannot be used: ${codeOf(error)}`, codeOf(error));
  }
}

/** Is the name still that of the directory? Whoever owns one above it can put a symbolic link in its place. */
function stillThere(real: string, directory: number): boolean {
  const meant = fstatSync(directory);
  const now = lstatSync(real, { throwIfNoEntry: false });
  return now !== undefined && now.dev === meant.dev && now.ino === meant.ino && realpathSync(real) === real;
}

/**
 * Mounts an open FUSE device. For the superuser. `directory`: the mount point, held since its name was looked at (see
 * holdMountpoint). `held`: a descriptor that a program that does it is to have open as long as it runs.
 * @throws MountFailure
 */
export function mountAsSuperuser(fd: number, mount: HostMount, directory: number, held?: number): MountInfo {
  if (!stillThere(mount.mountpoint, directory)) {
    throw new MountFailure(`cannot mount on ${mount.mountpoint}: it is another directory than before`, 'ENOENT');
  }
  const lib = libc();
  if (lib === null) return mountByProgram(fd, mount, held);
  try {
    // At once, and by this process: whoever kills it kills it before or after.
    lib.mount(
      mount.source,
      `/proc/self/fd/${directory}`,
      FSTYPE,
      mountFlags(mount),
      mountData(mount, fd, process.getuid!(), process.getgid!()),
    );
  } catch (error) {
    throw new MountFailure(
      `cannot mount on ${mount.mountpoint}: ${MOUNT_ERRORS[codeOf(error)] ?? codeOf(error)}`,
      codeOf(error),
    );
  }
  return mounted(mount.mountpoint);
}

const MOUNT_ERRORS: Readonly<Record<string, string>> = {
  EPERM: 'not permitted (a container without SYS_ADMIN?)',
  EACCES: 'not permitted',
  ENODEV: 'this kernel has no FUSE (as root: modprobe fuse)',
  ENOENT: 'the directory is not there any more',
  ENOTDIR: 'it is no directory any more',
  EBUSY: 'it is busy',
  ENOSPC: 'there are too many mounts in this namespace',
  ENOMEM: 'there is no memory',
};

function mountByProgram(fd: number, mount: HostMount, held: number | undefined): MountInfo {
  const options = mountOptions(mount, 3, process.getuid!(), process.getgid!());
  // What looks like a tag (LABEL=...) would be searched for among the disks.
  const source = /^[A-Z]+=/.test(mount.source) ? `./${mount.source}` : mount.source;
  const { status, stderr, error } = spawnSync(
    'mount',
    ['-i', '-t', FSTYPE, '-o', options, '--', source, mount.mountpoint],
    {
      stdio: ['ignore', 'ignore', 'pipe', fd, ...(held === undefined ? [] : [held])],
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    },
  );
  if (error !== undefined) throw new MountFailure(`mount(8) cannot be run: ${error.message}`, codeOf(error));
  if (status !== 0) throw new MountFailure(`cannot mount on ${mount.mountpoint}: ${said(stderr, 'mount')}`, 'EPERM');
  return mounted(mount.mountpoint);
}

/**
 * Mounts with the help of fusermount3; returns the descriptor that it opened. `held`: as for mountAsSuperuser.
 * @throws MountFailure
 */
export function mountAsUser(mount: HostMount, held?: number): { fd: number; info: MountInfo } {
  if (mount.allow_other && !userAllowOther()) {
    throw new MountFailure(
      'allow_other is not permitted to ordinary users here (root must put the line user_allow_other into ' +
        '/etc/fuse.conf)',
      'EPERM',
    );
  }
  // fusermount3 opens the device with our permissions, and says less about a failure.
  try {
    closeSync(openSync(DEV_FUSE, constants.O_RDWR));
  } catch (error) {
    throw devFuseFailure(codeOf(error));
  }
  const lib = libc();
  if (lib === null) {
    throw new MountFailure(
      'mounting as an ordinary user needs the koffi library, which has no build for this host; mount as root',
    );
  }
  const [ours, theirs] = lib.socketpair();
  try {
    let run;
    try {
      run = fusermount(['-o', fusermountOptions(mount), '--', mount.mountpoint], theirs, held);
    } finally {
      closeSync(theirs);
    }
    if (run.status !== 0) {
      throw new MountFailure(`cannot mount on ${mount.mountpoint}: ${said(run.stderr, 'fusermount3')}`, 'EPERM');
    }
    const fd = lib.receiveDescriptor(ours);
    if (fd === undefined) throw new MountFailure('fusermount3 sent no descriptor');
    return { fd, info: mounted(mount.mountpoint) };
  } finally {
    closeSync(ours);
  }
}

/**
 * Runs fusermount3, or under its old name fusermount. `socket`: where it sends the descriptor. `held`: as for
 * mountAsSuperuser. @throws MountFailure when there is none
 */
export function fusermount(
  args: readonly string[],
  socket?: number,
  held?: number,
): { status: number | null; stderr: string } {
  const given = [socket, held].filter((fd) => fd !== undefined);
  for (const program of ['fusermount3', 'fusermount']) {
    const { status, stderr, error } = spawnSync(program, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...given],
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C', ...(socket === undefined ? {} : { _FUSE_COMMFD: '3' }) },
    });
    if (error === undefined) return { status, stderr };
    if (codeOf(error) !== 'ENOENT') throw new MountFailure(`${program} cannot be run: ${error.message}`, codeOf(error));
  }
  throw new MountFailure(
    'fusermount3 is missing, without which only root can mount (install the package fuse3)',
    'ENOENT',
  );
}

function userAllowOther(): boolean {
  try {
    return /^\s*user_allow_other\s*$/m.test(readFileSync('/etc/fuse.conf', 'utf8'));
  } catch {
    return false;
  }
}

/** The FUSE mount that has just been made. @throws MountFailure */
export function mounted(mountpoint: string): MountInfo {
  const info = topMount(readMountinfo(), mountpoint);
  if (info === undefined || !info.fstype.startsWith('fuse')) {
    throw new MountFailure(`the mount on ${mountpoint} is not to be seen (another mount namespace?)`, 'EIO');
  }
  return info;
}

/**
 * Lets the host read ahead further than the 128 KiB that a server may ask for. For the superuser; others do without.
 */
export function setReadAhead(device: string, kib: number): boolean {
  try {
    writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, String(kib));
    return true;
  } catch {
    return false;
  }
}
