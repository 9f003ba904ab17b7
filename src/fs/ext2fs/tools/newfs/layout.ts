/**
 * What a new volume is like: sizes, counts, features; from them its superblock. Rules and defaults are those of mke2fs
 * (e2fsprogs misc/mke2fs.c, lib/ext2fs/initialize.c, mke2fs.conf).
 */
import { E, errno } from '../../../../kernel/errno.js';
import { COMPAT, INCOMPAT, RO_COMPAT } from '../../disk/features.js';
import { SB, put_blocks } from '../../disk/sbfields.js';
import { EXT2_MAGIC, Ext2fs, FLAGS_SIGNED_HASH, SBSIZE, STATE_VALID } from '../../disk/superblock.js';
import { descriptor_blocks, group_end, head_blocks, table_blocks } from '../volume/copies.js';
import type { Features, Kind } from './features.js';
import { change_features, default_features, settle_features } from './features.js';

export interface NewfsOptions {
  readonly kind?: Kind | undefined;
  /** By name, `^` takes away. */
  readonly features?: readonly string[] | undefined;
  readonly blockSize?: number | undefined;
  readonly clusterSize?: number | undefined;
  readonly inodeSize?: number | undefined;
  readonly bytesPerInode?: number | undefined;
  readonly inodes?: number | undefined;
  readonly blocksPerGroup?: number | undefined;
  readonly flexSize?: number | undefined;
  readonly label?: string | undefined;
  /** 16 bytes each. */
  readonly uuid?: Uint8Array | undefined;
  readonly hashSeed?: Uint8Array | undefined;
  /** Percent of the blocks that only the superuser gets. */
  readonly reserved?: number | undefined;
  /** Bytes. */
  readonly journalSize?: number | undefined;
  /** Tables of inodes stay as they are where checksums say that nothing is in them. Default: true. */
  readonly lazy?: boolean | undefined;
  /** Bytes of the device to use. Default: all. */
  readonly size?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Seconds. Default: now. */
  readonly time?: number | undefined;
}

export interface Layout {
  readonly fs: Ext2fs;
  /** The superblock, not sealed, without counts of what is free. */
  readonly sb: Uint8Array;
  /** 0: no journal. */
  readonly journalBlocks: number;
  readonly warnings: readonly string[];
}

const KIB = 1024;
const MIB = 2 ** 20;
const TIB = 2 ** 40;
/** Sources: mke2fs.conf, types floppy, small, (default), big, huge. */
const SIZES: readonly { below: number; block: number; ratio: number }[] = [
  { below: 3 * MIB, block: KIB, ratio: 8192 },
  { below: 512 * MIB, block: KIB, ratio: 4096 },
  { below: 4 * TIB, block: 4096, ratio: 16384 },
  { below: 16 * TIB, block: 4096, ratio: 32768 },
  { below: Infinity, block: 4096, ratio: 65536 },
];
/** Blocks of the journal by those of the volume. Source: lib/ext2fs/mkjournal.c, ext2fs_default_journal_size. */
const JOURNALS: readonly (readonly [below: number, blocks: number])[] = [
  [2048, 0], [32768, 1024], [256 * 1024, 4096], [512 * 1024, 8192], [4096 * 1024, 16384], [8192 * 1024, 32768],
  [16384 * 1024, 65536], [32768 * 1024, 131072], [Infinity, 262144],
];
const JOURNAL_BLOCKS_MIN = 1024;
const JOURNAL_BLOCKS_MAX = 10_240_000;
const MIN_EXTRA_ISIZE = 32;
const FIRST_INO = 11;
/** Blocks that a last group must have beyond its own for being worth it. */
const LAST_GROUP_MIN = 50;
const GROUP_BLOCKS_MAX = 65528;
const CLUSTER_SHARE = 16;
const DESC_SIZE_64 = 64;
const DEFM_XATTR_USER = 4;
const DEFM_ACL = 8;
const CRC32C = 1;
const HALF_MD4 = 1;
const UTF8_12_1 = 1;

function power(name: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(Math.log2(value)) || value < low || value > high)
    throw errno(E.EINVAL, `${name} ${value}: a power of 2 from ${low} to ${high} is needed`);
  return value;
}

