import { bytestrFromBytes } from '../../../kernel/bytestr.js';

/**
 * Extended attributes: a row of entries, and their values, which lie at the end of the same area or in inodes of their
 * own. In an inode the area begins behind its extra fields with a magic number; a block of its own begins with a header
 * of 32 bytes. Names and offsets: Linux fs/ext4/xattr.h.
 */
export const XATTR_MAGIC = 0xea020000;
export const XATTR_BLOCK_HEADER = 32;
export const XATTR_IBODY_HEADER = 4;
export const H_CHECKSUM = 0x10;
const ENTRY = 16;

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
    if (at + ENTRY + namelen > area.length) return { entries, problem: `entry at ${at}: e_name_len ${namelen}` };
    const entry = {
      index: area[at + 1],
      name: bytestrFromBytes(area, at + ENTRY, at + ENTRY + namelen),
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
    at += (ENTRY + namelen + 3) & ~3;
  }
}
