import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { DirIndex } from '../dir/dirindex.js';
import { Dinode, FL, inode_seed } from '../disk/dinode.js';
import type { Ext2fs } from '../disk/superblock.js';
import type { Ext2Mount } from '../volume/ext2mount.js';

/**
 * An inode in memory: vp.v_data. Lives from loadvnode to reclaim; what of it changes is brought to its block at once.
 */
export class Inode extends Dinode {
  readonly i_em: Ext2Mount;
  readonly i_fs: Ext2fs;
  readonly i_number: number;
  readonly i_fileid: bigint;
  /** Data that lies in the inode itself (INLINE_DATA), i_size bytes at most; null: it lies in blocks. */
  i_inline: Uint8Array | null = null;
  /** Index of a large directory, or null. */
  i_dirindex: DirIndex | null = null;
  /** Where the blocks end that the file was given last, in the file and on the disk; -1: not known. */
  i_nextlbn = -1;
  i_nextblock = 0;
  /** Blocks of a directory before this one have no room for a name of the usual length. */
  i_dirhint = 0;
  /** The flush before which it was made: until then the disk does not know it. */
  i_newepoch = 0;
  /** It is free: a stale vnode. */
  i_gone = false;
  private seed = -1;

  constructor(em: Ext2Mount, ino: number) {
    super();
    this.i_em = em;
    this.i_fs = em.em_fs;
    this.i_number = ino;
    this.i_fileid = BigInt(ino);
  }

  has(flag: number): boolean {
    return (this.i_flags & flag) !== 0;
  }
  get encrypted(): boolean {
    return (this.i_flags & FL.ENCRYPT) !== 0;
  }
  /** Seed of the checksums of its blocks. */
  get csum_seed(): number {
    if (this.seed < 0) this.seed = inode_seed(this.i_fs, this.i_number, this.i_generation);
    return this.seed;
  }
}

export function VTOI(vp: Vnode): Inode {
  return vp.v_data as Inode;
}
