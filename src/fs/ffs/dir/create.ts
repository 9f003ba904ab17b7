import type { Context } from '../../../kernel/context.js';
import { kauth_ismember, kauth_issuser } from '../../../kernel/cred.js';
import { E, errno } from '../../../kernel/errno.js';
import { LINK_MAX } from '../../../kernel/fcntl.js';
import { bytestrToBytes } from '../../../kernel/bytestr.js';
import { ALLPERMS, IFTODT, S_IFDIR, S_ISGID } from '../../../kernel/stat.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import { VBLK, VCHR, VDIR, VNOVAL, vttoif } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { DIRECTSIZ, UFS_ROOTINO, dirent_put } from '../../ufs/dir.js';
import { Dinode, dinode_store } from '../../ufs/dinode.js';
import { IN_CHANGE, IN_UPDATE } from '../../ufs/inode.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { ffs_dirgrow } from './dirgrow.js';
import { ufs_direnter, ufs_dirslot, ufs_dirtrim } from '../../ufs/dirmod.js';
import type { DirSlot } from '../../ufs/dirmod.js';
import { ffs_clearinode, ffs_freefile, ffs_valloc, nextgen } from '../space/ialloc.js';
import { BK_DIR, BK_INODE } from '../order/ordering.js';
import { linkup, touchmeta, transact } from '../order/changes.js';
import { IW, ORDER, WRITE } from '../volume/writestate.js';
import { rdev_encode } from '../disk/rdev.js';
import { ffs_write1 } from '../file/write.js';

/** VOP_CREATE, VOP_MKNOD, VOP_MKDIR, VOP_SYMLINK, VOP_LINK, and files without a name. */

/** The group of a new file: the directory's, as NetBSD has it, if nobody says otherwise. */
function newgid(dp: Inode, vap: Vattr): number {
  return vap.va_gid === VNOVAL ? dp.i_gid : vap.va_gid;
}

/** The mode of a new file: set-group-id only for members of the group. (Directories have inherited it.) */
function newmode(type: number, mode: number, gid: number, ctx: Context): number {
  const perms = mode & ALLPERMS;
  const keep = (perms & S_ISGID) === 0 || type === VDIR || kauth_issuser(ctx.cred) || kauth_ismember(ctx.cred, gid);
  return vttoif(type) | (keep ? perms : perms & ~S_ISGID);
}

/** How deep a directory in `dp` lies; 0 if that is not known (FreeBSD). */
export function depthbelow(dp: Inode): number {
  if (dp.i_ump.um_dinofmt.dirdepth !== true) return 0;
  if (dp.i_number === UFS_ROOTINO) return 1;
  return dp.i_dirdepth === 0 ? 0 : (dp.i_dirdepth + 1) >>> 0;
}

/** Allocates an inode and fills it in on its (buffered) block. @throws ENOSPC EIO */
async function newinode(dp: Inode, mode: number, vap: Vattr, ctx: Context, rdev: number): Promise<number> {
  const { i_ump: ump, i_fs: fs } = dp;
  const ino = await ffs_valloc(dp, mode);
  try {
    const got = ump.um_bufcache.bread(ump.um_dev, fs.fsbtob(fs.ino_to_fsba(ino)), fs.fs_bsize);
    const bp = got instanceof Promise ? await got : got;
    try {
      const d = new Dinode();
      d.i_gen = nextgen(ump, bp.b_view, ino);
      d.i_mode = mode;
      d.i_nlink = vap.va_type === VDIR ? 2 : 1;
      if (vap.va_type === VDIR) d.i_dirdepth = depthbelow(dp);
      d.i_uid = ctx.cred.cr_uid;
      d.i_gid = newgid(dp, vap);
      const now = ump.um_kernel.now();
      d.i_atime = d.i_mtime = d.i_ctime = now.sec;
      d.i_atimensec = d.i_mtimensec = d.i_ctimensec = now.nsec;
      if (fs.ufs2) {
        d.i_birthtime = now.sec;
        d.i_birthnsec = now.nsec;
      }
      d.i_db[0] = rdev;
      const at = fs.ino_to_bo(ino);
      bp.b_data.fill(0, at, at + (fs.ufs2 ? 256 : 128));
      dinode_store(d, bp.b_view, at, ump.um_dinofmt);
      ORDER(ump).bdwrite(bp, BK_INODE, at, at + 256);
    } finally {
      ump.um_bufcache.brelse(bp);
    }
  } catch (error) {
    await ffs_freefile(ump, ino, mode);
    throw error;
  }
  return ino;
}

