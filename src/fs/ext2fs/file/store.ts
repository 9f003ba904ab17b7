import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { dinode_store } from '../disk/dinode.js';
import { BK_INODE } from '../order/ordering.js';
import { WRITE } from '../volume/transact.js';
import type { Inode } from './inode.js';

/** Brings an inode into its block. Inside an operation. @throws EIO */
export function inode_put(ip: Inode): MaybePromise<void> {
  const bp = ip.i_em.inodeblock(ip.i_number);
  return bp instanceof Promise ? bp.then((b) => into(ip, b)) : into(ip, bp);
}

/** Takes the reference to `bp`. */
function into(ip: Inode, bp: Buf): void {
  const { i_em: em, i_fs: fs, i_number: ino } = ip;
  const state = WRITE(em);
  const at = em.inodeat(ino);
  dinode_store(ip, fs, bp.b_data, bp.b_view, at, ino, ip.i_nlink + state.order.linksgone(ino));
  state.order.dirty(bp, BK_INODE);
  state.atimes.delete(ip);
  em.em_bufcache.brelse(bp);
}

export const T_ACCESS = 1;
export const T_UPDATE = 2;
export const T_CHANGE = 4;

/** Sets times to now: T_*. */
export function inode_touch(ip: Inode, which: number): void {
  const { sec, nsec } = ip.i_em.em_kernel.now();
  if ((which & T_ACCESS) !== 0) {
    ip.i_atime = sec;
    ip.i_atimensec = nsec;
  }
  if ((which & T_UPDATE) !== 0) {
    ip.i_mtime = sec;
    ip.i_mtimensec = nsec;
  }
  if ((which & T_CHANGE) !== 0) {
    ip.i_ctime = sec;
    ip.i_ctimensec = nsec;
  }
}
