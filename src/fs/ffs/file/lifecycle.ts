import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { ufs_dirindex_drop } from '../../ufs/lookup.js';
import { ffs_update } from '../order/update.js';
import { IW, ORDER, WRITE } from '../volume/writestate.js';

/** VOP_INACTIVE, VOP_RECLAIM, VOP_FSYNC. Reclaim may be called inside a transaction and opens none. */

function writable(ip: Inode): boolean {
  return ip.i_ump.um_private !== null && (ip.i_ump.um_mountp.mnt_flag & MNT_RDONLY) === 0;
}

/** The last user has gone: a file without links goes too. */
export function ffs_inactive(vp: Vnode): MaybePromise<boolean> {
  const ip = VTOI(vp);
  if (ip.i_nlink > 0 || ip.i_mode === 0 || !writable(ip)) return ip.i_mode === 0;
  return ORDER(ip.i_ump).discard(ip);
}

export function ffs_reclaim(vp: Vnode): MaybePromise<void> {
  const ip = VTOI(vp);
  ufs_dirindex_drop(ip);
  if (ip.i_mode === 0 || !writable(ip)) {
    vp.v_data = null;
    return undefined;
  }
  const state = WRITE(ip.i_ump);
  state.park(ip);
  const gone = () => {
    state.unqueue(ip);
    vp.v_data = null;
  };
  const wait = ffs_update(ip);
  return wait instanceof Promise ? wait.then(gone) : gone();
}

/**
 * Data has been written as it came; what is left are metadata and the barrier.
 * @throws EIO also for a write that failed before
 */
export function ffs_fsync(vp: Vnode, _ctx: Context, datasync: boolean): MaybePromise<void> {
  const ip = VTOI(vp);
  if (!writable(ip)) return undefined;
  const state = WRITE(ip.i_ump);
  const { order } = state;
  if (state.lostdata.has(ip.i_number)) throw errno(E.EIO, 'an earlier write to the file has failed');
  if (datasync && !state.isnew(ip) && !IW(ip).metadirty) return order.settledata();
  return order.flush(false);
}
