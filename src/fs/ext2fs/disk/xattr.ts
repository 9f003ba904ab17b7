import { bytestrFromBytes } from '../../../kernel/bytestr.js';
import { crc32c } from '../../lib/crc32c.js';
import { Ext2fs } from './superblock.js';

/**
 * Extended attributes: a row of entries, and their values, which lie at the end of the same area or in inodes of their
 * own. In an inode the area begins behind its extra fields with a magic number; a block of its own begins with a header
 * of 32 bytes. Names and offsets: Linux fs/ext4/xattr.h.
 */
export const XATTR_MAGIC = 0xea020000;
export const XATTR_BLOCK_HEADER = 32;
export const XATTR_IBODY_HEADER = 4;
export const H_CHECKSUM = 0x10;
/** Bytes of an entry before its name. */
export const XATTR_ENTRY = 16;

/** e_name_index. */
export const XI = {
  USER: 1,
  ACL_ACCESS: 2,
  ACL_DEFAULT: 3,
  TRUSTED: 4,
  LUSTRE: 5,
  SECURITY: 6,
  SYSTEM: 7,
  RICHACL: 8,
  ENCRYPTION: 9,
  HURD: 10,
} as const;

export interface XattrEntry {
  readonly index: number;
  /** Without the prefix that the index stands for. */
  readonly name: string;
  /** The inode that holds the value; 0: it is in the area. */
  readonly value_inum: number;
  /** From the start of the area. */
  readonly value_offs: number;
  readonly value_size: number;
  readonly hash: number;
  /** The entry's own offset. */
  readonly at: number;
}

/**
 * The entries of an area: `area` is what value_offs counts from (the block, or the first entry in an inode), the first
 * entry is at `first`. Ends at the first that is not sound. @returns the entries, and what is wrong with the one behind
 * them
 */
export function xattr_entries(area: Uint8Array, first: number): { entries: XattrEntry[]; problem: string | undefined } {
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  const entries: XattrEntry[] = [];
  let at = first;
  // Each takes 16 bytes at least, so the area bounds the walk.
  for (;;) {
    if (at + 4 > area.length) return { entries, problem: `entry at ${at}: the row has no end` };
    if (view.getUint32(at, true) === 0) return { entries, problem: undefined };
    const namelen = area[at];
    if (at + XATTR_ENTRY + namelen > area.length) return { entries, problem: `entry at ${at}: e_name_len ${namelen}` };
    const entry = {
      index: area[at + 1],
      name: bytestrFromBytes(area, at + XATTR_ENTRY, at + XATTR_ENTRY + namelen),
      value_offs: view.getUint16(at + 2, true),
      value_inum: view.getUint32(at + 4, true),
      value_size: view.getUint32(at + 8, true),
      hash: view.getUint32(at + 12, true),
      at,
    };
    if (
      entry.value_inum === 0 &&
      entry.value_size > 0 &&
      (entry.value_offs > area.length || entry.value_size > area.length - entry.value_offs)
    ) {
      return { entries, problem: `entry at ${at}: value of ${entry.value_size} bytes at ${entry.value_offs}` };
    }
    entries.push(entry);
    at += (XATTR_ENTRY + namelen + 3) & ~3;
  }
}

const le64 = new Uint8Array(8);

/** The checksum of a block of attributes, which lies at block `block` of the volume, as it should be. */
export function xattr_checksum(fs: Ext2fs, data: Uint8Array, block: number): number {
  const number = new DataView(le64.buffer);
  number.setUint32(0, block % 2 ** 32, true);
  number.setUint32(4, Math.floor(block / 2 ** 32), true);
  return Ext2fs.crc_with_hole(crc32c(fs.csum_seed, le64, 0, 8), data, 0, data.length, H_CHECKSUM, 4);
}

/**
 * e_hash of an entry whose value is `value` (in the area; of one in an inode, the four bytes of its hash). Source:
 * Linux fs/ext4/xattr.c, ext4_xattr_hash_entry.
 * @param signed characters count as signed, as they did on some machines; both are accepted
 */
export function xattr_entry_hash(name: Uint8Array, value: Uint8Array, signed = false): number {
  let hash = 0;
  for (const byte of name) hash = ((hash << 5) ^ (hash >>> 27) ^ (signed ? (byte << 24) >> 24 : byte)) | 0;
  const padded = new Uint8Array((value.length + 3) & ~3);
  padded.set(value);
  const view = new DataView(padded.buffer);
  for (let i = 0; i < padded.length; i += 4)
    hash = ((hash << 16) ^ (hash >>> 16) ^ view.getUint32(i, true)) | 0;
  return hash >>> 0;
}

/** h_hash of a block of attributes: of the hashes of its entries; 0 if one of them has none. */
export function xattr_block_hash(entries: readonly XattrEntry[]): number {
  let hash = 0;
  for (const entry of entries) {
    if (entry.hash === 0) return 0;
    hash = ((hash << 16) ^ (hash >>> 16) ^ entry.hash) | 0;
  }
  return hash >>> 0;
}

/** Makes the checksum of a block of attributes, which lies at block `block`, right. */
export function xattr_seal(fs: Ext2fs, data: Uint8Array, view: DataView, block: number): void {
  view.setUint32(H_CHECKSUM, xattr_checksum(fs, data, block), true);
}
