/** getdents and getdirentriesattr. */
import { E, Errno, errno } from '../errno.js';
import { X_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Dirent, Stat } from '../stat.js';
import { vop_access } from '../vfs/genfs.js';
import { cache_vop_lookup_or_null } from '../vfs/lookup.js';
import { VDIR, Vattr } from '../vfs/vattr.js';
import type { Vnode } from '../vfs/vnode.js';
import type { Cookie } from '../vfs/vnops.js';
import { closef } from './close.js';
import type { File } from './file.js';
import type { TakeDirent } from './rumpsys.js';
import { stat_fill } from './stat.js';

const DEFAULT_MAX = 128;

/** Runs `body` with the directory that `fd` has open, its position and the directory's lock (shared) held. */
async function with_directory<T>(l: Lwp, fd: number, body: (fp: File) => Promise<T>): Promise<T> {
  const fp = l.p.p_fd.get(fd);
  if (!fp.f_read) throw errno(E.EBADF);
  const vp = fp.f_vnode;
  fp.f_count++;
  try {
    let wait = fp.f_lock.enter(true);
    if (wait) await wait;
    try {
      wait = vp.v_lock.enter(false);
      if (wait) await wait;
      try {
        if (vp.v_type !== VDIR) throw errno(E.EINVAL);
        return await body(fp);
      } finally {
        vp.v_lock.exit(false);
      }
    } finally {
      fp.f_lock.exit(true);
    }
  } finally {
    const closed = closef(l, fp);
    if (closed) await closed;
  }
}

/** Up to `max` entries from the position on. It stays. */
async function read_entries(l: Lwp, fp: File, max: number): Promise<Dirent[]> {
  const entries: Dirent[] = [];
  const emit = (fileno: number | bigint, d_type: number, d_name: string, d_off: Cookie): boolean => {
    if (entries.length >= max) return false;
    entries.push({ d_fileno: typeof fileno === 'bigint' ? fileno : BigInt(fileno), d_type, d_name, d_off });
    return true;
  };
  try {
    const read = fp.f_vnode.v_op.readdir(fp.f_vnode, fp.f_cookie, l, emit);
    if (read instanceof Promise) await read;
  } catch (thrown) {
    // Entries that came before the damage are returned first; the next call meets the error again.
    if (entries.length === 0 || !(thrown instanceof Errno)) throw thrown;
  }
  return entries;
}

/**
 * The next entries of a directory. The position moves behind the last one returned; lseek to a d_off goes on behind
 * that entry.
 */
export async function sys_getdents(l: Lwp, fd: number, max = DEFAULT_MAX): Promise<Dirent[]> {
  if (!(max > 0)) throw errno(E.EINVAL);
  return with_directory(l, fd, async (fp) => {
    const entries = await read_entries(l, fp, max);
    if (entries.length > 0) fp.f_cookie = entries[entries.length - 1]!.d_off;
    return entries;
  });
}

/** See rumpsys.ts. The directory stays locked, so that no name can get another file meanwhile. */
export async function sys_getdirentriesattr(
  l: Lwp,
  fd: number,
  max: number,
  st: Stat,
  take: TakeDirent,
): Promise<number> {
  if (!(max > 0)) throw errno(E.EINVAL);
  return with_directory(l, fd, async (fp) => {
    const dvp = fp.f_vnode;
    const entries = await read_entries(l, fp, max);
    const searchable = await may_search(l, dvp);
    const va = new Vattr();
    let taken = 0;
    for (const entry of entries) {
      let known: MaybePromise<boolean> =
        searchable && entry.d_name !== '.' && entry.d_name !== '..' && entry_attributes(l, dvp, entry, va);
      if (known instanceof Promise) known = await known;
      if (known) stat_fill(dvp.v_mount, va, st);
      if (!take(entry, known)) break;
      fp.f_cookie = entry.d_off;
      taken++;
    }
    return taken;
  });
}

async function may_search(l: Lwp, dvp: Vnode): Promise<boolean> {
  try {
    await vop_access(dvp, X_OK, l);
    return true;
  } catch (thrown) {
    if (thrown instanceof Errno) return false;
    throw thrown;
  }
}

/**
 * Attributes of what an entry of `dvp` names, from its vnode if there is one, else without making one where the driver
 * can.
 */
function entry_attributes(l: Lwp, dvp: Vnode, entry: Dirent, va: Vattr): MaybePromise<boolean> {
  const k = l.kernel;
  const mp = dvp.v_mount;
  const ops = mp.mnt_op;
  try {
    if (ops.attributes === undefined) {
      const found = cache_vop_lookup_or_null(k, dvp, entry.d_name, l);
      if (found instanceof Promise) {
        return found.then((vp) => vp !== null && vnode_attributes(l, vp, va)).catch(refused);
      }
      return found !== null && vnode_attributes(l, found, va);
    }
    const fileno = Number(entry.d_fileno);
    const vp = k.vcache_lookup(mp, fileno);
    if (vp !== undefined) return vnode_attributes(l, vp, va);
    if (k.vcache.incore(mp, fileno)) return false;
    const known = ops.attributes(mp, fileno, va);
    return known instanceof Promise ? known.catch(refused) : known;
  } catch (thrown) {
    return refused(thrown);
  }
}

/** Gone meanwhile, or damaged: no reason to hide the other entries. */
function refused(thrown: unknown): false {
  if (thrown instanceof Errno) return false;
  throw thrown;
}

/**
 * Gives the reference back. Nobody waits for the vnode's lock: while a directory is locked that may be against the
 * order (vnlock.ts). A covered directory's attributes are those of what is mounted on it, which is for lookups to find.
 */
function vnode_attributes(l: Lwp, vp: Vnode, va: Vattr): MaybePromise<boolean> {
  if (vp.v_mountedhere !== null || !vp.v_lock.tryenter(false)) return released(l, vp, false);
  let got: MaybePromise<void>;
  try {
    got = vp.v_op.getattr(vp, va, l);
  } catch (thrown) {
    vp.v_lock.exit(false);
    refused(thrown);
    return released(l, vp, false);
  }
  if (got instanceof Promise) return finished(l, vp, got);
  vp.v_lock.exit(false);
  return released(l, vp, true);
}

async function finished(l: Lwp, vp: Vnode, got: Promise<void>): Promise<boolean> {
  try {
    await got;
    return true;
  } finally {
    vp.v_lock.exit(false);
    await l.kernel.vrele(vp);
  }
}

function released(l: Lwp, vp: Vnode, known: boolean): MaybePromise<boolean> {
  const wait = l.kernel.vrele(vp);
  return wait instanceof Promise ? wait.then(() => known) : known;
}
