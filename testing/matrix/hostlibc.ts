import { constants } from 'node:os';
import koffi from 'koffi';

/** The calls of the host's C library that node:fs lacks. Linux, 64 bits. Each throws an error with `code`. */
const lib = koffi.load(null);
const int = (signature: string) => lib.func(signature) as (...args: unknown[]) => number;
const calls = {
  mknod: int('int mknod(const uint8_t *path, uint32_t mode, uint64_t dev)'),
  utimensat: int('int utimensat(int dirfd, const uint8_t *path, const uint8_t *times, int flags)'),
  futimens: int('int futimens(int fd, const uint8_t *times)'),
  lseek: int('int64_t lseek(int fd, int64_t offset, int whence)'),
  ftruncate: int('int ftruncate(int fd, int64_t length)'),
  fallocate: int('int fallocate(int fd, int mode, int64_t offset, int64_t length)'),
  flock: int('int flock(int fd, int operation)'),
  fcntl: int('int fcntl(int fd, int command, _Inout_ uint8_t *lock)'),
  statvfs: int('int statvfs(const uint8_t *path, _Out_ uint8_t *into)'),
  getxattr: int('int64_t getxattr(const uint8_t *path, const char *name, _Out_ uint8_t *value, size_t size)'),
  setxattr: int('int setxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)'),
  listxattr: int('int64_t listxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)'),
  removexattr: int('int removexattr(const uint8_t *path, const char *name)'),
  sync: int('void sync()'),
};

const codes = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));
/** Linux's name, NetBSD's name. */
const RENAMED: Record<string, string> = { ENODATA: 'ENOATTR', ENOTSUP: 'EOPNOTSUPP', EWOULDBLOCK: 'EAGAIN' };

export function netbsdCode(code: string): string {
  return RENAMED[code] ?? code;
}

/** Calls; a negative result is an error. */
export function libc(name: keyof typeof calls, ...args: unknown[]): number {
  const result = Number(calls[name](...args));
  if (result >= 0 || Number.isNaN(result)) return result;
  const code = netbsdCode(codes.get(koffi.errno()) ?? `errno ${koffi.errno()}`);
  throw Object.assign(new Error(`${code}: ${name}`), { code });
}
