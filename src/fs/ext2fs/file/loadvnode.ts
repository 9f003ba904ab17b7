import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { iftovt } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { FL } from '../disk/dinode.js';
import { EXT2_ROOTINO } from '../disk/superblock.js';
import { VFSTOEXT2 } from '../volume/ext2mount.js';
import { inode_fill, inode_ordinary } from './fill.js';
import { Inode } from './inode.js';
import { ext2_vnodeops } from './vnops.js';

/** Fills a vnode from inode `ino`. @throws ESTALE it is not in use, or not for names; EIO damage */
export function ext2_loadvnode(mp: Mount, vp: Vnode, ino: number): MaybePromise<void> {
  const em = VFSTOEXT2(mp);
  if (ino % 1 !== 0 || !inode_ordinary(em, ino)) throw errno(E.ESTALE);
  const ip = new Inode(em, ino);
  const filled = inode_fill(ip);
  return filled instanceof Promise ? filled.then(() => become(vp, ip)) : become(vp, ip);
}

function become(vp: Vnode, ip: Inode): void {
  // What has no name is on its way out: whoever had it open is gone. What a flush has yet to take away counts no more.
  const { em_write: state } = ip.i_em;
  if (state !== null) ip.i_nlink = Math.max(0, ip.i_nlink - state.order.linksgone(ip.i_number));
  if (ip.i_nlink === 0 && state?.adopting !== ip.i_number) throw errno(E.ESTALE);
  if (ip.has(FL.EA_INODE))
    throw ip.i_em.em_damage.error(`inode ${ip.i_number}: a name leads to it, but it holds an extended attribute`);
  vp.v_type = iftovt(ip.i_mode);
  vp.v_isroot = ip.i_number === EXT2_ROOTINO;
  vp.v_data = ip;
  vp.v_op = ext2_vnodeops;
}
