/**
 * NetBSD's errno values and the error object that carries one.
 * Source of the values: NetBSD sys/sys/errno.h. They are translated to the host's at the FUSE edge.
 */
export const E = {
  EPERM: 1, ENOENT: 2, ESRCH: 3, EINTR: 4, EIO: 5, ENXIO: 6, E2BIG: 7, ENOEXEC: 8, EBADF: 9, ECHILD: 10,
  EDEADLK: 11, ENOMEM: 12, EACCES: 13, EFAULT: 14, ENOTBLK: 15, EBUSY: 16, EEXIST: 17, EXDEV: 18, ENODEV: 19,
  ENOTDIR: 20, EISDIR: 21, EINVAL: 22, ENFILE: 23, EMFILE: 24, ENOTTY: 25, ETXTBSY: 26, EFBIG: 27, ENOSPC: 28,
  ESPIPE: 29, EROFS: 30, EMLINK: 31, EPIPE: 32, EDOM: 33, ERANGE: 34, EAGAIN: 35, EINPROGRESS: 36, EALREADY: 37,
  ENOTSOCK: 38, EDESTADDRREQ: 39, EMSGSIZE: 40, EPROTOTYPE: 41, ENOPROTOOPT: 42, EPROTONOSUPPORT: 43,
  ESOCKTNOSUPPORT: 44, EOPNOTSUPP: 45, EPFNOSUPPORT: 46, EAFNOSUPPORT: 47, EADDRINUSE: 48, EADDRNOTAVAIL: 49,
  ENETDOWN: 50, ENETUNREACH: 51, ENETRESET: 52, ECONNABORTED: 53, ECONNRESET: 54, ENOBUFS: 55, EISCONN: 56,
  ENOTCONN: 57, ESHUTDOWN: 58, ETOOMANYREFS: 59, ETIMEDOUT: 60, ECONNREFUSED: 61, ELOOP: 62, ENAMETOOLONG: 63,
  EHOSTDOWN: 64, EHOSTUNREACH: 65, ENOTEMPTY: 66, EPROCLIM: 67, EUSERS: 68, EDQUOT: 69, ESTALE: 70, EREMOTE: 71,
  EBADRPC: 72, ERPCMISMATCH: 73, EPROGUNAVAIL: 74, EPROGMISMATCH: 75, EPROCUNAVAIL: 76, ENOLCK: 77, ENOSYS: 78,
  EFTYPE: 79, EAUTH: 80, ENEEDAUTH: 81, EIDRM: 82, ENOMSG: 83, EOVERFLOW: 84, EILSEQ: 85, ENOTSUP: 86,
  ECANCELED: 87, EBADMSG: 88, ENODATA: 89, ENOSR: 90, ENOSTR: 91, ETIME: 92, ENOATTR: 93, EMULTIHOP: 94,
  ENOLINK: 95, EPROTO: 96, EOWNERDEAD: 97, ENOTRECOVERABLE: 98,
} as const;

export type ErrnoCode = keyof typeof E;

const NAMES = new Map<number, ErrnoCode>(Object.entries(E).map(([name, value]) => [value, name as ErrnoCode]));

/** The name of a NetBSD errno value, or `errno N` for a number that has none. */
export function errnoName(value: number): string {
  return NAMES.get(value) ?? `errno ${value}`;
}

/**
 * What a system call or VOP fails with. It carries no stack: an ENOENT on the lookup path would otherwise cost more
 * than the lookup itself. Make one with {@link errno}; never with `new`.
 */
export class Errno extends Error {
  declare readonly errno: number;
  declare readonly code: string;
}

function make(value: number, message: string): Errno {
  // Object.create skips Error's constructor, hence the stack capture.
  return Object.create(Errno.prototype, {
    errno: { value, enumerable: true },
    code: { value: errnoName(value), enumerable: true },
    message: { value: message, configurable: true },
    stack: { value: `${errnoName(value)}: ${message}`, configurable: true },
  }) as Errno;
}

const shared: (Errno | undefined)[] = [];

/**
 * An error to throw. Without `detail` the same object serves every caller; with it, a new one whose message
 * says what happened, where, and what to do.
 */
export function errno(value: number, detail?: string): Errno {
  if (detail !== undefined) return make(value, detail);
  return (shared[value] ??= make(value, errnoName(value)));
}

/** The errno of anything thrown: EIO for what is not an {@link Errno} (a bug, which the caller should log). */
export function errnoOf(thrown: unknown): number {
  return thrown instanceof Errno ? thrown.errno : E.EIO;
}
