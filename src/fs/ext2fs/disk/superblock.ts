import { E, errno } from '../../../kernel/errno.js';
import { crc32c } from '../../lib/crc32c.js';
import { COMPAT, INCOMPAT, RO_COMPAT, unreadable_features } from './features.js';

/**
 * The superblock: 1024 bytes at byte 1024, little-endian. Field names and offsets: Linux fs/ext4/ext4.h, struct
 * ext4_super_block. Numbers of 64 bits are held as numbers; they have been compared with bounds far below 2^53 when the
 * constructor returns.
 */
export const SBOFF = 1024;
export const SBSIZE = 1024;
export const EXT2_MAGIC = 0xef53;
const S_MAGIC = 0x38;
const S_CHECKSUM = 0x3fc;

export const EXT2_ROOTINO = 2;
/** s_state */
export const STATE_VALID = 1;
export const STATE_ERROR = 2;
/** s_flags: hashes of names take characters as signed, or as unsigned. */
export const FLAGS_SIGNED_HASH = 1;
export const FLAGS_UNSIGNED_HASH = 2;
const GOOD_OLD_INODE_SIZE = 128;
const GOOD_OLD_FIRST_INO = 11;
const DESC_SIZE = 32;
/** Only crc32c is defined. */
const CHECKSUM_CRC32C = 1;
const MIN_LOG_BLOCK = 10;
const MAX_LOG_BLOCK_SIZE = 6;
/** Block numbers have 48 bits in extents. */
const MAX_BLOCKS = 2 ** 48;

const ZERO = new Uint8Array(4);

/** Bytes as a string up to the first NUL, one character a byte. */
function text(view: DataView, at: number, length: number): string {
  let s = '';
  for (let i = 0; i < length && view.getUint8(at + i) !== 0; i++) s += String.fromCharCode(view.getUint8(at + i));
  return s;
}

/** Does the superblock carry the magic number? */
export function superblock_marked(view: DataView): boolean {
  return view.getUint16(S_MAGIC, true) === EXT2_MAGIC;
}

/**
 * The checksum of a superblock with metadata_csum is right. It covers all but itself, and has no other seed than all
 * ones.
 */
export function superblock_sealed(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SBSIZE);
  return crc32c(0xffffffff, bytes, 0, S_CHECKSUM) === view.getUint32(S_CHECKSUM, true);
}

export class Ext2fs {
  readonly bytes: Uint8Array;
  readonly s_inodes_count: number;
  readonly s_blocks_count: number;
  readonly s_r_blocks_count: number;
  readonly s_free_blocks_count: number;
  readonly s_free_inodes_count: number;
  readonly s_first_data_block: number;
  readonly s_log_block_size: number;
  readonly s_log_cluster_size: number;
  readonly s_blocks_per_group: number;
  readonly s_clusters_per_group: number;
  readonly s_inodes_per_group: number;
  readonly s_mtime: number;
  readonly s_wtime: number;
  readonly s_mnt_count: number;
  readonly s_max_mnt_count: number;
  readonly s_state: number;
  readonly s_errors: number;
  readonly s_lastcheck: number;
  readonly s_creator_os: number;
  readonly s_rev_level: number;
  readonly s_first_ino: number;
  readonly s_inode_size: number;
  readonly s_feature_compat: number;
  readonly s_feature_incompat: number;
  readonly s_feature_ro_compat: number;
  readonly s_uuid: Uint8Array;
  readonly s_volume_name: string;
  readonly s_last_mounted: string;
  readonly s_reserved_gdt_blocks: number;
  readonly s_journal_uuid: Uint8Array;
  readonly s_journal_inum: number;
  readonly s_journal_dev: number;
  readonly s_last_orphan: number;
  readonly s_hash_seed: readonly number[];
  readonly s_def_hash_version: number;
  readonly s_desc_size: number;
  readonly s_default_mount_opts: number;
  readonly s_first_meta_bg: number;
  readonly s_mkfs_time: number;
  readonly s_flags: number;
  readonly s_mmp_block: number;
  readonly s_log_groups_per_flex: number;
  readonly s_checksum_type: number;
  readonly s_kbytes_written: number;
  readonly s_error_count: number;
  readonly s_usr_quota_inum: number;
  readonly s_grp_quota_inum: number;
  readonly s_prj_quota_inum: number;
  readonly s_overhead_clusters: number;
  readonly s_backup_bgs: readonly number[];
  readonly s_checksum_seed: number;
  readonly s_encoding: number;
  readonly s_encoding_flags: number;
  readonly s_orphan_file_inum: number;

