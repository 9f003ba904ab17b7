import type { Vnode } from '../../kernel/vfs/vnode.js';
import type { Fs } from '../ffs/disk/fs.js';
import type { FfsMount } from '../ffs/volume/ffsmount.js';
import type { DirIndex } from './dirindex.js';
import { Dinode } from './dinode.js';

/** i_flag: what is to be done for the inode (values of NetBSD sys/ufs/ufs/inode.h). */
/** The access time is to be set. */
export const IN_ACCESS = 0x0001;
/** The change time is to be set. */
export const IN_CHANGE = 0x0002;
/** The modification time is to be set. */
export const IN_UPDATE = 0x0004;
/** The inode in memory differs from the disk. */
export const IN_MODIFIED = 0x0008;
/** Only its access time differs: may wait long. */
export const IN_ACCESSED = 0x0010;

/** An inode in memory: vp.v_data of the vnodes of this driver. Lives from loadvnode (or creation) to reclaim. */
export class Inode extends Dinode {
  readonly i_ump: FfsMount;
  readonly i_fs: Fs;
  readonly i_number: number;
  /** The same, as va_fileid wants it. */
  readonly i_fileid: bigint;
  readonly i_vnode: Vnode;
  /** IN_* */
  i_flag = 0;
  /** Index of a large directory, or null. */
  i_dirindex: DirIndex | null = null;
  /** State of the write side. */
  i_private: unknown = null;

  constructor(ump: FfsMount, vp: Vnode, ino: number) {
    super();
    this.i_ump = ump;
    this.i_fs = ump.um_fs;
    this.i_vnode = vp;
    this.i_number = ino;
    this.i_fileid = BigInt(ino);
  }
}

/** NetBSD's VTOI. */
export function VTOI(vp: Vnode): Inode {
  return vp.v_data as Inode;
}

/**
 * Turns IN_ACCESS, IN_UPDATE and IN_CHANGE into times and leaves IN_MODIFIED or IN_ACCESSED (ufs_itimes). Called
 * before anybody looks at the times and before the inode is written.
 */
export function ufs_itimes(ip: Inode): void {
  const flag = ip.i_flag;
  if ((flag & (IN_ACCESS | IN_CHANGE | IN_UPDATE)) === 0) return;
  const now = ip.i_ump.um_kernel.now();
  if ((flag & IN_ACCESS) !== 0) {
    ip.i_atime = now.sec;
    ip.i_atimensec = now.nsec;
  }
  if ((flag & IN_UPDATE) !== 0) {
    ip.i_mtime = now.sec;
    ip.i_mtimensec = now.nsec;
  }
  if ((flag & IN_CHANGE) !== 0) {
    ip.i_ctime = now.sec;
    ip.i_ctimensec = now.nsec;
  }
  const dirty = (flag & (IN_CHANGE | IN_UPDATE)) !== 0 ? IN_MODIFIED : IN_ACCESSED;
  ip.i_flag = (flag & ~(IN_ACCESS | IN_CHANGE | IN_UPDATE)) | dirty;
}
