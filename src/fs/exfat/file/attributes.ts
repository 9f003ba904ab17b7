import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VDIR, VNOTIME, VNOVAL, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Found } from '../dir/lookup.js';
import { dir_readset } from '../dir/lookup.js';
import { ATTR_READONLY } from '../disk/entry.js';
import { VFSTOEXFAT } from '../volume/exfatmount.js';
import { ROOT_NUMBER } from '../volume/whereabouts.js';
import type { ExfatNode } from './node.js';
import { VTOE, node_of } from './node.js';
import { node_store } from './store.js';
import { node_touch } from './times.js';
import { file_resize } from './truncate.js';

const WRITE = 0o222;

/** Permission bits, by mount options and the read-only attribute. */
export function node_mode(node: ExfatNode): number {
  const { fmask, dmask } = node.en_em.em_options;
  // Of a directory the attribute says how a program is to show it, not whether it may be changed.
  if (node.isdir) return 0o777 & ~dmask;
  return 0o777 & ~fmask & ~((node.en_attributes & ATTR_READONLY) !== 0 ? WRITE : 0);
}

/** VOP_GETATTR. */
export function node_getattr(node: ExfatNode, vap: Vattr): void {
  const { en_em: em } = node;
  const { zone } = em.em_options;
  const size = node.en_dir !== null ? node.en_dir.bytes : node.en_size;
  vap.va_type = node.isdir ? VDIR : VREG;
  vap.va_mode = node_mode(node);
  // How many subdirectories there are nobody knows without looking: 1 tells programs not to count on it.
  vap.va_nlink = node.en_removed ? 0 : 1;
  vap.va_uid = em.em_options.uid;
  vap.va_gid = em.em_options.gid;
  vap.va_fsid = em.em_mountp.mnt_fsid;
  vap.va_fileid = BigInt(node.en_number);
  vap.va_size = size;
  vap.va_blocksize = Math.min(Math.max(em.em_clbytes, 4096), 1 << 20);
  vap.va_atime = node.en_accessed.sec(zone);
  vap.va_atimensec = 0;
  vap.va_mtime = node.en_modified.sec(zone);
  vap.va_mtimensec = node.en_modified.nsec;
  vap.va_ctime = node.en_ctime;
  vap.va_ctimensec = node.en_ctimensec;
  vap.va_birthtime = node.en_created.sec(zone);
  vap.va_birthtimensec = node.en_created.nsec;
  vap.va_gen = em.em_where.numbers.generation(node.en_number);
  vap.va_flags = 0;
  vap.va_rdev = 0n;
  vap.va_bytes = node.en_chain.count * em.em_clbytes;
  vap.va_vaflags = 0;
}

/** VFS attributes: of a file without a vnode, if that can be had at once. */
export function exfat_attributes(mp: Mount, fileno: number, vap: Vattr): MaybePromise<boolean> {
  const em = VFSTOEXFAT(mp);
  if (fileno === ROOT_NUMBER) return false;
  const place = em.em_where.locate(fileno);
  if (place instanceof Promise || place === undefined) return false;
  const found: MaybePromise<Found | undefined> = dir_readset(place.dir, place.offset);
  if (found instanceof Promise) return found.then(() => false);
  if (found === undefined) return false;
  node_getattr(node_of(em, fileno, place.dir, found), vap);
  return true;
}

/** VOP_SETATTR. @throws EPERM what the format cannot keep, unless the mount is quiet; EFBIG ENOSPC EIO */
export async function node_setattr(vp: Vnode, vap: Vattr, ctx: Context): Promise<void> {
  const node = VTOE(vp);
  const { uid, gid, quiet, zone } = node.en_em.em_options;
  if (!quiet && ((vap.va_uid !== VNOVAL && vap.va_uid !== uid) || (vap.va_gid !== VNOVAL && vap.va_gid !== gid))) {
    throw errno(E.EPERM);
  }
  if (vap.va_flags !== VNOVAL && vap.va_flags !== 0) throw errno(E.EOPNOTSUPP);
  const attributes = vap.va_mode !== VNOVAL ? mode_attributes(node, vap.va_mode) : node.en_attributes;
  if (vap.va_size !== VNOVAL) await file_resize(vp, vap.va_size, ctx);
  let changed = attributes !== node.en_attributes;
  node.en_attributes = (node.en_attributes & ~ATTR_READONLY) | (attributes & ATTR_READONLY);
  if (vap.va_atimensec !== VNOTIME) changed = node.en_accessed.setaccess(vap.va_atime, zone) || changed;
  if (vap.va_mtimensec !== VNOTIME) {
    changed = node.en_modified.set(vap.va_mtime, vap.va_mtimensec, zone) || changed;
  }
  if (vap.va_birthtimensec !== VNOTIME) {
    changed = node.en_created.set(vap.va_birthtime, vap.va_birthtimensec, zone) || changed;
  }
  if (!changed) return;
  node_touch(node, false);
  const stored = node_store(node);
  if (stored) await stored;
}

/**
 * The attributes that stand for a mode: all write bits that the mount leaves, or none. What the format cannot keep
 * changes nothing, and
 * is no error, as on Linux: programs that copy files would fail with each of them. @throws EPERM set-id and sticky bits
 */
function mode_attributes(node: ExfatNode, mode: number): number {
  const { quiet, fmask } = node.en_em.em_options;
  const { en_attributes: now } = node;
  if ((mode & ~0o777) !== 0 && !quiet) throw errno(E.EPERM);
  const mask = 0o777 & ~fmask;
  if (node.isdir || (mode & mask & ~WRITE) !== (mask & ~WRITE)) return now;
  const write = mode & mask & WRITE;
  if (write === 0) return now | ATTR_READONLY;
  return write === (mask & WRITE) ? now & ~ATTR_READONLY : now;
}
