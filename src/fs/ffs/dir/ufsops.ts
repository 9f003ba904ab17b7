import { IN_CHANGE, IN_UPDATE } from '../../ufs/inode.js';
import type { UfsOps } from '../../ufs/ufsmount.js';
import { BK_DIR } from '../order/ordering.js';
import type { Inode } from '../volume/inode.js';
import { ORDER, WRITE } from '../volume/writestate.js';
import { ffs_dirgrow, ffs_dirshrink } from './dirgrow.js';

/** What the common part of the UFS family needs of FFS to change directories. */
export const ffs_ufsops: UfsOps = {
  uo_damage: (dp: Inode, what) => WRITE(dp.i_ump).damage(what),
  uo_dirchanged(dp: Inode, bp) {
    const order = ORDER(dp.i_ump);
    order.bdwrite(bp, BK_DIR);
    order.touch(dp, IN_CHANGE | IN_UPDATE);
  },
  uo_dirgrow: ffs_dirgrow,
  uo_dirshrink: ffs_dirshrink,
};
