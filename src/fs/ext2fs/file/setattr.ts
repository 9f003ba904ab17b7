import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { ALLPERMS, SF_APPEND, SF_IMMUTABLE, UF_NODUMP } from '../../../kernel/stat.js';
import { genfs_clear_setid } from '../../../kernel/vfs/genfs.js';
import { VDIR, VNOTIME, VNOVAL, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { FL, dinode_seconds } from '../disk/dinode.js';
import { WRITE, transact } from '../volume/transact.js';
import type { Inode } from './inode.js';
import { VTOI } from './inode.js';
import { T_CHANGE, inode_put, inode_touch } from './store.js';
import { ext2_truncate } from './truncate.js';

const KEPT = SF_IMMUTABLE | SF_APPEND | UF_NODUMP;

/** @throws EOPNOTSUPP flags that the format has not */
function setflags(ip: Inode, flags: number): void {
  if ((flags & ~KEPT) !== 0) throw errno(E.EOPNOTSUPP);
  let bits = ip.i_flags & ~(FL.IMMUTABLE | FL.APPEND | FL.NODUMP);
  if ((flags & SF_IMMUTABLE) !== 0) bits |= FL.IMMUTABLE;
  if ((flags & SF_APPEND) !== 0) bits |= FL.APPEND;
  if ((flags & UF_NODUMP) !== 0) bits |= FL.NODUMP;
  ip.i_flags = bits;
}

/** VOP_SETATTR. The size first: it alone can fail for lack of room, and then nothing has changed. */
export async function ext2_setattr(vp: Vnode, vap: Vattr, ctx: Context): Promise<void> {
  const ip = VTOI(vp);
  if (vap.va_flags !== VNOVAL && (vap.va_flags & ~KEPT) !== 0) throw errno(E.EOPNOTSUPP);
  if (vap.va_size !== VNOVAL) {
    if (vp.v_type === VDIR) throw errno(E.EISDIR);
    if (vp.v_type !== VREG) throw errno(E.EINVAL);
    await ext2_truncate(ip, vap.va_size);
  }
  await transact(WRITE(ip.i_em), () => change(vp, ip, vap, ctx));
}

function change(vp: Vnode, ip: Inode, vap: Vattr, ctx: Context): Promise<void> | void {
  let changed = false;
  if (vap.va_size !== VNOVAL) {
    const mode = genfs_clear_setid(vp.v_type, ip.i_mode, ctx);
    changed = mode !== ip.i_mode;
    ip.i_mode = mode;
  }
  if (vap.va_uid !== VNOVAL || vap.va_gid !== VNOVAL) {
    if (vap.va_uid !== VNOVAL) ip.i_uid = vap.va_uid;
    if (vap.va_gid !== VNOVAL) ip.i_gid = vap.va_gid;
    ip.i_mode = genfs_clear_setid(vp.v_type, ip.i_mode, ctx);
    changed = true;
  }
  if (vap.va_mode !== VNOVAL) {
    ip.i_mode = (ip.i_mode & ~ALLPERMS) | (vap.va_mode & ALLPERMS);
    changed = true;
  }
  if (vap.va_flags !== VNOVAL) {
    setflags(ip, vap.va_flags);
    changed = true;
  }
  if (settimes(ip, vap)) changed = true;
  if (!changed) return undefined;
  inode_touch(ip, T_CHANGE);
  return inode_put(ip) as Promise<void> | void;
}

function settimes(ip: Inode, vap: Vattr): boolean {
  let changed = false;
  if (vap.va_atimensec !== VNOTIME) {
    ip.i_atime = dinode_seconds(ip.i_fs, vap.va_atime);
    ip.i_atimensec = ip.i_extra_isize > 0 ? vap.va_atimensec : 0;
    changed = true;
  }
  if (vap.va_mtimensec !== VNOTIME) {
    ip.i_mtime = dinode_seconds(ip.i_fs, vap.va_mtime);
    ip.i_mtimensec = ip.i_extra_isize > 0 ? vap.va_mtimensec : 0;
    changed = true;
  }
  if (vap.va_birthtimensec !== VNOTIME && ip.i_extra_isize >= 0x18) {
    ip.i_crtime = dinode_seconds(ip.i_fs, vap.va_birthtime);
    ip.i_crtimensec = vap.va_birthtimensec;
    changed = true;
  }
  return changed;
}
