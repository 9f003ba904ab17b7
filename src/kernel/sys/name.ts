/**
 * Calls that make, remove and read names: link, symlink, readlink, unlink, mkdir, rmdir, mknod families. rename has its
 * own file.
 */
import { E, errno } from '../errno.js';
import { AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, PATH_MAX, W_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { ALLPERMS, S_IFMT, S_IFREG, S_ISVTX } from '../stat.js';
import { APPEND, IMMUTABLE, genfs_access_va, genfs_can_sticky, privileged } from '../vfs/genfs.js';
import { cache_vop_lookup, cache_vop_lookup_or_null, vn_readlink } from '../vfs/lookup.js';
import type { Parent } from '../vfs/namei.js';
import { VBLK, VCHR, VDIR, VFIFO, VLNK, VREG, VSOCK, Vattr, iftovt } from '../vfs/vattr.js';
import { mnt_check_rw, mnt_dirtied, mnt_done_write, mnt_start_write, vn_syncmount } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { at_namei, at_parent, copyinpath } from './at.js';
import { create_checks } from './create.js';
import type { Path } from './rumpsys.js';

/** @throws EEXIST if there is something called `name` in `dvp`, whose lock is held */
async function refuse_existing(l: Lwp, found: Promise<Vnode | null> | Vnode): Promise<void> {
  const vp = await found;
  if (vp === null) return;
  await l.kernel.vrele(vp);
  throw errno(E.EEXIST);
}

function is_special(name: string): boolean {
  return name === '' || name === '.' || name === '..';
}

/**
 * Makes the name of `parent` with `vop`, under the lock of the directory, after all checks; gives the reference to the
 * directory back. `dir`: a name with a slash behind it is all right. Returns what `vop` returns.
 */
async function make(
  l: Lwp,
  parent: Parent,
  va: Vattr,
  dir: boolean,
  vop: (dvp: Vnode, name: string) => MaybePromise<Vnode | undefined>,
): Promise<void> {
  const k = l.kernel;
  const { dvp, name } = parent;
  const mp = dvp.v_mount;
  try {
    if (is_special(name)) throw errno(E.EEXIST);
    let wait = mnt_start_write(mp);
    if (wait) await wait;
    try {
      let made: Vnode | undefined;
      wait = dvp.v_lock.enter(true);
      if (wait) await wait;
      try {
        const found = cache_vop_lookup_or_null(k, dvp, name, l);
        if (found !== null) await refuse_existing(l, found);
        if (parent.mustbedir && !dir) throw errno(E.ENOENT);
        const checks = create_checks(l, dvp, name, va);
        if (checks) await checks;
        try {
          const answer = vop(dvp, name);
          made = answer instanceof Promise ? await answer : answer;
        } catch (thrown) {
          k.namecache.remove(dvp, name);
          throw thrown;
        } finally {
          mnt_dirtied(k, mp);
        }
        if (made !== undefined) k.namecache.enter(dvp, name, made);
        const synced = vn_syncmount(dvp);
        if (synced) await synced;
      } finally {
        dvp.v_lock.exit(true);
        if (made !== undefined) {
          const released = k.vrele(made);
          if (released) await released;
        }
      }
    } finally {
      mnt_done_write(mp);
    }
  } finally {
    const released = k.vrele(dvp);
    if (released) await released;
  }
}

export async function sys_mkdirat(l: Lwp, fd: number, path: Path, mode: number): Promise<void> {
  const looked = at_parent(l, fd, copyinpath(path));
  const parent = looked instanceof Promise ? await looked : looked;
  const va = new Vattr();
  va.va_type = VDIR;
  va.va_mode = mode & (0o777 | S_ISVTX) & ~l.p.p_umask;
  return make(l, parent, va, true, (dvp, name) => dvp.v_op.mkdir(dvp, name, va, l));
}

/** `mode` carries the type. Devices are for the superuser. @throws EPERM EINVAL */
export async function sys_mknodat(l: Lwp, fd: number, path: Path, mode: number, dev: bigint): Promise<void> {
  const type = iftovt(mode);
  if (type !== VREG && type !== VBLK && type !== VCHR && type !== VFIFO && type !== VSOCK) throw errno(E.EINVAL);
  const device = type === VBLK || type === VCHR;
  if (device && !privileged(l)) throw errno(E.EPERM);
  const looked = at_parent(l, fd, copyinpath(path));
  const parent = looked instanceof Promise ? await looked : looked;
  const va = new Vattr();
  va.va_type = type;
  va.va_mode = mode & ALLPERMS & ~l.p.p_umask & ~((mode & S_IFMT) === S_IFREG ? S_ISVTX : 0);
  if (device) va.va_rdev = dev;
  return make(l, parent, va, false, (dvp, name) => {
    if (type === VREG) return dvp.v_op.create(dvp, name, va, l);
    if (!dvp.v_mount.mnt_traits.specials) throw errno(E.EPERM, 'this file system has no devices, fifos and sockets');
    return dvp.v_op.mknod(dvp, name, va, l);
  });
}

export async function sys_symlinkat(l: Lwp, target: Path, fd: number, path: Path): Promise<void> {
  const to = copyinpath(target);
  if (to.length === 0) throw errno(E.ENOENT);
  if (to.length >= PATH_MAX) throw errno(E.ENAMETOOLONG);
  const looked = at_parent(l, fd, copyinpath(path));
  const parent = looked instanceof Promise ? await looked : looked;
  const va = new Vattr();
  va.va_type = VLNK;
  va.va_mode = 0o777 & ~l.p.p_umask;
  return make(l, parent, va, false, (dvp, name) => {
    if (!dvp.v_mount.mnt_traits.symlinks) throw errno(E.EPERM, 'this file system has no symbolic links');
    return dvp.v_op.symlink(dvp, name, va, to, l);
  });
}

export async function sys_linkat(l: Lwp, fromfd: number, from: Path, tofd: number, to: Path, flags = 0): Promise<void> {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) throw errno(E.EINVAL);
  const vp = await at_namei(
    l,
    fromfd,
    copyinpath(from),
    (flags & AT_SYMLINK_FOLLOW) !== 0,
    (flags & AT_EMPTY_PATH) !== 0,
  );
  try {
    if (vp.v_type === VDIR) throw errno(E.EPERM);
    const parent = await at_parent(l, tofd, copyinpath(to));
    await make(l, parent, new Vattr(), false, async (dvp, name) => {
      if (dvp.v_mount !== vp.v_mount) throw errno(E.EXDEV);
      if (!dvp.v_mount.mnt_traits.hardlinks) throw errno(E.EPERM, 'this file system has no hard links');
      const wait = vp.v_lock.enter(true);
      if (wait) await wait;
      try {
        const va = new Vattr();
        await vp.v_op.getattr(vp, va, l);
        // A descriptor may give a file that has no name (any more, or yet: O_TMPFILE) one again.
        if (va.va_nlink === 0 && (flags & AT_EMPTY_PATH) === 0) throw errno(E.ENOENT);
        if ((va.va_flags & (IMMUTABLE | APPEND)) !== 0) throw errno(E.EPERM);
        await dvp.v_op.link(dvp, vp, name, l);
        await vn_syncmount(vp);
      } finally {
        vp.v_lock.exit(true);
      }
      l.kernel.vref(vp); // make gives one back
      return vp;
    });
  } finally {
    await l.kernel.vrele(vp);
  }
}

