/** open, openat, creat. */
import { bytestrFromBytes } from '../bytestr.js';
import { E, errno } from '../errno.js';
import {
  LOCK_EX, LOCK_NB, LOCK_SH, MAXSYMLINKS, O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EMPTY_PATH, O_EXCL,
  O_EXLOCK, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_REGULAR, O_SEARCH, O_SHLOCK, O_TMPFILE, O_TRUNC, R_OK, W_OK, X_OK,
} from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { ALLPERMS, S_ISVTX } from '../stat.js';
import { APPEND, genfs_access_va, genfs_clear_setid } from '../vfs/genfs.js';
import { cache_vop_lookup_or_null, cross_mounts, permitted_anyway, vn_readlink } from '../vfs/lookup.js';
import { nameiparent } from '../vfs/namei.js';
import type { Parent } from '../vfs/namei.js';
import { VBLK, VCHR, VDIR, VFIFO, VLNK, VREG, VSOCK, Vattr } from '../vfs/vattr.js';
import { mimpl } from '../vfs/mntimpl.js';
import { vimpl } from '../vfs/vnimpl.js';
import { mnt_dirtied, mnt_done_write, mnt_start_write, vn_syncmount } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { VS_ACTIVE } from '../vfs/vnode.js';
import { at_namei, at_parent, copyinpath } from './at.js';
import { closef } from './close.js';
import { create_checks } from './create.js';
import { File } from './file.js';
import { file_flock } from './lock.js';
import type { Path } from './rumpsys.js';

const WRITING = O_ACCMODE | O_TRUNC | O_CREAT;

/**
 * Opens a vnode that exists: type, permission, flags, truncation, VOP_OPEN. The caller has referenced it and, for flags
 * that write, holds mnt_start_write. `created`: the caller has just made the file, so its mode does not matter.
 */
async function open_vnode(l: Lwp, vp: Vnode, flags: number, created: boolean): Promise<File> {
  const fp = new File(vp, flags);
  const exclusive = (flags & O_TRUNC) !== 0 || vp.v_op.open !== undefined;
  const wait = vp.v_lock.enter(exclusive);
  if (wait) await wait;
  try {
    if (vp.v_state !== VS_ACTIVE) throw errno(E.ENXIO);
    const type = vp.v_type;
    if (type === VLNK) throw errno(E.EFTYPE);
    if ((flags & (O_DIRECTORY | O_SEARCH)) !== 0 && type !== VDIR) throw errno(E.ENOTDIR);
    if ((flags & O_REGULAR) !== 0 && type !== VREG) throw errno(E.EFTYPE);
    if (type === VSOCK) throw errno(E.EOPNOTSUPP);
    const writing = fp.f_write || (flags & O_TRUNC) !== 0;
    if (writing && type === VDIR) throw errno(E.EISDIR);
    if (!created) {
      const permitted = open_permitted(l, vp, fp, flags, writing);
      if (permitted) await permitted;
    }
    if (type === VBLK || type === VCHR || type === VFIFO) {
      throw errno(E.ENXIO, 'devices and fifos are opened by the host, not by this kernel');
    }
    if ((flags & O_TRUNC) !== 0 && !created && type === VREG) await open_truncate(l, vp);
    if (vp.v_op.open !== undefined) {
      const opened = vp.v_op.open(vp, flags, l);
      if (opened instanceof Promise) await opened;
    }
    if (fp.f_write) {
      vimpl(vp).writecount++;
      mimpl(vp.v_mount).writers++;
    }
    return fp;
  } finally {
    vp.v_lock.exit(exclusive);
  }
}

function open_permitted(l: Lwp, vp: Vnode, fp: File, flags: number, writing: boolean): MaybePromise<void> {
  if (!writing && permitted_anyway(vp, l)) return undefined;
  const va = new Vattr();
  const got = vp.v_op.getattr(vp, va, l);
  if (got instanceof Promise) return got.then(() => open_permitted_va(l, vp, va, fp, flags, writing));
  return open_permitted_va(l, vp, va, fp, flags, writing);
}

function open_permitted_va(
  l: Lwp,
  vp: Vnode,
  va: Vattr,
  fp: File,
  flags: number,
  writing: boolean,
): MaybePromise<void> {
  if (writing && (va.va_flags & APPEND) !== 0) {
    if ((flags & O_APPEND) === 0 || (flags & O_TRUNC) !== 0) throw errno(E.EPERM);
    fp.f_appendonly = true;
  }
  const mode = (fp.f_read ? R_OK : 0) | (writing ? W_OK : 0) | ((flags & O_SEARCH) !== 0 ? X_OK : 0);
  return genfs_access_va(vp, va, mode, l);
}

