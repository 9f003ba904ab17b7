/**
 * The bitmaps of a group. Their checksums cover as many bytes as the group has clusters or inodes, not the whole block.
 * Source: Linux fs/ext4/bitmap.c.
 */
import { crc32c } from '../../lib/crc32c.js';
import type { Ext2fs } from './superblock.js';

/** Bytes of a group's bitmap that mean something. */
export function block_bitmap_bytes(fs: Ext2fs): number {
  return Math.floor(fs.s_clusters_per_group / 8);
}
export function inode_bitmap_bytes(fs: Ext2fs): number {
  return Math.floor(fs.s_inodes_per_group / 8);
}

const CSUM = { block: [0x18, 0x38], inode: [0x1a, 0x3a] } as const;

/** The checksum of a bitmap as its group's descriptor keeps it: 16 bits, or 32 where descriptors have 64 bytes. */
export function bitmap_checksum(fs: Ext2fs, kind: 'block' | 'inode', bitmap: Uint8Array): number {
  const bytes = kind === 'block' ? block_bitmap_bytes(fs) : inode_bitmap_bytes(fs);
  const crc = crc32c(fs.csum_seed, bitmap, 0, bytes);
  return fs.desc_size >= 64 ? crc : crc & 0xffff;
}

/** The one that the descriptor at byte `at` has. */
export function desc_bitmap_csum(fs: Ext2fs, kind: 'block' | 'inode', view: DataView, at: number): number {
  const [low, high] = CSUM[kind];
  return view.getUint16(at + low, true) + (fs.desc_size >= 64 ? view.getUint16(at + high, true) * 65536 : 0);
}

/** Puts it there. The descriptor is to be sealed afterwards. */
export function desc_put_bitmap_csum(
  fs: Ext2fs, kind: 'block' | 'inode', view: DataView, at: number, crc: number,
): void {
  const [low, high] = CSUM[kind];
  view.setUint16(at + low, crc & 0xffff, true);
  if (fs.desc_size >= 64) view.setUint16(at + high, crc >>> 16, true);
}
