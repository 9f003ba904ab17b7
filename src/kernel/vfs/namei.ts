/**
 * Path resolution: from a byte string to a vnode, or to a directory and the last name. Walks hold one vnode lock at a
 * time and one reference. Rules of POSIX (XBD 4.13): a trailing slash asks for a directory and follows a symlink there.
 */
import { bytestrFromBytes } from '../bytestr.js';
import { KERNEL_CONTEXT } from '../context.js';
import { E, Errno, errno } from '../errno.js';
import { COMPONENT_MAX, MAXSYMLINKS, PATH_MAX, X_OK } from '../fcntl.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { cross_mounts, lookup_once, search, permitted_anyway, vn_readlink, vop_access_locked } from './lookup.js';
import type { Walker } from './lookup.js';
import { VDIR, VLNK } from './vattr.js';
import type { Vnode } from './vnode.js';

/** A directory and the last component of a path. `dvp` is referenced. */
export interface Parent {
  readonly dvp: Vnode;
  /** '' if the path is the root directory itself ("/"), '.' and '..' as given. */
  readonly name: string;
  /** The path ended in a slash: what it names is, or is to become, a directory. */
  readonly mustbedir: boolean;
  /** The symlinks that the walk followed. */
  readonly links: number;
}

/** A walk at work. `dvp` is referenced by the walk; whoever ends it takes the reference over or gives it back. */
class Walk {
  dvp: Vnode;
  /** What is left of the path. */
  path: string;
  links: number;
  /** The first search of the walk needs no permission check: the descriptor was opened with O_SEARCH. */
  searched: boolean;

  constructor(
    readonly w: Walker,
    start: Vnode,
    path: string,
    links: number,
    searched: boolean,
  ) {
    if (path.length >= PATH_MAX) throw errno(E.ENAMETOOLONG);
    if (path.length === 0) throw errno(E.ENOENT);
    this.path = path;
    this.links = links;
    const absolute = path.charCodeAt(0) === 0x2f;
    this.searched = searched && !absolute;
    this.dvp = absolute ? w.rootdir : start;
    w.kernel.vcache.ref(this.dvp);
  }

  /** Steps to `name`, which is not the end of the path. Follows a symlink by putting its target before what is left. */
  async step(name: string): Promise<void> {
    if (name === '.') {
      if (this.dvp.v_type !== VDIR) throw errno(E.ENOTDIR);
      if (!this.searched) await vop_access_locked(this.dvp, X_OK, this.w);
      return;
    }
    const vp = await this.find(name);
    if (vp.v_type === VLNK) await this.follow(vp);
    else await this.go(vp);
  }

  find(name: string): MaybePromise<Vnode> {
    if (!this.searched) return lookup_once(this.w, this.dvp, name);
    this.searched = false;
    return lookup_once({ kernel: this.w.kernel, rootdir: this.w.rootdir, ...KERNEL_CONTEXT }, this.dvp, name);
  }

  async findOrMissing(name: string): Promise<Vnode | undefined> {
    try {
      return await this.find(name);
    } catch (thrown) {
      if (thrown instanceof Errno && thrown.errno === E.ENOENT) return undefined;
      throw thrown;
    }
  }

  /** The walk goes on at `vp`, whose reference it takes over. */
  async go(vp: Vnode): Promise<void> {
    const left = this.dvp;
    this.dvp = vp;
    const wait = this.w.kernel.vcache.rele(left);
    if (wait) await wait;
  }

  /** Puts the target of the symlink `vp` before what is left of the path; gives the reference to `vp` back. */
  async follow(vp: Vnode): Promise<void> {
    const k = this.w.kernel;
    let target: Uint8Array;
    try {
      if (++this.links > MAXSYMLINKS) throw errno(E.ELOOP);
      target = await vn_readlink(vp, this.w);
    } finally {
      await k.vcache.rele(vp);
    }
    if (target.length === 0) throw errno(E.ENOENT);
    if (target.length + this.path.length >= PATH_MAX) throw errno(E.ENAMETOOLONG);
    this.path = bytestrFromBytes(target) + this.path;
    if (target[0] === 0x2f) {
      k.vcache.ref(this.w.rootdir);
      await this.go(this.w.rootdir);
      this.searched = false;
    }
  }

  /**
   * Walks up to the last component and returns it; `path` is then '' or the slashes behind it. '' as the answer means
   * that the path ended with the directory the walk stands in (it was all slashes).
   */
  async toLast(): Promise<string> {
    for (;;) {
      const path = this.path;
      let at = 0;
      while (at < path.length && path.charCodeAt(at) === 0x2f) at++;
      if (at === path.length) {
        this.path = '';
        return '';
      }
      let end = path.indexOf('/', at);
      if (end < 0) end = path.length;
      const name = path.slice(at, end);
      if (name.length > COMPONENT_MAX) throw errno(E.ENAMETOOLONG);
      let next = end;
      while (next < path.length && path.charCodeAt(next) === 0x2f) next++;
      this.path = path.slice(end);
      if (next === path.length) return name;
      await this.step(name);
    }
  }
}

