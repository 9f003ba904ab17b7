import type { Context } from '../context.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Uio } from './uio.js';
import type { Vattr } from './vattr.js';
import type { Vnode } from './vnode.js';

/**
 * A place in a directory, 64 bits, of which only the driver knows what it means: a number where that is exact, else a
 * bigint. 0 is the start.
 */
export type Cookie = number | bigint;

/**
 * Called by VOP_READDIR for each entry; false means that the caller has no room: the entry was not taken. `name` is a
 * byte string, `next` the cookie behind this entry.
 */
export type ReaddirEmit = (fileno: number | bigint, d_type: number, name: string, next: Cookie) => boolean;

/**
 * What a driver does with its files; names and meanings of NetBSD's vnodeops(9). Names of entries are byte strings
 * (bytestr.ts), one component of at most mnt_traits.namemax units, no '/', never "." and, but for VOP_LOOKUP, never
 * "..".
 *
 * Locks: the caller (the VFS layer) holds what the table says; a driver locks vnodes itself never, except those that
 * it has just created and nobody else can know, and in the four of extended attributes the files that hold them, for
 * which it never waits while it keeps the lock of vp. Every vnode that a VOP returns is referenced and unlocked.
 *
 *   shared      lookup(dvp) read readdir readlink getattr access pathconf getextattr listextattr seek
 *   exclusive   open close write setattr fsync fallocate fdiscard setextattr deleteextattr inactive
 *               create mknod mkdir symlink (dvp); remove rmdir (dvp and vp); link (dvp and vp);
 *               rename renamewhiteout exchange (fdvp, fvp, tdvp, tvp, and the mount's rename lock); tmpfile (dvp)
 *
 * The VFS layer has checked before: types (dvp is a directory, vp is none for remove and link, is one for rmdir),
 * permissions with VOP_ACCESS and the sticky bit, immutable and append flags of directory and file, read-only mounts,
 * mount points, that names to be created do not exist, that both vnodes are of one mount, and for rename that a
 * directory does not move below itself and that source and target differ. A driver checks what only it can know
 * (room, link limits, an emptied directory, damage) and its own invariants.
 *
 * Failure: throw an {@link Errno}; the volume is then as if the VOP had not been called, but for read and write,
 * which may have moved part (uio tells).
 */
export interface Vnops {
  /**
   * null (or ENOENT thrown, which costs more) when the name is not there. ".." of the root of the volume is never
   * asked.
   */
  lookup(dvp: Vnode, name: string, ctx: Context): MaybePromise<Vnode | null>;
  /**
   * va_type is VREG or VSOCK; va_mode set; owner from ctx, group as va_gid says, VNOVAL: the directory's (BSD). So in
   * the next three.
   */
  create(dvp: Vnode, name: string, vap: Vattr, ctx: Context): MaybePromise<Vnode>;
  /** va_type is VBLK, VCHR, VFIFO or VSOCK; va_rdev set. */
  mknod(dvp: Vnode, name: string, vap: Vattr, ctx: Context): MaybePromise<Vnode>;
  mkdir(dvp: Vnode, name: string, vap: Vattr, ctx: Context): MaybePromise<Vnode>;
  /** `target` is a byte string, 1..PATH_MAX-1 bytes. */
  symlink(dvp: Vnode, name: string, vap: Vattr, target: string, ctx: Context): MaybePromise<Vnode>;
  link(dvp: Vnode, vp: Vnode, name: string, ctx: Context): MaybePromise<void>;
  remove(dvp: Vnode, vp: Vnode, name: string, ctx: Context): MaybePromise<void>;
  /** @throws ENOTEMPTY */
  rmdir(dvp: Vnode, vp: Vnode, name: string, ctx: Context): MaybePromise<void>;
  /**
   * `tvp` is what `tname` named before and is replaced (an empty directory by a directory, a file by a file). Where
   * names fold and both names are the same entry, only its spelling changes: then fdvp is tdvp and tvp null.
   */
  rename(
    fdvp: Vnode,
    fvp: Vnode,
    fname: string,
    tdvp: Vnode,
    tvp: Vnode | null,
    tname: string,
    ctx: Context,
  ): MaybePromise<void>;
  /**
   * Optional: like rename, and `fname` then names a whiteout (a character device, number 0), in one step. `vap` is for
   * that. Without it renameat2 with RENAME_WHITEOUT is EINVAL.
   */
  renamewhiteout?(
    fdvp: Vnode,
    fvp: Vnode,
    fname: string,
    tdvp: Vnode,
    tvp: Vnode | null,
    tname: string,
    vap: Vattr,
    ctx: Context,
  ): MaybePromise<void>;
  /**
   * Optional: the two names change places, in one step; of any types. Neither lies below the other. Without it
   * RENAME_EXCHANGE is EINVAL.
   */
  exchange?(
    fdvp: Vnode,
    fvp: Vnode,
    fname: string,
    tdvp: Vnode,
    tvp: Vnode,
    tname: string,
    ctx: Context,
  ): MaybePromise<void>;
  /**
   * Optional: a regular file without a name, as if made in `dvp` and removed while it is open. VOP_LINK may name it.
   * Without it O_TMPFILE is EOPNOTSUPP.
   */
  tmpfile?(dvp: Vnode, vap: Vattr, ctx: Context): MaybePromise<Vnode>;

