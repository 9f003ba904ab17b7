/**
 * Who else uses a file or block device of this Linux host. What /proc and /sys do not tell is taken as free: the locks
 * and O_EXCL decide, this finds the words.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';

function text(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function names(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

/** Linux's dev_t as stat(2) gives it: "major:minor" in decimal. */
export function majorMinor(rdev: number): string {
  const dev = BigInt(rdev);
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** The device itself, the disk that it is a partition of, and the partitions that it has; "major:minor" each. */
function sameDisk(device: string): Set<string> {
  const all = new Set([device]);
  const folder = `/sys/dev/block/${device}`;
  if (text(`${folder}/partition`) !== undefined) {
    try {
      const disk = text(path.join(path.dirname(fs.realpathSync(folder)), 'dev'));
      if (disk !== undefined) all.add(disk.trim());
    } catch {
      // no /sys
    }
    return all;
  }
  for (const name of names(folder)) {
    if (text(`${folder}/${name}/partition`) === undefined) continue;
    const partition = text(`${folder}/${name}/dev`);
    if (partition !== undefined) all.add(partition.trim());
  }
  return all;
}

export interface HostMount {
  /** As the host names it, for example /dev/sdb1. */
  readonly source: string;
  readonly mountpoint: string;
  /** The file system itself is mounted read-write, whatever this mount point says. */
  readonly writable: boolean;
}

/** Octal escapes of /proc: space, tab, newline, backslash. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** How the host has this device (or its disk, or a partition of it) mounted. */
export function hostMounts(rdev: number): HostMount[] {
  const devices = sameDisk(majorMinor(rdev));
  const found: HostMount[] = [];
  for (const line of (text('/proc/self/mountinfo') ?? '').split('\n')) {
    // id parent major:minor root mountpoint options [optional...] - fstype source superoptions
    const dash = line.indexOf(' - ');
    if (dash < 0) continue;
    const head = line.slice(0, dash).split(' ');
    const tail = line.slice(dash + 3).split(' ');
    const source = unescape(tail[1] ?? '');
    if (!devices.has(head[2] ?? '') && !(source.startsWith('/dev/') && devices.has(deviceOf(source)))) continue;
    found.push({ source, mountpoint: unescape(head[4] ?? ''), writable: (tail[2] ?? 'rw').split(',')[0] !== 'ro' });
  }
  return found;
}

/** File systems with device numbers of their own (btrfs) show the device only by its name. */
function deviceOf(source: string): string {
  try {
    const st = fs.statSync(source);
    return st.isBlockDevice() ? majorMinor(st.rdev) : '';
  } catch {
    return '';
  }
}

/** Names of the device-mapper, md and similar devices that stand on this one or its partitions, and "swap". */
export function holders(rdev: number): string[] {
  const devices = sameDisk(majorMinor(rdev));
  const found: string[] = [];
  for (const device of devices) found.push(...names(`/sys/dev/block/${device}/holders`));
  for (const line of (text('/proc/swaps') ?? '').split('\n').slice(1)) {
    const file = unescape(line.split(/\s/)[0] ?? '');
    if (file.startsWith('/dev/') && devices.has(deviceOf(file))) found.push(`swap on ${file}`);
  }
  return found;
}

/** Mount points and the file systems on top there, "major:minor". */
function mountPoints(): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of (text('/proc/self/mountinfo') ?? '').split('\n')) {
    const field = line.split(' ');
    if (field[4] !== undefined) found.set(unescape(field[4]), field[2]!);
  }
  return found;
}

function mountPointOf(file: string, places: ReadonlyMap<string, string>): string {
  let at = file;
  while (!places.has(at) && at !== path.dirname(at)) at = path.dirname(at);
  return at;
}

/** A file system whose device numbers are not in the list of mounts (btrfs): its number does not tell where it is. */
function isOfMany(dev: number, places: ReadonlyMap<string, string>): boolean {
  return ![...places.values()].includes(majorMinor(dev));
}

/** The loop device that the host has attached to this file; `writable` tells whether it can write to it. */
export function loopDevice(dev: number, ino: number): { name: string; writable: boolean } | undefined {
  const places = mountPoints();
  const device = majorMinor(dev);
  for (const name of names('/sys/block')) {
    if (!name.startsWith('loop')) continue;
    const backing = text(`/sys/block/${name}/loop/backing_file`);
    if (backing === undefined) continue;
    const file = backing.replace(/\n$/, '');
    // One on another file system is not ours, and is not asked: it may not answer.
    if ((places.get(mountPointOf(file, places)) ?? device) !== device && !isOfMany(dev, places)) continue;
    try {
      const st = fs.statSync(file);
      if (st.dev === dev && st.ino === ino) {
        return { name: `/dev/${name}`, writable: text(`/sys/block/${name}/ro`)?.trim() !== '1' };
      }
    } catch {
      // its file is deleted or out of sight: not ours, ours has a name
    }
  }
  return undefined;
}

