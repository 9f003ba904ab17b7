import { E, errno } from '../../../kernel/errno.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Inode } from '../file/inode.js';
import { VTOI } from '../file/inode.js';
import { outline } from '../file/outline.js';
import { T_CHANGE, T_UPDATE, inode_put, inode_touch } from '../file/store.js';
import type { WriteState } from '../volume/writestate.js';
import { WRITE, irrevocable } from '../volume/transact.js';
import { subdir_gone } from './links.js';
import { dir_empty, dir_leave, dir_slot } from './modify.js';

/** VOP_REMOVE, VOP_RMDIR. */

/** An inode loses `n` links; without any it is an orphan until its last user has gone. It is stored. */
export async function unlinked(state: WriteState, ip: Inode, n: number): Promise<void> {
  state.order.linkdown(ip, n);
  inode_touch(ip, T_CHANGE);
  if (ip.i_nlink === 0) await state.orphans.add(ip);
  const put = inode_put(ip);
  if (put) await put;
}

export async function ext2_remove(dvp: Vnode, vp: Vnode, name: string): Promise<void> {
  const [dp, ip] = [VTOI(dvp), VTOI(vp)];
  const state = WRITE(dp.i_em);
  const wait = state.order.begin();
  if (wait) await wait;
  try {
    await outline(dp);
    const slot = await dir_slot(dp, name, ip.i_number);
    try {
      if (ip.i_nlink > 1 && !state.order.namegoing(ip, slot)) await state.order.reopen();
      dir_leave(dp, slot, name);
    } finally {
      dp.i_em.em_bufcache.brelse(slot.bp);
    }
    await irrevocable(state, async () => {
      inode_touch(dp, T_UPDATE | T_CHANGE);
      const put = inode_put(dp);
      if (put) await put;
      await unlinked(state, ip, 1);
    });
  } finally {
    state.order.end();
  }
}

export async function ext2_rmdir(dvp: Vnode, vp: Vnode, name: string): Promise<void> {
  const [dp, ip] = [VTOI(dvp), VTOI(vp)];
  const state = WRITE(dp.i_em);
  const wait = state.order.begin();
  if (wait) await wait;
  try {
    if (!(await dir_empty(ip))) throw errno(E.ENOTEMPTY);
    await outline(dp);
    const slot = await dir_slot(dp, name, ip.i_number);
    try {
      if (!state.order.dirgoing(ip, slot)) await state.order.reopen();
      dir_leave(dp, slot, name);
    } finally {
      dp.i_em.em_bufcache.brelse(slot.bp);
    }
    await irrevocable(state, async () => {
      subdir_gone(dp);
      inode_touch(dp, T_UPDATE | T_CHANGE);
      await inode_put(dp);
      await unlinked(state, ip, ip.i_nlink);
    });
  } finally {
    state.order.end();
  }
}
