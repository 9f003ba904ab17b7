import { bytestrToBytes } from '../../kernel/bytestr.js';
import type { Context } from '../../kernel/context.js';
import { E, errno } from '../../kernel/errno.js';
import { SEEK_DATA } from '../../kernel/fcntl.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { IFTODT } from '../../kernel/stat.js';
import { IO_APPEND } from '../../kernel/vfs/uio.js';
import type { Mount } from '../../kernel/vfs/mount.js';
import type { Vattr } from '../../kernel/vfs/vattr.js';
import { VDIR, VLNK, VNOTIME, VNOVAL, VREG, vttoif } from '../../kernel/vfs/vattr.js';
import type { Vnode } from '../../kernel/vfs/vnode.js';
import type { Vnops } from '../../kernel/vfs/vnops.js';
import type { ZeroNode } from './node.js';
import type { ZeroMount } from './volume.js';

const BLOCK_BYTES = 65536;

function nodeOf(vp: Vnode): ZeroNode {
  return vp.v_data as ZeroNode;
}

function volumeOf(vp: Vnode): ZeroMount {
  return vp.v_mount.mnt_data as ZeroMount;
}

function enter(dvp: Vnode, name: string, type: number, vap: Vattr, ctx: Context): ZeroNode {
  const dir = nodeOf(dvp);
  if (dir.parent === null) throw errno(E.ENOENT);
  const node = volumeOf(dvp).newNode(type, vap.va_mode & 0o7777);
  node.uid = ctx.cred.cr_uid;
  node.gid = dir.gid;
  node.rdev = vap.va_rdev;
  dir.add(name, node);
  return node;
}

function vnodeOf(dvp: Vnode, node: ZeroNode): MaybePromise<Vnode> {
  return dvp.v_mount.mnt_kernel.vcache_get(dvp.v_mount, node.id);
}

export function attributesOf(mp: Mount, node: ZeroNode, vap: Vattr): void {
  vap.va_type = node.type;
  vap.va_mode = node.mode;
  vap.va_nlink = node.nlink;
  vap.va_uid = node.uid;
  vap.va_gid = node.gid;
  vap.va_fsid = mp.mnt_fsid;
  vap.va_fileid = BigInt(node.id);
  vap.va_size = node.type === VDIR ? 512 : node.size;
  vap.va_blocksize = BLOCK_BYTES;
  vap.va_atime = vap.va_mtime = vap.va_ctime = vap.va_birthtime = node.time;
  vap.va_atimensec = vap.va_mtimensec = vap.va_ctimensec = vap.va_birthtimensec = node.timensec;
  vap.va_gen = 1;
  vap.va_flags = node.flags;
  vap.va_rdev = node.rdev;
  vap.va_bytes = node.size;
  vap.va_vaflags = 0;
}

