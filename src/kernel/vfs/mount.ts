import type { KeptState } from '../keep/state.js';
import type { Kernel } from '../kernel.js';
import type { MountedDevice } from './mntdev.js';
import { RwLock } from './rwlock.js';
import { UNIX_TRAITS } from './traits.js';
import type { MountTraits } from './traits.js';
import type { Vfsops } from './vfsops.js';
import type { Vnode } from './vnode.js';

/** A mounted volume. Lives from mount(2) until the end of unmount(2). */
export class Mount {
  readonly mnt_kernel: Kernel;
  readonly mnt_op: Vfsops;
  /** MNT_* flags in force. A driver may add MNT_RDONLY while mounting. */
  mnt_flag: number;
  /** Unique among the mounts of this kernel; becomes st_dev and f_fsid. */
  readonly mnt_fsid: number;
  /** The device, null for file systems without. */
  readonly mnt_dev: MountedDevice | null;
  /** Further devices of a volume that lies on several, by what they are to it; closed with the first one. */
  readonly mnt_disks: ReadonlyMap<string, MountedDevice>;
  /** Set by the driver while it mounts, constant afterwards. */
  mnt_traits: MountTraits = UNIX_TRAITS;
  /** How long changes may stay in memory, milliseconds; null: as long as the syncer likes. Drivers may shorten it. */
  mnt_syncdelay_ms: number | null = null;
  /** The driver's volume. */
  mnt_data: unknown = null;
  /**
   * For a driver that survives by its buffers: where it puts what a successor needs beside them. null: nobody would
   * have it.
   */
  mnt_kept: KeptState | null = null;
  /** The directory that this mount covers; null for the root of the kernel. Referenced. */
  mnt_vnodecovered: Vnode | null = null;
  mnt_mntonname: string;
  mnt_mntfromname: string;
  /** One rename at a time (see vnops.ts). */
  readonly mnt_renamelock = new RwLock();
  /** Kernel-private state kept by the VFS layer (vnodes, writers, dirtiness). Drivers leave it alone. */
  mnt_private: unknown = null;

  constructor(
    kernel: Kernel, op: Vfsops, flag: number, fsid: number, dev: MountedDevice | null, onname: string, fromname: string,
    disks: ReadonlyMap<string, MountedDevice> = new Map(),
  ) {
    this.mnt_disks = disks;
    this.mnt_kernel = kernel;
    this.mnt_op = op;
    this.mnt_flag = flag;
    this.mnt_fsid = fsid;
    this.mnt_dev = dev;
    this.mnt_mntonname = onname;
    this.mnt_mntfromname = fromname;
  }
}
