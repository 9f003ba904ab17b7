import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { dinode_store } from '../../ufs/dinode.js';
import { IN_ACCESS, IN_ACCESSED, IN_CHANGE, IN_MODIFIED, IN_UPDATE, ufs_itimes } from '../../ufs/inode.js';
import { DINODE2_SIZE } from '../disk/fs_const.js';
import type { FfsMount } from '../volume/ffsmount.js';
import type { Inode } from '../volume/inode.js';
import { IW, WRITE, writestate } from '../volume/writestate.js';
import type { InodeWrite, WriteState } from '../volume/writestate.js';
import { BK_INODE } from './ordering.js';

/** Inodes between memory and their blocks. */

/** ip.i_flag of an inode that differs from its block. */
export const IN_DIRTY = IN_ACCESS | IN_ACCESSED | IN_CHANGE | IN_UPDATE | IN_MODIFIED;

/** Copies an inode to its block if it has changed. @throws EIO */
export function ffs_update(ip: Inode): MaybePromise<void> {
  if ((ip.i_flag & IN_DIRTY) === 0) return undefined;
  const { um_bufcache, um_dev, um_fs } = ip.i_ump;
  const bp = um_bufcache.bread(um_dev, um_fs.fsbtob(um_fs.ino_to_fsba(ip.i_number)), um_fs.fs_bsize);
  if (bp instanceof Promise) return bp.then((got) => copy(ip, got));
  return copy(ip, bp);
}

function copy(ip: Inode, bp: Buf): void {
  const { um_bufcache, um_fs } = ip.i_ump;
  const { order, pending, kept } = WRITE(ip.i_ump);
  ufs_itimes(ip);
  // Free already: a stale vnode must not bring the inode back.
  if (ip.i_mode !== 0 && !pending.isdead(ip.i_number)) {
    const at = um_fs.ino_to_bo(ip.i_number);
    ffs_storeinode(ip, pending.linksgone(ip.i_number), bp.b_view, at);
    if ((ip.i_flag & IN_MODIFIED) !== 0) order.bdwrite(bp, BK_INODE, at, at + DINODE2_SIZE);
    else order.bdwriteatime(bp);
  }
  ip.i_flag &= ~(IN_MODIFIED | IN_ACCESSED);
  um_bufcache.brelse(bp);
  kept?.copied(ip.i_number);
}

/** Stores an inode as the disk is to have it: `gone` links that memory has forgotten still count. */
export function ffs_storeinode(ip: Inode, gone: number, view: DataView, at: number): void {
  const nlink = ip.i_nlink;
  ip.i_nlink = nlink + gone;
  dinode_store(ip, view, at, ip.i_ump.um_dinofmt);
  ip.i_nlink = nlink;
}

/** Copies all dirty inodes to their blocks. @throws EIO */
export async function ffs_updateall(state: WriteState): Promise<void> {
  for (const ip of state.dirtyinodes) {
    const wait = ffs_update(ip);
    if (wait) await wait;
    state.unqueue(ip);
    IW(ip).metadirty = false;
  }
}

/** The links of an inode that are left of those that its block counts: 0 if the inode is dead. */
export function ffs_linksleft(ump: FfsMount, ino: number, nlink: number): number {
  const state = writestate(ump);
  if (state === null) return nlink;
  return state.pending.isdead(ino) ? 0 : Math.max(0, nlink - state.pending.linksgone(ino));
}

/** For loadvnode: what was known of the inode when it left memory is known again. */
export function ffs_reloaded(ip: Inode): void {
  const state = writestate(ip.i_ump);
  ip.i_nlink = ffs_linksleft(ip.i_ump, ip.i_number, ip.i_nlink);
  if (state !== null) ip.i_private = (state.parked.get(ip.i_number) ?? null) satisfies InodeWrite | null;
}
