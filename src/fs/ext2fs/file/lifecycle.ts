import { E, errno } from '../../../kernel/errno.js';
import { MNT_NOATIME, MNT_RDONLY, MNT_RELATIME } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { FL } from '../disk/dinode.js';
import type { Inode } from './inode.js';
import { VTOI } from './inode.js';
import { T_ACCESS, inode_put, inode_touch } from './store.js';

/** VOP_INACTIVE, VOP_RECLAIM, VOP_FSYNC, access times. */

const DAY = 86400;

/** Notes an access, as the mount asks for; it reaches the disk with the next flush. */
export function ext2_accessed(ip: Inode): void {
  const { em_mountp: mp, em_write: state, em_kernel } = ip.i_em;
  if (state === null || (mp.mnt_flag & (MNT_NOATIME | MNT_RDONLY)) !== 0 || ip.has(FL.NOATIME)) return;
  if ((mp.mnt_flag & MNT_RELATIME) !== 0) {
    const { i_atime: a, i_atimensec: an } = ip;
    const newer = a > ip.i_mtime || (a === ip.i_mtime && an > ip.i_mtimensec);
    const than = a > ip.i_ctime || (a === ip.i_ctime && an > ip.i_ctimensec);
    if (newer && than && em_kernel.now().sec - a < DAY) return;
  }
  inode_touch(ip, T_ACCESS);
  state.atimes.add(ip);
}

/** The last user has gone: a file without links goes too. */
export function ext2_inactive(vp: Vnode): MaybePromise<boolean> {
  const ip = VTOI(vp);
  const state = ip.i_em.em_write;
  if (ip.i_gone) return true;
  if (ip.i_nlink > 0 || state === null || state.broken !== undefined) return false;
  return state.order.discard(ip).then(() => true);
}

export function ext2_reclaim(vp: Vnode): MaybePromise<void> {
  const ip = VTOI(vp);
  const { i_em: em } = ip;
  if (ip.i_dirindex !== null) em.em_indexes.remove(ip.i_dirindex);
  vp.v_data = null;
  if (em.em_write === null || !em.em_write.atimes.delete(ip) || ip.i_gone) return undefined;
  return inode_put(ip);
}

/** Data have been written as they came; what is left are metadata and the barrier. @throws EIO */
export async function ext2_fsync(vp: Vnode): Promise<void> {
  const ip = VTOI(vp);
  const state = ip.i_em.em_write;
  if (state === null) return;
  if (state.lost.has(ip.i_number)) throw errno(E.EIO, 'an earlier write to the file has failed');
  await state.order.flush(false);
}
