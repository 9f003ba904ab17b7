import type { Buf } from '../../../kernel/vfs/bio.js';
import { dirent_seal } from '../disk/dirent.js';
import { extent_seal } from '../disk/extent.js';
import { NODE_COUNT, ROOT_COUNT, dx_seal } from '../disk/htree.js';
import { xattr_seal } from '../disk/xattr.js';
import type { Ext2fs } from '../disk/superblock.js';
import type { Ext2Mount } from '../volume/ext2mount.js';
import type { Rows } from './rows.js';

/** What a block holds, which says where its checksum is. */
export const SEAL_LEAF = 1;
export const SEAL_DXROOT = 2;
export const SEAL_DXNODE = 3;
export const SEAL_EXTENTS = 4;
export const SEAL_XATTR = 5;

interface Seal {
  readonly kind: number;
  /** Of the checksums of what belongs to an inode. */
  readonly seed: number;
}

/**
 * Blocks whose checksums are made right only when they are written: a block that changes a hundred times before that
 * needs it once.
 */
export class Seals {
  private readonly open = new Map<Buf, Seal>();

  private readonly fs: Ext2fs;

  constructor(
    private readonly em: Ext2Mount,
    private readonly rows: Rows | null,
  ) {
    this.fs = em.em_fs;
  }

  mark(bp: Buf, kind: number, seed: number): void {
    if (!this.fs.metadata_csum) return;
    const had = this.open.get(bp);
    if (had !== undefined && had.kind === kind && had.seed === seed) return;
    this.open.set(bp, { kind, seed });
    this.rows?.unsealed(bp.b_offset / this.fs.bsize, kind, seed);
  }

  /** The block is free. */
  drop(bp: Buf): void {
    if (this.open.delete(bp)) this.rows?.sealed(bp.b_offset / this.fs.bsize);
  }

  /** Makes them all right. They are dirty, and a successor is to have them as they are now. */
  close(): void {
    const { em_bufcache, em_dev } = this.em;
    for (const [bp, { kind, seed }] of this.open) {
      seal(this.fs, bp.b_data, bp.b_view, bp.b_offset / this.fs.bsize, kind, seed);
      if (this.rows === null) continue;
      this.rows.sealed(bp.b_offset / this.fs.bsize);
      const held = em_bufcache.incore(em_dev, bp.b_offset);
      if (held === undefined) continue;
      em_bufcache.bdwrite(held);
      em_bufcache.brelse(held);
    }
    this.open.clear();
  }
}

/** Makes the checksum of a block right. */
export function seal(fs: Ext2fs, data: Uint8Array, view: DataView, block: number, kind: number, seed: number): void {
  if (kind === SEAL_LEAF) dirent_seal(seed, data, view);
  else if (kind === SEAL_DXROOT) dx_seal(seed, data, view, ROOT_COUNT);
  else if (kind === SEAL_DXNODE) dx_seal(seed, data, view, NODE_COUNT);
  else if (kind === SEAL_XATTR) xattr_seal(fs, data, view, block);
  else extent_seal(seed, data, view);
}