function range(name: string, value: number, low: number, high: number): number {
  if (!(value >= low && value <= high)) throw errno(E.EINVAL, `${name} ${value}: ${low} to ${high} can be`);
  return value;
}

/** Random bytes marked as a UUID of version 4. */
function random_uuid(): Uint8Array {
  const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(Math.random() * 256));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** A label as its bytes. @throws EINVAL it is too long */
export function label_bytes(label: string): Uint8Array {
  const bytes = new TextEncoder().encode(label);
  if (bytes.length > 16) throw errno(E.EINVAL, `label "${label}" has ${bytes.length} bytes; 16 can be`);
  if (bytes.includes(0)) throw errno(E.EINVAL, 'a label has no NUL');
  return bytes;
}

/** What does not depend on how many groups there are. */
interface Frame {
  readonly features: Features;
  readonly bsize: number;
  readonly csize: number;
  readonly isize: number;
  readonly bpg: number;
  readonly inodes: number;
  readonly options: NewfsOptions;
}

/** The superblock for so many blocks and inodes a group; counts of what is free are not there yet. */
function compose(frame: Frame, blocks: number, ipg: number, ids: { uuid: Uint8Array; seed: Uint8Array }): Uint8Array {
  const { features, bsize, csize, isize, bpg, options } = frame;
  const sb = new Uint8Array(SBSIZE);
  const v = new DataView(sb.buffer);
  const u32 = (at: number, value: number): void => v.setUint32(at, value, true);
  const u16 = (at: number, value: number): void => v.setUint16(at, value, true);
  u32(SB.s_feature_compat, features.compat);
  u32(SB.s_feature_incompat, features.incompat);
  u32(SB.s_feature_ro_compat, features.ro_compat);
  const first = bsize === KIB && (features.ro_compat & RO_COMPAT.bigalloc) === 0 ? 1 : 0;
  const groups = Math.ceil((blocks - first) / bpg);
  u32(SB.s_inodes_count, groups * ipg);
  put_blocks(v, SB.s_blocks_count_lo, SB.s_blocks_count_hi, blocks);
  put_blocks(v, SB.s_r_blocks_count_lo, SB.s_r_blocks_count_hi, Math.floor((blocks * (options.reserved ?? 5)) / 100));
  u32(SB.s_first_data_block, first);
  u32(SB.s_log_block_size, Math.log2(bsize / KIB));
  u32(SB.s_log_cluster_size, Math.log2(csize / KIB));
  u32(SB.s_blocks_per_group, bpg);
  u32(SB.s_clusters_per_group, bpg / (csize / bsize));
  u32(SB.s_inodes_per_group, ipg);
  const time = options.time ?? Math.floor(Date.now() / 1000);
  const times = [
    [SB.s_wtime, SB.s_wtime_hi], [SB.s_lastcheck, SB.s_lastcheck_hi], [SB.s_mkfs_time, SB.s_mkfs_time_hi],
  ] as const;
  for (const [low, high] of times) {
    u32(low, time % 2 ** 32);
    v.setUint8(high, Math.floor(time / 2 ** 32));
  }
  u16(SB.s_max_mnt_count, 0xffff);
  u16(SB.s_magic, EXT2_MAGIC);
  u16(SB.s_state, STATE_VALID);
  u16(SB.s_errors, 1);
  u32(SB.s_rev_level, 1);
  u32(SB.s_first_ino, FIRST_INO);
  u16(SB.s_inode_size, isize);
  sb.set(ids.uuid, SB.s_uuid);
  sb.set(ids.seed, SB.s_hash_seed);
  sb.set(label_bytes(options.label ?? ''), SB.s_volume_name);
  v.setUint8(SB.s_def_hash_version, HALF_MD4);
  u16(SB.s_desc_size, (features.incompat & INCOMPAT['64bit']) !== 0 ? DESC_SIZE_64 : 0);
  u32(SB.s_default_mount_opts, DEFM_XATTR_USER | DEFM_ACL);
  u32(SB.s_flags, FLAGS_SIGNED_HASH);
  if (isize > 128) {
    u16(SB.s_min_extra_isize, MIN_EXTRA_ISIZE);
    u16(SB.s_want_extra_isize, MIN_EXTRA_ISIZE);
  }
  if ((features.incompat & INCOMPAT.flex_bg) !== 0)
    v.setUint8(SB.s_log_groups_per_flex, Math.log2(power('flex group of', options.flexSize ?? 16, 1, 2 ** 20)));
  if ((features.ro_compat & RO_COMPAT.metadata_csum) !== 0) v.setUint8(SB.s_checksum_type, CRC32C);
  if ((features.incompat & INCOMPAT.casefold) !== 0) u16(SB.s_encoding, UTF8_12_1);
  return sb;
}

