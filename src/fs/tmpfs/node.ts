import { VDIR, VREG } from '../../kernel/vfs/vattr.js';
import { TmpfsDirectory } from './directory.js';
import { Pages } from './pages.js';
import type { TmpfsMount } from './volume.js';

/**
 * An inode: lives in its volume from creation until it has no link left and its vnode is reclaimed. Its vnode comes and
 * goes meanwhile.
 */
export class TmpfsNode {
  readonly tn_volume: TmpfsMount;
  readonly tn_id: number;
  readonly tn_gen: number;
  /** VREG, VDIR, ... */
  readonly tn_type: number;
  tn_mode: number;
  tn_uid: number;
  tn_gid: number;
  tn_flags = 0;
  tn_nlink = 0;
  /** Bytes; of a regular file. */
  tn_size = 0;
  /** Of devices, as stat.ts makedev packs it. */
  tn_rdev = 0n;
  tn_atime = 0;
  tn_atimensec = 0;
  tn_mtime = 0;
  tn_mtimensec = 0;
  tn_ctime = 0;
  tn_ctimensec = 0;
  tn_birthtime = 0;
  tn_birthtimensec = 0;
  /** Of a regular file; else null. */
  readonly tn_pages: Pages | null;
  /** Of a directory; else null. */
  readonly tn_dir: TmpfsDirectory | null;
  /** Of a directory: the one that holds it, itself for the root, null once it has been removed. */
  tn_parent: TmpfsNode | null = null;
  /** Of a symbolic link: the target. */
  tn_link: Uint8Array | null = null;
  /** Extended attributes by namespace and name (xattr.ts); null while there are none. */
  tn_xattr: Map<string, Uint8Array> | null = null;

  constructor(volume: TmpfsMount, id: number, gen: number, type: number, mode: number, uid: number, gid: number) {
    this.tn_volume = volume;
    this.tn_id = id;
    this.tn_gen = gen;
    this.tn_type = type;
    this.tn_mode = mode;
    this.tn_uid = uid;
    this.tn_gid = gid;
    this.tn_pages = type === VREG ? new Pages(volume) : null;
    this.tn_dir = type === VDIR ? new TmpfsDirectory() : null;
  }
}

/** Which times {@link touch} sets to now. */
export const ATIME = 1;
export const MTIME = 2;
export const CTIME = 4;
export const BIRTHTIME = 8;

export function touch(node: TmpfsNode, which: number): void {
  const { sec, nsec } = node.tn_volume.mount.mnt_kernel.now();
  if (which & ATIME) {
    node.tn_atime = sec;
    node.tn_atimensec = nsec;
  }
  if (which & MTIME) {
    node.tn_mtime = sec;
    node.tn_mtimensec = nsec;
  }
  if (which & CTIME) {
    node.tn_ctime = sec;
    node.tn_ctimensec = nsec;
  }
  if (which & BIRTHTIME) {
    node.tn_birthtime = sec;
    node.tn_birthtimensec = nsec;
  }
}
