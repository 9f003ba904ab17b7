/**
 * File types, modes, flags and stat structures. Source of the values: NetBSD sys/sys/stat.h, sys/sys/dirent.h,
 * sys/sys/statvfs.h.
 */

export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
/** The bits that chmod may set. */
export const ALLPERMS = 0o7777;

export const UF_SETTABLE = 0x0000ffff;
export const UF_NODUMP = 0x1;
export const UF_IMMUTABLE = 0x2;
export const UF_APPEND = 0x4;
export const UF_OPAQUE = 0x8;
export const SF_SETTABLE = 0xffff0000;
export const SF_ARCHIVED = 0x00010000;
export const SF_IMMUTABLE = 0x00020000;
export const SF_APPEND = 0x00040000;
export const SF_SNAPSHOT = 0x00200000;

export const DT_UNKNOWN = 0;
export const DT_FIFO = 1;
export const DT_CHR = 2;
export const DT_DIR = 4;
export const DT_BLK = 6;
export const DT_REG = 8;
export const DT_LNK = 10;
export const DT_SOCK = 12;
export const DT_WHT = 14;

/** d_type of a mode (IFTODT). */
export function IFTODT(mode: number): number {
  return (mode & S_IFMT) >> 12;
}

/** What stat(2) fills. Times are seconds since 1970 (signed) and nanoseconds 0..999,999,999. */
export class Stat {
  st_dev = 0;
  st_mode = 0;
  st_ino = 0n;
  st_nlink = 0;
  st_uid = 0;
  st_gid = 0;
  /** Packed as {@link makedev} does; 0 for what is no device. */
  st_rdev = 0n;
  st_size = 0;
  /** In units of 512 bytes. */
  st_blocks = 0;
  st_blksize = 0;
  st_flags = 0;
  /** Generation: with st_ino it names the file for ever. uint32. */
  st_gen = 0;
  st_atime = 0;
  st_atimensec = 0;
  st_mtime = 0;
  st_mtimensec = 0;
  st_ctime = 0;
  st_ctimensec = 0;
  /** 0 seconds and 0 nanoseconds where the format keeps none. */
  st_birthtime = 0;
  st_birthtimensec = 0;
}

/**
 * Device numbers as the kernel carries them: major in the high 32 bits, minor in the low 32. Drivers and the FUSE edge
 * pack and unpack their own forms.
 */
export function makedev(major: number, minor: number): bigint {
  return (BigInt(major >>> 0) << 32n) | BigInt(minor >>> 0);
}
export function major(dev: bigint): number {
  return Number(dev >> 32n);
}
export function minor(dev: bigint): number {
  return Number(dev & 0xffffffffn);
}

/** One directory entry, as getdents returns it. */
export interface Dirent {
  d_fileno: bigint;
  d_type: number;
  /** A byte string: one character 0..255 for each byte (see bytestr.ts). */
  d_name: string;
  /** Pass to lseek to go on behind this entry. A bigint where a number is not exact. */
  d_off: number | bigint;
}

export const ST_RDONLY = 0x1;
export const ST_NOEXEC = 0x4;
export const ST_NOSUID = 0x8;
export const ST_NODEV = 0x10;

/** What statvfs(2) fills. */
export class Statvfs {
  f_flag = 0;
  /** Block size, bytes. */
  f_bsize = 0;
  /** Unit of f_blocks, f_bfree, f_bavail; bytes. */
  f_frsize = 0;
  /** Best transfer size, bytes. */
  f_iosize = 0;
  f_blocks = 0;
  f_bfree = 0;
  f_bavail = 0;
  f_bresvd = 0;
  f_files = 0;
  f_ffree = 0;
  f_favail = 0;
  f_fsid = 0;
  f_namemax = 255;
  f_owner = 0;
  f_fstypename = '';
  f_mntonname = '';
  f_mntfromname = '';
}

/** A file handle: names a file of a mounted volume without a path, across restarts (getfh(2), fhopen(2)). */
export interface Fhandle {
  readonly fh_fsid: number;
  readonly fh_fid: Fid;
}

/** The file system's own part of a file handle. */
export interface Fid {
  /** File number, 0..2^53-1. */
  readonly fid_ino: number;
  /** Generation, uint32. */
  readonly fid_gen: number;
  /** Where number and generation do not suffice to find the file (NFS). */
  readonly fid_data?: Uint8Array;
}