/** Blocks kept for the descriptors of a volume that has grown a thousandfold. */
function reserved_descriptors(fs: Ext2fs): number {
  const most = Math.min(2 ** 32 - 1, fs.s_blocks_count * 1024);
  const groups = Math.ceil((most - fs.s_first_data_block) / fs.s_blocks_per_group);
  const blocks = Math.ceil((groups * fs.desc_size) / fs.bsize) - descriptor_blocks(fs);
  return Math.max(0, Math.min(blocks, fs.bsize / 4));
}

/** Inodes a group, so that there are at least so many: full blocks of them, and full bytes of the bitmap. */
function inodes_per_group(frame: Frame, groups: number): number {
  const unit = Math.max(8, frame.bsize / frame.isize);
  const most = Math.floor(Math.min(frame.bsize * 8, 65536 - frame.bsize / frame.isize) / unit) * unit;
  const total = Math.floor((2 ** 32 - 1) / groups / unit) * unit;
  const want = Math.ceil(Math.ceil(frame.inodes / groups) / unit) * unit;
  if (want > most && frame.options.inodes !== undefined)
    throw errno(E.EINVAL, `${frame.options.inodes} inodes are too many: ${most * groups} can be`);
  return Math.max(unit, Math.min(want, most, total));
}

function frame_of(size: number, options: NewfsOptions): Frame {
  const kind = options.kind ?? 'ext4';
  const { block, ratio } = SIZES.find(({ below }) => size < below)!;
  const bsize = power('blocks of', options.blockSize ?? block, KIB, 65536);
  const isize = power('inodes of', options.inodeSize ?? 256, 128, bsize);
  const features = default_features(kind);
  const asked = options.features ?? [];
  change_features(features, asked);
  settle_features(features, asked, isize);
  if (size / bsize >= 2 ** 32) features.compat = (features.compat & ~COMPAT.resize_inode) >>> 0;
  const big = (features.ro_compat & RO_COMPAT.bigalloc) !== 0;
  if (!big && options.clusterSize !== undefined) throw errno(E.EINVAL, 'clusters need the feature bigalloc');
  const csize = big
    ? power('clusters of', options.clusterSize ?? bsize * CLUSTER_SHARE, bsize, 512 * MIB)
    : bsize;
  const most = Math.min(bsize * 8, GROUP_BLOCKS_MAX);
  const clusters = range('blocks in a group:', options.blocksPerGroup ?? most, 256, most);
  if (clusters % 8 !== 0) throw errno(E.EINVAL, `${clusters} blocks in a group: a multiple of 8 is needed`);
  const per = range('bytes for each inode:', options.bytesPerInode ?? ratio, KIB, 64 * MIB);
  const inodes = Math.max(FIRST_INO + 1, options.inodes ?? Math.floor(size / Math.max(per, bsize)));
  range('reserved percent', options.reserved ?? 5, 0, 50);
  return { features, bsize, csize, isize, bpg: clusters * (csize / bsize), inodes, options };
}

