import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { VDIR, VLNK, VNON, iftovt } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Dinode } from '../../ufs/dinode.js';
import { dinode_ckhash_verifies, dinode_load } from '../../ufs/dinode.js';
import { UFS_MAXDIRSIZE, UFS_ROOTINO } from '../../ufs/dir.js';
import { Inode } from '../volume/inode.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { VFSTOUFS } from '../volume/ffsmount.js';
import { ffs_reloaded } from '../order/update.js';
import { writestate } from '../volume/writestate.js';
import { ffs_vnodeops } from './vnodeops.js';

/**
 * Fills a vnode from inode `ino`. What could lead later code astray is refused here: types that do not exist, sizes
 * that the format cannot have. Block pointers are checked when they are used.
 * @throws ESTALE no such inode, or not in use; EIO damage
 */
export function ffs_loadvnode(mp: Mount, vp: Vnode, ino: number): MaybePromise<void> {
  const ump = VFSTOUFS(mp);
  const fs = ump.um_fs;
  if (!(ino >= UFS_ROOTINO && ino < fs.ninodes)) throw errno(E.ESTALE);
  const bp = ump.um_bufcache.bread(ump.um_dev, fs.fsbtob(fs.ino_to_fsba(ino)), fs.fs_bsize);
  if (bp instanceof Promise) return bp.then((b) => fromblock(ump, vp, ino, b));
  return fromblock(ump, vp, ino, bp);
}

/** Takes the reference to `bp`. */
function fromblock(ump: FfsMount, vp: Vnode, ino: number, bp: Buf): void {
  const ip = new Inode(ump, vp, ino);
  const { um_dinofmt: fmt } = ump;
  const at = ump.um_fs.ino_to_bo(ino);
  dinode_load(ip, bp.b_view, at, fmt);
  const intact = fmt.ckhash !== true || dinode_ckhash_verifies(bp.b_view, at, fmt.le);
  ump.um_bufcache.brelse(bp);
  if (!intact) throw ump.um_damage.error(`inode ${ino}: its check hash does not fit it`);
  ffs_reloaded(ip);
  // A file without links is freed when its last user closes it. Only its users may see it, and they have its vnode.
  if (ip.i_mode === 0 || (ip.i_nlink === 0 && writestate(ump)?.adopting !== ino)) throw errno(E.ESTALE);
  const type = iftovt(ip.i_mode);
  const problem = badinode(ump, ip, type);
  if (problem !== undefined) throw ump.um_damage.error(`inode ${ino}: ${problem}`);
  vp.v_type = type;
  vp.v_isroot = ino === UFS_ROOTINO;
  vp.v_data = ip;
  vp.v_op = ffs_vnodeops;
}

/** What of an inode in use cannot be right. */
export function badinode(ump: FfsMount, ip: Dinode, type: number): string | undefined {
  if (type === VNON) return `mode 0${ip.i_mode.toString(8)} is of no type`;
  if (ip.i_size > ump.um_maxfilesize) return `size ${ip.i_size} is above ${ump.um_maxfilesize}`;
  if (type === VDIR && ip.i_size > UFS_MAXDIRSIZE) return `directory of ${ip.i_size} bytes`;
  if (type === VLNK && ip.i_size > ump.um_fs.fs_bsize) return `symbolic link of ${ip.i_size} bytes`;
  if (!Number.isSafeInteger(ip.i_blocks)) return `${ip.i_blocks} blocks`;
  return undefined;
}
