/** chdir, chroot, umask, __getcwd. */
import { bytestrToBytes } from '../bytestr.js';
import { kauth_issuser } from '../cred.js';
import { E, errno } from '../errno.js';
import { AT_FDCWD, PATH_MAX, R_OK, X_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { cache_vop_lookup, vn_spelling, vop_access_locked } from '../vfs/lookup.js';
import { vop_access } from '../vfs/genfs.js';
import { VDIR, Vattr } from '../vfs/vattr.js';
import { vn_locked } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { VS_ACTIVE } from '../vfs/vnode.js';
import { at_namei, copyinpath } from './at.js';
import type { Cookie } from '../vfs/vnops.js';
import type { Path } from './rumpsys.js';

/** A directory that `l` may search, referenced: by path, or by descriptor if `path` is undefined. */
async function searchable_dir(l: Lwp, fd: number, path: Path | undefined): Promise<Vnode> {
  const vp = await at_namei(l, fd, path === undefined ? '' : copyinpath(path), true, path === undefined);
  try {
    if (vp.v_type !== VDIR) throw errno(E.ENOTDIR);
    await vop_access_locked(vp, X_OK, l);
    return vp;
  } catch (thrown) {
    await l.kernel.vrele(vp);
    throw thrown;
  }
}

export async function sys_chdir(l: Lwp, path: Path): Promise<void> {
  const vp = await searchable_dir(l, AT_FDCWD, path);
  const old = l.p.p_cwd;
  l.p.p_cwd = vp;
  await l.kernel.vrele(old);
}

export async function sys_fchdir(l: Lwp, fd: number): Promise<void> {
  l.p.p_fd.get(fd);
  const vp = await searchable_dir(l, fd, undefined);
  const old = l.p.p_cwd;
  l.p.p_cwd = vp;
  await l.kernel.vrele(old);
}

async function change_root(l: Lwp, vp: Vnode): Promise<void> {
  const old = l.p.p_root;
  l.p.p_root = vp;
  await l.kernel.vrele(old);
}

/** The current directory stays where it is, as NetBSD has it. @throws EPERM for others than the superuser */
export async function sys_chroot(l: Lwp, path: Path): Promise<void> {
  if (!kauth_issuser(l.cred)) throw errno(E.EPERM);
  return change_root(l, await searchable_dir(l, AT_FDCWD, path));
}

export async function sys_fchroot(l: Lwp, fd: number): Promise<void> {
  if (!kauth_issuser(l.cred)) throw errno(E.EPERM);
  l.p.p_fd.get(fd);
  return change_root(l, await searchable_dir(l, fd, undefined));
}

export function sys_umask(l: Lwp, mask: number): number {
  const old = l.p.p_umask;
  l.p.p_umask = mask & 0o777;
  return old;
}

/**
 * The name of the directory `vp` in its parent `dvp`: from the name cache, else by reading the parent.
 * @throws ENOENT
 */
async function name_in_parent(l: Lwp, dvp: Vnode, vp: Vnode): Promise<string> {
  const k = l.kernel;
  const cached = k.namecache.revlookup(vp);
  if (cached !== undefined && cached.nc_dvp === dvp) {
    if (dvp.v_mount.mnt_traits.foldname === null) return cached.nc_name;
    return vn_locked(dvp, false, () => vn_spelling(k, dvp, cached.nc_name, vp, l));
  }
  return vn_locked(dvp, false, async () => {
    await vop_access(dvp, R_OK | X_OK, l);
    const va = new Vattr();
    await vp.v_op.getattr(vp, va, l);
    let cookie: Cookie = 0;
    for (;;) {
      const names: string[] = [];
      const before: Cookie = cookie;
      const eof = await dvp.v_op.readdir(dvp, cookie, l, (fileno, _type, name, next) => {
        cookie = next;
        if (BigInt(fileno) !== va.va_fileid || name === '.' || name === '..') return true;
        names.push(name);
        return false;
      });
      for (const name of names) {
        const found = await cache_vop_lookup(k, dvp, name, l);
        await k.vrele(found);
        if (found === vp) return name;
      }
      if (eof || cookie === before) throw errno(E.ENOENT);
    }
  });
}

/**
 * The path of a directory, which the caller has referenced, from the process's root.
 * @throws ENOENT it was removed, or is not below the root
 */
export async function vn_getpath(l: Lwp, start: Vnode): Promise<string> {
  const k = l.kernel;
  let path = '';
  let vp = start;
  k.vref(vp);
  try {
    while (vp !== l.p.p_root && vp !== k.rootvnode) {
      if (vp.v_state !== VS_ACTIVE) throw errno(E.ENOENT);
      // What a mount covers carries the name.
      while (vp.v_isroot && vp.v_mount.mnt_vnodecovered !== null) {
        const covered = vp.v_mount.mnt_vnodecovered;
        k.vref(covered);
        await k.vrele(vp);
        vp = covered;
      }
      if (vp === l.p.p_root || vp === k.rootvnode) break;
      const dvp = await parent_of(l, vp);
      try {
        path = `/${await name_in_parent(l, dvp, vp)}${path}`;
        if (path.length >= PATH_MAX) throw errno(E.ERANGE);
      } catch (thrown) {
        await k.vrele(dvp);
        throw thrown;
      }
      await k.vrele(vp);
      vp = dvp;
    }
    if (vp !== l.p.p_root || vp.v_state !== VS_ACTIVE) throw errno(E.ENOENT);
    return path === '' ? '/' : path;
  } finally {
    await k.vrele(vp);
  }
}

export async function sys_getcwd(l: Lwp): Promise<Uint8Array> {
  return bytestrToBytes(await vn_getpath(l, l.p.p_cwd));
}

/** The directory that holds `vp`, in the same volume; referenced. */
async function parent_of(l: Lwp, vp: Vnode): Promise<Vnode> {
  return vn_locked(vp, false, async () => {
    await vop_access(vp, X_OK, l);
    const dvp = await cache_vop_lookup(l.kernel, vp, '..', l);
    if (dvp === vp) {
      await l.kernel.vrele(dvp);
      throw errno(E.ENOENT);
    }
    return dvp;
  });
}

