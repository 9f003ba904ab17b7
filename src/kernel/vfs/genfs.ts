/**
 * Permission rules that every file system shares; after NetBSD's genfs_can_* (sys/miscfs/genfs/genfs_vnops.c) and the
 * suser security model. A credential with cr_hostchecked has passed the host's permission checks already: for it only
 * read-only volumes and the immutable and append flags still count.
 */
import type { Context } from '../context.js';
import type { Cred } from '../cred.js';
import { kauth_ismember, kauth_issuser } from '../cred.js';
import { E, errno } from '../errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER, MNT_RDONLY, R_OK, W_OK, X_OK } from '../fcntl.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { SF_APPEND, SF_IMMUTABLE, SF_SETTABLE, S_ISGID, S_ISUID, S_ISVTX, UF_APPEND, UF_IMMUTABLE } from '../stat.js';
import { VA_UTIMES_NULL, VBLK, VCHR, VDIR, VLNK, VREG, Vattr } from './vattr.js';
import type { Vnode } from './vnode.js';

export const IMMUTABLE = UF_IMMUTABLE | SF_IMMUTABLE;
export const APPEND = UF_APPEND | SF_APPEND;

/** The superuser, or somebody whom the host has checked. */
export function privileged(ctx: Context): boolean {
  return ctx.cred.cr_uid === 0 || ctx.cred.cr_hostchecked;
}

/**
 * The classic check of mode bits: exactly one class (owner, else group, else other) decides. `acc_mode` is of R_OK,
 * W_OK, X_OK. The superuser may read and write everything, search every directory, and execute what anybody may
 * execute.
 */
export function genfs_can_access(
  type: number,
  mode: number,
  uid: number,
  gid: number,
  acc_mode: number,
  cred: Cred,
): boolean {
  if (kauth_issuser(cred)) return (acc_mode & X_OK) === 0 || type === VDIR || (mode & 0o111) !== 0;
  let granted = mode;
  if (cred.cr_uid === uid) granted = mode >> 6;
  else if (kauth_ismember(cred, gid)) granted = mode >> 3;
  // R_OK, W_OK, X_OK have the values of the mode bits r, w, x.
  return (acc_mode & ~granted & 7) === 0;
}

/** What forbids writing to everybody: a read-only volume, an immutable file. @throws EROFS EPERM */
function genfs_check_writable(vp: Vnode, flags: number): void {
  const type = vp.v_type;
  if ((vp.v_mount.mnt_flag & MNT_RDONLY) !== 0 && (type === VREG || type === VDIR || type === VLNK)) {
    throw errno(E.EROFS);
  }
  if ((flags & IMMUTABLE) !== 0) throw errno(E.EPERM);
}

/** VOP_ACCESS where the attributes are known already. */
export function genfs_access_va(vp: Vnode, va: Vattr, mode: number, ctx: Context): MaybePromise<void> {
  if ((mode & W_OK) !== 0) genfs_check_writable(vp, va.va_flags);
  if (ctx.cred.cr_hostchecked && !vp.v_mount.mnt_traits.access) return undefined;
  if (vp.v_op.access !== undefined) return vp.v_op.access(vp, mode, ctx);
  if (!genfs_can_access(vp.v_type, va.va_mode, va.va_uid, va.va_gid, mode, ctx.cred)) throw errno(E.EACCES);
  return undefined;
}

/**
 * VOP_ACCESS: may the caller read, write, execute or search `vp`, whose lock the caller holds?
 * @throws EACCES EPERM EROFS
 */
export function vop_access(vp: Vnode, mode: number, ctx: Context): MaybePromise<void> {
  if (vp.v_mount.mnt_traits.access && vp.v_op.access !== undefined) return vp.v_op.access(vp, mode, ctx);
  // Nothing can forbid these, so the attributes are not worth asking for.
  if (
    (mode & W_OK) === 0 &&
    (ctx.cred.cr_hostchecked || (ctx.cred.cr_uid === 0 && ((mode & X_OK) === 0 || vp.v_type === VDIR)))
  ) {
    return undefined;
  }
  const va = new Vattr();
  const wait = vp.v_op.getattr(vp, va, ctx);
  if (wait instanceof Promise) return wait.then(() => genfs_access_va(vp, va, mode, ctx));
  return genfs_access_va(vp, va, mode, ctx);
}

