import type { Context } from '../../../kernel/context.js';
import { E, errno, errnoOf } from '../../../kernel/errno.js';
import { LINK_MAX, PATH_MAX } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VBLK, VCHR, VDIR, VLNK, VREG } from '../../../kernel/vfs/vattr.js';
import type { ReaddirEmit, Vnops } from '../../../kernel/vfs/vnops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { FFS_MAXNAMLEN, UFS_ROOTINO } from '../../ufs/dir.js';
import { ufs_getextattr, ufs_listextattr } from '../../ufs/extattr.js';
import { ufs_itimes } from '../../ufs/inode.js';
import { VTOI } from '../volume/inode.js';
import type { DirHit } from '../../ufs/lookup.js';
import { ufs_dirlookup } from '../../ufs/lookup.js';
import { ufs_readdir } from '../../ufs/readdir.js';
import { ufs_dirread } from '../../ufs/dirmod.js';
import { ufs1_getextattr, ufs1_listextattr } from './extattr_ufs1.js';
import { ffs_fillattr } from './fillattr.js';
import { ffs_accessed, ffs_read, ffs_seek } from './read.js';

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
  TWO_SYMLINKS: 13,
  MIN_HOLE_SIZE: 15,
} as const;

function lookup(dvp: Vnode, name: string, _ctx: Context): MaybePromise<Vnode | null> {
  const hit = ufs_dirlookup(VTOI(dvp), name);
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
  // Nobody is above the root: a second name for it could be removed or moved as if it were a directory like others.
  if (hit.ino === UFS_ROOTINO && name !== '..' && VTOI(dvp).i_ump.um_private !== null) {
    throw VTOI(dvp).i_ump.um_damage.error(
      `directory inode ${dvp.v_key}, entry at ${hit.offset}: names the root directory`,
    );
  }
  let vp: MaybePromise<Vnode>;
  try {
    vp = kernel.vcache_get(dvp.v_mount, hit.ino);
  } catch (thrown) {
    throw dangling(dvp, hit, thrown);
  }
  if (vp instanceof Promise) {
    return vp.then(
      (v) => entered(dvp, name, hit, v),
      (thrown: unknown) => {
        throw dangling(dvp, hit, thrown);
      },
    );
  }
  return entered(dvp, name, hit, vp);
}

/** An entry that names an inode not in use is damage of the volume, not a handle gone stale. */
function dangling(dvp: Vnode, hit: DirHit, thrown: unknown): unknown {
  if (errnoOf(thrown) !== E.ESTALE) return thrown;
  return VTOI(dvp).i_ump.um_damage.error(
    `directory inode ${dvp.v_key}, entry at ${hit.offset}: names inode ${hit.ino}, which is not in use`,
  );
}

/** Nobody is above a directory but a directory. */
function entered(dvp: Vnode, name: string, hit: DirHit, vp: Vnode): MaybePromise<Vnode> {
  if (name !== '..' || vp.v_type === VDIR) return vp;
  const damage = VTOI(dvp).i_ump.um_damage.error(
    `directory inode ${dvp.v_key}: ".." names inode ${hit.ino}, which is no directory`,
  );
  const released = dvp.v_mount.mnt_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw damage;
  return released.then(() => {
    throw damage;
  });
}

function getattr(vp: Vnode, vap: Vattr, _ctx: Context): void {
  const ip = VTOI(vp);
  ufs_itimes(ip);
  ffs_fillattr(ip.i_ump, ip, vp.v_type, ip.i_fileid, vap);
}

function read(vp: Vnode, uio: Uio, _ioflag: number, _ctx: Context): MaybePromise<void> {
  if (vp.v_type !== VREG) throw errno(vp.v_type === VDIR ? E.EISDIR : E.EINVAL);
  if (!(uio.uio_offset >= 0)) throw errno(E.EINVAL);
  const ip = VTOI(vp);
  if (uio.uio_resid > 0) ffs_accessed(ip);
  return ffs_read(ip, uio);
}

function readdir(vp: Vnode, cookie: number, _ctx: Context, emit: ReaddirEmit): MaybePromise<boolean> {
  const ip = VTOI(vp);
  ffs_accessed(ip);
  ufs_dirread(ip);
  return ufs_readdir(ip, cookie, emit);
}

function readlink(vp: Vnode, _ctx: Context): MaybePromise<Uint8Array> {
  const ip = VTOI(vp);
  if (vp.v_type !== VLNK) throw errno(E.EINVAL);
  ffs_accessed(ip);
  if (ip.i_shortlink !== null) return ip.i_shortlink.slice();
  // loadvnode has refused targets above a block.
  const target = new Uint8Array(ip.i_size);
  const reading = ffs_read(ip, new Uio(target, 0, target.length, 0));
  return reading instanceof Promise ? reading.then(() => target) : target;
}

function seek(vp: Vnode, offset: number, whence: number, _ctx: Context): MaybePromise<number> {
  if (vp.v_type !== VREG) throw errno(E.EINVAL);
  return ffs_seek(VTOI(vp), offset, whence);
}

function pathconf(vp: Vnode, name: number): number | undefined {
  const ip = VTOI(vp);
  switch (name) {
    case PC.LINK_MAX: return LINK_MAX;
    case PC.NAME_MAX: return FFS_MAXNAMLEN;
    case PC.PATH_MAX: return PATH_MAX;
    case PC.CHOWN_RESTRICTED: return 1;
    case PC.NO_TRUNC: return 1;
    case PC.SYNC_IO: return 1;
    // Bits of a signed number that holds the largest size.
    case PC.FILESIZEBITS: return Math.floor(Math.log2(ip.i_ump.um_maxfilesize)) + 2;
    case PC.SYMLINK_MAX: return PATH_MAX;
    case PC.TWO_SYMLINKS: return 1;
    case PC.MIN_HOLE_SIZE: return ip.i_fs.fs_bsize;
    default: return undefined;
  }
}

function extattrs(vp: Vnode): void {
  if (vp.v_type === VBLK || vp.v_type === VCHR) throw errno(E.EOPNOTSUPP);
}

/** What reads. */
export const ffs_readops = {
  lookup,
  getattr,
  read,
  readdir,
  readlink,
  seek,
  pathconf,
  getextattr(vp: Vnode, namespace: number, name: string, _ctx: Context): MaybePromise<Uint8Array> {
    extattrs(vp);
    const ip = VTOI(vp);
    return ip.i_ump.um_dinofmt.ufs2 ? ufs_getextattr(ip, namespace, name) : ufs1_getextattr(vp, namespace, name);
  },
  listextattr(vp: Vnode, namespace: number, _ctx: Context): MaybePromise<string[]> {
    extattrs(vp);
    const ip = VTOI(vp);
    return ip.i_ump.um_dinofmt.ufs2 ? ufs_listextattr(ip, namespace) : ufs1_listextattr(vp, namespace);
  },
} satisfies Partial<Vnops>;