/**
 * May `vp`, called something in `dvp`, lose that name? Both are locked. Fills `dva` and `va`.
 * @throws EROFS EACCES EPERM
 */
export function remove_checks(l: Lwp, dvp: Vnode, vp: Vnode, dva: Vattr, va: Vattr): MaybePromise<void> {
  mnt_check_rw(dvp.v_mount);
  const got = dvp.v_op.getattr(dvp, dva, l);
  const allowed =
    got instanceof Promise ? got.then(() => genfs_access_va(dvp, dva, W_OK, l)) : genfs_access_va(dvp, dva, W_OK, l);
  if (allowed instanceof Promise) return allowed.then(() => remove_checks_file(l, vp, dva, va));
  return remove_checks_file(l, vp, dva, va);
}

function remove_checks_file(l: Lwp, vp: Vnode, dva: Vattr, va: Vattr): MaybePromise<void> {
  const got = vp.v_op.getattr(vp, va, l);
  if (got instanceof Promise) return got.then(() => remove_checks_va(l, dva, va));
  return remove_checks_va(l, dva, va);
}

function remove_checks_va(l: Lwp, dva: Vattr, va: Vattr): void {
  genfs_can_sticky(dva, va, l);
  if ((va.va_flags & (IMMUTABLE | APPEND)) !== 0 || (dva.va_flags & APPEND) !== 0) throw errno(E.EPERM);
}

