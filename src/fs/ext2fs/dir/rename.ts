import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { VDIR } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { dirent_filetype } from '../disk/dirent.js';
import { DT_DIR } from '../../../kernel/stat.js';
import type { Inode } from '../file/inode.js';
import { VTOI } from '../file/inode.js';
import { outline } from '../file/outline.js';
import { T_CHANGE, T_UPDATE, inode_put, inode_touch } from '../file/store.js';
import type { WriteState } from '../volume/writestate.js';
import { WRITE, irrevocable, transact } from '../volume/transact.js';
import { filetype } from './create.js';
import { mayhavemore, subdir_added, subdir_gone } from './links.js';
import { dir_empty, dir_enter, dir_leave, dir_rewrite, dir_slot, mustaccept } from './modify.js';
import type { Slot } from './modify.js';
import { newinode } from './newinode.js';
import { unlinked } from './remove.js';

/** VOP_RENAME, with or without a whiteout, and VOP_EXCHANGE. */

export function ext2_rename(
  fdvp: Vnode, fvp: Vnode, fname: string, tdvp: Vnode, tvp: Vnode | null, tname: string, ctx: Context,
): Promise<void> {
  return move(fdvp, fvp, fname, tdvp, tvp, tname, null, ctx);
}

/** @throws also ENOSPC, for the whiteout's inode */
export function ext2_renamewhiteout(
  fdvp: Vnode, fvp: Vnode, fname: string, tdvp: Vnode, tvp: Vnode | null, tname: string, vap: Vattr, ctx: Context,
): Promise<void> {
  return move(fdvp, fvp, fname, tdvp, tvp, tname, vap, ctx);
}

/**
 * First the new name, then the old one's removal: whatever a disk without a journal has in between, a name is there.
 */
async function move(
  fdvp: Vnode, fvp: Vnode, fname: string, tdvp: Vnode, tvp: Vnode | null, tname: string, whiteout: Vattr | null,
  ctx: Context,
): Promise<void> {
  const [fdp, fip, tdp] = [VTOI(fdvp), VTOI(fvp), VTOI(tdvp)];
  const tip = tvp === null ? null : VTOI(tvp);
  const state = WRITE(fdp.i_em);
  const cache = fdp.i_em.em_bufcache;
  const isdir = fvp.v_type === VDIR;
  const reparent = isdir && fdp !== tdp;
  mustaccept(tdp);
  if (whiteout !== null) mustaccept(fdp);
  /** Whiteouts without a name: their references are given back outside of the operation, which frees them. */
  const made: Vnode[] = [];
  try {
    await transact(state, async () => {
      if (tdp.i_nlink === 0) throw errno(E.ENOENT);
      if (tip !== null && tip !== fip && isdir && !(await dir_empty(tip))) throw errno(E.ENOTEMPTY);
      if (reparent && tip === null && !mayhavemore(tdp)) throw errno(E.EMLINK);
      for (const dp of new Set([fdp, tdp])) await outline(dp);
      if (reparent) await outline(fip);
      const dotdot = reparent ? await dir_slot(fip, '..', 0) : null;
      const slots: Slot[] = dotdot === null ? [] : [dotdot];
      let white: Inode | null = null;
      let entered: Slot | null = null;
      try {
        if (whiteout !== null) {
          const vp = await newinode(fdvp, whiteout, ctx, false);
          made.push(vp);
          white = VTOI(vp);
        }
        const to = tip === null
          ? await dir_enter(tdp, tname, fip.i_number, filetype(fip))
          : await dir_slot(tdp, tname, tip.i_number);
        slots.push(to);
        if (tip !== null) {
          if (!goes(state, tip, isdir, to)) await state.order.reopen();
          dir_rewrite(tdp, to, fip.i_number, filetype(fip));
        }
        entered = to;
        state.order.nameadded(fip, tdp, to);
        // Entering may have moved the old one.
        const from = await dir_slot(fdp, fname, fip.i_number);
        slots.push(from);
        if (!state.order.namegoing(fip, from)) await state.order.reopen();
        if (white === null) dir_leave(fdp, from, fname);
        else dir_rewrite(fdp, from, white.i_number, filetype(white));
        if (dotdot !== null) dir_rewrite(fip, dotdot, tdp.i_number, dirent_filetype(DT_DIR));
        // Nothing that comes now may fail.
        entered = null;
      } catch (error) {
        if (entered !== null && tip !== null) dir_rewrite(tdp, entered, tip.i_number, filetype(tip));
        else if (entered !== null) dir_leave(tdp, entered, tname);
        if (white !== null) await unlinked(state, white, white.i_nlink);
        throw error;
      } finally {
        for (const { bp } of slots) cache.brelse(bp);
      }
      await irrevocable(state, async () => {
        if (reparent) {
          subdir_gone(fdp);
          if (tip === null) subdir_added(tdp);
        } else if (isdir && tip !== null && tip !== fip) subdir_gone(tdp);
        for (const dp of new Set([fdp, tdp])) {
          inode_touch(dp, T_UPDATE | T_CHANGE);
          await inode_put(dp);
        }
        inode_touch(fip, T_CHANGE);
        await inode_put(fip);
        if (tip !== null && tip !== fip) await unlinked(state, tip, isdir ? tip.i_nlink : 1);
      });
    });
  } finally {
    for (const vp of made) await vp.v_mount.mnt_kernel.vrele(vp);
  }
}

