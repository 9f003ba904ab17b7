import { KERNEL_CONTEXT } from '../context.js';
import { E, errno } from '../errno.js';
import { MNT_RDONLY, MNT_SYNCHRONOUS } from '../fcntl.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Mount } from './mount.js';
import type { VfsKernel } from './vfskernel.js';
import { MNT_GONE, mimpl } from './mntimpl.js';
import type { Vnode } from './vnode.js';
import { VS_ACTIVE } from './vnode.js';

/*
 * The order of locks, outermost first:
 *   1. mount   MountImpl.trans, shared, by every call that changes the volume (mnt_start_write)
 *   2. mount   mnt_renamelock, exclusive, by rename and rmdir
 *   3. file    File.f_lock, by calls that use the descriptor's position
 *   4. vnode   a directory before what is in it that is no directory
 * Only rmdir and rename hold more than one directory, or two other files, and they run alone in their mount (2); unlink
 * of a directory is refused without its lock. So no order among directories is needed, and none that a damaged volume
 * could break. Within a rename, directories come before files. A path walk holds one vnode lock at a time. A driver's
 * own locks come behind all of these. test/vfs/witness.ts watches it.
 */

/** @throws EBADF for a vnode whose volume went away; the caller holds the lock. */
export function vn_alive(vp: Vnode): void {
  if (vp.v_state !== VS_ACTIVE) throw errno(E.EBADF);
}

/** Runs `body` under the lock of a vnode. For calls that are not hot: it costs a closure. */
export async function vn_locked<T>(vp: Vnode, exclusive: boolean, body: () => MaybePromise<T>): Promise<T> {
  const wait = vp.v_lock.enter(exclusive);
  if (wait) await wait;
  try {
    return await body();
  } finally {
    vp.v_lock.exit(exclusive);
  }
}

/**
 * Keeps unmount and a switch between rw and ro out of the volume until {@link mnt_done_write}; for every call that may
 * change it, or that is at work in it without holding one of its vnodes. Test the result before awaiting it. Whether
 * writing is allowed is checked behind it: {@link mnt_check_rw}.
 */
export function mnt_start_write(mp: Mount): Promise<void> | undefined {
  return mimpl(mp).trans.enter(false);
}

/** @throws EROFS; EBADF for a volume that went away */
export function mnt_check_rw(mp: Mount): void {
  if (mimpl(mp).state === MNT_GONE) throw errno(E.EBADF);
  if ((mp.mnt_flag & MNT_RDONLY) !== 0) throw errno(E.EROFS);
}

export function mnt_done_write(mp: Mount): void {
  const impl = mimpl(mp);
  impl.trans.exit(false);
  if (impl.keeping && !impl.trans.shared) mp.mnt_kernel.keep!.quieted();
}

/**
 * The volume was changed: the syncer is to write it. Called after the change, so that a sync at work at the time does
 * not hide it.
 */
export function mnt_dirtied(k: VfsKernel, mp: Mount): void {
  if (!mimpl(mp).dirty) k.syncer.dirtied(mp);
}

/**
 * On a synchronous mount: brings what a call changed to stable storage before it returns. The caller holds the
 * exclusive lock.
 */
export function vn_syncmount(vp: Vnode): MaybePromise<void> {
  if ((vp.v_mount.mnt_flag & MNT_SYNCHRONOUS) === 0 || vp.v_state !== VS_ACTIVE) return undefined;
  return vp.v_op.fsync(vp, KERNEL_CONTEXT, false);
}

/**
 * Runs `change` on a referenced vnode that can be written, under its exclusive lock. It returns false if it has changed
 * nothing.
 */
export async function vn_change(k: VfsKernel, vp: Vnode, change: () => Promise<boolean>): Promise<void> {
  const mp = vp.v_mount;
  let wait = mnt_start_write(mp);
  if (wait) await wait;
  try {
    mnt_check_rw(mp);
    wait = vp.v_lock.enter(true);
    if (wait) await wait;
    try {
      vn_alive(vp);
      let changed = true;
      try {
        changed = await change();
      } finally {
        if (changed) mnt_dirtied(k, mp);
      }
      const synced = changed ? vn_syncmount(vp) : undefined;
      if (synced) await synced;
    } finally {
      vp.v_lock.exit(true);
    }
  } finally {
    mnt_done_write(mp);
  }
}
