import type { BlockDevice } from '../blkdev.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Fid, Statvfs } from '../stat.js';
import type { Mount } from './mount.js';
import type { Vattr } from './vattr.js';
import type { Vnode } from './vnode.js';

/** What mount(2) hands to a driver. */
export interface MountArgs {
  /** The device, for a disk file system; what a driver gets is the same as Mount.mnt_dev (mntdev.ts). */
  readonly fspec?: BlockDevice;
  /**
   * Further devices of a volume that lies on several, by what they are to it ("journal", "second"...): the format's
   * options of kind `disk`.
   */
  readonly disks?: ReadonlyMap<string, BlockDevice>;
  /**
   * For a network file system: where it is, "server:/export" or as the format has it. The sockets are the host's
   * business.
   */
  readonly endpoint?: string;
  /** Driver options as given with -o, `name` or `name=value`; a driver refuses with EINVAL what it does not know. */
  readonly options: ReadonlyMap<string, string | true>;
}

export type Survives = 'no' | 'buffers' | 'kept';

/**
 * What a driver does with a volume; names and meanings of NetBSD's vfsops(9). A driver is the component `{ name, vfsops
 * }` that the kernel boots with.
 */
export interface Vfsops {
  /** As mount -t takes it: "ffs", "tmpfs", "msdos", ... */
  readonly vfs_name: string;

  /**
   * What another process needs to go on where this one is killed (kernel/keep/keep.ts):
   *   no       the volume is in this process alone, or its file handles mean nothing to another one; the default
   *   buffers  nothing but the volume and the dirty blocks of the buffer cache: the kernel keeps these by itself, and
   *            writes what a dead server left before VFS_MOUNT. At the end of every operation that changed something
   *            the buffers have all of it. What a successor needs beside them (that we marked the volume dirty
   *            ourselves, files without a name that are open) the driver puts into Mount.mnt_kept, and finds there in
   *            VFS_MOUNT
   *   kept     the driver records what it must, by a KeptDriver of its own
   */
  readonly vfs_survives?: Survives;

  /**
   * Reads the volume and fills mp.mnt_data. May set MNT_RDONLY in mp.mnt_flag when the volume cannot be written
   * safely: then with one log line (kernel.log) that says why and what would change that, and only when asked with
   * `rw` not mandatory (see MountArgs option "force-rw").
   * @throws EFTYPE no such format here; EIO; EROFS; EINVAL an option is wrong; EBUSY.
   */
  mount(mp: Mount, args: MountArgs): MaybePromise<void>;
  /** mount -u: `mp.mnt_flag` is the old, `flags` the new. rw to ro must leave the volume clean. */
  update(mp: Mount, flags: number, args: MountArgs): MaybePromise<void>;
  /** All vnodes are gone. Writes what is left and marks the volume clean. The VFS layer closes the device. */
  unmount(mp: Mount): MaybePromise<void>;
  /** The root directory, referenced. */
  root(mp: Mount): MaybePromise<Vnode>;
  /** Fills sizes and counts; names, flags and fsid are the VFS layer's. */
  statvfs(mp: Mount, sbp: Statvfs): MaybePromise<void>;
  /** Everything dirty goes to the device, with a barrier. */
  sync(mp: Mount): MaybePromise<void>;
  /** vcache found no vnode for `key`: load it. Sets v_type, v_op, v_data. @throws ESTALE EIO */
  loadvnode(mp: Mount, vp: Vnode, key: number): MaybePromise<void>;
  /**
   * Optional, for drivers whose vnodes have their file numbers as keys: fills the attributes of a file that has no
   * vnode without making one (listing a directory with attributes would make thousands). Answers false where it cannot
   * say, for whatever reason; VOP_LOOKUP then says why.
   */
  attributes?(mp: Mount, fileno: number, vap: Vattr): MaybePromise<boolean>;
  /**
   * Optional, for drivers that survive by their buffers and hand file data to the device by `post` (mntdev.ts): a write
   * of this owner, which `post` was told, has failed after all. Without it nothing is put off.
   */
  lostwrite?(mp: Mount, owner: number): void;
  /** File handle of a vnode. */
  vptofh(vp: Vnode): Fid;
  /** The vnode of a handle, referenced. @throws ESTALE */
  fhtovp(mp: Mount, fid: Fid): MaybePromise<Vnode>;
}
