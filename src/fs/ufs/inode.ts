import type { Vnode } from '../../kernel/vfs/vnode.js';
import type { DirIndex } from './dirindex.js';
import { Dinode } from './dinode.js';
import type { UfsGeometry, UfsMount } from './ufsmount.js';

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

/**
 * An inode in memory: vp.v_data of the vnodes of a file system of this family, which may know more of its mount and
 * geometry than this code does. Lives from loadvnode (or creation) to reclaim.
 */
export class UfsInode extends Dinode {
  readonly i_ump: UfsMount;
  readonly i_fs: UfsGeometry;
  readonly i_number: number;
  /** The same, as va_fileid wants it. */
  readonly i_fileid: bigint;
  readonly i_vnode: Vnode;
  /** IN_* */
  i_flag = 0;
  /** Index of a large directory, or null. */
  i_dirindex: DirIndex | null = null;
  /** Of a directory on a volume that is written: when it was last read, seconds (ufs_dirread). */
  i_dirread = 0;
  /** Of such a directory: the byte where the next search for a chunk to compact begins. */
  i_compactat = 0;
  /** What the file system keeps for an inode that it changes. */
  i_private: unknown = null;

  constructor(ump: UfsMount, vp: Vnode, ino: number) {
    super();
    this.i_ump = ump;
    this.i_fs = ump.um_fs;
    this.i_vnode = vp;
    this.i_number = ino;
    this.i_fileid = BigInt(ino);
  }
}

/**
 * Turns IN_ACCESS, IN_UPDATE and IN_CHANGE into times and leaves IN_MODIFIED or IN_ACCESSED (ufs_itimes). Called
 * before anybody looks at the times and before the inode is written.
 */
export function ufs_itimes(ip: UfsInode): void {
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
