/** Host errors as NetBSD's: by the code's name, never by its number (EAGAIN is 11 on Linux and 35 on NetBSD). */
import { constants } from 'node:os';
import { E, Errno, errno } from '../../errno.js';

/** Names that mean the same as one of NetBSD's, or that NetBSD does not have. */
const OTHER_NAMES: Record<string, number> = {
  EWOULDBLOCK: E.EAGAIN,
  // libuv says ENOTSUP for EOPNOTSUPP: one number on Linux.
  ENOTSUP: E.EOPNOTSUPP,
  ECHARSET: E.EILSEQ,
  EREMOTEIO: E.EIO,
  ESHUTDOWN: E.ESHUTDOWN,
};

/** Linux values that neither libuv nor node:os has a name for (include/uapi/asm-generic/errno.h). */
const LINUX_NUMBERS: Record<number, number> = {
  117: E.EIO, // EUCLEAN
  121: E.EIO, // EREMOTEIO
  122: E.EDQUOT,
  123: E.ENXIO, // ENOMEDIUM
  124: E.EFTYPE, // EMEDIUMTYPE
};

const NAME_OF_HOST_NUMBER = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) {
  if (!NAME_OF_HOST_NUMBER.has(value) || name in E) NAME_OF_HOST_NUMBER.set(value, name);
}

function fromName(name: string): number | undefined {
  return OTHER_NAMES[name] ?? (E as Record<string, number>)[name];
}

/** NetBSD's value of a host errno number; EIO for what has none. */
export function errnoOfHostNumber(host: number): number {
  const name = NAME_OF_HOST_NUMBER.get(host);
  const value = name === undefined ? undefined : fromName(name);
  if (value !== undefined) return value;
  return (process.platform === 'linux' ? LINUX_NUMBERS[host] : undefined) ?? E.EIO;
}

/** NetBSD's value of an error that a node: module threw; EIO for what is no system error. */
export function errnoOfHostError(thrown: unknown): number {
  if (thrown instanceof Errno) return thrown.errno;
  const e = thrown as { code?: unknown; errno?: unknown };
  if (typeof e.code === 'string') {
    const value = fromName(e.code);
    if (value !== undefined) return value;
  }
  return typeof e.errno === 'number' ? errnoOfHostNumber(Math.abs(e.errno)) : E.EIO;
}

/** The {@link Errno} to throw for a host error; `what` names the file and what was tried. */
export function hostErrno(thrown: unknown, what: string): Errno {
  if (thrown instanceof Errno) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  // node: "ENOENT: no such file or directory, open '/x'": the middle is what a person wants.
  const words = /^[A-Z0-9]+: ([^,]+)/.exec(message)?.[1] ?? message;
  return errno(errnoOfHostError(thrown), `${what}: ${words}`);
}
