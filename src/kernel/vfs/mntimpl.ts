import type { Mount } from './mount.js';
import { RwLock } from './rwlock.js';
import type { Vnode } from './vnode.js';
import { VnodeTable } from './vnodetable.js';

/** Path walks may enter the mount. */
export const MNT_LIVE = 0;
/** unmount(2) is at work: operations that would enter the mount wait for its outcome. */
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
  /**
   * Taken shared by every call that changes the volume, exclusively by unmount and by changes between rw and ro
   * (fstrans(9)).
   */
  readonly trans = new RwLock();
  /** Changes are kept for a successor (survive.ts). */
  keeping = false;
  /** One VFS_SYNC at a time. */
  readonly synclock = new RwLock();
  /** The last sync failed, and that was said. */
  syncfailed = false;
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