/**
 * The file that a loop device, or the loop device of a partition, is attached to; undefined where there is none, or
 * none that can be seen.
 */
export function backingFile(rdev: number): string | undefined {
  try {
    const folder = fs.realpathSync(`/sys/dev/block/${majorMinor(rdev)}`);
    const file = text(`${folder}/loop/backing_file`) ?? text(`${path.dirname(folder)}/loop/backing_file`);
    return file?.replace(/\n$/, '');
  } catch {
    return undefined; // no /sys
  }
}

/** A file that the asker has open. `name`: absolute, without links. */
interface File {
  readonly dev: number;
  readonly ino: number;
  readonly name: string;
}

function realName(name: string): string {
  try {
    return fs.realpathSync(name);
  } catch {
    return name;
  }
}

function processName(pid: string): string {
  const comm = text(`/proc/${pid}/comm`)?.trim();
  return comm === undefined ? `process ${pid}` : `process ${pid} (${comm.replace(/[^\x20-\x7e]/g, '?')})`;
}

/** Which mounts, by their numbers, are of the file system `device` ("major:minor"), as a process sees them. */
function mountsOf(pid: string, device: string): Set<string> {
  const found = new Set<string>();
  for (const line of (text(`/proc/${pid}/mountinfo`) ?? '').split('\n')) {
    const [id, , number] = line.split(' ');
    if (number === device) found.add(id!);
  }
  return found;
}

/**
 * How many descriptors a process has of a file. Asks the process alone (proc(5), fdinfo), never the file behind a
 * descriptor: that may be on a file system that does not answer. Where Linux does not tell the file's number (before
 * 5.14), files are told by their names.
 */
function timesOpen(pid: string, file: File): number {
  let count = 0;
  let mounts: Set<string> | undefined;
  for (const fd of names(`/proc/${pid}/fd`)) {
    const info = text(`/proc/${pid}/fdinfo/${fd}`) ?? '';
    const ino = /^ino:\s*(\d+)/m.exec(info)?.[1];
    if (ino !== undefined) {
      if (ino !== String(file.ino)) continue;
      const mount = /^mnt_id:\s*(\d+)/m.exec(info)?.[1] ?? '';
      mounts ??= mountsOf(pid, majorMinor(file.dev));
      // A file system with several device numbers (btrfs) has another one there; the name then decides.
      if (mounts.has(mount) || link(`/proc/${pid}/fd/${fd}`) === file.name) count++;
    } else if (link(`/proc/${pid}/fd/${fd}`) === file.name) count++;
  }
  return count;
}

function link(file: string): string | undefined {
  try {
    return fs.readlinkSync(file);
  } catch {
    return undefined;
  }
}

/**
 * Who holds a lock on the file, in words; undefined if the host does not tell. /proc/locks names the process that
 * took it, which may be gone after handing the descriptor on: then whoever has the file open is named. The asker has
 * the file open itself.
 */
export function lockHolder(st: { dev: number; ino: number }, name: string): string | undefined {
  const file: File = { dev: st.dev, ino: st.ino, name: realName(name) };
  const own = String(process.pid);
  for (const line of (text('/proc/locks') ?? '').split('\n')) {
    // 1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF
    const field = line.split(/\s+/);
    const [major, minor, ino] = (field[5] ?? '').split(':');
    if (ino !== String(st.ino) || majorMinor(st.dev) !== `${parseInt(major ?? '', 16)}:${parseInt(minor ?? '', 16)}`) {
      continue;
    }
    const pid = field[4] ?? '';
    if (pid !== own && /^[1-9]\d*$/.test(pid) && timesOpen(pid, file) > 0) return processName(pid);
  }
  for (const pid of names('/proc')) {
    if (pid !== own && /^\d+$/.test(pid) && timesOpen(pid, file) > 0) return processName(pid);
  }
  // A lock belongs to the open file: a second open in this process is kept out as well. One is the asker's own.
  return timesOpen(own, file) > 1 ? 'this process' : undefined;
}