/** The vnode of an inode that {@link newinode} has made. @throws EIO; the inode is then free again */
async function newvnode(dvp: Vnode, ino: number, mode: number): Promise<Vnode> {
  const { i_ump: ump } = VTOI(dvp);
  try {
    const got = ump.um_kernel.vcache_get(dvp.v_mount, ino);
    const vp = got instanceof Promise ? await got : got;
    IW(VTOI(vp)).newepoch = WRITE(ump).epoch;
    return vp;
  } catch (error) {
    await ffs_clearinode(ump, ino);
    await ffs_freefile(ump, ino, mode);
    throw error;
  }
}

/**
 * A new file with the name `name`. `prepare` gives it what it must have before it is named; if that fails, the file
 * goes again.
 */
async function makeinode(
  dvp: Vnode,
  name: string,
  vap: Vattr,
  ctx: Context,
  rdev: number,
  prepare: ((ip: Inode) => Promise<void>) | null,
): Promise<Vnode> {
  const dp = VTOI(dvp);
  const order = ORDER(dp.i_ump);
  const orphans: Vnode[] = [];
  try {
    return await transact(dp.i_ump, async () => {
      if (dp.i_nlink === 0) throw errno(E.ENOENT);
      if (vap.va_type === VDIR && dp.i_nlink >= LINK_MAX) throw errno(E.EMLINK);
      const mode = newmode(vap.va_type, vap.va_mode, newgid(dp, vap), ctx);
      const slot = await ufs_dirslot(dp, name.length, ctx);
      try {
        const ino = await newinode(dp, mode, vap, ctx, rdev);
        const vp = await newvnode(dvp, ino, mode);
        if (prepare !== null) {
          try {
            await prepare(VTOI(vp));
          } catch (error) {
            // Its last reference is given back outside of the transaction: that frees the inode.
            order.linkdown(VTOI(vp), VTOI(vp).i_nlink);
            orphans.push(vp);
            throw error;
          }
        }
        named(dp, slot, name, VTOI(vp));
        const wait = ufs_dirtrim(dp);
        if (wait) await wait;
        return vp;
      } finally {
        dp.i_ump.um_bufcache.brelse(slot.bp);
      }
    });
  } finally {
    for (const vp of orphans) await vp.v_mount.mnt_kernel.vrele(vp);
  }
}

/** A new inode that nothing names yet, inside a transaction of the caller: its one link is for a name to come. */
export async function makenameless(dvp: Vnode, vap: Vattr, ctx: Context): Promise<Vnode> {
  const dp = VTOI(dvp);
  const mode = newmode(vap.va_type, vap.va_mode, newgid(dp, vap), ctx);
  return newvnode(dvp, await newinode(dp, mode, vap, ctx, 0), mode);
}

/** VOP_TMPFILE: as if it had been made in `dvp` and removed while it is open. @throws ENOENT ENOSPC EIO */
export async function ffs_tmpfile(dvp: Vnode, vap: Vattr, ctx: Context): Promise<Vnode> {
  const dp = VTOI(dvp);
  const order = ORDER(dp.i_ump);
  order.mayorphan();
  return transact(dp.i_ump, async () => {
    if (dp.i_nlink === 0) throw errno(E.ENOENT);
    const vp = await makenameless(dvp, vap, ctx);
    order.linkdown(VTOI(vp), 1, true);
    return vp;
  });
}