/** Every operation is answered at once, from a Map at the most; written data go nowhere. */
export const zerofs_vnodeops: Vnops = {
  lookup(dvp, name) {
    const dir = nodeOf(dvp);
    const node = name === '..' ? dir.parent : dir.entries!.get(name)?.node;
    return node ? vnodeOf(dvp, node) : null;
  },

  create: (dvp, name, vap, ctx) => vnodeOf(dvp, enter(dvp, name, vap.va_type, vap, ctx)),
  mknod: (dvp, name, vap, ctx) => vnodeOf(dvp, enter(dvp, name, vap.va_type, vap, ctx)),
  mkdir: (dvp, name, vap, ctx) => vnodeOf(dvp, enter(dvp, name, VDIR, vap, ctx)),

  symlink(dvp, name, vap, target, ctx) {
    const node = enter(dvp, name, VLNK, vap, ctx);
    node.link = bytestrToBytes(target);
    node.size = node.link.length;
    return vnodeOf(dvp, node);
  },

  link(dvp, vp, name) {
    if (nodeOf(dvp).parent === null) throw errno(E.ENOENT);
    nodeOf(dvp).add(name, nodeOf(vp));
    nodeOf(vp).nlink++;
  },

  remove(dvp, vp, name) {
    nodeOf(dvp).remove(name);
    nodeOf(vp).nlink--;
  },

  rmdir(dvp, vp, name) {
    if (nodeOf(vp).entries!.size > 0) throw errno(E.ENOTEMPTY);
    nodeOf(dvp).remove(name);
    nodeOf(vp).nlink = 0;
  },

  rename(fdvp, fvp, fname, tdvp, tvp, tname) {
    if (nodeOf(tdvp).parent === null) throw errno(E.ENOENT);
    if (tvp !== null) {
      const target = nodeOf(tvp);
      if (target.entries !== null && target.entries.size > 0) throw errno(E.ENOTEMPTY);
      nodeOf(tdvp).remove(tname);
      target.nlink = target.type === VDIR ? 0 : target.nlink - 1;
    }
    nodeOf(fdvp).remove(fname);
    nodeOf(tdvp).add(tname, nodeOf(fvp));
  },

  getattr: (vp, vap) => attributesOf(vp.v_mount, nodeOf(vp), vap),

  setattr(vp, vap) {
    const node = nodeOf(vp);
    if (vap.va_size !== VNOVAL) {
      if (node.type !== VREG) throw errno(node.type === VDIR ? E.EISDIR : E.EINVAL);
      node.size = vap.va_size;
    }
    if (vap.va_mode !== VNOVAL) node.mode = vap.va_mode & 0o7777;
    if (vap.va_uid !== VNOVAL) node.uid = vap.va_uid;
    if (vap.va_gid !== VNOVAL) node.gid = vap.va_gid;
    if (vap.va_flags !== VNOVAL) node.flags = vap.va_flags;
    if (vap.va_mtimensec !== VNOTIME) {
      node.time = vap.va_mtime;
      node.timensec = vap.va_mtimensec;
    }
  },

  read(vp, uio) {
    const length = Math.min(uio.uio_resid, nodeOf(vp).size - uio.uio_offset);
    if (length > 0) uio.zero(length);
  },

  write(vp, uio, ioflag) {
    const node = nodeOf(vp);
    if ((ioflag & IO_APPEND) !== 0) uio.uio_offset = node.size;
    uio.advance(uio.uio_resid);
    if (uio.uio_offset > node.size) node.size = uio.uio_offset;
  },

  readdir(vp, cookie, _cred, emit) {
    const dir = nodeOf(vp);
    if (dir.parent === null) return true;
    if (cookie <= 0 && !emit(dir.id, IFTODT(vttoif(VDIR)), '.', 1)) return false;
    if (cookie <= 1 && !emit(dir.parent.id, IFTODT(vttoif(VDIR)), '..', 2)) return false;
    for (let index = Math.max(0, Number(cookie) - 2); index < dir.order.length; index++) {
      const entry = dir.order[index];
      if (!entry) continue;
      if (!emit(entry.node.id, IFTODT(vttoif(entry.node.type)), entry.name, index + 3)) return false;
    }
    return true;
  },

  readlink(vp) {
    const link = nodeOf(vp).link;
    if (link === null) throw errno(E.EINVAL);
    return link;
  },

  fsync() {},

  inactive: (vp) => nodeOf(vp).nlink === 0,

  reclaim(vp) {
    const node = nodeOf(vp);
    if (node.nlink === 0) volumeOf(vp).nodes.delete(node.id);
    vp.v_data = null;
  },

  seek(vp, offset, whence) {
    const size = nodeOf(vp).size;
    if (offset < 0 || offset >= size) throw errno(E.ENXIO);
    return whence === SEEK_DATA ? offset : size;
  },

  fallocate(vp, offset, length) {
    const node = nodeOf(vp);
    if (offset + length > node.size) node.size = offset + length;
  },
};
