import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { BufferCache } from '../../../kernel/vfs/bio.js';
import type { MountedDevice } from '../../../kernel/vfs/mntdev.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { DamageLog } from '../../lib/damage.js';
import { FileNumbers } from '../../lib/filenumbers.js';
import { CLUST_FIRST, DIRENT_BYTES, clusterOffset, validCluster } from '../disk/bpb.js';
import type { Geometry } from '../disk/bpb.js';
import { DirTables } from '../dir/table.js';
import type { Denode } from '../file/denode.js';
import type { Order } from '../order/order.js';
import { Fat } from '../space/fat.js';
import { Space } from '../space/space.js';
import type { MountOptions } from './options.js';

/** The number of the root directory, which has no entry; places of entries follow. */
export const ROOT_NUMBER = 1;
const FIRST_NUMBER = 2;
/** Directories are read and written in pieces of this size at most, bytes. */
const DIRBLOCK_BYTES = 4096;

/** A piece of a directory, and where in it an entry is; bytes. */
export interface EntryPlace {
  readonly offset: number;
  readonly bytes: number;
  readonly at: number;
}

/** A mounted FAT volume (NetBSD's struct msdosfsmount): mp.mnt_data. */
export class MsdosMount {
  readonly pm_mountp: Mount;
  readonly pm_kernel: Kernel;
  readonly pm_dev: BlockDevice;
  readonly pm_bufcache: BufferCache;
  readonly pm_geometry: Geometry;
  readonly pm_options: MountOptions;
  readonly pm_damage: DamageLog;
  readonly pm_fat: Fat;
  readonly pm_space: Space;
  readonly pm_numbers: FileNumbers;
  readonly pm_tables = new DirTables();
  /** Directories in memory by their first cluster; 0: the root. */
  readonly pm_dirs = new Map<number, Denode>();
  /**
   * Files without an entry that a predecessor's users have open, until they are loaded: what was recorded of them
   * (order/rows.ts).
   */
  readonly pm_adopting = new Map<number, readonly number[]>();
  /** The write side; null: the volume is only read. */
  pm_order: Order | null = null;
  /** pm_dev, where writes of file data may be put off (mntdev.ts). */
  readonly pm_posting: MountedDevice | null;
  /** Damage was found while the volume was written: it is not changed any more. */
  pm_stopped = false;
  readonly pm_dirblock: number;

  constructor(mp: Mount, dev: BlockDevice, geometry: Geometry, options: MountOptions) {
    this.pm_mountp = mp;
    this.pm_kernel = mp.mnt_kernel;
    this.pm_dev = dev;
    this.pm_bufcache = mp.mnt_kernel.bufcache;
    this.pm_geometry = geometry;
    this.pm_options = options;
    this.pm_damage = new DamageLog((level, message) => {
      this.pm_kernel.log(level, message);
      this.damaged();
    }, mp.mnt_mntfromname);
    this.pm_dirblock = Math.min(geometry.clusterBytes, DIRBLOCK_BYTES);
    this.pm_posting = mp.mnt_dev !== null && mp.mnt_dev === dev ? mp.mnt_dev : null;
    this.pm_fat = new Fat(this);
    this.pm_space = new Space(this);
    this.pm_numbers = new FileNumbers(FIRST_NUMBER, Math.ceil(geometry.totalBytes / DIRENT_BYTES));
  }

  get fat32(): boolean {
    return this.pm_geometry.type === 32;
  }

  /** The write side. @throws EROFS */
  get order(): Order {
    if (this.pm_order === null) throw errno(E.EROFS);
    return this.pm_order;
  }

  /** Before an operation changes something. @throws EROFS */
  writable(): Order {
    if (this.pm_stopped) {
      throw errno(
        E.EROFS,
        `${this.pm_mountp.mnt_mntfromname}: not changed any more, for it is damaged; unmount it and run a check ` +
          '(rumpfuse fsck)',
      );
    }
    return this.order;
  }

  /** -o errors=remount-ro, the default: a damaged volume is not changed any more. */
  private damaged(): void {
    if (this.pm_order === null || this.pm_stopped || this.pm_options.errors === 'continue') return;
    this.pm_stopped = true;
    this.pm_kernel.log(
      'warn',
      `${this.pm_mountp.mnt_mntfromname}: nothing is changed any more, because of the damage (-o errors=continue ` +
        'would go on)',
    );
  }

  /** Clusters that so many bytes take. */
  clustersOf(bytes: number): number {
    return Math.ceil(bytes / this.pm_geometry.clusterBytes);
  }

  /** The number of a directory's first cluster as the rest of the driver has it: 0 for the root. */
  dirStart(cluster: number): number {
    return cluster === this.pm_geometry.rootCluster ? 0 : cluster;
  }

  /** Where an entry is: the piece of its directory that the buffer cache has. undefined: there can be no entry. */
  entryPlace(place: number): EntryPlace | undefined {
    const g = this.pm_geometry;
    const at = place * DIRENT_BYTES;
    if (at >= g.rootOffset && at < g.rootOffset + g.rootBytes) {
      return this.piece(g.rootOffset, this.rootRegion, at - g.rootOffset);
    }
    if (at < g.dataOffset) return undefined;
    const cluster = CLUST_FIRST + Math.floor((at - g.dataOffset) / g.clusterBytes);
    if (!validCluster(g, cluster)) return undefined;
    const base = clusterOffset(g, cluster);
    return this.piece(base, g.clusterBytes, at - base);
  }

  /** Bytes of the fixed root directory, whole sectors. */
  get rootRegion(): number {
    const { rootBytes, sectorBytes } = this.pm_geometry;
    return Math.ceil(rootBytes / sectorBytes) * sectorBytes;
  }

  private piece(base: number, length: number, at: number): EntryPlace {
    const block =
      this.pm_geometry.rootBytes > 0 && base === this.pm_geometry.rootOffset ? DIRBLOCK_BYTES : this.pm_dirblock;
    const from = Math.floor(at / block) * block;
    return { offset: base + from, bytes: Math.min(block, length - from), at: at - from };
  }
}

/** NetBSD's VFSTOMSDOSFS. */
export function VFSTOMSDOSFS(mp: Mount): MsdosMount {
  return mp.mnt_data as MsdosMount;
}
