import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { LINK_MAX } from '../../../kernel/fcntl.js';
import { IFTODT } from '../../../kernel/stat.js';
import { VDIR } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { IN_CHANGE } from '../../ufs/inode.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { ufs_dirindex_drop, ufs_dirlookup } from '../../ufs/lookup.js';
import { addname, depthbelow, makenameless } from './create.js';
import { DirDep } from '../order/dirdep.js';
import { chunkof, ufs_dirempty, ufs_direntry, ufs_dirremove, ufs_dirrewrite } from '../../ufs/dirmod.js';
import type { DirSlot } from '../../ufs/dirmod.js';
import { ffs_row } from '../file/indir.js';
import { linkup, transact } from '../order/changes.js';
import { ORDER, WRITE } from '../volume/writestate.js';

/** VOP_REMOVE, VOP_RMDIR, VOP_RENAME, with or without a whiteout. */

/** Highest rank (dirdep.ts) of the chunks of a directory: what its own name's removal must not overtake. */
export async function rankof(ip: Inode): Promise<number> {
  const { i_ump: ump, i_fs: fs } = ip;
  let rank = 0;
  for (let lbn = 0; lbn * fs.fs_bsize < ip.i_size; lbn++) {
    const row = await ffs_row(ip, lbn, null);
    if (row === null) break;
    const fsb = row.get(lbn - row.first);
    row.release();
    const bp = fsb > 0 ? ump.um_bufcache.incore(ump.um_dev, fs.fsbtob(fsb)) : undefined;
    if (bp === undefined) continue;
    if (bp.b_private instanceof DirDep) rank = Math.max(rank, bp.b_private.maxrank);
    ump.um_bufcache.brelse(bp);
  }
  return rank;
}

/**
 * The entry `name` of `dp`, which names `ip` and is about to go, with everything arranged (if need be by a flush in the
 * middle of the transaction) so that the disk never loses it too early. The slot's buffer is referenced.
 * @param goes the file keeps no other name: a directory's own chunks must not be overtaken
 * @throws ENOENT EIO
 */
async function leaving(dp: Inode, ip: Inode, name: string, goes: boolean): Promise<DirSlot> {
  const order = ORDER(dp.i_ump);
  for (let again = false; ; again = true) {
    const hit = await ufs_dirlookup(dp, name);
    if (hit === null || hit.ino !== ip.i_number) throw errno(E.ENOENT);
    const slot = await ufs_direntry(dp, hit.offset, name);
    if (again) return slot;
    const chunk = chunkof(dp, slot);
    try {
      const rank = ip.i_vnode.v_type === VDIR && goes ? await rankof(ip) : 0;
      if (order.namegoing(ip, dp, slot.bp, chunk) && order.rankfloor(rank, slot.bp, chunk)) return slot;
    } catch (error) {
      dp.i_ump.um_bufcache.brelse(slot.bp);
      throw error;
    }
    dp.i_ump.um_bufcache.brelse(slot.bp);
    await order.reopen();
  }
}

export async function ffs_remove(dvp: Vnode, vp: Vnode, name: string): Promise<void> {
  const dp = VTOI(dvp);
  const ip = VTOI(vp);
  const order = ORDER(dp.i_ump);
  if (ip.i_nlink === 1) order.mayorphan();
  const wait = order.begin();
  if (wait) await wait;
  try {
    const slot = await leaving(dp, ip, name, true);
    try {
      ufs_dirremove(dp, slot, name);
    } finally {
      dp.i_ump.um_bufcache.brelse(slot.bp);
    }
    order.linkdown(ip, 1);
  } finally {
    order.end();
  }
}

/**
 * The directory is cut to nothing as well, as NetBSD does: what somebody still has open is then, for a checker that
 * finds it without a name, nothing to be brought back.
 * @throws ENOTEMPTY
 */
export async function ffs_rmdir(dvp: Vnode, vp: Vnode, name: string): Promise<void> {
  const dp = VTOI(dvp);
  const ip = VTOI(vp);
  const state = WRITE(dp.i_ump);
  const { order } = state;
  order.mayorphan();
  const { fs_bsize } = ip.i_fs;
  if (ip.i_size > fs_bsize && (await ufs_dirempty(ip))) {
    ufs_dirindex_drop(ip);
    await order.reduce(ip, fs_bsize);
  }
  const wait = order.begin();
  if (wait) await wait;
  try {
    if (!(await ufs_dirempty(ip))) throw errno(E.ENOTEMPTY);
    const slot = await leaving(dp, ip, name, true);
    try {
      ufs_dirremove(dp, slot, name);
    } finally {
      dp.i_ump.um_bufcache.brelse(slot.bp);
    }
    order.linkdown(dp, 1, state.isnew(ip));
    order.linkdown(ip, ip.i_nlink);
    await order.emptyremoved(ip);
  } finally {
    order.end();
  }
}

/** VOP_RENAME. */
export function ffs_rename(
  fdvp: Vnode,
  fvp: Vnode,
  fname: string,
  tdvp: Vnode,
  tvp: Vnode | null,
  tname: string,
  ctx: Context,
): Promise<void> {
  return move(fdvp, fvp, fname, tdvp, tvp, tname, null, ctx);
}

