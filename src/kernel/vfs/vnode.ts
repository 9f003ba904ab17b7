import type { Mount } from './mount.js';
import type { Vnops } from './vnops.js';
import { RwLock } from './rwlock.js';
import { VNON } from './vattr.js';

/**
 * A vnode is a file in memory. Its life (states after NetBSD's vfs_vnode.c):
 *
 *   LOADING   made by vcache_get, the driver's loadvnode is running; others who want the same key wait
 *     -> ACTIVE (loaded) or -> gone (loadvnode threw; the waiters get the error)
 *   ACTIVE    has v_type, v_op, v_data. v_usecount > 0: somebody holds a reference. v_usecount == 0: cached only,
 *             on the LRU list, until it is wanted again or reclaimed
 *     -> RECLAIMING  the LRU limit, VOP_INACTIVE asked for it, an unmount
 *   RECLAIMING  VOP_RECLAIM is running; a lookup of the same key waits and then loads anew
 *     -> RECLAIMED
 *   RECLAIMED  v_type VBAD, v_op answers EBADF/EIO to everything; only stale descriptors (forced unmount) see it
 *
 * References: vref / vrele (vcache.ts). A driver returns vnodes referenced. The last vrele calls VOP_INACTIVE.
 */
export const VS_LOADING = 0;
export const VS_ACTIVE = 1;
export const VS_RECLAIMING = 2;
export const VS_RECLAIMED = 3;

export class Vnode {
  readonly v_mount: Mount;
  /** vcache key: unique in the mount; the file number for most drivers. Changed by vcache_rekey only. */
  v_key: number;
  v_state = VS_LOADING;
  /** Set by loadvnode, constant afterwards until reclaimed. */
  v_type = VNON;
  v_op!: Vnops;
  /** The driver's inode. */
  v_data: unknown = null;
  /** The root directory of its mount. */
  v_isroot = false;
  v_usecount = 0;
  /** The mount that covers this directory. */
  v_mountedhere: Mount | null = null;
  /** Guards the file as vnops.ts says. */
  readonly v_lock = new RwLock();
  /** Kernel-private state kept by the VFS layer (name cache entries, advisory locks, LRU links). */
  v_private: unknown = null;

  constructor(mount: Mount, key: number) {
    this.v_mount = mount;
    this.v_key = key;
  }
}
