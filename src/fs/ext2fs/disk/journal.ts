import { crc32c } from '../../lib/crc32c.js';
import { Ext2fs } from './superblock.js';

/** The journal (jbd2): all numbers are big-endian. Names and offsets: Linux include/linux/jbd2.h. */
export const JBD2_MAGIC = 0xc03b3998;
export const JBD2_DESCRIPTOR_BLOCK = 1;
export const JBD2_COMMIT_BLOCK = 2;
const JBD2_SUPERBLOCK_V1 = 3;
const JBD2_SUPERBLOCK_V2 = 4;
export const JBD2_REVOKE_BLOCK = 5;
export const JBD2_HEADER = 12;

export const JBD2_COMPAT_CHECKSUM = 1;
export const JBD2_INCOMPAT = {
  revoke: 1,
  '64bit': 2,
  async_commit: 4,
  csum_v2: 8,
  csum_v3: 0x10,
  fast_commit: 0x20,
} as const;
const KNOWN_INCOMPAT = 0x3f;
const JBD2_MIN_BLOCKS = 1;
const DEFAULT_FAST_COMMIT_BLOCKS = 256;
const SUPERBLOCK_BYTES = 1024;
const S_CHECKSUM = 0xfc;
const ALL_ONES = 0xffffffff;

export const TAG_ESCAPE = 1;
export const TAG_SAME_UUID = 2;
export const TAG_LAST = 8;

/** The journal's superblock, its block 0. */
export interface JournalSuper {
  readonly s_blocksize: number;
  readonly s_maxlen: number;
  readonly s_first: number;
  readonly s_sequence: number;
  /** Block where the log begins; 0: it is empty. */
  readonly s_start: number;
  readonly s_errno: number;
  readonly s_feature_compat: number;
  readonly s_feature_incompat: number;
  readonly s_uuid: Uint8Array;
  readonly s_nr_users: number;
  readonly s_num_fc_blks: number;
  /** Blocks `s_first`..`last`-1 hold the log; behind it lie fast commits. */
  readonly last: number;
  /** Checksums of the second or third kind. */
  readonly csum: boolean;
  readonly seed: number;
}

/** A text says what is wrong. */
export function journal_super(bytes: Uint8Array): JournalSuper | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (at: number): number => view.getUint32(at);
  if (u32(0) !== JBD2_MAGIC) return `magic number 0x${u32(0).toString(16)}`;
  const type = u32(4);
  if (type !== JBD2_SUPERBLOCK_V1 && type !== JBD2_SUPERBLOCK_V2) return `block type ${type}`;
  const v2 = type === JBD2_SUPERBLOCK_V2;
  const incompat = v2 ? u32(0x28) : 0;
  const csum = (incompat & (JBD2_INCOMPAT.csum_v2 | JBD2_INCOMPAT.csum_v3)) !== 0;
  if ((incompat & ~KNOWN_INCOMPAT) !== 0)
    return `unknown features 0x${((incompat & ~KNOWN_INCOMPAT) >>> 0).toString(16)}`;
  if ((incompat & JBD2_INCOMPAT.csum_v2) !== 0 && (incompat & JBD2_INCOMPAT.csum_v3) !== 0)
    return 'two kinds of checksums';
  if (csum && Ext2fs.crc_with_hole(ALL_ONES, bytes, 0, SUPERBLOCK_BYTES, S_CHECKSUM, 4) !== u32(S_CHECKSUM))
    return 'checksum is wrong';
  const s_num_fc_blks = u32(0x54);
  const fast = (incompat & JBD2_INCOMPAT.fast_commit) !== 0 ? s_num_fc_blks || DEFAULT_FAST_COMMIT_BLOCKS : 0;
  const s_uuid = bytes.slice(0x30, 0x40);
  const sb: JournalSuper = {
    s_blocksize: u32(0xc),
    s_maxlen: u32(0x10),
    s_first: u32(0x14),
    s_sequence: u32(0x18),
    s_start: u32(0x1c),
    s_errno: u32(0x20),
    s_feature_compat: v2 ? u32(0x24) : 0,
    s_feature_incompat: incompat,
    s_uuid,
    s_nr_users: u32(0x40),
    s_num_fc_blks,
    last: u32(0x10) - fast,
    csum,
    seed: crc32c(ALL_ONES, s_uuid, 0, 16),
  };
  if (sb.s_first === 0 || sb.last - sb.s_first < JBD2_MIN_BLOCKS) return `blocks ${sb.s_first} to ${sb.last - 1}`;
  if (sb.s_start !== 0 && (sb.s_start < sb.s_first || sb.s_start >= sb.last)) return `s_start ${sb.s_start}`;
  return sb;
}

