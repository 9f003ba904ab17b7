/**
 * Keeps a second writer off a file or device. A writer excludes everybody, readers exclude writers only:
 *
 *   flock(2), exclusive or shared: against other rumpfuse processes, and the convention for block devices (udev).
 *   OFD byte-range lock on plain files: against qemu, which locks bytes from 100 and 200 on (block/file-posix.c).
 *   O_EXCL on block devices opened for writing (by the caller): against the host's own mounts, swap, md, dm.
 *
 * All of them belong to the open file description: they survive the hand-over of the descriptor to another process,
 * and end with its last copy.
 */
import * as fs from 'node:fs';
import { E, errno, errnoName, errnoOf } from '../../errno.js';
import type { LogLevel } from '../rumpuser.js';
import { errnoOfHostError } from './errno.js';
import { backingFile, holders, hostMounts, lockHolder, loopDevice } from './busy.js';
import { F_OFD_GETLK, F_OFD_SETLK, F_RDLCK, F_WRLCK, LOCK_EX, LOCK_NB, LOCK_SH, libc } from './libc.js';
import type { Libc } from './libc.js';

type Log = (level: LogLevel, message: string) => void;

/** statfs f_type of network file systems, where flock already is a byte-range lock and would collide with our own. */
const NETWORK_FILESYSTEMS = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42]);
/**
 * A program that must read a consistent state holds a shared lock on the first; one that writes holds one on the
 * second.
 */
const QEMU_READS = 100;
const QEMU_WRITES = 101;
/** Who lets nobody else write, or resize, holds a shared lock on these. */
const QEMU_NO_WRITERS = 201;
const QEMU_NO_RESIZE = 203;
/** udev takes a lock on a device for a moment after every close: wait for it. */
const DEVICE_TRIES = 10;
const DEVICE_WAIT_MS = 50;

/**
 * Refuses what is known to go wrong before any lock is tried, so that the message can say more than EBUSY.
 * @throws EBUSY
 */
export function refuseBusy(name: string, st: fs.Stats, write: boolean, log: Log): void {
  if (st.isBlockDevice()) {
    for (const mount of hostMounts(st.rdev)) {
      if (!write && !mount.writable) continue;
      throw errno(E.EBUSY, `${name}: the host has ${mount.source} mounted on ${mount.mountpoint}; unmount that first`);
    }
    const users = holders(st.rdev);
    if (users.length === 0) return;
    if (write) {
      throw errno(E.EBUSY, `${name} is in use by the host: ${users.join(', ')}; stop that first, or mount read-only`);
    }
    log('warn', `${name} is in use by the host (${users.join(', ')}): what is read may change underneath`);
    return;
  }
  const loop = loopDevice(st.dev, st.ino);
  if (loop === undefined) return;
  if (write) {
    throw errno(
      E.EBUSY,
      `${name} is attached to ${loop.name}; detach it (losetup -d ${loop.name}), or mount read-only`,
    );
  }
  if (loop.writable) log('warn', `${name} is attached to ${loop.name}: what is read may change underneath`);
}

/**
 * A reader must not keep other readers out, so it cannot hold O_EXCL. But it can ask whether another process does, also
 * on the whole disk that the partition is on, where a flock on the partition would not conflict. (A process that opens
 * the whole disk for writing later does not notice the reader.) @throws EBUSY
 */
export async function refuseClaimed(name: string, st: fs.Stats): Promise<void> {
  for (let tries = DEVICE_TRIES; ; tries--) {
    try {
      fs.closeSync(fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_EXCL));
      return;
    } catch (e) {
      if (errnoOfHostError(e) !== E.EBUSY) throw e;
      // Mounted read-only, or part of another device: refuseBusy has let that pass.
      if (hostMounts(st.rdev).length > 0 || holders(st.rdev).length > 0) return;
      if (tries <= 1) {
        throw errno(
          E.EBUSY,
          `${name}, its disk or one of its partitions is being written by ${lockHolder(st, name) ?? 'another process'}`,
        );
      }
    }
    // Another reader may be asking at this moment.
    await new Promise((resolve) => setTimeout(resolve, DEVICE_WAIT_MS));
  }
}

/**
 * A loop device is another name of a file, whose locks do not keep anybody off the device. They are tried for a moment:
 * who wants the file later finds it attached (refuseBusy). @throws EBUSY
 */
export async function refuseUsedFile(name: string, st: fs.Stats, write: boolean, log: Log): Promise<void> {
  const file = backingFile(st.rdev);
  if (file === undefined) return;
  let fd: number;
  try {
    fd = fs.openSync(file, (write ? fs.constants.O_RDWR : fs.constants.O_RDONLY) | fs.constants.O_NONBLOCK);
  } catch {
    return; // deleted, out of sight, or not to be written: then nobody writes to it by its name
  }
  try {
    const found = fs.fstatSync(fd);
    if (found.isFile()) await lockFile(fd, file, found, write, log);
  } catch (e) {
    if (errnoOf(e) !== E.EBUSY) throw e;
    throw errno(E.EBUSY, `${name} is attached to a file that is in use: ${(e as Error).message}`);
  } finally {
    fs.closeSync(fd);
  }
}

function inUse(name: string, st: fs.Stats, write: boolean): Error {
  const holder = lockHolder(st, name);
  return errno(E.EBUSY, `${name} is ${write ? 'in use' : 'being written'} by ${holder ?? 'another process'}`);
}

/** Locks plain files against qemu. A file system without such locks is no reason to fail. @throws EBUSY */
function lockRanges(lib: Libc, fd: number, name: string, st: fs.Stats, write: boolean): void {
  if (NETWORK_FILESYSTEMS.has(fs.statfsSync(name).type)) return;
  if (write) {
    if (lib.lockrange(fd, F_OFD_SETLK, F_WRLCK, 0, 0) === -E.EAGAIN) throw inUse(name, st, true);
    return;
  }
  for (const byte of [QEMU_READS, QEMU_NO_WRITERS, QEMU_NO_RESIZE]) {
    if (lib.lockrange(fd, F_OFD_SETLK, F_RDLCK, byte, 1) === -E.EAGAIN) throw inUse(name, st, false);
  }
  if (lib.lockrange(fd, F_OFD_GETLK, F_WRLCK, QEMU_WRITES, 1) === 1) throw inUse(name, st, false);
}

/** Takes the locks on an open file. @throws EBUSY, with who holds it if the host tells */
export async function lockFile(fd: number, name: string, st: fs.Stats, write: boolean, log: Log): Promise<void> {
  const loading = libc();
  const lib = loading instanceof Promise ? await loading : loading;
  if (lib === null) {
    log('warn', `${name} cannot be locked on this host (koffi does not load): make sure that nobody else writes to it`);
    return;
  }
  const operation = (write ? LOCK_EX : LOCK_SH) | LOCK_NB;
  for (let tries = st.isBlockDevice() ? DEVICE_TRIES : 1; ; tries--) {
    const result = lib.flock(fd, operation);
    if (result >= 0) break;
    if (result === -E.EINTR) continue;
    if (result !== -E.EAGAIN) {
      log('warn', `${name} cannot be locked (${errnoName(-result)}): make sure that nobody else writes to it`);
      break;
    }
    if (tries <= 1) throw inUse(name, st, write);
    await new Promise((resolve) => setTimeout(resolve, DEVICE_WAIT_MS));
  }
  if (st.isFile()) lockRanges(lib, fd, name, st, write);
}
