import { bytestrToBytes } from '../../kernel/bytestr.js';
import type { Context } from '../../kernel/context.js';
import { E, errno } from '../../kernel/errno.js';
import { FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE, LINK_MAX, SEEK_DATA } from '../../kernel/fcntl.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { IFTODT } from '../../kernel/stat.js';
import { IO_APPEND } from '../../kernel/vfs/uio.js';
import { VCHR, VDIR, VLNK, VNOVAL, VREG, vttoif } from '../../kernel/vfs/vattr.js';
import type { Vattr } from '../../kernel/vfs/vattr.js';
import type { Vnode } from '../../kernel/vfs/vnode.js';
import type { Vnops } from '../../kernel/vfs/vnops.js';
import { accessed, clearsetid, getattr, newmode, setattr } from './attributes.js';
import { FIRST_COOKIE } from './directory.js';
import type { TmpfsNode } from './node.js';
import { CTIME, MTIME, touch } from './node.js';
import { PAGE_BYTES } from './pages.js';
import { xattrDelete, xattrGet, xattrList, xattrSet } from './xattr.js';

function nodeOf(vp: Vnode): TmpfsNode {
  return vp.v_data as TmpfsNode;
}

function vnodeOf(node: TmpfsNode): MaybePromise<Vnode> {
  const mount = node.tn_volume.mount;
  return mount.mnt_kernel.vcache_get(mount, node.tn_id);
}

/** The owner is the creator; the group is the directory's, as BSD has it, if nobody says otherwise. */
function newnode(dir: TmpfsNode, type: number, vap: Vattr, ctx: Context): TmpfsNode {
  const gid = vap.va_gid === VNOVAL ? dir.tn_gid : vap.va_gid;
  return dir.tn_volume.newNode(
    type,
    type === VDIR ? vap.va_mode & 0o7777 : newmode(vap.va_mode, gid, ctx),
    ctx.cred.cr_uid,
    gid,
  );
}

/** A new node, entered as `name`; the caller fills in what is special about it. */
function enter(dir: TmpfsNode, name: string, type: number, vap: Vattr, ctx: Context): TmpfsNode {
  if (dir.tn_parent === null) throw errno(E.ENOENT); // the directory has been removed
  if (type === VDIR && dir.tn_nlink >= LINK_MAX) throw errno(E.EMLINK);
  const node = newnode(dir, type, vap, ctx);
  if (type === VDIR) {
    node.tn_nlink = 2;
    node.tn_parent = dir;
    dir.tn_nlink++;
  } else {
    node.tn_nlink = 1;
  }
  dir.tn_dir!.add(name, node);
  touch(dir, MTIME | CTIME);
  return node;
}

/** A directory loses its last name. */
function removeddir(parent: TmpfsNode, node: TmpfsNode): void {
  node.tn_nlink = 0;
  node.tn_parent = null;
  parent.tn_nlink--;
  touch(node, CTIME);
}

/** A directory has gone from one to the other. */
function moved(node: TmpfsNode, from: TmpfsNode, to: TmpfsNode): void {
  if (node.tn_type !== VDIR) return;
  from.tn_nlink--;
  to.tn_nlink++;
  node.tn_parent = to;
}

function unlinked(node: TmpfsNode): void {
  node.tn_nlink--;
  touch(node, CTIME);
}

