/** rename in all its corners. */
import { E, Errno, errno } from '../errno.js';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, W_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { genfs_access_va } from '../vfs/genfs.js';
import { cache_vop_lookup } from '../vfs/namei.js';
import type { Parent } from '../vfs/namei.js';
import { VDIR, Vattr } from '../vfs/vattr.js';
import { mnt_check_rw, mnt_dirtied, mnt_done_write, mnt_start_write, vn_syncmount } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { at_parent, copyinpath } from './at.js';
import { remove_checks } from './name.js';
import type { Path } from './rumpsys.js';

/** Levels of directories that a walk to the root takes before it calls the volume damaged. */
const DEPTH_MAX = 1 << 20;

async function lookup_or_null(l: Lwp, dvp: Vnode, name: string): Promise<Vnode | null> {
  try {
    return await cache_vop_lookup(l.kernel, dvp, name, l.cred);
  } catch (thrown) {
    if (thrown instanceof Errno && thrown.errno === E.ENOENT) return null;
    throw thrown;
  }
}

/** Locks taken by a rename, each once. */
class Locks {
  private readonly taken: Vnode[] = [];

  async take(vp: Vnode): Promise<void> {
    if (this.taken.includes(vp)) return;
    const wait = vp.v_lock.enter(true);
    if (wait) await wait;
    this.taken.push(vp);
  }

  holds(vp: Vnode): boolean {
    return this.taken.includes(vp);
  }

  exit(): void {
    for (const vp of this.taken) vp.v_lock.exit(true);
  }
}

/**
 * Is the directory `vp` an ancestor of `dvp`, or `dvp` itself? Only rename moves directories and it is alone in the
 * mount, so the answer stays true. @throws EIO a chain of ".." without end
 */
async function is_ancestor(l: Lwp, vp: Vnode, dvp: Vnode, locks: Locks): Promise<boolean> {
  const k = l.kernel;
  let at = dvp;
  k.vref(at);
  try {
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      if (at === vp) return true;
      if (at.v_isroot) return false;
      const locked = locks.holds(at);
      if (!locked) {
        const wait = at.v_lock.enter(false);
        if (wait) await wait;
      }
      let up: Vnode;
      try {
        up = await cache_vop_lookup(k, at, '..', l.cred);
      } finally {
        if (!locked) at.v_lock.exit(false);
      }
      await k.vrele(at);
      at = up;
    }
  } finally {
    await k.vrele(at);
  }
  throw errno(E.EIO, 'directories lead to each other by ".." in a circle; the volume is damaged: check it');
}