  /** Bytes of a block and of a cluster. */
  readonly bsize: number;
  readonly clusterblocks: number;
  readonly ngroups: number;
  readonly desc_size: number;
  readonly inodes_per_block: number;
  /** Seed of all checksums of metadata (metadata_csum). */
  readonly csum_seed: number;

  /** @throws EFTYPE the fields contradict each other, or the volume has a feature that cannot be read */
  constructor(bytes: Uint8Array, name: string) {
    this.bytes = bytes;
    const v = new DataView(bytes.buffer, bytes.byteOffset, SBSIZE);
    const u16 = (at: number): number => v.getUint16(at, true);
    const u32 = (at: number): number => v.getUint32(at, true);
    const wide = (low: number, high: number): number => u32(low) + (this.has64 ? u32(high) * 2 ** 32 : 0);
    this.s_rev_level = u32(0x4c);
    const dynamic = this.s_rev_level >= 1;
    this.s_feature_compat = u32(0x5c);
    this.s_feature_incompat = u32(0x60);
    this.s_feature_ro_compat = u32(0x64);
    this.s_inodes_count = u32(0);
    this.s_blocks_count = wide(0x4, 0x150);
    this.s_r_blocks_count = wide(0x8, 0x154);
    this.s_free_blocks_count = wide(0xc, 0x158);
    this.s_free_inodes_count = u32(0x10);
    this.s_first_data_block = u32(0x14);
    this.s_log_block_size = u32(0x18);
    this.s_log_cluster_size = u32(0x1c);
    this.s_blocks_per_group = u32(0x20);
    // Without bigalloc the field means nothing, and may hold anything.
    this.s_clusters_per_group = this.ro_compat(RO_COMPAT.bigalloc) ? u32(0x24) : this.s_blocks_per_group;
    this.s_inodes_per_group = u32(0x28);
    this.s_mtime = u32(0x2c);
    this.s_wtime = u32(0x30);
    this.s_mnt_count = u16(0x34);
    this.s_max_mnt_count = v.getInt16(0x36, true);
    this.s_state = u16(0x3a);
    this.s_errors = u16(0x3c);
    this.s_lastcheck = u32(0x40);
    this.s_creator_os = u32(0x48);
    this.s_first_ino = dynamic ? u32(0x54) : GOOD_OLD_FIRST_INO;
    this.s_inode_size = dynamic ? u16(0x58) : GOOD_OLD_INODE_SIZE;
    this.s_uuid = bytes.slice(0x68, 0x78);
    this.s_volume_name = text(v, 0x78, 16);
    this.s_last_mounted = text(v, 0x88, 64);
    this.s_reserved_gdt_blocks = u16(0xce);
    this.s_journal_uuid = bytes.slice(0xd0, 0xe0);
    this.s_journal_inum = u32(0xe0);
    this.s_journal_dev = u32(0xe4);
    this.s_last_orphan = u32(0xe8);
    this.s_hash_seed = [u32(0xec), u32(0xf0), u32(0xf4), u32(0xf8)];
    this.s_def_hash_version = v.getUint8(0xfc);
    this.s_desc_size = u16(0xfe);
    this.s_default_mount_opts = u32(0x100);
    this.s_first_meta_bg = u32(0x104);
    this.s_mkfs_time = u32(0x108);
    this.s_flags = u32(0x160);
    this.s_mmp_block = u32(0x168) + u32(0x16c) * 2 ** 32;
    this.s_log_groups_per_flex = v.getUint8(0x174);
    this.s_checksum_type = v.getUint8(0x175);
    this.s_kbytes_written = u32(0x178) + u32(0x17c) * 2 ** 32;
    this.s_error_count = u32(0x194);
    this.s_usr_quota_inum = u32(0x240);
    this.s_grp_quota_inum = u32(0x244);
    this.s_overhead_clusters = u32(0x248);
    this.s_backup_bgs = [u32(0x24c), u32(0x250)];
    this.s_prj_quota_inum = u32(0x26c);
    this.s_checksum_seed = u32(0x270);
    this.s_encoding = u16(0x27c);
    this.s_encoding_flags = u16(0x27e);
    this.s_orphan_file_inum = u32(0x280);
    this.bsize = 1024 * 2 ** Math.min(this.s_log_block_size, MAX_LOG_BLOCK_SIZE);
    this.clusterblocks = this.ro_compat(RO_COMPAT.bigalloc)
      ? 2 ** Math.min(Math.max(this.s_log_cluster_size - this.s_log_block_size, 0), 30)
      : 1;
    this.desc_size = this.has64 ? this.s_desc_size : DESC_SIZE;
    this.inodes_per_block = Math.floor(this.bsize / Math.max(this.s_inode_size, 1));
    this.ngroups = Math.ceil((this.s_blocks_count - this.s_first_data_block) / Math.max(this.s_blocks_per_group, 1));
    this.csum_seed = this.incompat(INCOMPAT.metadata_csum_seed)
      ? this.s_checksum_seed
      : crc32c(0xffffffff, this.s_uuid, 0, 16);
    const problem = this.problem();
    if (problem !== undefined) throw errno(E.EFTYPE, `${name}: superblock: ${problem}`);
  }

