import { crc16 } from '../../lib/crc16.js';
import { crc32c } from '../../lib/crc32c.js';
import { RO_COMPAT } from './features.js';
import { Ext2fs } from './superblock.js';

/** A group descriptor. Names and offsets: Linux fs/ext4/ext4.h, struct ext4_group_desc. */
export interface GroupDesc {
  readonly bg_block_bitmap: number;
  readonly bg_inode_bitmap: number;
  readonly bg_inode_table: number;
  readonly bg_free_blocks_count: number;
  readonly bg_free_inodes_count: number;
  readonly bg_used_dirs_count: number;
  readonly bg_flags: number;
  readonly bg_itable_unused: number;
  readonly bg_checksum: number;
}

export const BG_INODE_UNINIT = 1;
export const BG_BLOCK_UNINIT = 2;
export const BG_INODE_ZEROED = 4;
const BG_CHECKSUM = 0x1e;

export function groupdesc(fs: Ext2fs, view: DataView, at: number): GroupDesc {
  const wide = fs.desc_size >= 64;
  const block = (low: number, high: number): number =>
    view.getUint32(at + low, true) + (wide ? view.getUint32(at + high, true) * 2 ** 32 : 0);
  const count = (low: number, high: number): number =>
    view.getUint16(at + low, true) + (wide ? view.getUint16(at + high, true) * 65536 : 0);
  return {
    bg_block_bitmap: block(0, 0x20),
    bg_inode_bitmap: block(4, 0x24),
    bg_inode_table: block(8, 0x28),
    bg_free_blocks_count: count(0xc, 0x2c),
    bg_free_inodes_count: count(0xe, 0x2e),
    bg_used_dirs_count: count(0x10, 0x30),
    bg_flags: view.getUint16(at + 0x12, true),
    bg_itable_unused: count(0x1c, 0x32),
    bg_checksum: view.getUint16(at + BG_CHECKSUM, true),
  };
}

const le32 = new Uint8Array(4);

/**
 * Checksum of the descriptor of group `g`: crc32c (metadata_csum), crc16 (uninit_bg), or undefined: the volume keeps
 * none.
 */
export function groupdesc_checksum(fs: Ext2fs, bytes: Uint8Array, at: number, g: number): number | undefined {
  new DataView(le32.buffer).setUint32(0, g, true);
  if (fs.metadata_csum)
    return Ext2fs.crc_with_hole(crc32c(fs.csum_seed, le32, 0, 4), bytes, at, fs.desc_size, BG_CHECKSUM, 2) & 0xffff;
  if (!fs.ro_compat(RO_COMPAT.uninit_bg)) return undefined;
  let crc = crc16(crc16(0xffff, fs.s_uuid, 0, 16), le32, 0, 4);
  crc = crc16(crc, bytes, at, at + BG_CHECKSUM);
  return crc16(crc, bytes, at + BG_CHECKSUM + 2, at + fs.desc_size);
}

/** Writes a descriptor, all but its checksums and the place of snapshots. @param desc as {@link groupdesc} reads it */
export function groupdesc_put(fs: Ext2fs, view: DataView, at: number, desc: Omit<GroupDesc, 'bg_checksum'>): void {
  const wide = fs.desc_size >= 64;
  const block = (low: number, high: number, value: number): void => {
    view.setUint32(at + low, value % 2 ** 32, true);
    if (wide) view.setUint32(at + high, Math.floor(value / 2 ** 32), true);
  };
  const count = (low: number, high: number, value: number): void => {
    view.setUint16(at + low, value & 0xffff, true);
    if (wide) view.setUint16(at + high, value >>> 16, true);
  };
  block(0, 0x20, desc.bg_block_bitmap);
  block(4, 0x24, desc.bg_inode_bitmap);
  block(8, 0x28, desc.bg_inode_table);
  count(0xc, 0x2c, desc.bg_free_blocks_count);
  count(0xe, 0x2e, desc.bg_free_inodes_count);
  count(0x10, 0x30, desc.bg_used_dirs_count);
  view.setUint16(at + 0x12, desc.bg_flags, true);
  count(0x1c, 0x32, desc.bg_itable_unused);
}

/** Makes the checksum of the descriptor of group `g` right; where the volume keeps none it is 0. */
export function groupdesc_seal(fs: Ext2fs, bytes: Uint8Array, view: DataView, at: number, g: number): void {
  view.setUint16(at + BG_CHECKSUM, groupdesc_checksum(fs, bytes, at, g) ?? 0, true);
}