/** The types of source and target must fit, and the slashes behind the names. @throws ENOTDIR EISDIR ENOENT EEXIST */
function check_types(from: Parent, fvp: Vnode, to: Parent, tvp: Vnode | null): void {
  const directory = fvp.v_type === VDIR;
  if (from.mustbedir && !directory) throw errno(E.ENOTDIR);
  if (tvp === null) {
    if (to.mustbedir && !directory) throw errno(E.ENOENT);
    return;
  }
  if (to.mustbedir && tvp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (directory && tvp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (!directory && tvp.v_type === VDIR) throw errno(E.EISDIR);
}

/** Everything but the types: permissions, flags, mount points, cycles. All four are locked. */
async function check_allowed(l: Lwp, from: Parent, fvp: Vnode, to: Parent, tvp: Vnode | null, locks: Locks): Promise<void> {
  const fdvp = from.dvp;
  const tdvp = to.dvp;
  const directory = fvp.v_type === VDIR;
  if (directory && fdvp !== tdvp && (await is_ancestor(l, fvp, tdvp, locks))) throw errno(E.EINVAL);
  const va = new Vattr();
  await remove_checks(l, fdvp, fvp, new Vattr(), va);
  // The moved directory's ".." is rewritten, which is a write to it.
  if (directory && fdvp !== tdvp) await genfs_access_va(fvp, va, W_OK, l.cred);
  const tdva = new Vattr();
  if (tvp !== null) {
    await remove_checks(l, tdvp, tvp, tdva, new Vattr());
  } else {
    await tdvp.v_op.getattr(tdvp, tdva, l.cred);
    await genfs_access_va(tdvp, tdva, W_OK, l.cred);
  }
  if (tdva.va_nlink === 0) throw errno(E.ENOENT);
}

/** Locks the directories, looks the names up and carries the rename out. The caller has the mount's rename lock. */
async function rename_names(l: Lwp, from: Parent, to: Parent, flags: number): Promise<void> {
  const locks = new Locks();
  const k = l.kernel;
  const fdvp = from.dvp;
  const tdvp = to.dvp;
  let fvp: Vnode | null = null;
  let tvp: Vnode | null = null;
  try {
    await locks.take(fdvp);
    await locks.take(tdvp);
    fvp = await cache_vop_lookup(k, fdvp, from.name, l.cred);
    tvp = await lookup_or_null(l, tdvp, to.name);
    if (tvp !== null && (flags & RENAME_NOREPLACE) !== 0) throw errno(E.EEXIST);
    if (fvp === tvp) {
      // Two names of one file, or twice the same name: nothing to do, says POSIX.
      if ((from.mustbedir || to.mustbedir) && fvp.v_type !== VDIR) throw errno(E.ENOTDIR);
      return;
    }
    if (fvp.v_mountedhere !== null || (tvp !== null && tvp.v_mountedhere !== null)) throw errno(E.EBUSY);
    if (fvp === fdvp || fvp === tdvp) throw errno(E.EINVAL);
    check_types(from, fvp, to, tvp);
    if (tvp === tdvp) throw errno(E.EINVAL); // only on a damaged volume
    if (tvp === fdvp) throw errno(E.ENOTEMPTY);
    await locks.take(fvp);
    if (tvp !== null) await locks.take(tvp);
    await check_allowed(l, from, fvp, to, tvp, locks);
    k.namecache.remove(fdvp, from.name);
    k.namecache.remove(tdvp, to.name);
    if (fvp.v_type === VDIR) k.namecache.remove(fvp, '..');
    try {
      const done = fdvp.v_op.rename(fdvp, fvp, from.name, tdvp, tvp, to.name, l.cred);
      if (done instanceof Promise) await done;
    } finally {
      mnt_dirtied(k, fdvp.v_mount);
    }
    k.namecache.enter(fdvp, from.name, null);
    k.namecache.enter(tdvp, to.name, fvp);
    if (tvp !== null && tvp.v_type === VDIR) k.namecache.purgeChildren(tvp);
    await vn_syncmount(fvp);
    await vn_syncmount(tdvp);
    if (fdvp !== tdvp) await vn_syncmount(fdvp);
  } finally {
    locks.exit();
    if (fvp !== null) await k.vrele(fvp);
    if (tvp !== null) await k.vrele(tvp);
  }
}

async function rename_parents(l: Lwp, from: Parent, to: Parent, flags: number): Promise<void> {
  for (const name of [from.name, to.name]) {
    if (name === '.' || name === '..') throw errno(E.EINVAL);
    if (name === '') throw errno(E.EBUSY);
  }
  const mp = from.dvp.v_mount;
  if (to.dvp.v_mount !== mp) throw errno(E.EXDEV);
  let wait = mnt_start_write(mp);
  if (wait) await wait;
  try {
    mnt_check_rw(mp);
    wait = mp.mnt_renamelock.enter(true);
    if (wait) await wait;
    try {
      await rename_names(l, from, to, flags);
    } finally {
      mp.mnt_renamelock.exit(true);
    }
  } finally {
    mnt_done_write(mp);
  }
}

export async function sys_renameat2(l: Lwp, fromfd: number, from: Path, tofd: number, to: Path, flags: number): Promise<void> {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) throw errno(E.EINVAL);
  if ((flags & RENAME_EXCHANGE) !== 0) throw errno(E.EINVAL, 'no driver exchanges names atomically');
  const frompath = copyinpath(from);
  const topath = copyinpath(to);
  const fparent = await at_parent(l, fromfd, frompath);
  try {
    const tparent = await at_parent(l, tofd, topath);
    try {
      await rename_parents(l, fparent, tparent, flags);
    } finally {
      await l.kernel.vrele(tparent.dvp);
    }
  } finally {
    await l.kernel.vrele(fparent.dvp);
  }
}