/** unlink and rmdir of the name of `parent`; gives the reference to the directory back. */
async function remove(l: Lwp, parent: Parent, dir: boolean): Promise<void> {
  const k = l.kernel;
  const { dvp, name } = parent;
  const mp = dvp.v_mount;
  try {
    let wait = mnt_start_write(mp);
    if (wait) await wait;
    // rmdir locks two directories: see the order of locks in vnlock.ts.
    if (dir) {
      wait = mp.mnt_renamelock.enter(true);
      if (wait) await wait;
    }
    try {
      let vp: Vnode | undefined;
      wait = dvp.v_lock.enter(true);
      if (wait) await wait;
      try {
        const found = cache_vop_lookup(k, dvp, name, l);
        vp = found instanceof Promise ? await found : found;
        await remove_found(l, parent, vp, dir);
      } finally {
        dvp.v_lock.exit(true);
        if (vp !== undefined) {
          const released = k.vrele(vp);
          if (released) await released;
        }
      }
    } finally {
      if (dir) mp.mnt_renamelock.exit(true);
      mnt_done_write(mp);
    }
  } finally {
    const released = k.vrele(dvp);
    if (released) await released;
  }
}

/**
 * unlink of a directory, without its lock: a second directory is locked only by who has the mount's rename lock
 * (vnlock.ts).
 * @throws EPERM always, but for EROFS and EACCES
 */
async function refuse_directory(l: Lwp, dvp: Vnode): Promise<never> {
  mnt_check_rw(dvp.v_mount);
  const dva = new Vattr();
  await dvp.v_op.getattr(dvp, dva, l);
  await genfs_access_va(dvp, dva, W_OK, l);
  throw errno(E.EPERM);
}

async function remove_found(l: Lwp, parent: Parent, vp: Vnode, dir: boolean): Promise<void> {
  const k = l.kernel;
  const { dvp, name } = parent;
  if (vp === dvp) throw errno(E.EINVAL); // a damaged directory that contains itself
  if (vp.v_mountedhere !== null) throw errno(E.EBUSY);
  if (parent.mustbedir && vp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (dir && vp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (!dir && vp.v_type === VDIR) return refuse_directory(l, dvp);
  const wait = vp.v_lock.enter(true);
  if (wait) await wait;
  try {
    const allowed = remove_checks(l, dvp, vp, new Vattr(), new Vattr());
    if (allowed) await allowed;
    try {
      const done = dir ? dvp.v_op.rmdir(dvp, vp, name, l) : dvp.v_op.remove(dvp, vp, name, l);
      if (done instanceof Promise) await done;
    } catch (thrown) {
      k.namecache.remove(dvp, name);
      throw thrown;
    } finally {
      mnt_dirtied(k, dvp.v_mount);
    }
    k.namecache.gone(dvp, name, vp);
    if (dir) k.namecache.purgeChildren(vp);
    const synced = vn_syncmount(dvp);
    if (synced) await synced;
  } finally {
    vp.v_lock.exit(true);
  }
}

export async function sys_unlinkat(l: Lwp, fd: number, path: Path, flags = 0): Promise<void> {
  if ((flags & ~AT_REMOVEDIR) !== 0) throw errno(E.EINVAL);
  const dir = (flags & AT_REMOVEDIR) !== 0;
  const looked = at_parent(l, fd, copyinpath(path));
  const parent = looked instanceof Promise ? await looked : looked;
  if (is_special(parent.name)) {
    await l.kernel.vrele(parent.dvp);
    if (!dir) throw errno(E.EPERM);
    throw errno(parent.name === '' ? E.EBUSY : parent.name === '.' ? E.EINVAL : E.ENOTEMPTY);
  }
  return remove(l, parent, dir);
}

export async function sys_readlinkat(l: Lwp, fd: number, path: Path): Promise<Uint8Array> {
  const vp = await at_namei(l, fd, copyinpath(path), false, true);
  try {
    return await vn_readlink(vp, l);
  } finally {
    await l.kernel.vrele(vp);
  }
}
