import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { BufferCache } from '../../../kernel/vfs/bio.js';
import type { MountedDevice } from '../../../kernel/vfs/mntdev.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { DamageLog } from '../../lib/damage.js';
import type { DirIndex } from '../dir/dirindex.js';
import type { NameRules } from '../dir/name.js';
import { DirIndexes } from '../../lib/dirindexes.js';
import type { Boot } from '../disk/boot.js';
import { ACTIVE_FAT, DIRECTORY_BYTES_MAX, FIRST_CLUSTER } from '../disk/boot.js';
import type { Order } from '../order/order.js';
import type { Bitmap } from '../space/bitmap.js';
import { Fat } from '../space/fat.js';
import type { Whereabouts } from './whereabouts.js';
import type { ExfatOptions } from './options.js';

/**
 * A mounted exFAT volume: mp.mnt_data. Filled while it is mounted (mount.ts); only em_options and em_order change
 * afterwards.
 */
export class ExfatMount {
  readonly em_mountp: Mount;
  readonly em_kernel: Kernel;
  readonly em_dev: BlockDevice;
  readonly em_bufcache: BufferCache;
  readonly em_boot: Boot;
  em_options: ExfatOptions;
  /** Bytes of a sector and of a cluster. */
  readonly em_secbytes: number;
  readonly em_clbytes: number;
  /** Byte offset of cluster 2. */
  readonly em_heapat: number;
  /** Number behind the last cluster. */
  readonly em_clend: number;
  /** Clusters of the largest directory. */
  readonly em_dirclusters: number;
  readonly em_fat: Fat;
  em_names!: NameRules;
  /** Clusters of the root directory, the bitmap and the up-case table. */
  readonly em_system = new Set<number>();
  em_bitmap!: Bitmap;
  /** Which number is which file. */
  em_where!: Whereabouts;
  readonly em_indexes = new DirIndexes<DirIndex>();
  readonly em_damage: DamageLog;
  /** What is to be written, and in which order; null: the volume is not written. */
  em_order: Order | null = null;
  /** em_dev, where writes of file data may be put off (mntdev.ts). */
  em_posting: MountedDevice | null = null;

  constructor(mp: Mount, dev: BlockDevice, boot: Boot, options: ExfatOptions) {
    this.em_mountp = mp;
    this.em_kernel = mp.mnt_kernel;
    this.em_dev = dev;
    this.em_bufcache = mp.mnt_kernel.bufcache;
    this.em_boot = boot;
    this.em_options = options;
    this.em_secbytes = 2 ** boot.BytesPerSectorShift;
    this.em_clbytes = 2 ** (boot.BytesPerSectorShift + boot.SectorsPerClusterShift);
    this.em_heapat = boot.ClusterHeapOffset * this.em_secbytes;
    this.em_clend = boot.ClusterCount + FIRST_CLUSTER;
    this.em_dirclusters = Math.max(1, DIRECTORY_BYTES_MAX / this.em_clbytes);
    this.em_damage = new DamageLog((level, message) => this.em_kernel.log(level, message), mp.mnt_mntfromname);
    // TexFAT: the second FAT and bitmap are used where they are the active ones.
    const which = boot.NumberOfFats === 2 && (boot.VolumeFlags & ACTIVE_FAT) !== 0 ? 1 : 0;
    this.em_fat = new Fat(this, (boot.FatOffset + which * boot.FatLength) * this.em_secbytes);
  }

  /** Which FAT and bitmap are active, 0 or 1. */
  get em_active(): number {
    return this.em_boot.NumberOfFats === 2 ? this.em_boot.VolumeFlags & ACTIVE_FAT : 0;
  }

  /** Is that the number of a cluster? */
  iscluster(cluster: number): boolean {
    return cluster >= FIRST_CLUSTER && cluster < this.em_clend;
  }

  /** Is one of these clusters the root directory's, the bitmap's or the up-case table's? */
  touches_system(first: number, count: number): boolean {
    if (count > this.em_system.size) {
      for (const cluster of this.em_system) if (cluster >= first && cluster < first + count) return true;
      return false;
    }
    for (let i = 0; i < count; i++) if (this.em_system.has(first + i)) return true;
    return false;
  }

  /** Byte offset of a cluster on the device. */
  clusterat(cluster: number): number {
    return this.em_heapat + (cluster - FIRST_CLUSTER) * this.em_clbytes;
  }

  /** Clusters that so many bytes take. */
  clustersof(bytes: number): number {
    return Math.ceil(bytes / this.em_clbytes);
  }
}

export function VFSTOEXFAT(mp: Mount): ExfatMount {
  return mp.mnt_data as ExfatMount;
}
