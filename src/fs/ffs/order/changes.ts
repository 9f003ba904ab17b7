import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { IN_CHANGE, IN_MODIFIED } from '../../ufs/inode.js';
import { ffs_blkfree } from '../space/blkfree.js';
import type { FfsMount } from '../volume/ffsmount.js';
import type { Inode } from '../volume/inode.js';
import { IW, ORDER, WRITE } from '../volume/writestate.js';

/** What changes of files have in common, whichever way they reach the disk. */

/**
 * Runs `op` in a transaction. If it fails for lack of room while freed blocks wait for a flush, flushes and runs it
 * again; `op` must therefore have undone everything when it throws.
 */
export async function transact<T>(ump: FfsMount, op: () => MaybePromise<T>): Promise<T> {
  const order = ORDER(ump);
  for (let attempt = 0; ; attempt++) {
    const wait = order.begin();
    if (wait) await wait;
    try {
      return await op();
    } catch (error) {
      if (attempt > 0 || !order.roomcoming(error)) throw error;
    } finally {
      order.end();
    }
    await order.flush(true);
  }
}

/** Like Ordering.touch, for changes that fdatasync must not leave out. */
export function touchmeta(ip: Inode, flags: number): void {
  ORDER(ip.i_ump).touch(ip, flags | IN_MODIFIED);
  IW(ip).metadirty = true;
}

/** Gives `ip` a link: its name was written into a chunk of `bp`, a block of directory `dir`. */
export function linkup(ip: Inode, dir: Inode, bp: Buf, chunk: number): void {
  const order = ORDER(ip.i_ump);
  order.nameadded(ip, dir, bp, chunk);
  ip.i_nlink++;
  order.touch(ip, IN_CHANGE);
}

/**
 * Frees frags that `ip` has had: at once if the disk does not know them in its possession, else by a flush.
 * @throws EIO for what is no frag
 */
export function release(ip: Inode, fsb: number, n: number): MaybePromise<void> {
  const state = WRITE(ip.i_ump);
  if (state.isnew(ip)) return ffs_blkfree(ip.i_ump, fsb, n);
  if (!(fsb > 0 && fsb + n <= ip.i_fs.fs_size)) {
    throw state.damage(`inode ${ip.i_number}: freeing ${n} frags at ${fsb}: outside the volume`);
  }
  state.order.freelater(fsb, n);
  return undefined;
}