/** Is the path one name, and not "." or ".."? */
export function is_component(path: string): boolean {
  return path.length !== 0 && path.length <= COMPONENT_MAX && path.indexOf('/') < 0 && path !== '.' && path !== '..';
}

/**
 * The vnode that `path` names, referenced. `start` is where relative paths begin. With `follow` a symlink at the end is
 * followed too. @throws ENOENT ENOTDIR EACCES ELOOP ENAMETOOLONG
 */
export function namei(w: Walker, start: Vnode, path: string, follow: boolean, searched = false): MaybePromise<Vnode> {
  // One component, the usual case of calls relative to a descriptor.
  if (!searched && is_component(path)) {
    const found = search(w.kernel, start, path, w);
    if (!(found instanceof Promise)) {
      if (found.v_mountedhere === null && (!follow || found.v_type !== VLNK)) return found;
      return namei_finish(w, start, found, follow);
    }
    return found.then((vp) => namei_finish(w, start, vp, follow));
  }
  return namei_walk(w, start, path, follow, searched);
}

async function namei_finish(w: Walker, start: Vnode, found: Vnode, follow: boolean): Promise<Vnode> {
  const vp = await cross_mounts(w.kernel, found);
  if (!follow || vp.v_type !== VLNK) return vp;
  let target: Uint8Array;
  try {
    target = await vn_readlink(vp, w);
  } finally {
    await w.kernel.vcache.rele(vp);
  }
  return namei_walk(w, start, bytestrFromBytes(target), true, false, 1);
}

async function namei_walk(
  w: Walker,
  start: Vnode,
  path: string,
  follow: boolean,
  searched: boolean,
  links = 0,
): Promise<Vnode> {
  const walk = new Walk(w, start, path, links, searched);
  try {
    for (;;) {
      const name = await walk.toLast();
      const slash = walk.path !== '';
      if (name === '' || name === '.') {
        if (walk.dvp.v_type !== VDIR) throw errno(E.ENOTDIR);
        if (name === '.' && !walk.searched) await vop_access_locked(walk.dvp, X_OK, w);
        w.kernel.vcache.ref(walk.dvp);
        return walk.dvp;
      }
      const vp = await walk.find(name);
      if (vp.v_type === VLNK && (follow || slash)) {
        await walk.follow(vp);
        continue;
      }
      if (slash && vp.v_type !== VDIR) {
        await w.kernel.vcache.rele(vp);
        throw errno(E.ENOTDIR);
      }
      return vp;
    }
  } finally {
    await w.kernel.vcache.rele(walk.dvp);
  }
}

/**
 * The directory and the last name of a path, for calls that make, remove or rename names: the caller locks the
 * directory and looks the name up himself. A symlink as the last name is followed only if a slash comes behind it. With
 * `links` a walk goes on (open(2) following a symlink that it found under the lock).
 */
export function nameiparent(w: Walker, start: Vnode, path: string, searched = false, links = 0): MaybePromise<Parent> {
  if (path.indexOf('/') >= 0 || path.length === 0 || path.length >= PATH_MAX) {
    return nameiparent_walk(w, start, path, searched, links);
  }
  if (path.length > COMPONENT_MAX) throw errno(E.ENAMETOOLONG);
  if (start.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (!searched && !permitted_anyway(start, w)) return nameiparent_search(w, start, path, links);
  w.kernel.vcache.ref(start);
  return { dvp: start, name: path, mustbedir: false, links };
}

async function nameiparent_search(w: Walker, start: Vnode, name: string, links: number): Promise<Parent> {
  await vop_access_locked(start, X_OK, w);
  w.kernel.vcache.ref(start);
  return { dvp: start, name, mustbedir: false, links };
}

async function nameiparent_walk(
  w: Walker,
  start: Vnode,
  path: string,
  searched: boolean,
  links: number,
): Promise<Parent> {
  const walk = new Walk(w, start, path, links, searched);
  try {
    for (;;) {
      const name = await walk.toLast();
      if (walk.dvp.v_type !== VDIR) throw errno(E.ENOTDIR);
      if (!walk.searched) await vop_access_locked(walk.dvp, X_OK, w);
      const mustbedir = walk.path !== '';
      if (mustbedir && name !== '.' && name !== '..') {
        const vp = await walk.findOrMissing(name);
        if (vp?.v_type === VLNK) {
          await walk.follow(vp);
          continue;
        }
        if (vp !== undefined) await w.kernel.vcache.rele(vp);
      }
      w.kernel.vcache.ref(walk.dvp);
      return { dvp: walk.dvp, name, mustbedir, links: walk.links };
    }
  } finally {
    await w.kernel.vcache.rele(walk.dvp);
  }
}
