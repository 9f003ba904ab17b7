/** errno values of the kernel (NetBSD's) as the host's (Linux, include/uapi/asm-generic/errno*.h). */
import { E } from '../../kernel/errno.js';
import type { ErrnoCode } from '../../kernel/errno.js';

/** Linux's values; those of the generic table (x86, ARM, RISC-V, POWER, s390). */
export const L = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENOMSG: 42,
  EIDRM: 43,
  ENOSTR: 60,
  ENODATA: 61,
  ETIME: 62,
  ENOSR: 63,
  EREMOTE: 66,
  ENOLINK: 67,
  EPROTO: 71,
  EMULTIHOP: 72,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EPFNOSUPPORT: 96,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EUCLEAN: 117,
  EDQUOT: 122,
  ECANCELED: 125,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
} as const;

/** What Linux has under another name or not at all. */
const OTHER: Partial<Record<ErrnoCode, keyof typeof L>> = {
  ENOATTR: 'ENODATA',
  ENOTSUP: 'EOPNOTSUPP',
  /** Damage on the disk: "structure needs cleaning". */
  EFTYPE: 'EUCLEAN',
  EAUTH: 'EACCES',
  ENEEDAUTH: 'EACCES',
  EPROCLIM: 'EAGAIN',
  EBADRPC: 'EPROTO',
  ERPCMISMATCH: 'EPROTO',
  EPROGUNAVAIL: 'EPROTO',
  EPROGMISMATCH: 'EPROTO',
  EPROCUNAVAIL: 'EPROTO',
};

const TABLE = new Uint8Array(128).fill(L.EIO);
for (const [name, value] of Object.entries(E)) {
  const host = OTHER[name as ErrnoCode] ?? (name as keyof typeof L);
  if (L[host] === undefined) throw new Error(`no host errno for ${name}`);
  TABLE[value] = L[host];
}
TABLE[0] = 0;

/** The host's value; EIO for a number that means nothing. */
export function hostErrno(errno: number): number {
  return TABLE[errno] ?? L.EIO;
}

const NAMES = new Map<number, string>(Object.entries(L).map(([name, value]) => [value, name]));

export function hostErrnoName(value: number): string {
  return NAMES.get(value) ?? `errno ${value}`;
}
