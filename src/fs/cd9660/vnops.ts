import type { Context } from '../../kernel/context.js';
import { E, errno } from '../../kernel/errno.js';
import { PATH_MAX } from '../../kernel/fcntl.js';
import { bytestrToBytes } from '../../kernel/bytestr.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Uio } from '../../kernel/vfs/uio.js';
import { VDIR, VREG } from '../../kernel/vfs/vattr.js';
import type { Vnops } from '../../kernel/vfs/vnops.js';
import type { Vnode } from '../../kernel/vfs/vnode.js';
import { iso_lookup, iso_parent, iso_readdir } from './dir/directory.js';
import type { IsoNode } from './file/node.js';
import { VTOISO } from './file/node.js';
import { iso_readraw } from './file/read.js';
import { zisofs_read } from './file/zisofs.js';
import type { IsoMount } from './volume/isomount.js';
import { VFSTOISO } from './volume/isomount.js';

/** Directories one below the other: as many names as fit a path. */
const DEPTH_MAX = PATH_MAX / 2;
/** Names of pathconf(2); values of NetBSD sys/sys/unistd.h. */
const PC_FILESIZEBITS = 11;

function rofs(): never {
  throw errno(E.EROFS);
}

function lookup(dvp: Vnode, name: string, _ctx: Context): MaybePromise<Vnode | null> {
  const im = VFSTOISO(dvp.v_mount);
  const dir = VTOISO(dvp);
  if (name === '..') return above(im, dvp, dir);
  const fold = dvp.v_mount.mnt_traits.foldname;
  const number = iso_lookup(im, dir, fold === null ? name : fold(name), fold);
  return number instanceof Promise ? number.then((n) => enter(im, dvp, n)) : enter(im, dvp, number);
}

function above(im: IsoMount, dvp: Vnode, dir: IsoNode): MaybePromise<Vnode> {
  if (dir.parent !== null) return im.kernel.vcache_get(dvp.v_mount, dir.parent.number);
  return iso_parent(im, dir).then(async (number) => {
    const vp = await im.kernel.vcache_get(dvp.v_mount, number);
    if (dir.parent === null) adopt(VTOISO(vp), dir);
    return vp;
  });
}

function adopt(parent: IsoNode, child: IsoNode): void {
  child.parent = parent;
  child.depth = parent.depth + 1;
}

function enter(im: IsoMount, dvp: Vnode, number: number | undefined): MaybePromise<Vnode | null> {
  if (number === undefined) return null;
  const vp = im.kernel.vcache_get(dvp.v_mount, number);
  return vp instanceof Promise ? vp.then((v) => entered(im, dvp, v)) : entered(im, dvp, vp);
}

/** A directory must not lie below itself: that would have no end. @throws EIO ELOOP */
function entered(im: IsoMount, dvp: Vnode, vp: Vnode): MaybePromise<Vnode> {
  if (vp.v_type !== VDIR) return vp;
  const dir = VTOISO(dvp);
  const child = VTOISO(vp);
  if (child.parent === dir) return vp;
  let bad: Error | undefined;
  if (dir.depth >= DEPTH_MAX)
    bad = errno(E.ELOOP, `directory ${dir.number}: more than ${DEPTH_MAX} directories one below the other`);
  for (let up: IsoNode | null = dir; up !== null && bad === undefined; up = up.parent === up ? null : up.parent) {
    if (up.start === child.start)
      bad = im.damage.error(`directory ${dir.number} names directory ${up.number}, which it lies in itself`);
  }
  if (bad === undefined) {
    adopt(dir, child);
    return vp;
  }
  const released = im.kernel.vrele(vp);
  if (!(released instanceof Promise)) throw bad;
  return released.then(() => {
    throw bad;
  });
}

function read(vp: Vnode, uio: Uio, _ioflag: number, _ctx: Context): MaybePromise<void> {
  if (vp.v_type !== VREG) throw errno(vp.v_type === VDIR ? E.EISDIR : E.EINVAL);
  if (!(uio.uio_offset >= 0)) throw errno(E.EINVAL);
  const node = VTOISO(vp);
  if (node.sparse) throw errno(E.EOPNOTSUPP, `file ${node.number}: sparse files of Rock Ridge cannot be read`);
  const im = VFSTOISO(vp.v_mount);
  return node.zisofs === null ? iso_readraw(im, node, uio) : zisofs_read(im, node, uio);
}

export const iso_vnodeops: Vnops = {
  lookup,
  getattr: (vp, vap) => VTOISO(vp).attributes(VFSTOISO(vp.v_mount), vap),
  read,
  readdir: (vp, cookie, _ctx, emit) => iso_readdir(VFSTOISO(vp.v_mount), VTOISO(vp), cookie, emit),
  spelling: (_dvp, _name, vp) => VTOISO(vp).name,
  readlink(vp) {
    const { link } = VTOISO(vp);
    if (link === null) throw errno(E.EINVAL);
    return bytestrToBytes(link);
  },
  pathconf: (_vp, name) => (name === PC_FILESIZEBITS ? 54 : undefined),
  fsync() {},
  inactive: () => false,
  reclaim(vp) {
    VFSTOISO(vp.v_mount).indexes.forget(VTOISO(vp));
    vp.v_data = null;
  },

  create: rofs,
  mknod: rofs,
  mkdir: rofs,
  symlink: rofs,
  link: rofs,
  remove: rofs,
  rmdir: rofs,
  rename: rofs,
  setattr: rofs,
  write: rofs,
};
