import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { ALLPERMS } from '../../../kernel/stat.js';
import { genfs_clear_setid } from '../../../kernel/vfs/genfs.js';
import { VDIR, VNOTIME, VNOVAL, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { IN_ACCESS, IN_CHANGE, IN_UPDATE, ufs_itimes } from '../../ufs/inode.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { touchmeta, transact } from '../order/changes.js';
import { ORDER } from '../volume/writestate.js';
import { ffs_truncate } from './truncate.js';

/** What the format can hold: UFS1 has 32-bit times, 1901 to 2038. */
function seconds(ip: Inode, sec: number): number {
  return ip.i_fs.ufs2 ? sec : Math.min(Math.max(sec, -0x80000000), 0x7fffffff);
}

/** VOP_SETATTR. The size first: it alone can fail for lack of room, and then nothing has changed. */
export async function ffs_setattr(vp: Vnode, vap: Vattr, ctx: Context): Promise<void> {
  const ip = VTOI(vp);
  const order = ORDER(ip.i_ump);
  if (vap.va_size !== VNOVAL) {
    if (vp.v_type === VDIR) throw errno(E.EISDIR);
    if (vp.v_type !== VREG) throw errno(E.EINVAL);
    if (!(vap.va_size >= 0)) throw errno(E.EINVAL);
    if (vap.va_size < ip.i_size) await order.reduce(ip, vap.va_size);
    await transact(ip.i_ump, () => ffs_truncate(ip, vap.va_size, ctx));
  }
  const wait = order.begin();
  if (wait) await wait;
  try {
    let changed = false;
    if (vap.va_size !== VNOVAL) ip.i_mode = genfs_clear_setid(vp.v_type, ip.i_mode, ctx);
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
      ip.i_flags = vap.va_flags >>> 0;
      changed = true;
    }
    if (vap.va_atimensec !== VNOTIME || vap.va_mtimensec !== VNOTIME || vap.va_birthtimensec !== VNOTIME) {
      ufs_itimes(ip); // times that are still to be set must not overwrite these
      if (vap.va_atimensec !== VNOTIME) {
        ip.i_atime = seconds(ip, vap.va_atime);
        ip.i_atimensec = vap.va_atimensec;
        ip.i_flag &= ~IN_ACCESS;
      }
      if (vap.va_mtimensec !== VNOTIME) {
        ip.i_mtime = seconds(ip, vap.va_mtime);
        ip.i_mtimensec = vap.va_mtimensec;
        ip.i_flag &= ~IN_UPDATE;
      }
      if (vap.va_birthtimensec !== VNOTIME && ip.i_fs.ufs2) {
        ip.i_birthtime = vap.va_birthtime;
        ip.i_birthnsec = vap.va_birthtimensec;
      }
      changed = true;
    }
    if (changed) touchmeta(ip, IN_CHANGE);
  } finally {
    order.end();
  }
}
