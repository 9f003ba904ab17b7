import { DT_BLK, DT_CHR, DT_DIR, DT_FIFO, DT_LNK, DT_REG, DT_SOCK, DT_UNKNOWN } from '../../../kernel/stat.js';
import { crc32c } from '../../lib/crc32c.js';

/**
 * Directory entries: inode u32, rec_len u16, name_len u8, file_type u8, the name. Names and offsets: Linux
 * fs/ext4/ext4.h, struct ext4_dir_entry_2. Without the feature filetype name_len has 16 bits.
 */
export const DIRENT_HEADER = 8;
/**
 * In a directory whose names are both encrypted and folded each name is followed, at the next multiple of 4, by its
 * hash.
 */
export const DIRENT_HASH = 8;
const MIN_RECLEN = 12;
/** The entry that holds the checksum of a leaf looks like one without a name. */
export const TAIL_BYTES = 12;
const TAIL_TYPE = 0xde;
const WIDE_BLOCK = 65536;

const TYPES = [DT_UNKNOWN, DT_REG, DT_DIR, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK, DT_LNK];

export function dirent_reclen(view: DataView, at: number, bsize: number): number {
  const length = view.getUint16(at + 4, true);
  if (bsize < WIDE_BLOCK) return length;
  return length === 65535 || length === 0 ? bsize : (length & 65532) | ((length & 3) << 16);
}

/** DT_* of file_type. */
export function dirent_type(file_type: number): number {
  return TYPES[file_type & 0x7] ?? DT_UNKNOWN;
}

/** What of the entry at byte `at`, which must end at `end` or before, cannot be. */
export function dirent_problem(
  view: DataView,
  at: number,
  end: number,
  bsize: number,
  hashed: boolean,
  inodes: number,
): string | undefined {
  if (end - at < MIN_RECLEN) return `${end - at} bytes are too few`;
  const length = dirent_reclen(view, at, bsize);
  const namelen = view.getUint8(at + 6);
  if (length < MIN_RECLEN || length % 4 !== 0 || length > end - at) return `rec_len ${length}`;
  const inode = view.getUint32(at, true);
  if (inode === 0) return undefined;
  if (
    DIRENT_HEADER + namelen + (hashed ? ((4 - (namelen & 3)) & 3) + DIRENT_HASH : 0) > length &&
    !isdot(view, at, namelen)
  )
    return `rec_len ${length}, name_len ${namelen}`;
  if (inode > inodes) return `names inode ${inode}, beyond ${inodes}`;
  return undefined;
}

/** "." and "..", which have no hash. */
function isdot(view: DataView, at: number, namelen: number): boolean {
  return (
    namelen > 0 && namelen <= 2 && view.getUint8(at + 8) === 0x2e && (namelen === 1 || view.getUint8(at + 9) === 0x2e)
  );
}

export function dirent_badname(data: Uint8Array, at: number, namelen: number): boolean {
  if (namelen === 0) return true;
  for (let i = at + DIRENT_HEADER; i < at + DIRENT_HEADER + namelen; i++)
    if (data[i] === 0x2f || data[i] === 0) return true;
  return false;
}

/** Is the checksum of a leaf (a whole block) right? undefined: it has none. */
export function dirent_sealed(seed: number, data: Uint8Array, view: DataView): boolean | undefined {
  const tail = data.length - TAIL_BYTES;
  if (
    view.getUint32(tail, true) !== 0 ||
    view.getUint16(tail + 4, true) !== TAIL_BYTES ||
    data[tail + 6] !== 0 ||
    data[tail + 7] !== TAIL_TYPE
  )
    return undefined;
  return crc32c(seed, data, 0, tail) === view.getUint32(tail + 8, true);
}

/** Puts the length of an entry, which is at most a block of 64 KiB. */
export function dirent_putlen(view: DataView, at: number, length: number, bsize: number): void {
  if (bsize < WIDE_BLOCK) view.setUint16(at + 4, length, true);
  else view.setUint16(at + 4, length === WIDE_BLOCK ? 65535 : (length & 65532) | (length >>> 16), true);
}

/** file_type of DT_*, 0 of what has none. */
export function dirent_filetype(type: number): number {
  return Math.max(0, TYPES.indexOf(type));
}

/** Bytes that an entry with a name of `namelen` bytes takes at least. */
export function dirent_room(namelen: number): number {
  return (DIRENT_HEADER + namelen + 3) & ~3;
}

/** Puts the entry that holds the checksum at the end of a leaf (a whole block), without the checksum. */
export function dirent_puttail(data: Uint8Array, view: DataView): void {
  const tail = data.length - TAIL_BYTES;
  view.setUint32(tail, 0, true);
  view.setUint16(tail + 4, TAIL_BYTES, true);
  data[tail + 6] = 0;
  data[tail + 7] = TAIL_TYPE;
}

/** Makes the checksum of a leaf right, whose tail is there. @param seed of the directory's inode */
export function dirent_seal(seed: number, data: Uint8Array, view: DataView): void {
  const tail = data.length - TAIL_BYTES;
  view.setUint32(tail + 8, crc32c(seed, data, 0, tail), true);
}

/** An entry to be written. */
export interface NewDirent {
  /** 0: nothing is named. */
  readonly ino: number;
  readonly name: Uint8Array;
  /** file_type, 0 on volumes that keep none. */
  readonly type: number;
  /** rec_len. */
  readonly length: number;
}

export function dirent_put(data: Uint8Array, view: DataView, at: number, entry: NewDirent, bsize: number): void {
  view.setUint32(at, entry.ino, true);
  dirent_putlen(view, at, entry.length, bsize);
  data[at + 6] = entry.name.length;
  data[at + 7] = entry.type;
  data.set(entry.name, at + DIRENT_HEADER);
}