  get has64(): boolean {
    return (this.s_feature_incompat & INCOMPAT['64bit']) !== 0;
  }

  compat(bit: number): boolean {
    return (this.s_feature_compat & bit) !== 0;
  }
  incompat(bit: number): boolean {
    return (this.s_feature_incompat & bit) !== 0;
  }
  ro_compat(bit: number): boolean {
    return (this.s_feature_ro_compat & bit) !== 0;
  }
  get hugefile(): boolean {
    return this.ro_compat(RO_COMPAT.huge_file);
  }
  get metadata_csum(): boolean {
    return this.ro_compat(RO_COMPAT.metadata_csum);
  }

  /** 2, 3 or 4: which of the three would have made this. */
  get version(): number {
    const ext4 = INCOMPAT.extents | INCOMPAT['64bit'] | INCOMPAT.flex_bg | INCOMPAT.mmp | 0xfffffc00;
    const ext4ro = ~(RO_COMPAT.sparse_super | RO_COMPAT.large_file | RO_COMPAT.btree_dir);
    if ((this.s_feature_incompat & ext4) !== 0 || (this.s_feature_ro_compat & ext4ro) !== 0) return 4;
    return this.compat(COMPAT.has_journal) ? 3 : 2;
  }

  /** Has group `g` a copy of the superblock (and, without meta_bg, of the descriptors)? */
  hassuper(g: number): boolean {
    if (g === 0) return true;
    if (this.compat(COMPAT.sparse_super2)) return this.s_backup_bgs.includes(g);
    if (g === 1 || !this.ro_compat(RO_COMPAT.sparse_super)) return true;
    return [3, 5, 7].some((base) => {
      let power = base;
      while (power < g) power *= base;
      return power === g;
    });
  }

  /** Are the descriptors of group `g` kept in its own meta group only (meta_bg)? Then it has no reserved blocks. */
  onlymeta(g: number): boolean {
    const perblock = this.bsize / this.desc_size;
    return this.incompat(INCOMPAT.meta_bg) && Math.floor(g / perblock) >= this.s_first_meta_bg;
  }

  /** First block of a group. */
  groupfirst(g: number): number {
    return this.s_first_data_block + g * this.s_blocks_per_group;
  }