/** chmod(2): the owner; sticky files and foreign groups' set-gid need privilege. @throws EPERM EFTYPE */
export function genfs_can_chmod(vp: Vnode, va: Vattr, ctx: Context, mode: number): void {
  if (privileged(ctx)) return;
  if (ctx.cred.cr_uid !== va.va_uid) throw errno(E.EPERM);
  if (vp.v_type !== VDIR && (mode & S_ISVTX) !== 0) throw errno(E.EFTYPE);
  if ((mode & S_ISGID) !== 0 && !kauth_ismember(ctx.cred, va.va_gid)) throw errno(E.EPERM);
}

/** chown(2): the owner may give the file to a group that he belongs to. uid and gid are the new ones. @throws EPERM */
export function genfs_can_chown(va: Vattr, ctx: Context, uid: number, gid: number): void {
  if (privileged(ctx)) return;
  if (ctx.cred.cr_uid !== va.va_uid || uid !== va.va_uid) throw errno(E.EPERM);
  if (gid !== va.va_gid && !kauth_ismember(ctx.cred, gid)) throw errno(E.EPERM);
}

/** utimes(2): the owner; "now" also for who may write. @throws EPERM EACCES */
export function genfs_can_chtimes(vp: Vnode, va: Vattr, ctx: Context, vaflags: number): MaybePromise<void> {
  if (privileged(ctx) || ctx.cred.cr_uid === va.va_uid) return undefined;
  if ((vaflags & VA_UTIMES_NULL) === 0) throw errno(E.EPERM);
  return genfs_access_va(vp, va, W_OK, ctx);
}

/**
 * chflags(2): the owner may change the user flags of what is no device and carries no restricting system flag. Returns
 * the flags to set: others than the superuser leave the system flags as they are. @throws EPERM
 */
export function genfs_can_chflags(vp: Vnode, va: Vattr, ctx: Context, flags: number): number {
  if (kauth_issuser(ctx.cred)) return flags;
  const changing_sysflags =
    ((flags ^ va.va_flags) & SF_SETTABLE) !== 0 || (va.va_flags & (SF_IMMUTABLE | SF_APPEND)) !== 0;
  if (ctx.cred.cr_uid !== va.va_uid || changing_sysflags) throw errno(E.EPERM);
  if (vp.v_type === VCHR || vp.v_type === VBLK) throw errno(E.EPERM);
  return flags;
}

/** Removing or renaming in a sticky directory: the owner of the directory or of the file. @throws EPERM */
export function genfs_can_sticky(dva: Vattr, va: Vattr, ctx: Context): void {
  if ((dva.va_mode & S_ISVTX) === 0 || privileged(ctx)) return;
  if (ctx.cred.cr_uid !== dva.va_uid && ctx.cred.cr_uid !== va.va_uid) throw errno(E.EPERM);
}

/**
 * Extended attributes: the system namespace is the superuser's, the user namespace goes by the file's permissions.
 * @throws EPERM EACCES EROFS
 */
export function genfs_can_extattr(vp: Vnode, mode: number, ctx: Context, namespace: number): MaybePromise<void> {
  if (namespace === EXTATTR_NAMESPACE_SYSTEM) {
    if (!kauth_issuser(ctx.cred)) throw errno(E.EPERM);
    return (mode & W_OK) !== 0 ? vop_access(vp, W_OK, ctx) : undefined;
  }
  if (namespace !== EXTATTR_NAMESPACE_USER) throw errno(E.EINVAL);
  return vop_access(vp, mode & (R_OK | W_OK), ctx);
}

/**
 * The mode of a file that changes hands or content by others than the superuser: set-id bits go. Directories keep
 * theirs.
 */
export function genfs_clear_setid(type: number, mode: number, ctx: Context): number {
  return kauth_issuser(ctx.cred) || type === VDIR ? mode : mode & ~(S_ISUID | S_ISGID);
}