function journal_blocks(frame: Frame, blocks: number, warnings: string[]): number {
  const { features, bsize, options } = frame;
  if ((features.compat & COMPAT.has_journal) === 0) {
    if (options.journalSize !== undefined) throw errno(E.EINVAL, 'a size of the journal needs the feature has_journal');
    return 0;
  }
  if (options.journalSize === undefined) {
    const size = JOURNALS.find(([below]) => blocks < below)![1];
    if (size === 0) {
      features.compat = (features.compat & ~(COMPAT.has_journal | COMPAT.orphan_file)) >>> 0;
      warnings.push('the volume is too small for a journal, and has none');
    }
    return size;
  }
  const size = Math.floor(options.journalSize / bsize);
  return range('blocks of the journal:', size, JOURNAL_BLOCKS_MIN, Math.min(JOURNAL_BLOCKS_MAX, blocks / 2));
}

/** @throws EINVAL ENOSPC the device is too small */
export function ext2_layout(device: number, options: NewfsOptions): Layout {
  const size = options.size ?? device;
  if (size > device) throw errno(E.EINVAL, `the device has ${device} bytes, not ${size}`);
  const frame = frame_of(size, options);
  const { features, bsize } = frame;
  const warnings: string[] = [];
  let blocks = Math.floor(size / bsize);
  if (blocks >= 2 ** 32 && (features.incompat & INCOMPAT['64bit']) === 0)
    throw errno(E.EINVAL, `${blocks} blocks need the feature 64bit; without it ${2 ** 32 - 1} can be`);
  const journalBlocks = journal_blocks(frame, blocks, warnings);
  const ids = { uuid: options.uuid ?? random_uuid(), seed: options.hashSeed ?? random_uuid() };
  const small = (): never => {
    throw errno(E.ENOSPC, `${size} bytes are too few for such a volume`);
  };
  if (blocks < 16) small();
  // The last group may go, and a metagroup may be needed: each at most once.
  for (let turn = 0; turn < 4; turn++) {
    const first = bsize === KIB && (features.ro_compat & RO_COMPAT.bigalloc) === 0 ? 1 : 0;
    const groups = Math.ceil((blocks - first) / frame.bpg);
    const sb = compose(frame, blocks, inodes_per_group(frame, groups), ids);
    const v = new DataView(sb.buffer);
    if ((features.compat & COMPAT.sparse_super2) !== 0) {
      v.setUint32(SB.s_backup_bgs, groups > 1 ? 1 : 0, true);
      v.setUint32(SB.s_backup_bgs + 4, groups > 2 ? groups - 1 : 0, true);
    }
    if ((features.incompat & INCOMPAT.metadata_csum_seed) !== 0)
      v.setUint32(SB.s_checksum_seed, new Ext2fs(without_seed(sb), 'new volume').csum_seed, true);
    let fs = new Ext2fs(sb, 'new volume');
    const resize = (features.compat & COMPAT.resize_inode) !== 0;
    if (resize) v.setUint16(SB.s_reserved_gdt_blocks, reserved_descriptors(fs), true);
    fs = new Ext2fs(sb, 'new volume');
    const meta = (features.incompat & INCOMPAT.meta_bg) !== 0;
    if (!meta && descriptor_blocks(fs) + fs.s_reserved_gdt_blocks > (fs.s_blocks_per_group * 3) / 4) {
      features.incompat |= INCOMPAT.meta_bg;
      features.compat = (features.compat & ~COMPAT.resize_inode) >>> 0;
      continue;
    }
    const last = fs.ngroups - 1;
    const need = head_blocks(fs, last) + 2 + table_blocks(fs);
    const has = group_end(fs, last) - fs.groupfirst(last);
    if (last === 0 && has < need + 4) small();
    if (last > 0 && has < need + LAST_GROUP_MIN) {
      blocks = fs.groupfirst(last);
      continue;
    }
    return { fs, sb, journalBlocks, warnings };
  }
  throw errno(E.EINVAL, 'inodes and descriptors leave no room for files: fewer inodes, or larger blocks');
}

/** The same without the feature that takes the seed from the superblock. */
function without_seed(sb: Uint8Array): Uint8Array {
  const copy = sb.slice();
  const view = new DataView(copy.buffer);
  const incompat = view.getUint32(SB.s_feature_incompat, true);
  view.setUint32(SB.s_feature_incompat, (incompat & ~INCOMPAT.metadata_csum_seed) >>> 0, true);
  return copy;
}