/** A copy in the log of a block of the volume. */
export interface JournalTag {
  readonly blocknr: number;
  readonly flags: number;
  readonly checksum: number;
}

/** Bytes of a tag, without the UUID that may follow it. */
export function tag_bytes(sb: JournalSuper): number {
  const { s_feature_incompat: f } = sb;
  if ((f & JBD2_INCOMPAT.csum_v3) !== 0) return 16;
  return 8 + ((f & JBD2_INCOMPAT['64bit']) !== 0 ? 4 : 0) + ((f & JBD2_INCOMPAT.csum_v2) !== 0 ? 2 : 0);
}

/** The tags of a descriptor block; the block bounds their number. */
export function journal_tags(sb: JournalSuper, view: DataView): JournalTag[] {
  const size = tag_bytes(sb);
  const v3 = (sb.s_feature_incompat & JBD2_INCOMPAT.csum_v3) !== 0;
  const wide = (sb.s_feature_incompat & JBD2_INCOMPAT['64bit']) !== 0;
  const end = view.byteLength - (sb.csum ? 4 : 0);
  const tags: JournalTag[] = [];
  for (let at = JBD2_HEADER; at + size <= end;) {
    const flags = v3 ? view.getUint32(at + 4) : view.getUint16(at + 6);
    const high = wide ? view.getUint32(at + 8) : 0;
    tags.push({
      blocknr: view.getUint32(at) + high * 2 ** 32,
      flags,
      checksum: v3 ? view.getUint32(at + 12) : view.getUint16(at + 4),
    });
    at += size + ((flags & TAG_SAME_UUID) !== 0 ? 0 : 16);
    if ((flags & TAG_LAST) !== 0) break;
  }
  return tags;
}

const word = new Uint8Array(4);

/** Is the checksum of a tag right for the block as it was logged, in the transaction `sequence`? */
export function tag_sealed(sb: JournalSuper, tag: JournalTag, sequence: number, block: Uint8Array): boolean {
  new DataView(word.buffer).setUint32(0, sequence);
  const crc = crc32c(crc32c(sb.seed, word, 0, 4), block, 0, block.length);
  return (sb.s_feature_incompat & JBD2_INCOMPAT.csum_v3) !== 0 ? crc === tag.checksum : (crc & 0xffff) === tag.checksum;
}

/** Is the checksum of a descriptor or revoke block right, which is its last word? Where there is none it is. */
export function tail_sealed(sb: JournalSuper, block: Uint8Array, view: DataView): boolean {
  const tail = block.length - 4;
  return !sb.csum || Ext2fs.crc_with_hole(sb.seed, block, 0, block.length, tail, 4) === view.getUint32(tail);
}

const H_CHKSUM = 16;

/** The same of a commit block. */
export function commit_sealed(sb: JournalSuper, block: Uint8Array, view: DataView): boolean {
  return !sb.csum || Ext2fs.crc_with_hole(sb.seed, block, 0, block.length, H_CHKSUM, 4) === view.getUint32(H_CHKSUM);
}

/**
 * What a commit block says of the first kind of checksums: crc32 of descriptors and copies of the transaction;
 * undefined: it has none.
 */
export function commit_chksum(view: DataView): {
  readonly type: number;
  readonly size: number;
  readonly value: number;
} {
  return { type: view.getUint8(12), size: view.getUint8(13), value: view.getUint32(H_CHKSUM) };
}

/** When a transaction was committed; nanoseconds do not matter to anybody. Seconds. */
export function commit_sec(view: DataView): number {
  return view.getUint32(48) * 2 ** 32 + view.getUint32(52);
}

/** Blocks that a revoke block names. Its count has the header in it. */
export function revoked_blocks(sb: JournalSuper, view: DataView): number[] {
  const size = (sb.s_feature_incompat & JBD2_INCOMPAT['64bit']) !== 0 ? 8 : 4;
  const end = Math.min(view.getUint32(JBD2_HEADER), view.byteLength - (sb.csum ? 4 : 0));
  const blocks: number[] = [];
  for (let at = JBD2_HEADER + 4; at + size <= end; at += size)
    blocks.push(size === 8 ? view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4) : view.getUint32(at));
  return blocks;
}

/** The superblock of an empty journal of `blocks` blocks inside of a volume, as a whole block. */
export function new_journal_super(bsize: number, blocks: number, uuid: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(bsize);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, JBD2_MAGIC);
  view.setUint32(4, JBD2_SUPERBLOCK_V2);
  view.setUint32(0xc, bsize);
  view.setUint32(0x10, blocks);
  view.setUint32(0x14, 1);
  view.setUint32(0x18, 1);
  bytes.set(uuid, 0x30);
  view.setUint32(0x40, 1);
  return bytes;
}

