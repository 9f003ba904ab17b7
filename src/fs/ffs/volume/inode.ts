import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { UfsInode } from '../../ufs/inode.js';
import type { Fs } from '../disk/fs.js';
import type { FfsMount } from './ffsmount.js';

/** An inode of an FFS volume in memory: vp.v_data of the vnodes of this driver. */
export class Inode extends UfsInode {
  declare readonly i_ump: FfsMount;
  declare readonly i_fs: Fs;

  constructor(ump: FfsMount, vp: Vnode, ino: number) {
    super(ump, vp, ino);
  }
}

/** NetBSD's VTOI. */
export function VTOI(vp: Vnode): Inode {
  return vp.v_data as Inode;
}
