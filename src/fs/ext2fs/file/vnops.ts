import type { Context } from '../../../kernel/context.js';
import { E, errno, errnoOf } from '../../../kernel/errno.js';
import { PATH_MAX } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VDIR, VLNK, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnops } from '../../../kernel/vfs/vnops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { DirHit } from '../dir/lookup.js';
import { ext2_dirlookup } from '../dir/lookup.js';
import { ext2_readdir } from '../dir/readdir.js';
import { EXT2_ROOTINO } from '../disk/superblock.js';
import { ext2_create, ext2_link, ext2_mkdir, ext2_mknod, ext2_symlink, ext2_tmpfile } from '../dir/create.js';
import { ext2_remove, ext2_rmdir } from '../dir/remove.js';
import { ext2_exchange, ext2_rename, ext2_renamewhiteout } from '../dir/rename.js';
import { ext2_accessed, ext2_fsync, ext2_inactive, ext2_reclaim } from './lifecycle.js';
import { ext2_fallocate, ext2_fdiscard } from './fallocate.js';
import { ext2_setattr } from './setattr.js';
import { ext2_write } from './write.js';
import { ext2_fillattr } from './attributes.js';
import { VTOI } from './inode.js';
import { ext2_read, ext2_seek } from './read.js';
import { ext2_readlink } from './readlink.js';
import { ext2_getextattr, ext2_listextattr } from './xattr.js';
import { ext2_deleteextattr, ext2_setextattr } from './xattrwrite.js';

/** Names of pathconf(2); values of NetBSD sys/sys/unistd.h. */
const PC = {
  LINK_MAX: 1,
  NAME_MAX: 4,
  PATH_MAX: 5,
  CHOWN_RESTRICTED: 7,
  NO_TRUNC: 8,
  SYNC_IO: 10,
  FILESIZEBITS: 11,
  SYMLINK_MAX: 12,
  MIN_HOLE_SIZE: 15,
} as const;
const EXT4_LINK_MAX = 65000;

function lookup(dvp: Vnode, name: string, _ctx: Context): MaybePromise<Vnode | null> {
  const hit = ext2_dirlookup(VTOI(dvp), name);
  return hit instanceof Promise ? hit.then((h) => enter(dvp, name, h)) : enter(dvp, name, hit);
}

/** The vnode that an entry names; null for no entry. */
function enter(dvp: Vnode, name: string, hit: DirHit | null): MaybePromise<Vnode | null> {
  if (hit === null) return null;
  const kernel = dvp.v_mount.mnt_kernel;
  if (hit.ino === dvp.v_key) {
    kernel.vref(dvp);
    return dvp;
  }
  // Nobody is above the root.
  if (hit.ino === EXT2_ROOTINO && name !== '..') throw damaged(dvp, hit, 'names the root directory');
  let vp: MaybePromise<Vnode>;
  try {
    vp = kernel.vcache_get(dvp.v_mount, hit.ino);
  } catch (thrown) {
    throw dangling(dvp, hit, thrown);
  }
  if (!(vp instanceof Promise)) return entered(dvp, name, hit, vp);
  return vp.then(
    (v) => entered(dvp, name, hit, v),
    (thrown: unknown) => {
      throw dangling(dvp, hit, thrown);
    },
  );
}

function damaged(dvp: Vnode, hit: DirHit, what: string): Error {
  return VTOI(dvp).i_em.em_damage.error(`directory inode ${dvp.v_key}, entry at ${hit.offset}: ${what}`);
}

/** An entry that names an inode not in use is damage of the volume, not a handle gone stale. */
function dangling(dvp: Vnode, hit: DirHit, thrown: unknown): unknown {
  return errnoOf(thrown) === E.ESTALE
    ? damaged(dvp, hit, `names inode ${hit.ino}, which is not in use, or is the volume's own`)
    : thrown;
}

/** Nobody is above a directory but a directory. */
function entered(dvp: Vnode, name: string, hit: DirHit, vp: Vnode): MaybePromise<Vnode> {
  if (name !== '..' || vp.v_type === VDIR) return vp;
  const damage = damaged(dvp, hit, `".." names inode ${hit.ino}, which is no directory`);
  const released = dvp.v_mount.mnt_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw damage;
  return released.then(() => {
    throw damage;
  });
}

/** @throws EACCES the file is encrypted */
function unlocked(vp: Vnode): void {
  if (VTOI(vp).encrypted && vp.v_type === VREG)
    throw errno(
      E.EACCES,
      `inode ${vp.v_key} is encrypted, and its key is not here: only names and attributes can be seen`,
    );
}

function read(vp: Vnode, uio: Uio, _ioflag: number, _ctx: Context): MaybePromise<void> {
  if (vp.v_type !== VREG) throw errno(vp.v_type === VDIR ? E.EISDIR : E.EINVAL);
  if (!(uio.uio_offset >= 0)) throw errno(E.EINVAL);
  unlocked(vp);
  const ip = VTOI(vp);
  ext2_accessed(ip);
  return ext2_read(ip, uio);
}

function pathconf(vp: Vnode, name: number): number | undefined {
  switch (name) {
    case PC.LINK_MAX:
      return EXT4_LINK_MAX;
    case PC.NAME_MAX:
      return 255;
    case PC.PATH_MAX:
      return PATH_MAX;
    case PC.CHOWN_RESTRICTED:
      return 1;
    case PC.NO_TRUNC:
      return 1;
    case PC.SYNC_IO:
      return 1;
    case PC.FILESIZEBITS:
      return 64;
    case PC.SYMLINK_MAX:
      return VTOI(vp).i_fs.bsize - 1;
    case PC.MIN_HOLE_SIZE:
      return VTOI(vp).i_fs.bsize;
    default:
      return undefined;
  }
}

export const ext2_vnodeops: Vnops = {
  lookup,
  getattr(vp: Vnode, vap: Vattr) {
    const ip = VTOI(vp);
    ext2_fillattr(ip.i_em, ip, vp.v_type, ip.i_fileid, vap);
  },
  open(vp: Vnode) {
    unlocked(vp);
  },
  read,
  readdir(vp, cookie, _ctx, emit) {
    const ip = VTOI(vp);
    if (ip.i_nlink === 0) return true;
    ext2_accessed(ip);
    return ext2_readdir(ip, cookie, emit);
  },
  readlink(vp) {
    if (vp.v_type !== VLNK) throw errno(E.EINVAL);
    ext2_accessed(VTOI(vp));
    return ext2_readlink(VTOI(vp));
  },
  seek(vp, offset, whence) {
    if (vp.v_type !== VREG) throw errno(E.EINVAL);
    return ext2_seek(VTOI(vp), offset, whence);
  },
  getextattr: (vp, namespace, name) => ext2_getextattr(VTOI(vp), namespace, name),
  listextattr: (vp, namespace) => ext2_listextattr(VTOI(vp), namespace),
  setextattr: ext2_setextattr,
  deleteextattr: ext2_deleteextattr,
  pathconf,
  create: ext2_create,
  mknod: ext2_mknod,
  mkdir: ext2_mkdir,
  symlink: ext2_symlink,
  link: ext2_link,
  remove: ext2_remove,
  rmdir: ext2_rmdir,
  rename: ext2_rename,
  renamewhiteout: ext2_renamewhiteout,
  exchange: ext2_exchange,
  tmpfile: ext2_tmpfile,
  setattr: ext2_setattr,
  write: ext2_write,
  fsync: ext2_fsync,
  inactive: ext2_inactive,
  reclaim: ext2_reclaim,
  fallocate: ext2_fallocate,
  fdiscard: ext2_fdiscard,
};
