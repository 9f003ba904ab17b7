import { crc32c } from '../../lib/crc32c.js';
import { INCOMPAT, RO_COMPAT } from './features.js';
import type { Ext2fs } from './superblock.js';

/** An inode as the disk has it. Names and offsets: Linux fs/ext4/ext4.h, struct ext4_inode. */

/** i_flags. */
export const FL = {
  SECRM: 0x1,
  UNRM: 0x2,
  COMPR: 0x4,
  SYNC: 0x8,
  IMMUTABLE: 0x10,
  APPEND: 0x20,
  NODUMP: 0x40,
  NOATIME: 0x80,
  ENCRYPT: 0x800,
  INDEX: 0x1000,
  JOURNAL_DATA: 0x4000,
  HUGE_FILE: 0x40000,
  EXTENTS: 0x80000,
  VERITY: 0x100000,
  EA_INODE: 0x200000,
  INLINE_DATA: 0x10000000,
  PROJINHERIT: 0x20000000,
  CASEFOLD: 0x40000000,
} as const;

export const I_BLOCK_BYTES = 60;
const I_BLOCK = 0x28;
const I_CHECKSUM_LO = 0x7c;
const I_EXTRA_ISIZE = 0x80;
const I_CHECKSUM_HI = 0x82;
const OLD_SIZE = 128;

export class Dinode {
  i_mode = 0;
  i_uid = 0;
  i_gid = 0;
  i_size = 0;
  i_nlink = 0;
  /** In units of 512 bytes. */
  i_blocks = 0;
  i_flags = 0;
  i_generation = 0;
  /** Block of extended attributes, or 0. */
  i_file_acl = 0;
  i_dtime = 0;
  i_atime = 0;
  i_atimensec = 0;
  i_mtime = 0;
  i_mtimensec = 0;
  i_ctime = 0;
  i_ctimensec = 0;
  i_crtime = 0;
  i_crtimensec = 0;
  i_version = 0;
  i_projid = 0;
  i_extra_isize = 0;
  /** The 60 bytes of block pointers, an extent tree's root, a short symbolic link, or data. Memory of its own. */
  readonly i_block = new Uint8Array(I_BLOCK_BYTES);
  readonly i_blockview = new DataView(this.i_block.buffer);
}

/** i_extra_isize, or 0 where it cannot be one. */
export function extra_isize(fs: Ext2fs, view: DataView, at: number): number {
  if (fs.s_inode_size <= OLD_SIZE) return 0;
  const extra = view.getUint16(at + I_EXTRA_ISIZE, true);
  return OLD_SIZE + extra > fs.s_inode_size || (extra & 3) !== 0 ? 0 : extra;
}

/** Reads the inode at byte `at`. */
export function dinode_load(d: Dinode, fs: Ext2fs, view: DataView, at: number): void {
  const u16 = (offset: number): number => view.getUint16(at + offset, true);
  const u32 = (offset: number): number => view.getUint32(at + offset, true);
  const extra = extra_isize(fs, view, at);
  const has = (end: number): boolean => OLD_SIZE + extra >= end;
  d.i_mode = u16(0);
  d.i_uid = u16(2) + u16(0x78) * 65536;
  d.i_gid = u16(0x18) + u16(0x7a) * 65536;
  d.i_flags = u32(0x20);
  const type = d.i_mode & 0xf000;
  d.i_size =
    u32(4) + (type === 0x8000 || (type === 0x4000 && fs.incompat(INCOMPAT.large_dir)) ? u32(0x6c) * 2 ** 32 : 0);
  d.i_nlink = u16(0x1a);
  d.i_blocks = u32(0x1c);
  if (fs.ro_compat(RO_COMPAT.huge_file)) {
    d.i_blocks += u16(0x74) * 2 ** 32;
    if ((d.i_flags & FL.HUGE_FILE) !== 0) d.i_blocks *= fs.bsize / 512;
  }
  d.i_generation = u32(0x64);
  d.i_file_acl = u32(0x68) + (fs.incompat(INCOMPAT['64bit']) ? u16(0x76) * 2 ** 32 : 0);
  d.i_dtime = u32(0x14);
  d.i_extra_isize = extra;
  const bits = (offset: number): number => (has(offset + 4) ? u32(offset) : 0);
  const sec = (offset: number, more: number): number => view.getInt32(at + offset, true) + (more & 3) * 2 ** 32;
  const ctime = bits(0x84);
  const mtime = bits(0x88);
  const atime = bits(0x8c);
  d.i_ctime = sec(0xc, ctime);
  d.i_ctimensec = ctime >>> 2;
  d.i_mtime = sec(0x10, mtime);
  d.i_mtimensec = mtime >>> 2;
  d.i_atime = sec(8, atime);
  d.i_atimensec = atime >>> 2;
  const crtime = bits(0x94);
  d.i_crtime = has(0x94) ? sec(0x90, crtime) : 0;
  d.i_crtimensec = crtime >>> 2;
  d.i_projid = has(0xa0) ? u32(0x9c) : 0;
  const source = new Uint8Array(view.buffer, view.byteOffset + at + I_BLOCK, I_BLOCK_BYTES);
  d.i_block.set(source);
}