  getattr(vp: Vnode, vap: Vattr, ctx: Context): MaybePromise<void>;
  /**
   * Permission rules of chmod, chown, chflags and utimes are the VFS layer's (genfs_can_*); va_size grows or truncates.
   */
  setattr(vp: Vnode, vap: Vattr, ctx: Context): MaybePromise<void>;
  /** Reads from uio_offset until uio_resid is 0 or the end of the file; updates the access time as the mount asks. */
  read(vp: Vnode, uio: Uio, ioflag: number, ctx: Context): MaybePromise<void>;
  /**
   * Writes all or throws; what was moved before an error stays (uio tells). Clears set-id bits for others than the
   * superuser.
   */
  write(vp: Vnode, uio: Uio, ioflag: number, ctx: Context): MaybePromise<void>;
  /**
   * From cookie 0 (start) or a cookie handed out before, "." and ".." included. Returns whether the end was reached.
   */
  readdir(vp: Vnode, cookie: Cookie, ctx: Context, emit: ReaddirEmit): MaybePromise<boolean>;
  /** The target, exact bytes. */
  readlink(vp: Vnode, ctx: Context): MaybePromise<Uint8Array>;
  /**
   * On stable storage when it returns: data and all metadata needed to find it, the file's name included. Where the
   * device has failed a write of the file's data (mntdev.ts, device_failed), the next fsync of the file fails, too: the
   * program that wrote and the one that asks need not be the same. @throws EIO
   */
  fsync(vp: Vnode, ctx: Context, datasync: boolean): MaybePromise<void>;
  /**
   * The last reference is going. Returns true if the vnode is to be reclaimed at once (the file has no link left): here
   * its blocks are given back. Its number may be given to another file only in reclaim.
   */
  inactive(vp: Vnode): MaybePromise<boolean>;
  /** Nobody knows the vnode any more: detach v_data. */
  reclaim(vp: Vnode): MaybePromise<void>;

  /**
   * Optional: without it the VFS layer uses genfs_access on VOP_GETATTR. `mode` is R_OK | W_OK | X_OK.
   * @throws EACCES EPERM EROFS
   */
  access?(vp: Vnode, mode: number, ctx: Context): MaybePromise<void>;
  open?(vp: Vnode, flags: number, ctx: Context): MaybePromise<void>;
  close?(vp: Vnode, flags: number, ctx: Context): MaybePromise<void>;
  /** SEEK_DATA or SEEK_HOLE from `offset`. @throws ENXIO. Without it a file is all data. */
  seek?(vp: Vnode, offset: number, whence: number, ctx: Context): MaybePromise<number>;
  /**
   * Reserves blocks; extends the size, unless FALLOC_KEEP_SIZE is in `mode`; with FALLOC_ZERO_RANGE what was there
   * becomes zeros. Without it EOPNOTSUPP. @throws EINTR when the caller gave up before the end; EOPNOTSUPP for what the
   * format cannot hold (blocks behind the end)
   */
  fallocate?(vp: Vnode, offset: number, length: number, ctx: Context, mode: number): MaybePromise<void>;
  /** Punches a hole; the size stays. Without it EOPNOTSUPP. @throws EINTR: a part of it is there */
  fdiscard?(vp: Vnode, offset: number, length: number, ctx: Context): MaybePromise<void>;
  /** `namespace` is EXTATTR_NAMESPACE_*. @throws ENOATTR. Without the four: EOPNOTSUPP. */
  getextattr?(vp: Vnode, namespace: number, name: string, ctx: Context): MaybePromise<Uint8Array>;
  setextattr?(vp: Vnode, namespace: number, name: string, value: Uint8Array, ctx: Context): MaybePromise<void>;
  deleteextattr?(vp: Vnode, namespace: number, name: string, ctx: Context): MaybePromise<void>;
  listextattr?(vp: Vnode, namespace: number, ctx: Context): MaybePromise<string[]>;
  /**
   * For mounts whose names fold: how the entry of `dvp` is spelled that `name` finds and that is `vp`. Asked under the
   * lock of `dvp`, right after VOP_LOOKUP or what made the name.
   */
  spelling?(dvp: Vnode, name: string, vp: Vnode, ctx: Context): MaybePromise<string>;
  /**
   * For attributes that may be large (streams, forks): reads from uio_offset until uio_resid is 0 or the end; returns
   * the size of the whole, bytes. Without it the VFS layer takes a piece of what getextattr gives. @throws ENOATTR
   */
  readextattr?(vp: Vnode, namespace: number, name: string, uio: Uio, ctx: Context): MaybePromise<number>;
  /**
   * Writes a piece at uio_offset; the attribute is there already, and grows if need be. Without it: get, change, set.
   * @throws ENOATTR ENOSPC EFBIG
   */
  writeextattr?(vp: Vnode, namespace: number, name: string, uio: Uio, ctx: Context): MaybePromise<void>;
  /** `name` is a _PC_* number; undefined leaves the answer to the VFS layer. */
  pathconf?(vp: Vnode, name: number): MaybePromise<number | undefined>;
}
