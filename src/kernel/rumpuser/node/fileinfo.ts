/** What an open descriptor of this host is: type, size, sector size, whether it can be written. */
import * as fs from 'node:fs';
import { E, errno } from '../../errno.js';
import type { HostFileInfo } from '../rumpuser.js';
import { hostErrno } from './errno.js';
import { majorMinor } from './busy.js';
import { BLKGETSIZE64, BLKROGET, BLKSSZGET, libc } from './libc.js';
import type { Libc } from './libc.js';

const SECTOR_BYTES = 512;
const O_ACCMODE = 3;

/** The descriptor was opened without the right to write. A host that does not tell lets the first write find out. */
function openedReadonly(fd: number, lib: Libc | null): boolean {
  if (lib !== null) {
    const flags = lib.getfl(fd);
    return flags >= 0 && (flags & O_ACCMODE) === fs.constants.O_RDONLY;
  }
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (parseInt(flags, 8) & O_ACCMODE) === fs.constants.O_RDONLY;
  } catch {
    return false;
  }
}

function sysNumber(rdev: number, attribute: string): number | undefined {
  try {
    const value = Number(fs.readFileSync(`/sys/dev/block/${majorMinor(rdev)}/${attribute}`, 'utf8').trim());
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  } catch {
    return undefined;
  }
}

/** An integer that an ioctl answers, undefined if the device does not know it. */
function ioctlNumber(lib: Libc | null, fd: number, request: number): number | undefined {
  if (lib === null) return undefined;
  const answer = new Uint8Array(8);
  if (lib.ioctl(fd, request, answer) < 0) return undefined;
  return request === BLKGETSIZE64 ? Number(new BigUint64Array(answer.buffer)[0]) : new Int32Array(answer.buffer)[0];
}

/** A partition has no queue folder: its disk's, one up, is meant. */
function sectorBytes(lib: Libc | null, fd: number, rdev: number): number {
  return (
    ioctlNumber(lib, fd, BLKSSZGET) ??
    sysNumber(rdev, 'queue/logical_block_size') ??
    sysNumber(rdev, '../queue/logical_block_size') ??
    SECTOR_BYTES
  );
}

/** stat(2) says 0 for a device: ask the device, then /sys, then look where its end is. */
function deviceInfo(fd: number, rdev: number, lib: Libc | null): HostFileInfo {
  let size_bytes = ioctlNumber(lib, fd, BLKGETSIZE64);
  if (size_bytes === undefined) {
    // /sys counts in 512 bytes whatever the sector size is
    const blocks = sysNumber(rdev, 'size');
    if (blocks !== undefined) size_bytes = blocks * SECTOR_BYTES;
    else if (lib !== null) size_bytes = lib.seekend(fd);
  }
  if (size_bytes === undefined || size_bytes < 0) throw errno(E.ENXIO, 'the host does not tell the size of the device');
  const readonly = (ioctlNumber(lib, fd, BLKROGET) ?? sysNumber(rdev, 'ro') ?? 0) !== 0 || openedReadonly(fd, lib);
  return { type: 'blockdev', size_bytes, sector_bytes: sectorBytes(lib, fd, rdev), readonly };
}

/** @throws EISDIR a directory, ENOTBLK a character device, EINVAL a pipe or socket */
export function refuseType(name: string, st: fs.Stats): void {
  if (st.isFile() || st.isBlockDevice()) return;
  if (st.isDirectory()) throw errno(E.EISDIR, `${name} is a directory: an image file or a block device is needed`);
  if (st.isCharacterDevice()) {
    throw errno(E.ENOTBLK, `${name} is a character device: an image file or a block device is needed`);
  }
  throw errno(E.EINVAL, `${name} is neither a plain file nor a block device`);
}

function info(fd: number, st: fs.Stats, lib: Libc | null): HostFileInfo {
  if (st.isBlockDevice()) return deviceInfo(fd, st.rdev, lib);
  const type = st.isFile() ? 'file' : st.isDirectory() ? 'directory' : st.isCharacterDevice() ? 'chardev' : 'other';
  return {
    type,
    size_bytes: st.isFile() ? st.size : 0,
    sector_bytes: SECTOR_BYTES,
    readonly: openedReadonly(fd, null),
    ...(st.nlink === 0 ? { unlinked: true } : {}),
  };
}

/** @throws EBADF; ENXIO when nobody tells how large a device is */
export function fileInfo(fd: number): HostFileInfo | Promise<HostFileInfo> {
  let st: fs.Stats;
  try {
    st = fs.fstatSync(fd);
  } catch (e) {
    throw hostErrno(e, `descriptor ${fd}`);
  }
  // Only a device needs the C library: plain files do not wait for it to load.
  if (!st.isBlockDevice()) return info(fd, st, null);
  const lib = libc();
  return lib instanceof Promise ? lib.then((loaded) => info(fd, st, loaded)) : info(fd, st, lib);
}
