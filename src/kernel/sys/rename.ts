/** rename in all its corners. */
import { E, errno } from '../errno.js';
import { MNT_SYNCHRONOUS, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, W_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { genfs_access_va, privileged } from '../vfs/genfs.js';
import { cache_vop_lookup, cache_vop_lookup_or_null } from '../vfs/lookup.js';
import type { Parent } from '../vfs/namei.js';
import { VCHR, VDIR, Vattr } from '../vfs/vattr.js';
import { mnt_check_rw, mnt_dirtied, mnt_done_write, mnt_start_write, vn_syncmount } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { at_parent, copyinpath } from './at.js';
import { check_newname, create_checks } from './create.js';
import { remove_checks } from './name.js';
import type { Path } from './rumpsys.js';

/** Locks taken by a rename, each once. */
class Locks {
  private readonly taken: Vnode[] = [];

  /** Test the result before awaiting it. */
  take(vp: Vnode): Promise<void> | undefined {
    if (this.taken.includes(vp)) return undefined;
    const wait = vp.v_lock.enter(true);
    if (wait) return wait.then(() => void this.taken.push(vp));
    this.taken.push(vp);
    return undefined;
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
  // On a damaged volume the way up may not end. Brent's algorithm: a walk in a circle comes back to the place where it
  // was after a power of two steps.
  let mark = -1;
  k.vref(at);
  try {
    for (let depth = 1; ; depth++) {
      if (at === vp) return true;
      if (at.v_isroot) return false;
      if (at.v_key === mark) {
        throw errno(E.EIO, 'directories lead to each other by ".." in a circle; the volume is damaged: check it');
      }
      if ((depth & (depth - 1)) === 0) mark = at.v_key;
      const locked = locks.holds(at);
      if (!locked) {
        const wait = at.v_lock.enter(false);
        if (wait) await wait;
      }
      let up: Vnode;
      try {
        up = await cache_vop_lookup(k, at, '..', l);
      } finally {
        if (!locked) at.v_lock.exit(false);
      }
      await k.vrele(at);
      at = up;
    }
  } finally {
    await k.vrele(at);
  }
}

/** The types of source and target must fit, and the slashes behind the names. @throws ENOTDIR EISDIR */
function check_types(from: Parent, fvp: Vnode, to: Parent, tvp: Vnode | null): void {
  const directory = fvp.v_type === VDIR;
  if (from.mustbedir && !directory) throw errno(E.ENOTDIR);
  if (tvp === null) {
    if (to.mustbedir && !directory) throw errno(E.ENOTDIR);
    return;
  }
  if (to.mustbedir && tvp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (directory && tvp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (!directory && tvp.v_type === VDIR) throw errno(E.EISDIR);
}

/** Names with a slash behind them are directories'. @throws ENOTDIR */
function check_slashes(from: Parent, fvp: Vnode, to: Parent, tvp: Vnode): void {
  if ((from.mustbedir && fvp.v_type !== VDIR) || (to.mustbedir && tvp.v_type !== VDIR)) throw errno(E.ENOTDIR);
}

/** Everything but the types: permissions, flags, mount points, cycles. All four are locked. */
async function check_allowed(
  l: Lwp,
  from: Parent,
  fvp: Vnode,
  to: Parent,
  tvp: Vnode | null,
  locks: Locks,
): Promise<void> {
  const fdvp = from.dvp;
  const tdvp = to.dvp;
  const directory = fvp.v_type === VDIR;
  if (directory && fdvp !== tdvp && (await is_ancestor(l, fvp, tdvp, locks))) throw errno(E.EINVAL);
  const va = new Vattr();
  let wait = remove_checks(l, fdvp, fvp, new Vattr(), va);
  if (wait) await wait;
  // The moved directory's ".." is rewritten, which is a write to it.
  if (directory && fdvp !== tdvp) await genfs_access_va(fvp, va, W_OK, l);
  const tdva = new Vattr();
  if (tvp !== null) {
    wait = remove_checks(l, tdvp, tvp, tdva, new Vattr());
    if (wait) await wait;
  } else {
    wait = tdvp.v_op.getattr(tdvp, tdva, l);
    if (wait) await wait;
    wait = genfs_access_va(tdvp, tdva, W_OK, l);
    if (wait) await wait;
  }
  if (tdva.va_nlink === 0) throw errno(E.ENOENT);
  check_newname(tdvp, to.name);
}

/** Do both names name the same entry of a directory whose names fold, in two spellings? */
function respelling(from: Parent, to: Parent): boolean {
  if (from.dvp !== to.dvp || from.name === to.name) return false;
  const { foldname } = from.dvp.v_mount.mnt_traits;
  return foldname !== null && foldname(from.name) === foldname(to.name);
}

/** The same for two names that change places. */
async function exchange_allowed(l: Lwp, from: Parent, fvp: Vnode, to: Parent, tvp: Vnode, locks: Locks): Promise<void> {
  for (const [own, vp, other] of [[from, fvp, to], [to, tvp, from]] as const) {
    const moves = vp.v_type === VDIR && own.dvp !== other.dvp;
    if (moves && (await is_ancestor(l, vp, other.dvp, locks))) throw errno(E.EINVAL);
    const dva = new Vattr();
    const va = new Vattr();
    const wait = remove_checks(l, own.dvp, vp, dva, va);
    if (wait) await wait;
    if (dva.va_nlink === 0) throw errno(E.ENOENT);
    check_newname(other.dvp, other.name);
    if (moves) await genfs_access_va(vp, va, W_OK, l);
  }
}

/** Carries out what was allowed, and keeps the name cache right. All are locked. */
async function rename_vop(
  l: Lwp,
  from: Parent,
  fvp: Vnode,
  to: Parent,
  tvp: Vnode | null,
  flags: number,
): Promise<void> {
  const { dvp: fdvp, name: fname } = from;
  const { dvp: tdvp, name: tname } = to;
  const { namecache } = l.kernel;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const whiteout = (flags & RENAME_WHITEOUT) !== 0;
  try {
    let done: MaybePromise<void>;
    if (exchange) {
      done = fdvp.v_op.exchange!(fdvp, fvp, fname, tdvp, tvp!, tname, l);
    } else if (whiteout) {
      const va = new Vattr();
      va.va_type = VCHR;
      va.va_mode = 0;
      const checked = create_checks(l, fdvp, fname, va);
      if (checked) await checked;
      done = fdvp.v_op.renamewhiteout!(fdvp, fvp, fname, tdvp, tvp, tname, va, l);
    } else {
      done = fdvp.v_op.rename(fdvp, fvp, fname, tdvp, tvp, tname, l);
    }
    if (done instanceof Promise) await done;
  } catch (thrown) {
    namecache.remove(fdvp, fname);
    namecache.remove(tdvp, tname);
    throw thrown;
  } finally {
    if (fdvp !== tdvp) {
      if (fvp.v_type === VDIR) namecache.remove(fvp, '..');
      if (exchange && tvp!.v_type === VDIR) namecache.remove(tvp!, '..');
    }
    mnt_dirtied(l.kernel, fdvp.v_mount);
  }
  if (tvp !== null) namecache.gone(tdvp, tname, tvp);
  namecache.gone(fdvp, fname, fvp);
  if (whiteout) namecache.remove(fdvp, fname);
  else if (exchange) namecache.enter(fdvp, fname, tvp);
  namecache.enter(tdvp, tname, fvp);
  if (!exchange && tvp !== null && tvp.v_type === VDIR) namecache.purgeChildren(tvp);
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
    let wait = locks.take(fdvp);
    if (wait) await wait;
    wait = locks.take(tdvp);
    if (wait) await wait;
    const source = cache_vop_lookup(k, fdvp, from.name, l);
    fvp = source instanceof Promise ? await source : source;
    const target = cache_vop_lookup_or_null(k, tdvp, to.name, l);
    tvp = target instanceof Promise ? await target : target;
    if (tvp !== null && respelling(from, to)) {
      // What the directory finds under the new name is the entry that is to be spelled anew: nothing is replaced.
      const released = k.vrele(tvp);
      tvp = null;
      if (released) await released;
    }
    if (tvp !== null && (flags & RENAME_NOREPLACE) !== 0) throw errno(E.EEXIST);
    const exchange = (flags & RENAME_EXCHANGE) !== 0;
    if (exchange && tvp === null) throw errno(E.ENOENT);
    if (fvp === tvp && (exchange || fvp.v_type !== VDIR || (fdvp === tdvp && from.name === to.name))) {
      // Two names of one file, or twice the same name: nothing to do, says POSIX. (Two names of a directory are a
      // rename that was not finished: it is now.)
      if ((from.mustbedir || to.mustbedir) && fvp.v_type !== VDIR) throw errno(E.ENOTDIR);
      return;
    }
    if (fvp.v_mountedhere !== null || (tvp !== null && tvp.v_mountedhere !== null)) throw errno(E.EBUSY);
    if (fvp === fdvp || fvp === tdvp) throw errno(E.EINVAL);
    if (exchange) check_slashes(from, fvp, to, tvp!);
    else check_types(from, fvp, to, tvp);
    if (tvp === tdvp) throw errno(E.EINVAL); // only on a damaged volume
    if (tvp === fdvp) throw errno(exchange ? E.EINVAL : E.ENOTEMPTY);
    wait = locks.take(fvp);
    if (wait) await wait;
    wait = tvp === null ? undefined : locks.take(tvp);
    if (wait) await wait;
    if (exchange) await exchange_allowed(l, from, fvp, to, tvp!, locks);
    else await check_allowed(l, from, fvp, to, tvp, locks);
    await rename_vop(l, from, fvp, to, tvp, flags);
    if ((fdvp.v_mount.mnt_flag & MNT_SYNCHRONOUS) !== 0) {
      for (const vp of new Set([fvp, tdvp, fdvp])) {
        await vn_syncmount(vp);
      }
    }
  } finally {
    locks.exit();
    for (const vp of [fvp, tvp]) {
      const released = vp === null ? undefined : k.vrele(vp);
      if (released) await released;
    }
  }
}

async function rename_parents(l: Lwp, from: Parent, to: Parent, flags: number): Promise<void> {
  for (const name of [from.name, to.name]) {
    if (name === '.' || name === '..') throw errno(E.EINVAL);
    if (name === '') throw errno(E.EBUSY);
  }
  const mp = from.dvp.v_mount;
  if (to.dvp.v_mount !== mp) throw errno(E.EXDEV);
  const { exchange, renamewhiteout } = from.dvp.v_op;
  if ((flags & RENAME_EXCHANGE) !== 0 && exchange === undefined) {
    throw errno(E.EINVAL, 'this file system cannot exchange names');
  }
  if ((flags & RENAME_WHITEOUT) !== 0 && renamewhiteout === undefined) {
    throw errno(E.EINVAL, 'this file system cannot leave whiteouts');
  }
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

export async function sys_renameat2(
  l: Lwp,
  fromfd: number,
  from: Path,
  tofd: number,
  to: Path,
  flags: number,
): Promise<void> {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) !== 0) throw errno(E.EINVAL);
  if ((flags & RENAME_EXCHANGE) !== 0 && flags !== RENAME_EXCHANGE) throw errno(E.EINVAL);
  // A whiteout is a device.
  if ((flags & RENAME_WHITEOUT) !== 0 && !privileged(l)) throw errno(E.EPERM);
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
