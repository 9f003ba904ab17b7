import { bytestrFromBytes } from '../../kernel/bytestr.js';

/**
 * Directory entries. A directory is a row of chunks of um_dirblksiz bytes (512; Apple UFS 1024); entries never cross
 * a chunk, and the lengths of the entries of a chunk add up to it exactly. Source: NetBSD sys/ufs/ufs/dir.h,
 * ufs_lookup.c (ufs_dirbadentry).
 *
 * An entry: d_ino u32 at 0 (0: free space), d_reclen u16 at 4, d_type u8 at 6, d_namlen u8 at 7, name and a NUL at 8.
 * The 4.2BSD format has a 16-bit d_namlen at 6 and no d_type: the length is then in byte 6 of a little-endian volume
 * and in byte 7 of a big-endian one.
 */
/** Inode number of whiteouts. */
export const UFS_WINO = 1;
export const UFS_ROOTINO = 2;
export const UFS_DIRBLKSIZ = 512;
export const APPLEUFS_DIRBLKSIZ = 1024;
export const FFS_MAXNAMLEN = 255;
/** Largest directory, bytes. */
export const UFS_MAXDIRSIZE = 0x7fffffff;
/** Bytes of an entry before its name. */
export const DIRENT_HEADER = 8;

/** How the directories of a volume are laid out. */
export interface DirFormat {
  readonly le: boolean;
  /** 4.2BSD entries, without d_type. */
  readonly old: boolean;
  readonly dirblksiz: number;
}

/** Bytes that an entry with a name of `namlen` bytes needs (UFS_DIRECTSIZ). */
export function DIRECTSIZ(namlen: number): number {
  return DIRENT_HEADER + ((namlen + 4) & ~3);
}

export function dirent_ino(view: DataView, at: number, fmt: DirFormat): number {
  return view.getUint32(at, fmt.le);
}
export function dirent_reclen(view: DataView, at: number, fmt: DirFormat): number {
  return view.getUint16(at + 4, fmt.le);
}
export function dirent_namlen(view: DataView, at: number, fmt: DirFormat): number {
  return view.getUint8(fmt.old && fmt.le ? at + 6 : at + 7);
}
/** DT_*; DT_UNKNOWN (0) in the old format. */
export function dirent_type(view: DataView, at: number, fmt: DirFormat): number {
  return fmt.old ? 0 : view.getUint8(at + 6);
}
export function dirent_name(bytes: Uint8Array, at: number, namlen: number): string {
  return bytestrFromBytes(bytes, at + DIRENT_HEADER, at + DIRENT_HEADER + namlen);
}

/** Does the entry at `at` carry this name? The entry's length has been checked. */
export function dirent_is(bytes: Uint8Array, at: number, namlen: number, name: string): boolean {
  if (namlen !== name.length) return false;
  const start = at + DIRENT_HEADER;
  for (let i = 0; i < namlen; i++) if (bytes[start + i] !== name.charCodeAt(i)) return false;
  return true;
}

/**
 * Writes an entry: header, name, NUL and padding up to DIRECTSIZ. `reclen` is what the entry shall span (at least
 * DIRECTSIZ, a multiple of 4, inside its chunk); what lies behind the padding is left alone.
 */
export function dirent_put(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  fmt: DirFormat,
  ino: number,
  reclen: number,
  type: number,
  name: string,
): void {
  view.setUint32(at, ino, fmt.le);
  view.setUint16(at + 4, reclen, fmt.le);
  if (fmt.old) {
    view.setUint16(at + 6, name.length, fmt.le);
  } else {
    view.setUint8(at + 6, type);
    view.setUint8(at + 7, name.length);
  }
  let p = at + DIRENT_HEADER;
  for (let i = 0; i < name.length; i++) bytes[p++] = name.charCodeAt(i);
  bytes.fill(0, p, at + DIRECTSIZ(name.length));
}

/** Changes only the span of an entry. */
export function dirent_setreclen(view: DataView, at: number, fmt: DirFormat, reclen: number): void {
  view.setUint16(at + 4, reclen, fmt.le);
}
/** Changes only the file that an entry names. */
export function dirent_setino(view: DataView, at: number, fmt: DirFormat, ino: number): void {
  view.setUint32(at, ino, fmt.le);
}
export function dirent_settype(view: DataView, at: number, fmt: DirFormat, type: number): void {
  if (!fmt.old) view.setUint8(at + 6, type);
}

/**
 * Is the entry at `at` sound? (NetBSD's ufs_dirbadentry, and a bit more.) All walks over directories check every entry
 * with this before they step on.
 * @param end offset behind the entry's chunk, or behind the valid bytes
 * @returns what is wrong, or undefined
 */
export function ufs_dirbadentry(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  fmt: DirFormat,
): string | undefined {
  if (at + DIRENT_HEADER > end) return 'no room for an entry';
  const reclen = view.getUint16(at + 4, fmt.le);
  if ((reclen & 3) !== 0) return `d_reclen ${reclen} is no multiple of 4`;
  if (reclen > end - at) return `d_reclen ${reclen} crosses the end of the chunk (${end - at} left)`;
  if (reclen < DIRECTSIZ(0)) return `d_reclen ${reclen} is below ${DIRECTSIZ(0)}`;
  if (view.getUint32(at, fmt.le) === 0) return undefined;
  const namlen = dirent_namlen(view, at, fmt);
  if (namlen === 0) return 'd_namlen is 0';
  if (fmt.old && view.getUint16(at + 6, fmt.le) > FFS_MAXNAMLEN) {
    return `d_namlen ${view.getUint16(at + 6, fmt.le)} is above ${FFS_MAXNAMLEN}`;
  }
  if (reclen < DIRECTSIZ(namlen)) return `d_reclen ${reclen} is too short for a name of ${namlen} bytes`;
  return undefined;
}

/** A name that no directory may hold: contains NUL or a slash. */
export function ufs_badname(bytes: Uint8Array, at: number, namlen: number): boolean {
  const start = at + DIRENT_HEADER;
  for (let i = start; i < start + namlen; i++) if (bytes[i] === 0 || bytes[i] === 0x2f) return true;
  return false;
}
