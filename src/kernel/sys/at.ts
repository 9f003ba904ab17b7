/** What system calls share: paths, descriptors, directories to start from. */
import { bytestrFromPath } from '../bytestr.js';
import { E, Errno, errno } from '../errno.js';
import { AT_FDCWD } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { cross_mounts, search_or_null } from '../vfs/lookup.js';
import { is_component, namei, nameiparent } from '../vfs/namei.js';
import type { Parent } from '../vfs/namei.js';
import type { Vnode } from '../vfs/vnode.js';
import type { File } from './file.js';
import type { Path } from './rumpsys.js';

/** A caller's path as a byte string. @throws EINVAL for a NUL byte, which no path can hold */
export function copyinpath(path: Path): string {
  const bytes = bytestrFromPath(path);
  if (bytes.indexOf('\0') >= 0) throw errno(E.EINVAL, 'a path cannot contain a NUL byte');
  return bytes;
}

/** Gives the reference back when the promise settles. */
async function held<T>(l: Lwp, start: Vnode, found: Promise<T>): Promise<T> {
  l.kernel.vref(start);
  try {
    return await found;
  } finally {
    await l.kernel.vrele(start);
  }
}

/** Where a path relative to `fd` starts. @throws EBADF */
function startof(l: Lwp, fd: number): Vnode {
  return fd === AT_FDCWD ? l.p.p_cwd : l.p.p_fd.get(fd).f_vnode;
}

/** Search permission was looked at when `fd` was opened. */
function searched(l: Lwp, fd: number): boolean {
  return fd !== AT_FDCWD && l.p.p_fd.get(fd).f_search;
}

/**
 * The vnode that `path`, relative to `fd`, names; referenced. With `empty_ok` an empty path means the descriptor's own
 * file.
 */
export function at_namei(l: Lwp, fd: number, path: string, follow: boolean, empty_ok = false): MaybePromise<Vnode> {
  if (path.charCodeAt(0) === 0x2f) return namei(l, l.rootdir, path, follow);
  const start = startof(l, fd);
  if (empty_ok && path.length === 0) {
    l.kernel.vref(start);
    return start;
  }
  const found = namei(l, start, path, follow, searched(l, fd));
  // The descriptor may be closed while we wait. Nothing else has run so far, so it is not too late for the reference.
  return found instanceof Promise ? held(l, start, found) : found;
}

/** Like at_namei without following a symlink at the end; null if the last name does not exist. */
export function at_lookup(l: Lwp, fd: number, path: string): MaybePromise<Vnode | null> {
  if (fd !== AT_FDCWD && is_component(path)) {
    const { f_vnode: dvp, f_search } = l.p.p_fd.get(fd);
    if (!f_search) {
      const found = search_or_null(l.kernel, dvp, path, l);
      if (!(found instanceof Promise)) {
        return found === null || found.v_mountedhere === null ? found : cross_mounts(l.kernel, found);
      }
      return held(
        l,
        dvp,
        found.then((vp) => (vp === null ? null : cross_mounts(l.kernel, vp))),
      );
    }
  }
  return missing_is_null(l, fd, path);
}

async function missing_is_null(l: Lwp, fd: number, path: string): Promise<Vnode | null> {
  try {
    return await at_namei(l, fd, path, false);
  } catch (thrown) {
    if (thrown instanceof Errno && thrown.errno === E.ENOENT) return null;
    throw thrown;
  }
}

/** The directory (referenced) and the last name of `path`, relative to `fd`. */
export function at_parent(l: Lwp, fd: number, path: string): MaybePromise<Parent> {
  if (path.charCodeAt(0) === 0x2f) return nameiparent(l, l.rootdir, path);
  const start = startof(l, fd);
  const found = nameiparent(l, start, path, searched(l, fd));
  return found instanceof Promise ? held(l, start, found) : found;
}

/** The file of a descriptor that was opened, not only named with O_PATH. @throws EBADF */
export function fd_getopen(l: Lwp, fd: number): File {
  const fp = l.p.p_fd.get(fd);
  if (fp.f_path) throw errno(E.EBADF);
  return fp;
}

/** Byte positions and lengths: whole, not negative, exact. @throws EINVAL */
export function check_offset(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw errno(E.EINVAL);
}

/** [offset, offset+length) must lie in the buffer. @throws EINVAL */
export function check_buffer(buf: Uint8Array, offset: number, length: number): void {
  if (
    !(Number.isInteger(offset) && Number.isInteger(length)) ||
    offset < 0 ||
    length < 0 ||
    offset + length > buf.length
  ) {
    throw errno(E.EINVAL, `bytes ${offset}..${offset + length} are not within a buffer of ${buf.length} bytes`);
  }
}
