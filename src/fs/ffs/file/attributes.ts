import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { iftovt } from '../../../kernel/vfs/vattr.js';
import { UFS_ROOTINO } from '../../ufs/dir.js';
import { Dinode, dinode_ckhash_verifies, dinode_load } from '../../ufs/dinode.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { VFSTOUFS } from '../volume/ffsmount.js';
import { ffs_fillattr } from './fillattr.js';
import { badinode } from './loadvnode.js';
import { ffs_linksleft } from '../order/update.js';

/** Read anew by each call, and used up before it returns. */
const scratch = new Dinode();

/** Attributes of an inode that has no vnode: its block is the truth. Says nothing of damage; loading the inode does. */
export function ffs_attributes(mp: Mount, ino: number, vap: Vattr): MaybePromise<boolean> {
  const ump = VFSTOUFS(mp);
  const fs = ump.um_fs;
  if (!(ino >= UFS_ROOTINO && ino < fs.ninodes)) return false;
  const bp = ump.um_bufcache.bread(ump.um_dev, fs.fsbtob(fs.ino_to_fsba(ino)), fs.fs_bsize);
  return bp instanceof Promise ? bp.then((b) => fromblock(ump, ino, b, vap)) : fromblock(ump, ino, bp, vap);
}

/** Takes the reference to `bp`. */
function fromblock(ump: FfsMount, ino: number, bp: Buf, vap: Vattr): boolean {
  const { um_dinofmt: fmt } = ump;
  const at = ump.um_fs.ino_to_bo(ino);
  dinode_load(scratch, bp.b_view, at, fmt);
  const intact = fmt.ckhash !== true || dinode_ckhash_verifies(bp.b_view, at, fmt.le);
  ump.um_bufcache.brelse(bp);
  scratch.i_nlink = ffs_linksleft(ump, ino, scratch.i_nlink);
  const type = iftovt(scratch.i_mode);
  if (!intact || scratch.i_mode === 0 || scratch.i_nlink === 0 || badinode(ump, scratch, type) !== undefined) {
    return false;
  }
  ffs_fillattr(ump, scratch, type, BigInt(ino), vap);
  return true;
}