const words = new Uint8Array(8);
const wordview = new DataView(words.buffer);
const ZERO = new Uint8Array(2);

/** Seed of the checksums of what belongs to an inode. */
export function inode_seed(fs: Ext2fs, ino: number, i_generation: number): number {
  wordview.setUint32(0, ino, true);
  wordview.setUint32(4, i_generation, true);
  return crc32c(fs.csum_seed, words, 0, 8);
}

/** The checksum of inode `ino` at byte `at` as it should be, and how many of its bits the inode keeps. */
export function dinode_checksum(
  fs: Ext2fs,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  ino: number,
): { readonly crc: number; readonly wide: boolean } {
  const size = fs.s_inode_size;
  let crc = inode_seed(fs, ino, view.getUint32(at + 0x64, true));
  crc = crc32c(crc, bytes, at, at + I_CHECKSUM_LO);
  crc = crc32c(crc, ZERO, 0, 2);
  crc = crc32c(crc, bytes, at + I_CHECKSUM_LO + 2, at + OLD_SIZE);
  // The extra size is taken as it stands: one that cannot be must not go unnoticed.
  const wide = size > OLD_SIZE && view.getUint16(at + I_EXTRA_ISIZE, true) >= 4;
  if (size > OLD_SIZE) {
    crc = crc32c(crc, bytes, at + OLD_SIZE, at + I_CHECKSUM_HI);
    if (wide) crc = crc32c(crc32c(crc, ZERO, 0, 2), bytes, at + I_CHECKSUM_HI + 2, at + size);
    else crc = crc32c(crc, bytes, at + I_CHECKSUM_HI, at + size);
  }
  return { crc, wide };
}

/** Is the checksum of that inode right? Of an inode that was never written (all zeros) it is not asked. */
export function dinode_sealed(fs: Ext2fs, bytes: Uint8Array, view: DataView, at: number, ino: number): boolean {
  const { crc, wide } = dinode_checksum(fs, bytes, view, at, ino);
  const low = view.getUint16(at + I_CHECKSUM_LO, true);
  if (low !== (crc & 0xffff)) return false;
  return !wide || view.getUint16(at + I_CHECKSUM_HI, true) === crc >>> 16;
}

/** Seconds that fit into 32 bits, or 34 with the extra field: 1901 to 2038, or to 2446. */
const SEC_MIN = -(2 ** 31);
const SEC_MAX = 2 ** 31 - 1;
const SEC_MAX_EXTRA = 2 ** 31 - 1 + 3 * 2 ** 32;
/** Of i_blocks, which then counts blocks. */
const I_BLOCKS_MAX = 2 ** 48;