/** The file operations of tmpfs. All of them answer at once. */
export const tmpfs_vnodeops: Vnops = {
  lookup(dvp, name) {
    const dir = nodeOf(dvp);
    const node = name === '..' ? dir.tn_parent : dir.tn_dir!.get(name)?.node;
    if (!node) throw errno(E.ENOENT);
    return vnodeOf(node);
  },

  create(dvp, name, vap, ctx) {
    return vnodeOf(enter(nodeOf(dvp), name, vap.va_type, vap, ctx));
  },

  mknod(dvp, name, vap, ctx) {
    const node = enter(nodeOf(dvp), name, vap.va_type, vap, ctx);
    node.tn_rdev = vap.va_rdev;
    return vnodeOf(node);
  },

  mkdir(dvp, name, vap, ctx) {
    return vnodeOf(enter(nodeOf(dvp), name, VDIR, vap, ctx));
  },

  symlink(dvp, name, vap, target, ctx) {
    const node = enter(nodeOf(dvp), name, VLNK, vap, ctx);
    node.tn_link = bytestrToBytes(target);
    return vnodeOf(node);
  },

  link(dvp, vp, name) {
    const dir = nodeOf(dvp);
    const node = nodeOf(vp);
    if (dir.tn_parent === null) throw errno(E.ENOENT);
    if (node.tn_nlink >= LINK_MAX) throw errno(E.EMLINK);
    dir.tn_dir!.add(name, node);
    node.tn_nlink++;
    touch(node, CTIME);
    touch(dir, MTIME | CTIME);
  },

  remove(dvp, vp, name) {
    const dir = nodeOf(dvp);
    dir.tn_dir!.remove(name);
    unlinked(nodeOf(vp));
    touch(dir, MTIME | CTIME);
  },

  rmdir(dvp, vp, name) {
    const dir = nodeOf(dvp);
    const node = nodeOf(vp);
    if (node.tn_dir!.size > 0) throw errno(E.ENOTEMPTY);
    dir.tn_dir!.remove(name);
    removeddir(dir, node);
    touch(dir, MTIME | CTIME);
  },

  tmpfile(dvp, vap, ctx) {
    const dir = nodeOf(dvp);
    if (dir.tn_parent === null) throw errno(E.ENOENT);
    const node = newnode(dir, VREG, vap, ctx);
    node.tn_nlink = 0;
    return vnodeOf(node);
  },

  exchange(fdvp, fvp, fname, tdvp, tvp, tname) {
    const fdir = nodeOf(fdvp);
    const tdir = nodeOf(tdvp);
    const from = nodeOf(fvp);
    const to = nodeOf(tvp);
    if (fdir.tn_parent === null || tdir.tn_parent === null) throw errno(E.ENOENT);
    const grows =
      from.tn_type === VDIR && to.tn_type !== VDIR ? tdir : to.tn_type === VDIR && from.tn_type !== VDIR ? fdir : null;
    if (fdir !== tdir && grows !== null && grows.tn_nlink >= LINK_MAX) throw errno(E.EMLINK);
    fdir.tn_dir!.get(fname)!.node = to;
    tdir.tn_dir!.get(tname)!.node = from;
    if (fdir !== tdir) {
      moved(from, fdir, tdir);
      moved(to, tdir, fdir);
    }
    for (const node of [from, to]) touch(node, CTIME);
    for (const dir of [fdir, tdir]) touch(dir, MTIME | CTIME);
  },

  renamewhiteout(fdvp, fvp, fname, tdvp, tvp, tname, vap, ctx) {
    const dir = nodeOf(fdvp);
    // What can fail comes first: the node of the whiteout.
    const whiteout = newnode(dir, VCHR, vap, ctx);
    try {
      void tmpfs_vnodeops.rename(fdvp, fvp, fname, tdvp, tvp, tname, ctx);
    } catch (thrown) {
      dir.tn_volume.freeNode(whiteout);
      throw thrown;
    }
    whiteout.tn_nlink = 1;
    dir.tn_dir!.add(fname, whiteout);
  },

  rename(fdvp, fvp, fname, tdvp, tvp, tname) {
    const fdir = nodeOf(fdvp);
    const tdir = nodeOf(tdvp);
    const node = nodeOf(fvp);
    const target = tvp === null ? null : nodeOf(tvp);
    const directory = node.tn_type === VDIR;
    if (tdir.tn_parent === null) throw errno(E.ENOENT);
    if (target !== null && directory && target.tn_dir!.size > 0) throw errno(E.ENOTEMPTY);
    if (directory && target === null && fdir !== tdir && tdir.tn_nlink >= LINK_MAX) throw errno(E.EMLINK);
    fdir.tn_dir!.remove(fname);
    if (target !== null) {
      tdir.tn_dir!.remove(tname);
      if (directory) removeddir(tdir, target);
      else unlinked(target);
    }
    tdir.tn_dir!.add(tname, node);
    if (directory && fdir !== tdir) {
      fdir.tn_nlink--;
      tdir.tn_nlink++;
      node.tn_parent = tdir;
    }
    touch(node, CTIME);
    touch(fdir, MTIME | CTIME);
    if (tdir !== fdir) touch(tdir, MTIME | CTIME);
  },

  getattr(vp, vap) {
    getattr(nodeOf(vp), vap);
  },

  setattr(vp, vap, ctx) {
    setattr(nodeOf(vp), vap, ctx);
  },

  read(vp, uio) {
    const node = nodeOf(vp);
    if (node.tn_pages === null) throw errno(E.EINVAL);
    node.tn_pages.read(uio, node.tn_size);
    accessed(node);
  },

  write(vp, uio, ioflag, ctx) {
    const node = nodeOf(vp);
    if (node.tn_pages === null) throw errno(E.EINVAL);
    if ((ioflag & IO_APPEND) !== 0) uio.uio_offset = node.tn_size;
    if (uio.uio_resid === 0) return;
    if (uio.uio_offset + uio.uio_resid > Number.MAX_SAFE_INTEGER) throw errno(E.EFBIG);
    const start = uio.uio_offset;
    try {
      node.tn_pages.write(uio);
    } finally {
      if (uio.uio_offset > start) {
        if (uio.uio_offset > node.tn_size) node.tn_size = uio.uio_offset;
        clearsetid(node, ctx);
        touch(node, MTIME | CTIME);
      }
    }
  },

  readdir(vp, cookie, _cred, emit) {
    const node = nodeOf(vp);
    const dir = node.tn_dir!;
    accessed(node);
    if (node.tn_parent === null) return true; // removed: not even "." is left
    if (cookie <= 0 && !emit(node.tn_id, IFTODT(vttoif(VDIR)), '.', 1)) return false;
    if (cookie <= 1 && !emit(node.tn_parent.tn_id, IFTODT(vttoif(VDIR)), '..', FIRST_COOKIE)) return false;
    for (let index = dir.find(Number(cookie)); ; index++) {
      const entry = dir.at(index);
      if (entry === undefined) return true;
      if (entry.node === null) continue;
      if (!emit(entry.node.tn_id, IFTODT(vttoif(entry.node.tn_type)), entry.name, entry.cookie + 1)) return false;
    }
  },

  readlink(vp) {
    const node = nodeOf(vp);
    if (node.tn_link === null) throw errno(E.EINVAL);
    accessed(node);
    return new Uint8Array(node.tn_link);
  },

  fsync() {},

  inactive(vp) {
    return nodeOf(vp).tn_nlink === 0;
  },

  reclaim(vp) {
    const node = nodeOf(vp);
    vp.v_data = null;
    if (node.tn_nlink === 0) node.tn_volume.freeNode(node);
  },

  seek(vp, offset, whence) {
    const node = nodeOf(vp);
    if (node.tn_pages === null) throw errno(E.EINVAL);
    if (offset < 0 || offset >= node.tn_size) throw errno(E.ENXIO);
    const index = Math.floor(offset / PAGE_BYTES);
    const found = whence === SEEK_DATA ? node.tn_pages.nextData(index) : node.tn_pages.nextHole(index);
    const position = Math.max(offset, found * PAGE_BYTES);
    if (whence !== SEEK_DATA) return Math.min(position, node.tn_size); // the end counts as a hole
    if (position >= node.tn_size) throw errno(E.ENXIO);
    return position;
  },

  fallocate(vp, offset, length, ctx, mode) {
    const node = nodeOf(vp);
    if (node.tn_pages === null) throw errno(E.EINVAL);
    const end = offset + length;
    if (!(offset >= 0 && length > 0)) throw errno(E.EINVAL);
    if (end > Number.MAX_SAFE_INTEGER) throw errno(E.EFBIG);
    const keep = (mode & FALLOC_KEEP_SIZE) !== 0;
    node.tn_pages.reserve(offset, end, node.tn_volume.available_bytes);
    if ((mode & FALLOC_ZERO_RANGE) !== 0) node.tn_pages.zero(offset, end);
    if (!keep && end > node.tn_size) node.tn_size = end;
    clearsetid(node, ctx);
    touch(node, MTIME | CTIME);
  },

  fdiscard(vp, offset, length, ctx) {
    const node = nodeOf(vp);
    if (node.tn_pages === null) throw errno(E.EINVAL);
    if (!(offset >= 0 && length >= 0)) throw errno(E.EINVAL);
    const end = Math.min(offset + length, node.tn_size);
    if (offset >= end) return;
    // A hole up to the end of the file takes the rest of the last page along.
    node.tn_pages.punch(offset, end === node.tn_size ? Math.ceil(end / PAGE_BYTES) * PAGE_BYTES : end);
    clearsetid(node, ctx);
    touch(node, MTIME | CTIME);
  },

  getextattr(vp, namespace, name) {
    return xattrGet(nodeOf(vp), namespace, name);
  },

  setextattr(vp, namespace, name, value) {
    xattrSet(nodeOf(vp), namespace, name, value);
    touch(nodeOf(vp), CTIME);
  },

  deleteextattr(vp, namespace, name) {
    xattrDelete(nodeOf(vp), namespace, name);
    touch(nodeOf(vp), CTIME);
  },

  listextattr(vp, namespace) {
    return xattrList(nodeOf(vp), namespace);
  },
};