async function open_truncate(l: Lwp, vp: Vnode): Promise<void> {
  const va = new Vattr();
  await vp.v_op.getattr(vp, va, l);
  const change = new Vattr();
  change.va_size = 0;
  const mode = genfs_clear_setid(vp.v_type, va.va_mode, l);
  if (mode !== va.va_mode) change.va_mode = mode;
  try {
    await vp.v_op.setattr(vp, change, l);
  } finally {
    mnt_dirtied(l.kernel, vp.v_mount);
  }
  await vn_syncmount(vp);
}

/** The flags must make sense together. @throws EINVAL */
export function open_check_flags(flags: number): void {
  if ((flags & O_ACCMODE) === O_ACCMODE) throw errno(E.EINVAL);
  if ((flags & O_PATH) !== 0) return;
  if ((flags & O_CREAT) !== 0 && (flags & (O_DIRECTORY | O_SEARCH)) !== 0) throw errno(E.EINVAL);
  if ((flags & O_SEARCH) !== 0 && (flags & WRITING) !== 0) throw errno(E.EINVAL);
}

/** Opens `vp` and takes its reference over, whatever happens. */
export async function open_referenced(l: Lwp, vp: Vnode, flags: number): Promise<File> {
  const mp = vp.v_mount;
  const writing = (flags & WRITING) !== 0;
  try {
    if (writing) {
      const wait = mnt_start_write(mp);
      if (wait) await wait;
    }
    try {
      return await open_vnode(l, vp, flags, false);
    } finally {
      if (writing) mnt_done_write(mp);
    }
  } catch (thrown) {
    await l.kernel.vrele(vp);
    throw thrown;
  }
}

/** open without O_CREAT. */
async function open_existing(l: Lwp, fd: number, path: string, flags: number): Promise<File> {
  let found = at_namei(l, fd, path, (flags & O_NOFOLLOW) === 0, (flags & O_EMPTY_PATH) !== 0);
  if (found instanceof Promise) found = await found;
  if ((flags & O_PATH) === 0) return open_referenced(l, found, flags);
  if ((flags & O_DIRECTORY) !== 0 && found.v_type !== VDIR) {
    await l.kernel.vrele(found);
    throw errno(E.ENOTDIR);
  }
  return new File(found, flags);
}

/**
 * open with O_CREAT. The directory is locked while the name is looked up and, if it is missing, made; a symlink at the
 * end lets the search begin anew at its target, which may be missing too.
 */
async function open_creat(l: Lwp, fd: number, path: string, flags: number, mode: number): Promise<File> {
  const k = l.kernel;
  let parent = await at_parent(l, fd, path);
  for (;;) {
    const { dvp, name } = parent;
    let next: Parent | undefined;
    try {
      let found: Vnode | File;
      if (name === '' || name === '.' || name === '..') {
        found = await at_namei(l, fd, path, true);
      } else {
        found = await open_or_create(l, parent, flags, mode);
      }
      if (found instanceof File) return found;
      const vp = await cross_mounts(k, found);
      if ((flags & O_EXCL) !== 0) {
        await k.vrele(vp);
        throw errno(E.EEXIST);
      }
      if (vp.v_type === VLNK && (flags & O_NOFOLLOW) === 0) {
        let target: string;
        try {
          if (parent.links >= MAXSYMLINKS) throw errno(E.ELOOP);
          target = bytestrFromBytes(await vn_readlink(vp, l));
        } finally {
          await k.vrele(vp);
        }
        next = await nameiparent(l, dvp, target, false, parent.links + 1);
      } else if (parent.mustbedir && vp.v_type !== VDIR) {
        await k.vrele(vp);
        throw errno(E.ENOTDIR);
      } else {
        return await open_referenced(l, vp, flags);
      }
    } finally {
      const released = k.vrele(dvp);
      if (released) await released;
    }
    parent = next;
  }
}

