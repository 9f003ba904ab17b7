import type { Cred } from '../cred.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Uio } from './uio.js';
import type { Vattr } from './vattr.js';
import type { Vnode } from './vnode.js';

/** Called by VOP_READDIR for each entry; false means that the caller has no room: the entry was not taken. `name` is a byte string, `next` the cookie behind this entry. */
export type ReaddirEmit = (fileno: number | bigint, d_type: number, name: string, next: number) => boolean;

/**
 * What a driver does with its files; names and meanings of NetBSD's vnodeops(9). Names of entries are byte strings
 * (bytestr.ts), one component, 1..NAME_MAX bytes, no '/', never "." and, but for VOP_LOOKUP, never "..".
 *
 * Locks: the caller (the VFS layer) holds what the table says; a driver locks vnodes itself never, except those that
 * it has just created and nobody else can know, and in the four of extended attributes the files that hold them, for
 * which it never waits while it keeps the lock of vp. Every vnode that a VOP returns is referenced and unlocked.
 *
 *   shared      lookup(dvp) read readdir readlink getattr access pathconf getextattr listextattr seek
 *   exclusive   open close write setattr fsync fallocate fdiscard setextattr deleteextattr inactive
 *               create mknod mkdir symlink (dvp); remove rmdir (dvp and vp); link (dvp and vp);
 *               rename (fdvp, fvp, tdvp, tvp, and the mount's rename lock)
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
  /** null (or ENOENT thrown, which costs more) when the name is not there. ".." of the root of the volume is never asked. */
  lookup(dvp: Vnode, name: string, cred: Cred): MaybePromise<Vnode | null>;
  /** va_type is VREG or VSOCK; va_mode set; owner from cred, group from the directory (BSD). */
  create(dvp: Vnode, name: string, vap: Vattr, cred: Cred): MaybePromise<Vnode>;
  /** va_type is VBLK, VCHR, VFIFO or VSOCK; va_rdev set. */
  mknod(dvp: Vnode, name: string, vap: Vattr, cred: Cred): MaybePromise<Vnode>;
  mkdir(dvp: Vnode, name: string, vap: Vattr, cred: Cred): MaybePromise<Vnode>;
  /** `target` is a byte string, 1..PATH_MAX-1 bytes. */
  symlink(dvp: Vnode, name: string, vap: Vattr, target: string, cred: Cred): MaybePromise<Vnode>;
  link(dvp: Vnode, vp: Vnode, name: string, cred: Cred): MaybePromise<void>;
  remove(dvp: Vnode, vp: Vnode, name: string, cred: Cred): MaybePromise<void>;
  /** @throws ENOTEMPTY */
  rmdir(dvp: Vnode, vp: Vnode, name: string, cred: Cred): MaybePromise<void>;
  /** `tvp` is what `tname` named before and is replaced (an empty directory by a directory, a file by a file). */
  rename(fdvp: Vnode, fvp: Vnode, fname: string, tdvp: Vnode, tvp: Vnode | null, tname: string, cred: Cred): MaybePromise<void>;

  getattr(vp: Vnode, vap: Vattr, cred: Cred): MaybePromise<void>;
  /** Permission rules of chmod, chown, chflags and utimes are the VFS layer's (genfs_can_*); va_size grows or truncates. */
  setattr(vp: Vnode, vap: Vattr, cred: Cred): MaybePromise<void>;
  /** Reads from uio_offset until uio_resid is 0 or the end of the file; updates the access time as the mount asks. */
  read(vp: Vnode, uio: Uio, ioflag: number, cred: Cred): MaybePromise<void>;
  /** Writes all or throws; what was moved before an error stays (uio tells). Clears set-id bits for others than the superuser. */
  write(vp: Vnode, uio: Uio, ioflag: number, cred: Cred): MaybePromise<void>;
  /** From cookie 0 (start) or a cookie handed out before, "." and ".." included. Returns whether the end was reached. */
  readdir(vp: Vnode, cookie: number, cred: Cred, emit: ReaddirEmit): MaybePromise<boolean>;
  /** The target, exact bytes. */
  readlink(vp: Vnode, cred: Cred): MaybePromise<Uint8Array>;
  /** On stable storage when it returns: data and all metadata needed to find it, the file's name included. */
  fsync(vp: Vnode, cred: Cred, datasync: boolean): MaybePromise<void>;
  /** The last reference is going. Returns true if the vnode is to be reclaimed at once (the file has no link left). */
  inactive(vp: Vnode): MaybePromise<boolean>;
  /** Nobody knows the vnode any more: detach v_data. */
  reclaim(vp: Vnode): MaybePromise<void>;

  /** Optional: without it the VFS layer uses genfs_access on VOP_GETATTR. `mode` is R_OK | W_OK | X_OK. @throws EACCES EPERM EROFS */
  access?(vp: Vnode, mode: number, cred: Cred): MaybePromise<void>;
  open?(vp: Vnode, flags: number, cred: Cred): MaybePromise<void>;
  close?(vp: Vnode, flags: number, cred: Cred): MaybePromise<void>;
  /** SEEK_DATA or SEEK_HOLE from `offset`. @throws ENXIO. Without it a file is all data. */
  seek?(vp: Vnode, offset: number, whence: number, cred: Cred): MaybePromise<number>;
  /** Reserves blocks; extends the size. `signal`: whoever asked has given up. Without it EOPNOTSUPP. @throws EINTR when `signal` came before the end */
  fallocate?(vp: Vnode, offset: number, length: number, cred: Cred, signal?: AbortSignal): MaybePromise<void>;
  /** Punches a hole; the size stays. Without it EOPNOTSUPP. @throws EINTR: a part of it is there */
  fdiscard?(vp: Vnode, offset: number, length: number, cred: Cred, signal?: AbortSignal): MaybePromise<void>;
  /** `namespace` is EXTATTR_NAMESPACE_*. @throws ENOATTR. Without the four: EOPNOTSUPP. */
  getextattr?(vp: Vnode, namespace: number, name: string, cred: Cred): MaybePromise<Uint8Array>;
  setextattr?(vp: Vnode, namespace: number, name: string, value: Uint8Array, cred: Cred): MaybePromise<void>;
  deleteextattr?(vp: Vnode, namespace: number, name: string, cred: Cred): MaybePromise<void>;
  listextattr?(vp: Vnode, namespace: number, cred: Cred): MaybePromise<string[]>;
  /** `name` is a _PC_* number; undefined leaves the answer to the VFS layer. */
  pathconf?(vp: Vnode, name: number): MaybePromise<number | undefined>;
}
