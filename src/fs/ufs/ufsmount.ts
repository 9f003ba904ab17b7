import type { BlockDevice } from '../../kernel/blkdev.js';
import type { Context } from '../../kernel/context.js';
import type { Errno } from '../../kernel/errno.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { BufferCache, Buf } from '../../kernel/vfs/bio.js';
import type { DamageLog } from '../lib/damage.js';
import type { DinodeFormat } from './dinode.js';
import type { DirFormat } from './dir.js';
import type { DirIndexCache } from './dirindex.js';
import type { UfsInode } from './inode.js';

/**
 * What the file systems of the UFS family (FFS, LFS) have in common, as the code in this folder sees it. A file system
 * implements these interfaces; the code here never imports one. (NetBSD's struct ufsmount and struct ufs_ops,
 * sys/ufs/ufs/ufsmount.h.)
 */

/** Sizes of a volume, from its superblock; checked when it was mounted. */
export interface UfsGeometry {
  /** Frags of the volume: block pointers are below. */
  readonly fs_size: number;
  /** Frags of a block: 1, 2, 4 or 8. */
  readonly fs_frag: number;
  /** Bytes of a frag and of a block. */
  readonly fs_fsize: number;
  readonly fs_bsize: number;
  /** Inode numbers are below. */
  readonly ninodes: number;
  /** Inodes that are snapshots of the volume; 0 where there is none. */
  readonly fs_snapinum: readonly number[];
  /** Byte offset of frag `fsb` on the device. */
  fsbtob(fsb: number): number;
  /** The block that byte `offset` of a file lies in, and its place in there. */
  lblkno(offset: number): number;
  blkoff(offset: number): number;
  /** `size` rounded up to whole blocks; bytes. */
  blkroundup(size: number): number;
  /** Bytes of block `lbn` of a file of `size` bytes: less than a block at the end of a small file. */
  sblksize(size: number, lbn: number): number;
}

/** What the file system does for this code on a volume that is mounted for writing. All run inside a transaction. */
export interface UfsOps {
  /** The volume contradicts itself: logs it, stops all further changes, and returns the error to throw. */
  uo_damage(dp: UfsInode, what: string): Errno;
  /** Block `bp` of directory `dp` has changed: both are to be written, and the directory's times are to be set. */
  uo_dirchanged(dp: UfsInode, bp: Buf): void;
  /**
   * Adds an empty chunk (um_dirblksiz bytes) to the end of a directory.
   * @returns the buffer of the block that holds it, referenced
   * @throws ENOSPC EFBIG EIO; the directory is then as before
   */
  uo_dirgrow(dp: UfsInode, ctx: Context): Promise<Buf>;
  /** Cuts a directory behind byte `useful`, rounded up to a block, if that can be done now. @throws EIO */
  uo_dirshrink(dp: UfsInode, useful: number): Promise<void>;
}

/** A mounted volume. */
export interface UfsMount {
  readonly um_kernel: Kernel;
  readonly um_dev: BlockDevice;
  readonly um_bufcache: BufferCache;
  readonly um_fs: UfsGeometry;
  /** The volume's byte order: true for little endian. */
  readonly um_le: boolean;
  /** Pointers in an indirect block. */
  readonly um_nindir: number;
  /** Bytes of a directory's chunk: no entry crosses from one to the next. */
  readonly um_dirblksiz: number;
  readonly um_dinofmt: DinodeFormat;
  readonly um_dirfmt: DirFormat;
  /** Indexes of large directories. */
  readonly um_dirindexes: DirIndexCache;
  /** Where damage is reported. */
  readonly um_damage: DamageLog;
  /** null: the volume is only read. */
  readonly um_ops: UfsOps | null;
}
