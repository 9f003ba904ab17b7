import { ALLPERMS } from '../../../kernel/stat.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VBLK, VCHR } from '../../../kernel/vfs/vattr.js';
import type { Dinode } from '../../ufs/dinode.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { rdev_decode } from '../disk/rdev.js';

/** Nanoseconds that no clock has, from a damaged or foreign inode, become 0. */
function nsec(value: number): number {
  return value >= 0 && value < 1e9 ? value : 0;
}

/** What VOP_GETATTR says of an inode of type `type` (V*) and number `fileid`. */
export function ffs_fillattr(ump: FfsMount, d: Dinode, type: number, fileid: bigint, vap: Vattr): void {
  vap.va_type = type;
  vap.va_mode = d.i_mode & ALLPERMS;
  vap.va_nlink = d.i_nlink;
  vap.va_uid = d.i_uid;
  vap.va_gid = d.i_gid;
  vap.va_fsid = ump.um_mountp.mnt_fsid;
  vap.va_fileid = fileid;
  vap.va_size = d.i_size;
  vap.va_blocksize = ump.um_fs.fs_bsize;
  vap.va_atime = d.i_atime;
  vap.va_atimensec = nsec(d.i_atimensec);
  vap.va_mtime = d.i_mtime;
  vap.va_mtimensec = nsec(d.i_mtimensec);
  vap.va_ctime = d.i_ctime;
  vap.va_ctimensec = nsec(d.i_ctimensec);
  vap.va_birthtime = d.i_birthtime;
  vap.va_birthtimensec = nsec(d.i_birthnsec);
  vap.va_gen = d.i_gen;
  vap.va_flags = d.i_flags;
  vap.va_rdev = type === VBLK || type === VCHR ? rdev_decode(d.i_db[0], ump.um_dialect) : 0n;
  // Below zero where a damaged count was too small for what was freed since.
  vap.va_bytes = Math.max(0, d.i_blocks) * 512;
  vap.va_vaflags = 0;
}