/** Enters a name and, for a directory, counts it in its parent. */
function named(dp: Inode, slot: DirSlot, name: string, ip: Inode): void {
  const order = ORDER(dp.i_ump);
  const chunk = ufs_direnter(dp, slot, name, ip.i_number, IFTODT(ip.i_mode));
  if (ip.i_vnode.v_type !== VDIR) return;
  order.nameadded(ip, dp, slot.bp, chunk);
  dp.i_nlink++;
  order.touch(dp, IN_CHANGE);
}

export function ffs_create(dvp: Vnode, name: string, vap: Vattr, ctx: Context): Promise<Vnode> {
  return makeinode(dvp, name, vap, ctx, 0, null);
}

/** @throws EINVAL for a device number that the format cannot hold */
export function ffs_mknod(dvp: Vnode, name: string, vap: Vattr, ctx: Context): Promise<Vnode> {
  const { i_ump: ump } = VTOI(dvp);
  let rdev: number | undefined = 0;
  if (vap.va_type === VBLK || vap.va_type === VCHR) rdev = rdev_encode(vap.va_rdev, ump.um_dialect, ump.um_fs.ufs2);
  if (rdev === undefined) throw errno(E.EINVAL, `device number ${vap.va_rdev} does not fit the format`);
  return makeinode(dvp, name, vap, ctx, rdev, null);
}

export function ffs_mkdir(dvp: Vnode, name: string, vap: Vattr, ctx: Context): Promise<Vnode> {
  const dp = VTOI(dvp);
  return makeinode(dvp, name, vap, ctx, 0, async (ip) => {
    const { um_dirfmt: fmt, um_bufcache, um_dirblksiz } = ip.i_ump;
    const bp = await ffs_dirgrow(ip, ctx);
    const type = IFTODT(S_IFDIR);
    dirent_put(bp.b_data, bp.b_view, 0, fmt, ip.i_number, DIRECTSIZ(1), type, '.');
    dirent_put(bp.b_data, bp.b_view, DIRECTSIZ(1), fmt, dp.i_number, um_dirblksiz - DIRECTSIZ(1), type, '..');
    ORDER(ip.i_ump).bdwrite(bp, BK_DIR);
    um_bufcache.brelse(bp);
  });
}

export function ffs_symlink(dvp: Vnode, name: string, vap: Vattr, target: string, ctx: Context): Promise<Vnode> {
  const { i_ump: ump, i_fs: fs } = VTOI(dvp);
  const bytes = bytestrToBytes(target);
  if (bytes.length > fs.fs_bsize) throw errno(E.ENAMETOOLONG);
  return makeinode(dvp, name, vap, ctx, 0, async (ip) => {
    if (bytes.length < ump.um_maxsymlinklen) {
      ip.i_shortlink = bytes;
      ip.i_size = bytes.length;
    } else {
      ip.i_shortlink = null; // an empty target was taken for a short one
      await ffs_write1(ip, new Uio(bytes, 0, bytes.length, 0), ctx);
    }
    touchmeta(ip, IN_CHANGE | IN_UPDATE);
  });
}

export async function ffs_link(dvp: Vnode, vp: Vnode, name: string, ctx: Context): Promise<void> {
  const dp = VTOI(dvp);
  const ip = VTOI(vp);
  await transact(dp.i_ump, async () => {
    if (dp.i_nlink === 0) throw errno(E.ENOENT);
    if (ip.i_nlink >= LINK_MAX) throw errno(E.EMLINK);
    const nameless = ip.i_nlink === 0;
    await addname(dp, ip, name, ctx);
    if (nameless) ORDER(dp.i_ump).unorphan(ip.i_number);
  });
}

/** Gives `ip` another name. @throws ENOSPC EFBIG EIO */
export async function addname(dp: Inode, ip: Inode, name: string, ctx: Context): Promise<void> {
  const slot = await ufs_dirslot(dp, name.length, ctx);
  try {
    const chunk = ufs_direnter(dp, slot, name, ip.i_number, IFTODT(ip.i_mode));
    linkup(ip, dp, slot.bp, chunk);
    const wait = ufs_dirtrim(dp);
    if (wait) await wait;
  } finally {
    dp.i_ump.um_bufcache.brelse(slot.bp);
  }
}
