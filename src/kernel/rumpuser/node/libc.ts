/**
 * The few calls of the host's C library that Node lacks, through koffi. Loaded when first needed: it costs tens of
 * milliseconds.
 */
import { errnoOfHostNumber } from './errno.js';

/** Calls return 0 or more on success; on failure minus the NetBSD errno value. */
export interface Libc {
  flock(fd: number, operation: number): number;
  /**
   * fcntl with a struct flock (whence SEEK_SET). `length` 0 means to the end. F_OFD_GETLK answers 1 when somebody
   * else's lock is in the way.
   */
  lockrange(fd: number, command: number, type: number, start: number, length: number): number;
  /** File status flags (F_GETFL). */
  getfl(fd: number): number;
  fallocate(fd: number, mode: number, offset_bytes: number, length: number): number;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  /** The offset of the end, bytes. */
  seekend(fd: number): number;
  /** Bytes that an unprivileged process may still allocate on the file system of `fd`; undefined: it does not tell. */
  room(fd: number): number | undefined;
}

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
/** Linux, include/uapi/asm-generic/fcntl.h. */
export const F_OFD_GETLK = 36;
export const F_OFD_SETLK = 37;
export const F_RDLCK = 0;
export const F_WRLCK = 1;
const F_GETFL = 3;
const F_UNLCK = 2;
const SEEK_END = 2;

/** Linux ioctl numbers, include/uapi/linux/fs.h. */
export const BLKROGET = 0x125e;
export const BLKSSZGET = 0x1268;
export const BLKDISCARD = 0x1277;
export const BLKGETSIZE64 = 0x80081272;
/** include/uapi/linux/falloc.h. */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;

async function load(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  const lib = koffi.load(null);
  const fail = (result: number): number => (result < 0 ? -errnoOfHostNumber(koffi.errno()) : result);

  const flock = lib.func('int flock(int fd, int operation)');
  const fcntl = lib.func('int fcntl(int fd, int command, ...)');
  const ioctl = lib.func('int ioctl(int fd, unsigned long request, ...)');
  const lseek = lib.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const fallocate = lib.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
  // struct flock on 64-bit Linux: short type, short whence, pad 4, int64 start, int64 length, int pid, pad 4
  const range = new Uint8Array(32);
  const shorts = new Int16Array(range.buffer);
  const longs = new BigInt64Array(range.buffer);
  const fstatfs = lib.func('int fstatfs(int fd, void *buffer)');
  // struct statfs on 64-bit Linux: 15 longs, of which the second is f_bsize and the fifth f_bavail (s390x has ints in
  // front).
  const statfs = new BigInt64Array(16);
  const statfsbytes = new Uint8Array(statfs.buffer);

  return {
    flock: (fd, operation) => fail(flock(fd, operation) as number),
    lockrange(fd, command, type, start, length) {
      range.fill(0);
      shorts[0] = type;
      longs[1] = BigInt(start);
      longs[2] = BigInt(length);
      const result = fail(fcntl(fd, command, 'void *', range) as number);
      return result === 0 && command === F_OFD_GETLK && shorts[0] !== F_UNLCK ? 1 : result;
    },
    getfl: (fd) => fail(fcntl(fd, F_GETFL, 'int', 0) as number),
    fallocate: (fd, mode, offset_bytes, length) => fail(fallocate(fd, mode, offset_bytes, length) as number),
    ioctl: (fd, request, argument) => fail(ioctl(fd, request, 'void *', argument) as number),
    seekend: (fd) => fail(Number(lseek(fd, 0, SEEK_END))),
    room: (fd) =>
      process.arch !== 's390x' && (fstatfs(fd, statfsbytes) as number) === 0
        ? Number(statfs[1]! * statfs[4]!)
        : undefined,
  };
}

/** Linux on these has the structure and the ioctl numbers above; others encode them differently. */
const ARCHITECTURES = new Set(['x64', 'arm64', 'riscv64', 'loong64', 's390x']);

let loading: Promise<Libc | null> | undefined;
let loaded: Libc | null | undefined;

/**
 * null where the host has no such library (not 64-bit Linux, no koffi for this processor): callers say what they cannot
 * do then.
 */
export function libc(): Libc | null | Promise<Libc | null> {
  if (loaded !== undefined) return loaded;
  return (loading ??= (process.platform === 'linux' && ARCHITECTURES.has(process.arch) ? load() : Promise.resolve(null))
    .catch(() => null)
    .then((lib) => (loaded = lib)));
}