function put_time(view: DataView, at: number, extraat: number, extra: boolean, sec: number, nsec: number): void {
  const held = Math.min(Math.max(sec, SEC_MIN), extra ? SEC_MAX_EXTRA : SEC_MAX);
  view.setInt32(at, held | 0, true);
  if (!extra) return;
  const epoch = Math.floor((held - SEC_MIN) / 2 ** 32) & 3;
  view.setUint32(extraat, (((nsec << 2) | epoch) >>> 0), true);
}

/** The seconds that an inode can keep instead of `sec`. */
export function dinode_seconds(fs: Ext2fs, sec: number): number {
  return Math.min(Math.max(sec, SEC_MIN), fs.s_inode_size > OLD_SIZE ? SEC_MAX_EXTRA : SEC_MAX);
}

/**
 * Writes what {@link dinode_load} reads to the inode at byte `at`; what lies behind the extra fields (attributes), and
 * fields that nothing here knows, stay. `links`: what the disk is to count. The checksum is made right.
 */
export function dinode_store(
  d: Dinode, fs: Ext2fs, bytes: Uint8Array, view: DataView, at: number, ino: number, links: number,
): void {
  const put16 = (offset: number, value: number): void => view.setUint16(at + offset, value, true);
  const put32 = (offset: number, value: number): void => view.setUint32(at + offset, value, true);
  const has = (end: number): boolean => OLD_SIZE + d.i_extra_isize >= end;
  if (fs.s_inode_size > OLD_SIZE) put16(I_EXTRA_ISIZE, d.i_extra_isize);
  put16(0, d.i_mode);
  put16(2, d.i_uid % 65536);
  put16(0x78, Math.floor(d.i_uid / 65536));
  put16(0x18, d.i_gid % 65536);
  put16(0x7a, Math.floor(d.i_gid / 65536));
  put32(4, d.i_size % 2 ** 32);
  const type = d.i_mode & 0xf000;
  if (type === 0x8000 || (type === 0x4000 && fs.incompat(INCOMPAT.large_dir)))
    put32(0x6c, Math.floor(d.i_size / 2 ** 32));
  put16(0x1a, links);
  let blocks = d.i_blocks;
  if (fs.ro_compat(RO_COMPAT.huge_file)) {
    const huge = blocks >= I_BLOCKS_MAX;
    if (huge) blocks = Math.ceil(blocks / (fs.bsize / 512));
    d.i_flags = huge ? d.i_flags | FL.HUGE_FILE : d.i_flags & ~FL.HUGE_FILE;
    put16(0x74, Math.floor(blocks / 2 ** 32));
  }
  put32(0x1c, blocks % 2 ** 32);
  put32(0x20, d.i_flags);
  put32(0x64, d.i_generation);
  put32(0x68, d.i_file_acl % 2 ** 32);
  if (fs.incompat(INCOMPAT['64bit'])) put16(0x76, Math.floor(d.i_file_acl / 2 ** 32));
  put32(0x14, d.i_dtime);
  put_time(view, at + 0xc, at + 0x84, has(0x88), d.i_ctime, d.i_ctimensec);
  put_time(view, at + 0x10, at + 0x88, has(0x8c), d.i_mtime, d.i_mtimensec);
  put_time(view, at + 8, at + 0x8c, has(0x90), d.i_atime, d.i_atimensec);
  if (has(0x94)) put_time(view, at + 0x90, at + 0x94, has(0x98), d.i_crtime, d.i_crtimensec);
  if (has(0xa0)) put32(0x9c, d.i_projid);
  bytes.set(d.i_block, at + I_BLOCK);
  dinode_seal(fs, bytes, view, at, ino);
}

/** Makes the checksum of inode `ino` at byte `at` right, where the volume keeps them. */
export function dinode_seal(fs: Ext2fs, bytes: Uint8Array, view: DataView, at: number, ino: number): void {
  if (!fs.metadata_csum) return;
  const { crc, wide } = dinode_checksum(fs, bytes, view, at, ino);
  view.setUint16(at + I_CHECKSUM_LO, crc & 0xffff, true);
  if (wide) view.setUint16(at + I_CHECKSUM_HI, crc >>> 16, true);
}