/** What `parent` names, referenced; or the file that was made for it, open. */
async function open_or_create(l: Lwp, parent: Parent, flags: number, mode: number): Promise<Vnode | File> {
  const k = l.kernel;
  const { dvp, name } = parent;
  const mp = dvp.v_mount;
  let wait = mnt_start_write(mp);
  if (wait) await wait;
  try {
    let vp: Vnode;
    wait = dvp.v_lock.enter(true);
    if (wait) await wait;
    try {
      const looked = cache_vop_lookup_or_null(k, dvp, name, l);
      const found = looked instanceof Promise ? await looked : looked;
      if (found !== null) return found;
      if (parent.mustbedir) throw errno(E.ENOENT);
      const va = new Vattr();
      va.va_type = VREG;
      va.va_mode = mode & ALLPERMS & ~l.p.p_umask & ~S_ISVTX;
      const checks = create_checks(l, dvp, name, va);
      if (checks) await checks;
      try {
        const made = dvp.v_op.create(dvp, name, va, l);
        vp = made instanceof Promise ? await made : made;
      } catch (thrown) {
        k.namecache.remove(dvp, name);
        throw thrown;
      } finally {
        mnt_dirtied(k, mp);
      }
      k.namecache.enter(dvp, name, vp);
      const synced = vn_syncmount(dvp);
      if (synced) await synced;
    } finally {
      dvp.v_lock.exit(true);
    }
    try {
      return await open_vnode(l, vp, flags & ~O_TRUNC, true);
    } catch (thrown) {
      await k.vrele(vp);
      throw thrown;
    }
  } finally {
    mnt_done_write(mp);
  }
}

/**
 * open with O_TMPFILE: `path` names the directory.
 * @throws EOPNOTSUPP where the driver cannot; EINVAL not open for writing
 */
async function open_tmpfile(l: Lwp, fd: number, path: string, flags: number, mode: number): Promise<File> {
  const k = l.kernel;
  if ((flags & O_ACCMODE) === 0 || (flags & O_CREAT) !== 0) throw errno(E.EINVAL);
  const dvp = await at_namei(l, fd, path, true, (flags & O_EMPTY_PATH) !== 0);
  const mp = dvp.v_mount;
  try {
    const start = mnt_start_write(mp);
    if (start) await start;
    try {
      const va = new Vattr();
      va.va_type = VREG;
      va.va_mode = mode & ALLPERMS & ~l.p.p_umask & ~S_ISVTX;
      let vp: Vnode;
      const wait = dvp.v_lock.enter(true);
      if (wait) await wait;
      try {
        const checks = create_checks(l, dvp, '', va);
        if (checks) await checks;
        if (dvp.v_op.tmpfile === undefined) throw errno(E.EOPNOTSUPP);
        try {
          vp = await dvp.v_op.tmpfile(dvp, va, l);
        } finally {
          mnt_dirtied(k, mp);
        }
      } finally {
        dvp.v_lock.exit(true);
      }
      try {
        return await open_vnode(l, vp, flags & ~(O_TRUNC | O_DIRECTORY), true);
      } catch (thrown) {
        await k.vrele(vp);
        throw thrown;
      }
    } finally {
      mnt_done_write(mp);
    }
  } finally {
    await k.vrele(dvp);
  }
}

/** Makes a descriptor of an open file; closes it if that fails. */
export async function fd_install(l: Lwp, fp: File, flags: number): Promise<number> {
  try {
    if ((flags & (O_SHLOCK | O_EXLOCK)) !== 0 && !fp.f_path) {
      const kind = (flags & O_EXLOCK) !== 0 ? LOCK_EX : LOCK_SH;
      await file_flock(l, fp, kind | ((flags & O_NONBLOCK) !== 0 ? LOCK_NB : 0));
    }
    return l.p.p_fd.alloc(fp, 0, (flags & O_CLOEXEC) !== 0);
  } catch (thrown) {
    await closef(l, fp);
    throw thrown;
  }
}

export async function sys_openat(l: Lwp, fd: number, path: Path, flags: number, mode = 0): Promise<number> {
  open_check_flags(flags);
  const name = copyinpath(path);
  const creating = (flags & O_CREAT) !== 0 && (flags & O_PATH) === 0;
  const nameless = (flags & O_TMPFILE) !== 0 && (flags & O_PATH) === 0;
  const fp = nameless
    ? await open_tmpfile(l, fd, name, flags, mode)
    : creating
      ? await open_creat(l, fd, name, flags, mode)
      : await open_existing(l, fd, name, flags);
  if ((flags & (O_SHLOCK | O_EXLOCK)) === 0) {
    try {
      return l.p.p_fd.alloc(fp, 0, (flags & O_CLOEXEC) !== 0);
    } catch (thrown) {
      await closef(l, fp);
      throw thrown;
    }
  }
  return fd_install(l, fp, flags);
}