/** May the name of what is replaced go now? */
function goes(state: WriteState, tip: Inode, isdir: boolean, slot: Slot): boolean {
  return isdir ? state.order.dirgoing(tip, slot) : tip.i_nlink <= 1 || state.order.namegoing(tip, slot);
}

/** Each entry names the other's file. @throws ENOENT EMLINK EIO */
export async function ext2_exchange(
  fdvp: Vnode, fvp: Vnode, fname: string, tdvp: Vnode, tvp: Vnode, tname: string,
): Promise<void> {
  const [fdp, fip, tdp, tip] = [VTOI(fdvp), VTOI(fvp), VTOI(tdvp), VTOI(tvp)];
  const state = WRITE(fdp.i_em);
  const cache = fdp.i_em.em_bufcache;
  mustaccept(fdp);
  mustaccept(tdp);
  const [fisdir, tisdir] = [fvp.v_type === VDIR, tvp.v_type === VDIR];
  const reparent = fdp !== tdp;
  const wait = state.order.begin();
  if (wait) await wait;
  const slots: Slot[] = [];
  try {
    if (fdp.i_nlink === 0 || tdp.i_nlink === 0) throw errno(E.ENOENT);
    if (reparent && fisdir !== tisdir && !mayhavemore(fisdir ? tdp : fdp)) throw errno(E.EMLINK);
    const take = async (slot: Promise<Slot>): Promise<Slot> => {
      const got = await slot;
      slots.push(got);
      return got;
    };
    for (const ip of new Set([fdp, tdp, ...(fisdir ? [fip] : []), ...(tisdir ? [tip] : [])])) await outline(ip);
    const from = await take(dir_slot(fdp, fname, fip.i_number));
    const to = await take(dir_slot(tdp, tname, tip.i_number));
    const fup = reparent && fisdir ? await take(dir_slot(fip, '..', 0)) : null;
    const tup = reparent && tisdir ? await take(dir_slot(tip, '..', 0)) : null;
    if (!state.order.journalled) await state.order.reopen();
    dir_rewrite(tdp, to, fip.i_number, filetype(fip));
    dir_rewrite(fdp, from, tip.i_number, filetype(tip));
    if (fup !== null) dir_rewrite(fip, fup, tdp.i_number, dirent_filetype(DT_DIR));
    if (tup !== null) dir_rewrite(tip, tup, fdp.i_number, dirent_filetype(DT_DIR));
    await irrevocable(state, async () => {
      if (reparent && fisdir !== tisdir) {
        subdir_gone(fisdir ? fdp : tdp);
        subdir_added(fisdir ? tdp : fdp);
      }
      for (const dp of new Set([fdp, tdp])) {
        inode_touch(dp, T_UPDATE | T_CHANGE);
        await inode_put(dp);
      }
      for (const ip of [fip, tip]) {
        inode_touch(ip, T_CHANGE);
        await inode_put(ip);
      }
    });
  } finally {
    for (const { bp } of slots) cache.brelse(bp);
    state.order.end();
  }
}
