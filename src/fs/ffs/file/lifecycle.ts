import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { ufs_dirindex_drop } from '../../ufs/lookup.js';
import { dead_of, dead_release } from '../order/dead.js';
import { ffs_clearinode } from '../space/ialloc.js';
import { IW, ORDER } from '../volume/writestate.js';

/** VOP_INACTIVE, VOP_RECLAIM, VOP_FSYNC. Reclaim may be called inside a transaction and opens none. */

function writable(ip: Inode): boolean {
  return ip.i_ump.um_private !== null && (ip.i_ump.um_mountp.mnt_flag & MNT_RDONLY) === 0;
}

/** The last user has gone: a file without links goes too. */
export function ffs_inactive(vp: Vnode): MaybePromise<boolean> {
  const ip = VTOI(vp);
  if (ip.i_nlink > 0 || ip.i_mode === 0 || !writable(ip)) return ip.i_mode === 0;
  const order = ORDER(ip.i_ump);
  const retired = order.retire(ip);
  if (retired !== undefined) return retired;
  if (order.isnew(ip) && !order.broken) return unmake(ip);
  // The disk must not know it with blocks that were let go before.
  const wait = IW(ip).metadirty ? order.update(ip) : undefined;
  if (wait) return wait.then(() => bury(ip));
  return bury(ip);
}

function bury(ip: Inode): boolean {
  const order = ORDER(ip.i_ump);
  order.unorphan(ip.i_number);
  order.bury(dead_of(ip));
  order.untouch(ip);
  ip.i_mode = 0;
  ip.i_flag = 0;
  return true;
}

/** Takes back a file that the disk has never heard of. */
async function unmake(ip: Inode): Promise<boolean> {
  const order = ORDER(ip.i_ump);
  const wait = order.begin();
  if (wait) await wait;
  try {
    const dead = dead_of(ip);
    if (!order.isnew(ip) || dead.ib.some((addr) => addr !== 0)) {
      await order.update(ip);
      return bury(ip);
    }
    order.unorphan(ip.i_number);
    await ffs_clearinode(ip.i_ump, ip.i_number);
    order.untouch(ip);
    ip.i_mode = 0;
    ip.i_flag = 0;
    await dead_release(order, dead);
    return true;
  } finally {
    order.end();
  }
}

export function ffs_reclaim(vp: Vnode): MaybePromise<void> {
  const ip = VTOI(vp);
  ufs_dirindex_drop(ip);
  if (ip.i_mode === 0 || !writable(ip)) {
    vp.v_data = null;
    return undefined;
  }
  const order = ORDER(ip.i_ump);
  order.park(ip);
  const gone = () => {
    order.untouch(ip);
    vp.v_data = null;
  };
  const wait = order.update(ip);
  return wait instanceof Promise ? wait.then(gone) : gone();
}

/** Data has been written as it came; what is left are metadata and the barrier. @throws EIO also for a write that failed before */
export function ffs_fsync(vp: Vnode, _ctx: Context, datasync: boolean): MaybePromise<void> {
  const ip = VTOI(vp);
  if (!writable(ip)) return undefined;
  const order = ORDER(ip.i_ump);
  if (order.lostdata.has(ip.i_number)) throw errno(E.EIO, 'an earlier write to the file has failed');
  if (datasync && !order.isnew(ip) && !IW(ip).metadirty) return order.settledata();
  return order.flush(false);
}
