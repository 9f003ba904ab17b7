import { checkhash, crc32c } from '../../lib/crc32c.js';
import type { FfsDialect } from './dialects.js';
import { FS_METACKHASH, SBLOCKSIZE } from './fs_const.js';
import type { FsFields } from './fs_data.js';

/**
 * FreeBSD's check hashes of superblock and cylinder groups (that of inodes: ufs/dinode.ts). Each is a CRC-32C over the
 * structure with its own field taken for zero, in the volume's byte order.
 * Source: FreeBSD sys/ufs/ffs/fs.h, ffs_subr.c (ffs_calc_sbhash), ffs_alloc.c (ffs_getcg, ffs_ckhash_cg).
 */

/** fs_metackhash: what has a check hash. FreeBSD has defined CK_INDIR 0x8 and CK_DIR 0x10 but keeps neither. */
export const CK_SUPERBLOCK = 0x1;
export const CK_CYLGRP = 0x2;
export const CK_INODE = 0x4;
export const CK_SUPPORTED = 0x7;
/** Bits that have a meaning. */
export const CK_DEFINED = 0x1f;

export const SB_CKHASH_OFFSET = 1304;
const METACKHASH_OFFSET = 1308;
const CG_CKHASH_OFFSET = 132;

export function calculate_crc32c(seed: number, bytes: Uint8Array): number {
  return crc32c(seed, bytes, 0, bytes.length);
}

/** What is asked of a superblock here: Fs has it. */
interface Superblock {
  readonly raw: Uint8Array;
  readonly view: DataView;
  readonly le: boolean;
  readonly fs_sbsize: number;
}

/** The check hash that the bytes of a superblock should have. `fs_sbsize` must lie between the field and SBLOCKSIZE. */
export function sb_ckhash(fs: Superblock): number {
  return checkhash(fs.raw, 0, fs.fs_sbsize, SB_CKHASH_OFFSET);
}

/** Does the superblock carry a check hash that fits its bytes? */
export function sb_ckhash_verifies(fs: Superblock): boolean {
  if ((fs.view.getUint32(METACKHASH_OFFSET, fs.le) & CK_SUPERBLOCK) === 0) return false;
  if (fs.fs_sbsize <= METACKHASH_OFFSET || fs.fs_sbsize > SBLOCKSIZE || fs.fs_sbsize > fs.raw.length) return false;
  return sb_ckhash(fs) === fs.view.getUint32(SB_CKHASH_OFFSET, fs.le);
}

/** Does the cylinder group of `cgsize` bytes at the start of `view` carry a check hash that fits it? */
export function cg_ckhash_verifies(view: DataView, cgsize: number, le: boolean): boolean {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, cgsize);
  return checkhash(bytes, 0, cgsize, CG_CKHASH_OFFSET) === view.getUint32(CG_CKHASH_OFFSET, le);
}

/** Gives a cylinder group the check hash that fits it. */
export function cg_ckhash_update(view: DataView, cgsize: number, le: boolean): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, cgsize);
  view.setUint32(CG_CKHASH_OFFSET, checkhash(bytes, 0, cgsize, CG_CKHASH_OFFSET), le);
}

/**
 * The check hashes in force on a volume of this dialect: CK_*. A system that does not keep them takes FS_METACKHASH
 * away.
 */
export function ffs_ckhashes(fs: FsFields, dialect: FfsDialect): number {
  if (dialect !== 'freebsd' || !fs.wide || (fs.fs_flags & FS_METACKHASH) === 0) return 0;
  return fs.fs_metackhash & CK_SUPPORTED & (fs.ufs2 ? ~0 : ~CK_INODE);
}
