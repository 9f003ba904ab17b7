import { bytestrToBytes } from '../../../kernel/bytestr.js';
import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { IFTODT } from '../../../kernel/stat.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import { VBLK, VCHR, VDIR, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { I_BLOCK_BYTES, FL } from '../disk/dinode.js';
import { INCOMPAT } from '../disk/features.js';
import { dirent_room, dirent_filetype } from '../disk/dirent.js';
import { ext_clear } from '../file/exttree.js';
import type { Inode } from '../file/inode.js';
import { VTOI } from '../file/inode.js';
import { outline } from '../file/outline.js';
import { T_CHANGE, T_UPDATE, inode_put, inode_touch } from '../file/store.js';
import { ext2_writeall } from '../file/writerun.js';
import { WRITE, irrevocable, transact } from '../volume/transact.js';
import { newdirblock } from './dirblock.js';
import { entry_put, leaf_end, newname } from './leaf.js';
import { LINK_MAX, mayhavemore, subdir_added } from './links.js';
import { dir_enter, mustaccept } from './modify.js';
import { newinode, rdev_fits } from './newinode.js';

/** VOP_CREATE, VOP_MKNOD, VOP_MKDIR, VOP_SYMLINK, VOP_LINK, and files without a name. */

export function filetype(ip: Inode): number {
  return dirent_filetype(IFTODT(ip.i_mode));
}

type Prepare = (ip: Inode) => Promise<void>;

/** A new file with the name `name`. `prepare` gives it what it must have before; if that fails, the file goes again. */
async function make(
  dvp: Vnode, name: string, vap: Vattr, ctx: Context, mapped: boolean, prepare: Prepare | null,
): Promise<Vnode> {
  const dp = VTOI(dvp);
  const state = WRITE(dp.i_em);
  mustaccept(dp);
  const orphans: Vnode[] = [];
  try {
    return await transact(state, async () => {
      if (dp.i_nlink === 0) throw errno(E.ENOENT);
      if (vap.va_type === VDIR && !mayhavemore(dp)) throw errno(E.EMLINK);
      await outline(dp);
      const vp = await newinode(dvp, vap, ctx, mapped);
      const ip = VTOI(vp);
      try {
        if (prepare !== null) await prepare(ip);
        const slot = await dir_enter(dp, name, ip.i_number, filetype(ip));
        state.order.nameadded(ip, dp, slot);
        dp.i_em.em_bufcache.brelse(slot.bp);
      } catch (error) {
        await unmake(ip);
        orphans.push(vp);
        throw error;
      }
      await irrevocable(state, async () => {
        if (vap.va_type === VDIR) subdir_added(dp);
        inode_touch(dp, T_UPDATE | T_CHANGE);
        const put = inode_put(dp);
        if (put) await put;
      });
      return vp;
    });
  } finally {
    // Outside of the operation: that frees their inodes.
    for (const vp of orphans) await vp.v_mount.mnt_kernel.vrele(vp);
  }
}

/** A file that is to have no name after all. */
async function unmake(ip: Inode): Promise<void> {
  const state = WRITE(ip.i_em);
  state.order.linkdown(ip, ip.i_nlink);
  await state.orphans.add(ip);
  await inode_put(ip);
}

export function ext2_create(dvp: Vnode, name: string, vap: Vattr, ctx: Context): Promise<Vnode> {
  return make(dvp, name, vap, ctx, vap.va_type === VREG, null);
}

/** @throws EINVAL for a device number that the format cannot hold */
export function ext2_mknod(dvp: Vnode, name: string, vap: Vattr, ctx: Context): Promise<Vnode> {
  if ((vap.va_type === VBLK || vap.va_type === VCHR) && !rdev_fits(vap.va_rdev))
    throw errno(E.EINVAL, `device number ${vap.va_rdev} does not fit the format`);
  return make(dvp, name, vap, ctx, false, null);
}

export function ext2_mkdir(dvp: Vnode, name: string, vap: Vattr, ctx: Context): Promise<Vnode> {
  const dp = VTOI(dvp);
  return make(dvp, name, vap, ctx, true, async (ip) => {
    const { bp } = await newdirblock(ip);
    const type = filetype(ip);
    entry_put(ip, bp, 0, dirent_room(1), newname('.', ip.i_number, type));
    entry_put(ip, bp, dirent_room(1), leaf_end(ip) - dirent_room(1), newname('..', dp.i_number, type));
    ip.i_em.em_bufcache.brelse(bp);
    await inode_put(ip);
  });
}

export function ext2_symlink(dvp: Vnode, name: string, vap: Vattr, target: string, ctx: Context): Promise<Vnode> {
  const { i_fs: fs } = VTOI(dvp);
  const bytes = bytestrToBytes(target);
  if (bytes.length >= fs.bsize) throw errno(E.ENAMETOOLONG);
  return make(dvp, name, vap, ctx, false, async (ip) => {
    if (bytes.length < I_BLOCK_BYTES) {
      ip.i_block.set(bytes);
      ip.i_size = bytes.length;
    } else {
      if (fs.incompat(INCOMPAT.extents)) {
        ip.i_flags |= FL.EXTENTS;
        ext_clear(ip);
      }
      await ext2_writeall(ip, new Uio(bytes, 0, bytes.length, 0), ctx);
    }
    await inode_put(ip);
  });
}

export async function ext2_link(dvp: Vnode, vp: Vnode, name: string): Promise<void> {
  const dp = VTOI(dvp);
  const ip = VTOI(vp);
  const state = WRITE(dp.i_em);
  mustaccept(dp);
  await transact(state, async () => {
    if (dp.i_nlink === 0) throw errno(E.ENOENT);
    if (ip.i_nlink >= LINK_MAX) throw errno(E.EMLINK);
    await outline(dp);
    const slot = await dir_enter(dp, name, ip.i_number, filetype(ip));
    state.order.nameadded(ip, dp, slot);
    dp.i_em.em_bufcache.brelse(slot.bp);
    await irrevocable(state, async () => {
      if (ip.i_nlink === 0) await state.orphans.remove(ip);
      ip.i_nlink++;
      inode_touch(ip, T_CHANGE);
      await inode_put(ip);
      inode_touch(dp, T_UPDATE | T_CHANGE);
      await inode_put(dp);
    });
  });
}

/** VOP_TMPFILE: as if it had been made in `dvp` and removed while it is open. @throws ENOENT ENOSPC EIO */
export async function ext2_tmpfile(dvp: Vnode, vap: Vattr, ctx: Context): Promise<Vnode> {
  const dp = VTOI(dvp);
  const state = WRITE(dp.i_em);
  mustaccept(dp);
  return transact(state, async () => {
    if (dp.i_nlink === 0) throw errno(E.ENOENT);
    const vp = await newinode(dvp, vap, ctx, true);
    await unmake(VTOI(vp));
    return vp;
  });
}
