import { INCOMPAT } from '../../disk/features.js';
import type { Ext2fs } from '../../disk/superblock.js';

/** What stands at the beginning of a group besides files: blocks, in this order. */
export interface GroupHead {
  /** The superblock or a copy of it: 1 or 0. */
  readonly superblock: number;
  /** Descriptors of all groups, of a metagroup, or copies of them. */
  readonly descriptors: number;
  /** Kept free for descriptors of groups to come (resize_inode). */
  readonly reserved: number;
}

/** Blocks that the descriptors of all groups take. */
export function descriptor_blocks(fs: Ext2fs): number {
  return Math.ceil(fs.ngroups / (fs.bsize / fs.desc_size));
}

/**
 * The head of group `g`. With blocks of 1 KiB that begin with block 0 (bigalloc) the superblock of group 0 is in its
 * second block, and the first one counts as in use, too. Source: e2fsprogs lib/ext2fs/alloc_sb.c,
 * ext2fs_super_and_bgd_loc2.
 */
export function group_head(fs: Ext2fs, g: number): GroupHead {
  const superblock = fs.hassuper(g) ? 1 : 0;
  const perblock = fs.bsize / fs.desc_size;
  if (!fs.incompat(INCOMPAT.meta_bg) || Math.floor(g / perblock) < fs.s_first_meta_bg) {
    if (superblock === 0) return { superblock, descriptors: 0, reserved: 0 };
    const old = fs.incompat(INCOMPAT.meta_bg) ? fs.s_first_meta_bg : descriptor_blocks(fs);
    return { superblock, descriptors: old, reserved: fs.s_reserved_gdt_blocks };
  }
  const place = g % perblock;
  const has = place === 0 || place === 1 || place === perblock - 1;
  return { superblock, descriptors: has ? 1 : 0, reserved: 0 };
}

/** 1 where the superblock of group 0 is not in its first block. */
export function head_shift(fs: Ext2fs, g: number): number {
  return g === 0 && fs.bsize === 1024 && fs.s_first_data_block === 0 ? 1 : 0;
}

/** All blocks of the head of group `g`, from its first block on. */
export function head_blocks(fs: Ext2fs, g: number): number {
  const head = group_head(fs, g);
  return head_shift(fs, g) + head.superblock + head.descriptors + head.reserved;
}

/** First block behind group `g`. */
export function group_end(fs: Ext2fs, g: number): number {
  return Math.min(fs.groupfirst(g) + fs.s_blocks_per_group, fs.s_blocks_count);
}

/** Blocks of the table of inodes of a group. */
export function table_blocks(fs: Ext2fs): number {
  return Math.ceil(fs.s_inodes_per_group / fs.inodes_per_block);
}

/** Clusters of the volume, counted from its first data block. */
export function cluster_of(fs: Ext2fs, block: number): number {
  return Math.floor((block - fs.s_first_data_block) / fs.clusterblocks);
}
export function clusters_in(fs: Ext2fs, g: number): number {
  return Math.ceil((group_end(fs, g) - fs.groupfirst(g)) / fs.clusterblocks);
}