/** Makes the checksum of a journal's superblock right, where its features say that it has one. */
export function journal_super_seal(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(4) !== JBD2_SUPERBLOCK_V2) return;
  if ((view.getUint32(0x28) & (JBD2_INCOMPAT.csum_v2 | JBD2_INCOMPAT.csum_v3)) === 0) return;
  view.setUint32(S_CHECKSUM, Ext2fs.crc_with_hole(ALL_ONES, bytes, 0, SUPERBLOCK_BYTES, S_CHECKSUM, 4));
}

/** Fields of the journal's superblock that change; byte offsets. */
export const JS = {
  blocktype: 4, sequence: 0x18, start: 0x1c, compat: 0x24, incompat: 0x28, checksum_type: 0x50,
} as const;
const CHECKSUM_CRC32 = 1;
const CHECKSUM_CRC32C = 4;

export function journal_header(view: DataView, type: number, sequence: number): void {
  view.setUint32(0, JBD2_MAGIC);
  view.setUint32(4, type);
  view.setUint32(8, sequence);
}

/**
 * Gives the superblock of an empty journal the features with which the volume `fs` is written, as Linux does: block
 * numbers of 64 bits and checksums of the third kind where the volume has them; revokes always; commit blocks are never
 * written before what they commit. What other checksums it has, stay.
 */
export function journal_super_upgrade(bytes: Uint8Array, fs: Ext2fs): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(JS.blocktype) === JBD2_SUPERBLOCK_V1) {
    view.setUint32(JS.blocktype, JBD2_SUPERBLOCK_V2);
    bytes.fill(0, JS.compat, SUPERBLOCK_BYTES);
  }
  let incompat = view.getUint32(JS.incompat) | JBD2_INCOMPAT.revoke;
  incompat &= ~JBD2_INCOMPAT.async_commit;
  if (fs.has64) incompat |= JBD2_INCOMPAT['64bit'];
  if (fs.metadata_csum) {
    incompat = (incompat & ~JBD2_INCOMPAT.csum_v2) | JBD2_INCOMPAT.csum_v3;
    view.setUint32(JS.compat, view.getUint32(JS.compat) & ~JBD2_COMPAT_CHECKSUM);
    view.setUint8(JS.checksum_type, CHECKSUM_CRC32C);
  }
  view.setUint32(JS.incompat, incompat);
  journal_super_seal(bytes);
}

/** The checksum in a tag, of the block as it is logged. */
export function block_chksum(sb: JournalSuper, sequence: number, block: Uint8Array): number {
  new DataView(word.buffer).setUint32(0, sequence);
  return crc32c(crc32c(sb.seed, word, 0, 4), block, 0, block.length);
}

/** Writes a tag. `checksum` as {@link block_chksum} gives it. */
export function tag_put(
  view: DataView, at: number, sb: JournalSuper, blocknr: number, flags: number, checksum: number,
): void {
  const { s_feature_incompat: f } = sb;
  const wide = (f & JBD2_INCOMPAT['64bit']) !== 0;
  view.setUint32(at, blocknr % 2 ** 32);
  if ((f & JBD2_INCOMPAT.csum_v3) !== 0) {
    view.setUint32(at + 4, flags);
    view.setUint32(at + 8, wide ? Math.floor(blocknr / 2 ** 32) : 0);
    view.setUint32(at + 12, checksum);
    return;
  }
  view.setUint16(at + 4, (f & JBD2_INCOMPAT.csum_v2) !== 0 ? checksum & 0xffff : 0);
  view.setUint16(at + 6, flags);
  if (wide) view.setUint32(at + 8, Math.floor(blocknr / 2 ** 32));
}

/** Makes the checksum at the end of a descriptor or revoke block right, if it has one. */
export function tail_seal(sb: JournalSuper, block: Uint8Array, view: DataView): void {
  const tail = block.length - 4;
  if (sb.csum) view.setUint32(tail, Ext2fs.crc_with_hole(sb.seed, block, 0, block.length, tail, 4));
}

/** Writes time and checksum of a commit block. `crc`: of the first kind, over all that it commits. */
export function commit_seal(
  sb: JournalSuper, block: Uint8Array, view: DataView, now: { sec: number; nsec: number }, crc: number,
): void {
  view.setUint32(48, Math.floor(now.sec / 2 ** 32));
  view.setUint32(52, now.sec >>> 0);
  view.setUint32(56, now.nsec);
  if (sb.csum) {
    view.setUint32(H_CHKSUM, Ext2fs.crc_with_hole(sb.seed, block, 0, block.length, H_CHKSUM, 4));
  } else if ((sb.s_feature_compat & JBD2_COMPAT_CHECKSUM) !== 0) {
    view.setUint8(12, CHECKSUM_CRC32);
    view.setUint8(13, 4);
    view.setUint32(H_CHKSUM, crc);
  }
}
