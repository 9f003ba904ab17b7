/** One component of a path: the name cache, VOP_LOOKUP, mount points. Paths are namei.ts. */
import type { Context } from '../context.js';
import { bytestrDecode } from '../bytestr.js';
import { E, Errno, errno } from '../errno.js';
import { X_OK } from '../fcntl.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { vop_access } from './genfs.js';
import { mount_settled, mounted_root } from './mountlist.js';
import { VDIR, VLNK } from './vattr.js';
import type { VfsKernel } from './vfskernel.js';
import type { Vnode } from './vnode.js';

/** Where a walk begins. */
export interface Walker extends Context {
  readonly kernel: VfsKernel;
  /** The root directory of the process. */
  readonly rootdir: Vnode;
}

function there(vp: Vnode | null): Vnode {
  if (vp === null) throw errno(E.ENOENT);
  return vp;
}

/**
 * VOP_LOOKUP through the name cache; the caller holds the lock of `dvp`. The answer is referenced; null where the name
 * does not exist: throwing costs more than the lookup.
 */
export function cache_vop_lookup_or_null(
  k: VfsKernel,
  dvp: Vnode,
  name: string,
  ctx: Context,
): MaybePromise<Vnode | null> {
  const cached = k.namecache.lookup(dvp, name);
  if (cached === null) return null;
  if (cached !== undefined && k.vcache.tryref(cached)) return cached;
  const { mnt_traits: traits } = dvp.v_mount;
  if (traits.namelength(name) > traits.namemax) throw errno(E.ENAMETOOLONG);
  if (traits.unicode && bytestrDecode(name) === undefined) return null;
  let found: MaybePromise<Vnode | null>;
  try {
    found = dvp.v_op.lookup(dvp, name, ctx);
  } catch (thrown) {
    found = null_if_missing(thrown);
  }
  if (found instanceof Promise) return found.catch(null_if_missing).then((vp) => remember(k, dvp, name, vp));
  return remember(k, dvp, name, found);
}

function null_if_missing(thrown: unknown): null {
  if (thrown instanceof Errno && thrown.errno === E.ENOENT) return null;
  throw thrown;
}

function remember(k: VfsKernel, dvp: Vnode, name: string, vp: Vnode | null): Vnode | null {
  // A vnode whose volume went away says of every name that it is not there.
  if (vp !== null || dvp.v_type === VDIR) k.namecache.enter(dvp, name, vp);
  return vp;
}

/**
 * How `dvp` spells the entry that `name` finds and that is `vp`; the caller holds the lock of `dvp`. Where names do not
 * fold, just so.
 */
export function vn_spelling(k: VfsKernel, dvp: Vnode, name: string, vp: Vnode, ctx: Context): MaybePromise<string> {
  if (dvp.v_mount.mnt_traits.foldname === null || dvp.v_op.spelling === undefined) return name;
  const known = k.namecache.spelling(dvp, name);
  if (known !== undefined) return known;
  const remembered = (spelling: string): string => {
    k.namecache.enterspelling(dvp, name, spelling);
    return spelling;
  };
  const asked = dvp.v_op.spelling(dvp, name, vp, ctx);
  return asked instanceof Promise ? asked.then(remembered) : remembered(asked);
}

/** The same. @throws ENOENT */
export function cache_vop_lookup(k: VfsKernel, dvp: Vnode, name: string, ctx: Context): MaybePromise<Vnode> {
  const found = cache_vop_lookup_or_null(k, dvp, name, ctx);
  return found instanceof Promise ? found.then(there) : there(found);
}

function search_locked(k: VfsKernel, dvp: Vnode, name: string, ctx: Context): MaybePromise<Vnode | null> {
  if (dvp.v_type !== VDIR) throw errno(E.ENOTDIR);
  const allowed = vop_access(dvp, X_OK, ctx);
  if (allowed instanceof Promise) return allowed.then(() => cache_vop_lookup_or_null(k, dvp, name, ctx));
  return cache_vop_lookup_or_null(k, dvp, name, ctx);
}

async function search_wait(
  k: VfsKernel,
  dvp: Vnode,
  name: string,
  ctx: Context,
  wait: Promise<void>,
): Promise<Vnode | null> {
  await wait;
  try {
    return await search_locked(k, dvp, name, ctx);
  } finally {
    dvp.v_lock.exit(false);
  }
}

async function search_finish(dvp: Vnode, found: Promise<Vnode | null>): Promise<Vnode | null> {
  try {
    return await found;
  } finally {
    dvp.v_lock.exit(false);
  }
}

