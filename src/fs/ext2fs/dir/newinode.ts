import type { Context } from '../../../kernel/context.js';
import { kauth_ismember, kauth_issuser } from '../../../kernel/cred.js';
import { ALLPERMS, S_ISGID, major, minor } from '../../../kernel/stat.js';
import { VBLK, VCHR, VDIR, VNOVAL, VREG, vttoif } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { Dinode, FL, dinode_store } from '../disk/dinode.js';
import { INCOMPAT } from '../disk/features.js';
import { EXT_HEADER, eh_put } from '../disk/extent.js';
import { SB } from '../disk/sbfields.js';
import type { Ext2fs } from '../disk/superblock.js';
import type { Inode } from '../file/inode.js';
import { VTOI } from '../file/inode.js';
import { BK_INODE } from '../order/ordering.js';
import { ext2_ialloc, ext2_ifree } from '../space/ialloc.js';
import { WRITE } from '../volume/transact.js';

/** Flags that a new file takes from its directory. Source: Linux fs/ext4/ext4.h, EXT4_FL_INHERITED and the like. */
const INHERITED =
  FL.SECRM | FL.UNRM | FL.COMPR | FL.SYNC | FL.NODUMP | FL.NOATIME | 0x400 | FL.JOURNAL_DATA | 0x8000 | 0x10000 |
  FL.PROJINHERIT | FL.CASEFOLD;
const NOT_OF_FILES = 0x10000 | FL.PROJINHERIT | FL.CASEFOLD;
const OF_OTHERS = FL.NODUMP | FL.NOATIME;

function inherited(dp: Inode, type: number): number {
  const flags = dp.i_flags & INHERITED;
  if (type === VDIR) return flags;
  return type === VREG ? flags & ~NOT_OF_FILES : flags & OF_OTHERS;
}

/** Extra bytes that a new inode has. */
function newextra(fs: Ext2fs): number {
  if (fs.s_inode_size <= 128) return 0;
  const view = new DataView(fs.bytes.buffer, fs.bytes.byteOffset);
  const wanted = Math.max(view.getUint16(SB.s_want_extra_isize, true), view.getUint16(SB.s_min_extra_isize, true), 28);
  return Math.min((wanted + 3) & ~3, fs.s_inode_size - 128);
}

/** Device numbers: 8 bits each in the first word where they fit, else 12 and 20 in the second. */
function put_rdev(d: Dinode, rdev: bigint): void {
  const [maj, min] = [major(rdev), minor(rdev)];
  if (maj < 256 && min < 256) d.i_blockview.setUint32(0, (maj << 8) | min, true);
  else d.i_blockview.setUint32(4, ((min & 0xff) | ((maj & 0xfff) << 8) | ((min & 0xfff00) << 12)) >>> 0, true);
}

/** Can a device number be kept? */
export function rdev_fits(rdev: bigint): boolean {
  return major(rdev) < 2 ** 12 && minor(rdev) < 2 ** 20;
}

/** The group of a new file: the directory's, as NetBSD has it, if nobody says otherwise. */
export function newgid(dp: Inode, vap: Vattr): number {
  return vap.va_gid === VNOVAL ? dp.i_gid : vap.va_gid;
}

/** The mode of a new file: set-group-id only for members of the group. (Directories have inherited it.) */
function newmode(type: number, mode: number, gid: number, ctx: Context): number {
  const perms = mode & ALLPERMS;
  const keep = (perms & S_ISGID) === 0 || type === VDIR || kauth_issuser(ctx.cred) || kauth_ismember(ctx.cred, gid);
  return vttoif(type) | (keep ? perms : perms & ~S_ISGID);
}

/**
 * A new inode, in its block and as a vnode, with the links that a name will give it; inside an operation. `mapped`: it
 * has extents where the volume does. @throws ENOSPC EIO; nothing is allocated then
 */
export async function newinode(dvp: Vnode, vap: Vattr, ctx: Context, mapped: boolean): Promise<Vnode> {
  const dp = VTOI(dvp);
  const { i_em: em, i_fs: fs } = dp;
  const state = WRITE(em);
  const type = vap.va_type;
  const ino = await ext2_ialloc(state, dp.i_number, type === VDIR);
  try {
    const d = new Dinode();
    const gid = newgid(dp, vap);
    d.i_mode = newmode(type, vap.va_mode, gid, ctx);
    d.i_uid = ctx.cred.cr_uid;
    d.i_gid = gid;
    d.i_nlink = type === VDIR ? 2 : 1;
    d.i_generation = state.random();
    d.i_extra_isize = newextra(fs);
    d.i_flags = inherited(dp, type);
    if (dp.has(FL.PROJINHERIT)) d.i_projid = dp.i_projid;
    const { sec, nsec } = em.em_kernel.now();
    d.i_atime = d.i_mtime = d.i_ctime = d.i_crtime = sec;
    d.i_atimensec = d.i_mtimensec = d.i_ctimensec = d.i_crtimensec = nsec;
    if (type === VBLK || type === VCHR) put_rdev(d, vap.va_rdev);
    else if (mapped && fs.incompat(INCOMPAT.extents)) {
      d.i_flags |= FL.EXTENTS;
      eh_put(d.i_blockview, 0, 0, (d.i_block.length - EXT_HEADER) / 12, 0);
    }
    const got = em.inodeblock(ino);
    const bp = got instanceof Promise ? await got : got;
    const at = em.inodeat(ino);
    bp.b_data.fill(0, at, at + fs.s_inode_size);
    dinode_store(d, fs, bp.b_data, bp.b_view, at, ino, d.i_nlink);
    state.order.dirty(bp, BK_INODE);
    em.em_bufcache.brelse(bp);
    const vp = await em.em_kernel.vcache_get(dvp.v_mount, ino);
    VTOI(vp).i_newepoch = state.epoch;
    return vp;
  } catch (thrown) {
    await ext2_ifree(state, ino, type === VDIR);
    throw thrown;
  }
}