/** VOP_RENAMEWHITEOUT. @throws also ENOSPC, for the whiteout's inode */
export function ffs_renamewhiteout(
  fdvp: Vnode,
  fvp: Vnode,
  fname: string,
  tdvp: Vnode,
  tvp: Vnode | null,
  tname: string,
  vap: Vattr,
  ctx: Context,
): Promise<void> {
  return move(fdvp, fvp, fname, tdvp, tvp, tname, vap, ctx);
}

/**
 * First the new name, then the old one's removal: whatever the disk holds in between is one of the two, or both.
 * @throws ENOTEMPTY EMLINK ENOENT ENOSPC EIO
 */
async function move(
  fdvp: Vnode,
  fvp: Vnode,
  fname: string,
  tdvp: Vnode,
  tvp: Vnode | null,
  tname: string,
  whiteout: Vattr | null,
  ctx: Context,
): Promise<void> {
  const [fdp, fip, tdp] = [VTOI(fdvp), VTOI(fvp), VTOI(tdvp)];
  const tip = tvp === null ? null : VTOI(tvp);
  const order = ORDER(fdp.i_ump);
  const cache = fdp.i_ump.um_bufcache;
  const isdir = fvp.v_type === VDIR;
  const reparent = isdir && fdp !== tdp;
  // A predecessor of this kernel may have died in the middle.
  let entered = tip === fip;
  if (tip !== null && tip !== fip) order.mayorphan();
  if (isdir && !order.mayenter(fip, tdp)) await order.flush(false);
  /**
   * Whiteouts, made for this; their references are given back outside of the transaction: that frees those that got no
   * name.
   */
  const made: Vnode[] = [];
  let named = false;
  const rename = async (): Promise<void> => {
    if (tdp.i_nlink === 0) throw errno(E.ENOENT);
    if (fip.i_nlink >= LINK_MAX) throw errno(E.EMLINK);
    if (tip !== null && isdir && !entered && !(await ufs_dirempty(tip))) throw errno(E.ENOTEMPTY);
    if (reparent && tip === null && !entered && tdp.i_nlink >= LINK_MAX) throw errno(E.EMLINK);
    const white = whiteout === null ? null : await makenameless(fdvp, whiteout, ctx);
    if (white !== null) made.push(white);
    let dotdot: DirSlot | null = null;
    try {
      if (reparent) dotdot = await parententry(fip);
      if (!entered) {
        if (tip === null) await addname(tdp, fip, tname, ctx);
        else await replacename(tdp, fip, tip, tname, isdir);
        entered = true; // nothing below fails for lack of room
        if (reparent) {
          tdp.i_nlink++;
          order.touch(tdp, IN_CHANGE);
        }
      }
      const slot = await leaving(fdp, fip, fname, false);
      try {
        if (dotdot !== null) {
          ufs_dirrewrite(fip, dotdot, tdp.i_number, IFTODT(fip.i_mode));
          // As FreeBSD does: what lies below keeps what it says.
          fip.i_dirdepth = depthbelow(tdp);
          order.linkdown(fdp, 1);
        }
        if (white === null) {
          ufs_dirremove(fdp, slot, fname);
        } else {
          ufs_dirrewrite(fdp, slot, VTOI(white).i_number, IFTODT(VTOI(white).i_mode));
          order.nameadded(VTOI(white), fdp, slot.bp, chunkof(fdp, slot));
          named = true;
        }
        order.linkdown(fip, 1);
      } finally {
        cache.brelse(slot.bp);
      }
      if (isdir && tip !== null && tip !== fip) await order.emptyremoved(tip);
    } catch (error) {
      if (white !== null && !named) order.linkdown(VTOI(white), 1);
      throw error;
    } finally {
      if (dotdot !== null) cache.brelse(dotdot.bp);
    }
  };
  try {
    await transact(fdp.i_ump, rename);
  } finally {
    for (const vp of made) await vp.v_mount.mnt_kernel.vrele(vp);
  }
}

/** The ".." of a directory. @throws EIO */
export async function parententry(ip: Inode): Promise<DirSlot> {
  const hit = await ufs_dirlookup(ip, '..');
  if (hit === null) throw WRITE(ip.i_ump).damage(`directory inode ${ip.i_number} has no ".."`);
  return ufs_direntry(ip, hit.offset, '..');
}

/** The entry of `tip` becomes one of `ip`, in one sector. */
async function replacename(dp: Inode, ip: Inode, tip: Inode, name: string, isdir: boolean): Promise<void> {
  const order = ORDER(dp.i_ump);
  const slot = await leaving(dp, tip, name, true);
  try {
    ufs_dirrewrite(dp, slot, ip.i_number, IFTODT(ip.i_mode));
    linkup(ip, dp, slot.bp, chunkof(dp, slot));
  } finally {
    dp.i_ump.um_bufcache.brelse(slot.bp);
  }
  if (isdir) {
    order.linkdown(tip, tip.i_nlink);
    order.linkdown(dp, 1);
  } else {
    order.linkdown(tip, 1);
  }
}
