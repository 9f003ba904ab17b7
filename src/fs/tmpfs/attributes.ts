import type { Context } from '../../kernel/context.js';
import { kauth_ismember, kauth_issuser } from '../../kernel/cred.js';
import { E, errno } from '../../kernel/errno.js';
import { MNT_NOATIME, MNT_RDONLY, MNT_RELATIME } from '../../kernel/fcntl.js';
import { S_ISGID, S_ISUID } from '../../kernel/stat.js';
import type { Vattr } from '../../kernel/vfs/vattr.js';
import { VDIR, VLNK, VNOTIME, VNOVAL } from '../../kernel/vfs/vattr.js';
import { GRAIN_BYTES, PAGE_BYTES } from './pages.js';
import type { TmpfsNode } from './node.js';
import { ATIME, CTIME, MTIME, touch } from './node.js';

/** Nominal bytes of an entry: what a directory's size counts. */
const DIRENT_BYTES = 32;
const DAY_SECONDS = 86400;

function sizeOf(node: TmpfsNode): number {
  if (node.tn_type === VDIR) return (node.tn_dir!.size + 2) * DIRENT_BYTES;
  if (node.tn_type === VLNK) return node.tn_link!.length;
  return node.tn_size;
}

export function getattr(node: TmpfsNode, vap: Vattr): void {
  vap.va_type = node.tn_type;
  vap.va_mode = node.tn_mode;
  vap.va_nlink = node.tn_nlink;
  vap.va_uid = node.tn_uid;
  vap.va_gid = node.tn_gid;
  vap.va_fsid = node.tn_volume.mount.mnt_fsid;
  vap.va_fileid = BigInt(node.tn_id);
  vap.va_size = sizeOf(node);
  vap.va_blocksize = PAGE_BYTES;
  vap.va_atime = node.tn_atime;
  vap.va_atimensec = node.tn_atimensec;
  vap.va_mtime = node.tn_mtime;
  vap.va_mtimensec = node.tn_mtimensec;
  vap.va_ctime = node.tn_ctime;
  vap.va_ctimensec = node.tn_ctimensec;
  vap.va_birthtime = node.tn_birthtime;
  vap.va_birthtimensec = node.tn_birthtimensec;
  vap.va_gen = node.tn_gen;
  vap.va_flags = node.tn_flags;
  vap.va_rdev = node.tn_rdev;
  vap.va_bytes = node.tn_pages !== null ? node.tn_pages.bytes : Math.ceil(sizeOf(node) / GRAIN_BYTES) * GRAIN_BYTES;
  vap.va_vaflags = 0;
}

function setsize(node: TmpfsNode, size: number): void {
  if (node.tn_pages === null) throw errno(node.tn_type === VDIR ? E.EISDIR : E.EINVAL);
  if (!(size >= 0)) throw errno(E.EINVAL);
  if (size > Number.MAX_SAFE_INTEGER) throw errno(E.EFBIG);
  if (size < node.tn_size) node.tn_pages.truncate(size);
  node.tn_size = size;
  touch(node, MTIME | CTIME);
}

/** Set-id bits do not outlive a change by anybody but the superuser. */
export function clearsetid(node: TmpfsNode, ctx: Context): void {
  if ((node.tn_mode & (S_ISUID | S_ISGID)) !== 0 && !kauth_issuser(ctx.cred)) node.tn_mode &= ~(S_ISUID | S_ISGID);
}

export function setattr(node: TmpfsNode, vap: Vattr, ctx: Context): void {
  // Size first: it alone can fail, and then nothing has changed.
  if (vap.va_size !== VNOVAL) {
    setsize(node, vap.va_size);
    clearsetid(node, ctx);
  }
  let changed = false;
  if (vap.va_uid !== VNOVAL || vap.va_gid !== VNOVAL) {
    if (vap.va_uid !== VNOVAL) node.tn_uid = vap.va_uid;
    if (vap.va_gid !== VNOVAL) node.tn_gid = vap.va_gid;
    if (node.tn_type !== VDIR) clearsetid(node, ctx);
    changed = true;
  }
  if (vap.va_mode !== VNOVAL) {
    node.tn_mode = vap.va_mode & 0o7777;
    changed = true;
  }
  if (vap.va_flags !== VNOVAL) {
    node.tn_flags = vap.va_flags;
    changed = true;
  }
  if (vap.va_atimensec !== VNOTIME) {
    node.tn_atime = vap.va_atime;
    node.tn_atimensec = vap.va_atimensec;
    changed = true;
  }
  if (vap.va_mtimensec !== VNOTIME) {
    node.tn_mtime = vap.va_mtime;
    node.tn_mtimensec = vap.va_mtimensec;
    changed = true;
  }
  if (vap.va_birthtimensec !== VNOTIME) {
    node.tn_birthtime = vap.va_birthtime;
    node.tn_birthtimensec = vap.va_birthtimensec;
    changed = true;
  }
  if (changed) touch(node, CTIME);
}

/** After a read, as the mount's noatime, relatime and read-only flags say. */
export function accessed(node: TmpfsNode): void {
  const flags = node.tn_volume.mount.mnt_flag;
  if ((flags & (MNT_NOATIME | MNT_RDONLY)) !== 0) return;
  if ((flags & MNT_RELATIME) !== 0) {
    const { sec } = node.tn_volume.mount.mnt_kernel.now();
    const modified = Math.max(node.tn_mtime, node.tn_ctime);
    if (node.tn_atime > modified && sec - node.tn_atime < DAY_SECONDS) return;
  }
  touch(node, ATIME);
}

/** The mode of a new node of group `gid`: set-group-id only for members of the group. */
export function newmode(mode: number, gid: number, ctx: Context): number {
  if ((mode & S_ISGID) !== 0 && !kauth_issuser(ctx.cred) && !kauth_ismember(ctx.cred, gid)) {
    return mode & 0o7777 & ~S_ISGID;
  }
  return mode & 0o7777;
}
