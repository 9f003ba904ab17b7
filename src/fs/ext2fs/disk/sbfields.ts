/**
 * Where the fields of the superblock lie, for whoever writes it: bytes from its beginning. Names and offsets: Linux
 * fs/ext4/ext4.h, struct ext4_super_block.
 */
import { crc32c } from '../../lib/crc32c.js';
import { INCOMPAT, RO_COMPAT } from './features.js';

export const SB = {
  s_inodes_count: 0x0,
  s_blocks_count_lo: 0x4,
  s_r_blocks_count_lo: 0x8,
  s_free_blocks_count_lo: 0xc,
  s_free_inodes_count: 0x10,
  s_first_data_block: 0x14,
  s_log_block_size: 0x18,
  s_log_cluster_size: 0x1c,
  s_blocks_per_group: 0x20,
  s_clusters_per_group: 0x24,
  s_inodes_per_group: 0x28,
  s_mtime: 0x2c,
  s_wtime: 0x30,
  s_mnt_count: 0x34,
  s_max_mnt_count: 0x36,
  s_magic: 0x38,
  s_state: 0x3a,
  s_errors: 0x3c,
  s_lastcheck: 0x40,
  s_checkinterval: 0x44,
  s_creator_os: 0x48,
  s_rev_level: 0x4c,
  s_def_resuid: 0x50,
  s_def_resgid: 0x52,
  s_first_ino: 0x54,
  s_inode_size: 0x58,
  s_block_group_nr: 0x5a,
  s_feature_compat: 0x5c,
  s_feature_incompat: 0x60,
  s_feature_ro_compat: 0x64,
  s_uuid: 0x68,
  s_volume_name: 0x78,
  s_last_mounted: 0x88,
  s_reserved_gdt_blocks: 0xce,
  s_journal_uuid: 0xd0,
  s_journal_inum: 0xe0,
  s_journal_dev: 0xe4,
  s_last_orphan: 0xe8,
  s_hash_seed: 0xec,
  s_def_hash_version: 0xfc,
  s_jnl_backup_type: 0xfd,
  s_desc_size: 0xfe,
  s_default_mount_opts: 0x100,
  s_first_meta_bg: 0x104,
  s_mkfs_time: 0x108,
  /** The journal's i_block, the high and the low half of its size. */
  s_jnl_blocks: 0x10c,
  s_blocks_count_hi: 0x150,
  s_r_blocks_count_hi: 0x154,
  s_free_blocks_count_hi: 0x158,
  s_min_extra_isize: 0x15c,
  s_want_extra_isize: 0x15e,
  s_flags: 0x160,
  s_mmp_update_interval: 0x166,
  s_mmp_block: 0x168,
  s_log_groups_per_flex: 0x174,
  s_checksum_type: 0x175,
  s_kbytes_written: 0x178,
  s_error_count: 0x194,
  s_first_error_time: 0x198,
  s_last_error_time: 0x1cc,
  s_usr_quota_inum: 0x240,
  s_grp_quota_inum: 0x244,
  s_overhead_clusters: 0x248,
  s_backup_bgs: 0x24c,
  s_lpf_ino: 0x268,
  s_prj_quota_inum: 0x26c,
  s_checksum_seed: 0x270,
  s_wtime_hi: 0x274,
  s_mtime_hi: 0x275,
  s_mkfs_time_hi: 0x276,
  s_lastcheck_hi: 0x277,
  s_encoding: 0x27c,
  s_encoding_flags: 0x27e,
  s_orphan_file_inum: 0x280,
  s_checksum: 0x3fc,
} as const;

/** Puts a number of blocks into its two halves; without the feature 64bit the high one stays as it is. */
export function put_blocks(view: DataView, low: number, high: number, blocks: number): void {
  view.setUint32(low, blocks % 2 ** 32, true);
  if ((view.getUint32(SB.s_feature_incompat, true) & INCOMPAT['64bit']) !== 0)
    view.setUint32(high, Math.floor(blocks / 2 ** 32), true);
}

/** Makes the checksum of a superblock right; it must have one only with metadata_csum. */
export function superblock_seal(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if ((view.getUint32(SB.s_feature_ro_compat, true) & RO_COMPAT.metadata_csum) === 0) return;
  view.setUint32(SB.s_checksum, crc32c(0xffffffff, bytes, 0, SB.s_checksum), true);
}
