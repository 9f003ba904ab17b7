import { RO_COMPAT } from '../disk/features.js';
import type { Inode } from '../file/inode.js';
import { WRITE } from '../volume/transact.js';
import { dx_has } from './htree.js';

/** Source: Linux fs/ext4/ext4.h, EXT4_LINK_MAX. */
export const LINK_MAX = 65000;

/** Directories with a tree may have more subdirectories than links can count: then they have one link. */
export function mayhavemore(dp: Inode): boolean {
  return dp.i_nlink < LINK_MAX || (dp.i_fs.ro_compat(RO_COMPAT.dir_nlink) && dx_has(dp));
}

/** A subdirectory more. The caller has asked {@link mayhavemore}, and stores the inode. */
export function subdir_added(dp: Inode): void {
  if (dp.i_nlink === 1) return;
  dp.i_nlink = dp.i_nlink + 1 >= LINK_MAX && dp.i_fs.ro_compat(RO_COMPAT.dir_nlink) ? 1 : dp.i_nlink + 1;
}

/** One less. */
export function subdir_gone(dp: Inode): void {
  if (dp.i_nlink > 2) WRITE(dp.i_em).order.linkdown(dp, 1);
}
