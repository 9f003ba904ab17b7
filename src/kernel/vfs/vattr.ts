import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../stat.js';

/** Vnode types; values of NetBSD's enum vtype (sys/sys/vnode.h). */
export const VNON = 0;
export const VREG = 1;
export const VDIR = 2;
export const VBLK = 3;
export const VCHR = 4;
export const VLNK = 5;
export const VSOCK = 6;
export const VFIFO = 7;
export const VBAD = 8;

const VTTOIF = [0, S_IFREG, S_IFDIR, S_IFBLK, S_IFCHR, S_IFLNK, S_IFSOCK, S_IFIFO, S_IFMT];

/** The S_IFMT bits of a vnode type. */
export function vttoif(type: number): number {
  return VTTOIF[type] ?? 0;
}

/** The vnode type of a mode; VNON if its type bits mean nothing. */
export function iftovt(mode: number): number {
  const type = VTTOIF.indexOf(mode & S_IFMT);
  return type <= VNON || type === VBAD ? VNON : type;
}

/** A field of a {@link Vattr} passed to VOP_SETATTR that is not to be changed. */
export const VNOVAL = -1;
/** The same for nanoseconds of times (a time in seconds may well be -1, so the nanoseconds tell). */
export const VNOTIME = -1;

/** VOP_SETATTR: the times come from utimes(path, NULL): write permission is enough. */
export const VA_UTIMES_NULL = 0x1;

/** Attributes. VOP_GETATTR fills all fields; VOP_SETATTR changes those that are not VNOVAL / VNOTIME. */
export class Vattr {
  va_type = VNON;
  /** Permission bits only (0..07777). */
  va_mode = VNOVAL;
  va_nlink = VNOVAL;
  va_uid = VNOVAL;
  va_gid = VNOVAL;
  va_fsid = VNOVAL;
  va_fileid = 0n;
  va_size = VNOVAL;
  /** Preferred I/O size, bytes. */
  va_blocksize = VNOVAL;
  va_atime = 0;
  va_atimensec = VNOTIME;
  va_mtime = 0;
  va_mtimensec = VNOTIME;
  va_ctime = 0;
  va_ctimensec = VNOTIME;
  va_birthtime = 0;
  va_birthtimensec = VNOTIME;
  va_gen = 0;
  va_flags = VNOVAL;
  /** As stat.ts makedev packs it. */
  va_rdev = 0n;
  /** Bytes on the disk. */
  va_bytes = VNOVAL;
  va_vaflags = 0;
}