  /** The block that holds the descriptor of group `g`, and its byte in there. */
  descplace(g: number): { readonly block: number; readonly at: number } {
    const perblock = this.bsize / this.desc_size;
    const n = Math.floor(g / perblock);
    const at = (g % perblock) * this.desc_size;
    // With 1 KiB blocks and bigalloc s_first_data_block is 0, and the superblock lies in block 1.
    const extra = this.bsize === 1024 && this.s_first_data_block === 0 ? 1 : 0;
    if (!this.incompat(INCOMPAT.meta_bg) || n < this.s_first_meta_bg)
      return { block: this.s_first_data_block + 1 + n + extra, at };
    const first = n * perblock;
    return { block: this.groupfirst(first) + (this.hassuper(first) ? 1 : 0) + (first === 0 ? extra : 0), at };
  }

  /** What cannot be. */
  private problem(): string | undefined {
    const v = new DataView(this.bytes.buffer, this.bytes.byteOffset, SBSIZE);
    if (!superblock_marked(v)) return `magic number 0x${v.getUint16(S_MAGIC, true).toString(16)} is not 0xef53`;
    if (this.incompat(INCOMPAT.journal_dev)) return 'this is the journal of another volume (journal_dev), not a volume';
    const unreadable = unreadable_features(this.s_feature_incompat);
    if (unreadable.length > 0) return `features that are not known here: ${unreadable.join(', ')}`;
    if (this.s_rev_level > 1) return `revision ${this.s_rev_level}`;
    if (this.s_log_block_size > MAX_LOG_BLOCK_SIZE) return `s_log_block_size ${this.s_log_block_size}`;
    const { bsize } = this;
    if (this.s_inode_size < 128 || this.s_inode_size > bsize || (this.s_inode_size & (this.s_inode_size - 1)) !== 0)
      return `s_inode_size ${this.s_inode_size}`;
    if (
      this.has64 &&
      (this.s_desc_size < 64 || this.s_desc_size > 1024 || (this.s_desc_size & (this.s_desc_size - 1)) !== 0)
    )
      return `s_desc_size ${this.s_desc_size}`;
    if (this.ro_compat(RO_COMPAT.bigalloc)) {
      if (this.s_log_cluster_size < this.s_log_block_size || this.s_log_cluster_size > 30 - MIN_LOG_BLOCK)
        return `s_log_cluster_size ${this.s_log_cluster_size}`;
      if (
        this.s_clusters_per_group > bsize * 8 ||
        this.s_blocks_per_group !== this.s_clusters_per_group * this.clusterblocks
      )
        return `s_clusters_per_group ${this.s_clusters_per_group}`;
    } else if (this.s_blocks_per_group > bsize * 8) return `s_blocks_per_group ${this.s_blocks_per_group}`;
    if (this.s_blocks_per_group < 8) return `s_blocks_per_group ${this.s_blocks_per_group}`;
    if (this.s_inodes_per_group < this.inodes_per_block || this.s_inodes_per_group > bsize * 8)
      return `s_inodes_per_group ${this.s_inodes_per_group}`;
    if (this.s_first_data_block > 1 || this.s_first_data_block >= this.s_blocks_count)
      return `s_first_data_block ${this.s_first_data_block}`;
    if (this.s_first_data_block === 0 && bsize === 1024 && !this.ro_compat(RO_COMPAT.bigalloc))
      return 's_first_data_block 0 with blocks of 1 KiB';
    if (this.s_blocks_count > MAX_BLOCKS || this.s_blocks_count * bsize > Number.MAX_SAFE_INTEGER)
      return `s_blocks_count ${this.s_blocks_count}`;
    if (this.s_inodes_count !== this.ngroups * this.s_inodes_per_group)
      return `s_inodes_count ${this.s_inodes_count} is not ${this.ngroups} groups of ${this.s_inodes_per_group}`;
    if (this.metadata_csum && this.s_checksum_type !== CHECKSUM_CRC32C)
      return `s_checksum_type ${this.s_checksum_type}`;
    return undefined;
  }

  /** Is that checksum right, taking the four bytes at `hole` (from `at`) as zero? */
  static crc_with_hole(
    seed: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    hole: number,
    holebytes: number,
  ): number {
    const crc = crc32c(crc32c(seed, bytes, at, at + hole), ZERO, 0, holebytes);
    return crc32c(crc, bytes, at + hole + holebytes, at + length);
  }
}
