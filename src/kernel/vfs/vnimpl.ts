import type { Lockf } from './lockf.js';
import type { Mount } from './mount.js';
import type { Ncentry } from './namecache.js';
import { RwLock } from './rwlock.js';
import type { Vnode } from './vnode.js';
import { VnodeTable } from './vnodetable.js';

/** The VFS layer's own part of a vnode; hangs on v_private. */
export class VnodeImpl {
  /** Next in the mount's table of vnodes. */
  hash_next: Vnode | null = null;
  /** LRU list of unreferenced vnodes; both null while the vnode is not on it. */
  lru_prev: Vnode | null = null;
  lru_next: Vnode | null = null;
  /**
   * Set while the driver's loadvnode, VOP_INACTIVE or VOP_RECLAIM runs asynchronously: nobody may take a reference
   * meanwhile. Never rejects; the value is the error of a loadvnode that failed.
   */
  transition: Promise<unknown> | null = null;
  /** Of a directory: what the name cache knows of its entries. */
  nc_children: Map<string, Ncentry> | null = null;
  /** Entries of the name cache that lead to this vnode, linked by nc_vnext. */
  nc_names: Ncentry | null = null;
  /** Advisory locks; null while there never was one. */
  lockf: Lockf | null = null;
  /** Descriptors that may write. */
  writecount = 0;
}

export function vimpl(vp: Vnode): VnodeImpl {
  return vp.v_private as VnodeImpl;
}

/** Path walks may enter the mount. */
export const MNT_LIVE = 0;
/** unmount(2) is at work: who wants to enter waits for its outcome. */
export const MNT_UNMOUNTING = 1;
/** Unmounted; only stale vnodes still point here. */
export const MNT_GONE = 2;

/** The VFS layer's own part of a mount; hangs on mnt_private. States: MNT_LIVE <-> MNT_UNMOUNTING -> MNT_GONE. */
export class MountImpl {
  state = MNT_LIVE;
  /** Resolves when an unmount at work has ended, either way. */
  ended: Promise<void> | null = null;
  /** The root directory, referenced from mount(2) to unmount(2). */
  rootvp: Vnode | null = null;
  /** All vnodes in memory by key. */
  readonly vnodes = new VnodeTable();
  /** Taken shared by every call that changes the volume, exclusively by unmount and by changes between rw and ro (fstrans(9)). */
  readonly trans = new RwLock();
  /** Descriptors that may write. */
  writers = 0;
  /** Something was changed since the last sync. */
  dirty = false;
  /** Monotonic time when it became dirty; milliseconds. */
  dirty_since_ms = 0;
}

export function mimpl(mp: Mount): MountImpl {
  return mp.mnt_private as MountImpl;
}
