/**
 * Numbers of the host's system calls as requests carry them, and their translation to the kernel's (NetBSD's).
 * Types and permission bits of a mode, SEEK_*, d_type, the rename flags and the modes of fallocate have the same values
 * on both sides. Source: Linux include/uapi/asm-generic/fcntl.h, include/linux/kdev_t.h,
 * include/uapi/linux/{falloc,stat,xattr}.h.
 */
import * as K from '../../kernel/fcntl.js';
import { major, makedev, minor } from '../../kernel/stat.js';

const arm = process.arch === 'arm' || process.arch === 'arm64';
const power = process.arch === 'ppc' || process.arch === 'ppc64';

export const O_WRONLY = 0o1;
export const O_RDWR = 0o2;
export const O_ACCMODE = 0o3;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
/** The bit that O_SYNC has beyond O_DSYNC. */
export const __O_SYNC = 0o4000000;
export const O_SYNC = __O_SYNC | O_DSYNC;
/** asm-generic; ARM and POWER number these three themselves. */
export const O_DIRECTORY = arm || power ? 0o40000 : 0o200000;
export const O_NOFOLLOW = arm || power ? 0o100000 : 0o400000;
export const O_DIRECT = arm ? 0o200000 : power ? 0o400000 : 0o40000;

/**
 * Flags of OPEN and CREATE as open(2) of the kernel takes them. O_APPEND is dropped: the host has put the position of
 * each write at the end already. So are the flags that the host has dealt with (O_NOATIME, O_PATH, O_CLOEXEC,
 * O_NOCTTY...).
 */
export function openFlags(flags: number): number {
  let out = flags & O_ACCMODE; // O_RDONLY, O_WRONLY, O_RDWR have the same values
  if (flags & O_CREAT) out |= K.O_CREAT;
  if (flags & O_EXCL) out |= K.O_EXCL;
  if (flags & O_TRUNC) out |= K.O_TRUNC;
  if (flags & O_NONBLOCK) out |= K.O_NONBLOCK;
  if ((flags & O_SYNC) === O_SYNC) out |= K.O_SYNC;
  else if (flags & O_DSYNC) out |= K.O_DSYNC;
  if (flags & O_DIRECTORY) out |= K.O_DIRECTORY;
  if (flags & O_NOFOLLOW) out |= K.O_NOFOLLOW;
  return out;
}

/** The 32-bit form that the host uses in requests and replies (new_encode_dev): 12 bits of major, 20 of minor. */
export function encodeDev(dev: bigint): number {
  const ma = major(dev);
  const mi = minor(dev);
  return ((mi & 0xff) | ((ma & 0xfff) << 8) | ((mi & 0xfff00) << 12)) >>> 0;
}
export function decodeDev(rdev: number): bigint {
  return makedev((rdev >>> 8) & 0xfff, (rdev & 0xff) | ((rdev >>> 12) & 0xfff00));
}

/** fcntl lock types. */
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

export function lockTypeToKernel(type: number): number {
  return type === F_RDLCK ? K.F_RDLCK : type === F_WRLCK ? K.F_WRLCK : K.F_UNLCK;
}
export function lockTypeToHost(type: number): number {
  return type === K.F_RDLCK ? F_RDLCK : type === K.F_WRLCK ? F_WRLCK : F_UNLCK;
}


/** statx(2), stx_mask. */
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
