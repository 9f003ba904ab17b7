import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { BufferCache } from '../../../kernel/vfs/bio.js';
import type { MountedDevice } from '../../../kernel/vfs/mntdev.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { DinodeFormat } from '../../ufs/dinode.js';
import { UFS1_MAXSYMLINKLEN, UFS2_MAXSYMLINKLEN } from '../../ufs/dinode.js';
import { DamageLog } from '../../lib/damage.js';
import type { DirFormat } from '../../ufs/dir.js';
import { APPLEUFS_DIRBLKSIZ, UFS_DIRBLKSIZ } from '../../ufs/dir.js';
import { DirIndexCache } from '../../ufs/dirindex.js';
import type { UfsMount, UfsOps } from '../../ufs/ufsmount.js';
import { CK_INODE, ffs_ckhashes } from '../disk/ckhash.js';
import type { FfsDialect } from '../disk/dialects.js';
import type { Fs } from '../disk/fs.js';
import { FS_44INODEFMT } from '../disk/fs.js';

/**
 * A mounted FFS volume (NetBSD's struct ufsmount): mp.mnt_data. Immutable but for um_fs's fields, and what is set when
 * writing begins and ends.
 */
export class FfsMount implements UfsMount {
  readonly um_mountp: Mount;
  readonly um_kernel: Kernel;
  readonly um_dev: BlockDevice;
  readonly um_bufcache: BufferCache;
  readonly um_fs: Fs;
  /** 1 or 2. */
  readonly um_fstype: number;
  readonly um_le: boolean;
  readonly um_nindir: number;
  /** Bytes; what fits the format and 2^53. */
  readonly um_maxfilesize: number;
  readonly um_maxsymlinklen: number;
  readonly um_dirblksiz: number;
  readonly um_dinofmt: DinodeFormat;
  readonly um_dirfmt: DirFormat;
  readonly um_dialect: FfsDialect;
  /** Indexes of large directories. */
  readonly um_dirindexes = new DirIndexCache();
  /** Where damage is reported. */
  readonly um_damage: DamageLog;
  /**
   * Summary of each group, four numbers a group: cs_ndir, cs_nbfree, cs_nifree, cs_nffree (group c at 4 * c). Loaded
   * for read-write mounts only; empty otherwise.
   */
  um_cs: Int32Array = new Int32Array(0);
  /** The volume had soft updates switched on when writing began (writedialect.ts). */
  um_softdep = false;
  um_oldsoftdep = false;
  /** um_dev, where writes of file data may be put off (mntdev.ts). */
  um_posting: MountedDevice | null = null;
  /** Set while the volume is mounted for writing. */
  um_ops: UfsOps | null = null;
  /** State of the write side: locks, pending work, orphans. */
  um_private: unknown = null;

  constructor(mp: Mount, dev: BlockDevice, fs: Fs, dialect: FfsDialect) {
    fs.ckhashes = ffs_ckhashes(fs, dialect);
    this.um_mountp = mp;
    this.um_kernel = mp.mnt_kernel;
    this.um_dev = dev;
    this.um_bufcache = mp.mnt_kernel.bufcache;
    this.um_fs = fs;
    this.um_fstype = fs.ufs2 ? 2 : 1;
    this.um_le = fs.le;
    this.um_nindir = fs.fs_nindir;
    this.um_maxfilesize = fs.fs_maxfilesize;
    this.um_dialect = dialect;
    this.um_damage = new DamageLog((level, message) => this.um_kernel.log(level, message), mp.mnt_mntfromname);
    const apple = dialect === 'apple';
    const chunk1k = apple || dialect === 'next';
    const sun = dialect === 'solaris' || fs.solaris;
    const room = fs.ufs2 ? UFS2_MAXSYMLINKLEN : UFS1_MAXSYMLINKLEN;
    this.um_maxsymlinklen = sun ? 0 : apple ? UFS1_MAXSYMLINKLEN : Math.min(Math.max(fs.fs_maxsymlinklen, 0), room);
    this.um_dirblksiz = chunk1k ? APPLEUFS_DIRBLKSIZ : UFS_DIRBLKSIZ;
    this.um_dinofmt = {
      le: fs.le,
      ufs2: fs.ufs2,
      oldids: !fs.ufs2 && fs.fs_old_inodefmt < FS_44INODEFMT,
      maxsymlinklen: this.um_maxsymlinklen,
      sun,
      ckhash: fs.ufs2 && (fs.ckhashes & CK_INODE) !== 0,
      dirdepth: dialect === 'freebsd' && (fs.ufs2 || fs.fs_old_inodefmt >= FS_44INODEFMT),
    };
    this.um_dirfmt = { le: fs.le, old: this.um_maxsymlinklen <= 0, dirblksiz: this.um_dirblksiz };
  }
}

/** NetBSD's VFSTOUFS. */
export function VFSTOUFS(mp: Mount): FfsMount {
  return mp.mnt_data as FfsMount;
}