/** May the caller read and search `dvp` whatever its mode bits say? */
export function permitted_anyway(dvp: Vnode, ctx: Context): boolean {
  return (ctx.cred.cr_uid === 0 || ctx.cred.cr_hostchecked) && !dvp.v_mount.mnt_traits.access;
}

/**
 * One component, not ".", in a directory that the caller has referenced; ".." stays inside the volume. Checks search
 * permission. The answer is referenced, unlocked, and not followed into a mount; null where the name does not exist.
 * @throws ENOTDIR EACCES
 */
export function search_or_null(k: VfsKernel, dvp: Vnode, name: string, ctx: Context): MaybePromise<Vnode | null> {
  // Who needs no permission check needs no lock either when the name cache knows the answer.
  if (permitted_anyway(dvp, ctx)) {
    const cached = k.namecache.lookup(dvp, name);
    if (cached === null) return null;
    if (cached !== undefined && k.vcache.tryref(cached)) return cached;
  }
  const wait = dvp.v_lock.enter(false);
  if (wait) return search_wait(k, dvp, name, ctx, wait);
  let found: MaybePromise<Vnode | null>;
  try {
    found = search_locked(k, dvp, name, ctx);
  } catch (thrown) {
    dvp.v_lock.exit(false);
    throw thrown;
  }
  if (found instanceof Promise) return search_finish(dvp, found);
  dvp.v_lock.exit(false);
  return found;
}

/** The same. @throws ENOENT */
export function search(k: VfsKernel, dvp: Vnode, name: string, ctx: Context): MaybePromise<Vnode> {
  const found = search_or_null(k, dvp, name, ctx);
  return found instanceof Promise ? found.then(there) : there(found);
}

/**
 * From a covered directory to the root of what is mounted there; gives back the reference to `vp` and takes one to the
 * answer.
 */
export function cross_mounts(k: VfsKernel, vp: Vnode): MaybePromise<Vnode> {
  if (vp.v_mountedhere === null) return vp;
  return cross_mounts_slow(k, vp);
}

async function cross_mounts_slow(k: VfsKernel, start: Vnode): Promise<Vnode> {
  let vp = start;
  while (vp.v_mountedhere !== null) {
    const root = mounted_root(vp);
    if (root === undefined) {
      await mount_settled(vp.v_mountedhere);
      continue;
    }
    k.vcache.ref(root);
    await k.vcache.rele(vp);
    vp = root;
  }
  return vp;
}

/**
 * Takes `name` in `dvp`, across mount points downwards and, for "..", upwards; not above the process's root. The answer
 * is referenced.
 */
export function lookup_once(w: Walker, dvp: Vnode, name: string): MaybePromise<Vnode> {
  const k = w.kernel;
  if (name === '..') return lookup_dotdot(w, dvp);
  const found = search(k, dvp, name, w);
  if (found instanceof Promise) return found.then((vp) => cross_mounts(k, vp));
  return cross_mounts(k, found);
}

async function lookup_dotdot(w: Walker, start: Vnode): Promise<Vnode> {
  const k = w.kernel;
  let dvp = start;
  while (dvp !== w.rootdir && dvp !== k.rootvnode && dvp.v_isroot) {
    const covered = dvp.v_mount.mnt_vnodecovered;
    if (covered === null) throw errno(E.ENOENT); // the volume was taken away from under us
    dvp = covered;
  }
  if (dvp === w.rootdir || dvp === k.rootvnode) {
    await vop_access_locked(dvp, X_OK, w);
    k.vcache.ref(dvp);
    return dvp;
  }
  // `dvp` may be a covered directory that only its mount holds: keep it while we wait.
  k.vcache.ref(dvp);
  try {
    return await cross_mounts(k, await search(k, dvp, '..', w));
  } finally {
    await k.vcache.rele(dvp);
  }
}

export async function vop_access_locked(vp: Vnode, mode: number, ctx: Context): Promise<void> {
  const wait = vp.v_lock.enter(false);
  if (wait) await wait;
  try {
    await vop_access(vp, mode, ctx);
  } finally {
    vp.v_lock.exit(false);
  }
}

/** The target of a symlink as a byte string; the caller has referenced it. @throws EINVAL for what is no symlink */
export async function vn_readlink(vp: Vnode, ctx: Context): Promise<Uint8Array> {
  const wait = vp.v_lock.enter(false);
  if (wait) await wait;
  try {
    if (vp.v_type !== VLNK) throw errno(E.EINVAL);
    return await vp.v_op.readlink(vp, ctx);
  } finally {
    vp.v_lock.exit(false);
  }
}
