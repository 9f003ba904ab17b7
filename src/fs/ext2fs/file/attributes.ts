import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { ALLPERMS, SF_APPEND, SF_IMMUTABLE, UF_NODUMP, makedev } from '../../../kernel/stat.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VBLK, VCHR, VREG, iftovt } from '../../../kernel/vfs/vattr.js';
import { Dinode, FL, dinode_load, dinode_sealed } from '../disk/dinode.js';
import type { Ext2Mount } from '../volume/ext2mount.js';
import { VFSTOEXT2 } from '../volume/ext2mount.js';
import { inode_ordinary, inode_problem } from './fill.js';

/** Nanoseconds that no clock has, from a damaged inode, become 0. */
function nsec(value: number): number {
  return value < 1e9 ? value : 0;
}

/** Device numbers have 8 bits each in the first word, or 12 and 20 in the second one. */
function rdev(d: Dinode): bigint {
  const old = d.i_blockview.getUint32(0, true);
  if (old !== 0) return makedev((old >>> 8) & 0xff, old & 0xff);
  const wide = d.i_blockview.getUint32(4, true);
  return makedev((wide & 0xfff00) >>> 8, (wide & 0xff) | ((wide >>> 12) & 0xfff00));
}

/** chattr flags that chflags(2) knows, too. Only the superuser changes them on Linux. */
function flags(i_flags: number): number {
  return (
    ((i_flags & FL.IMMUTABLE) !== 0 ? SF_IMMUTABLE : 0) |
    ((i_flags & FL.APPEND) !== 0 ? SF_APPEND : 0) |
    ((i_flags & FL.NODUMP) !== 0 ? UF_NODUMP : 0)
  );
}

/** What VOP_GETATTR says of an inode of type `type` (V*). */
export function ext2_fillattr(em: Ext2Mount, d: Dinode, type: number, fileid: bigint, vap: Vattr): void {
  vap.va_type = type;
  vap.va_mode = d.i_mode & ALLPERMS;
  vap.va_nlink = d.i_nlink;
  vap.va_uid = d.i_uid;
  vap.va_gid = d.i_gid;
  vap.va_fsid = em.em_mountp.mnt_fsid;
  vap.va_fileid = fileid;
  vap.va_size = d.i_size;
  vap.va_blocksize = em.em_fs.bsize;
  vap.va_atime = d.i_atime;
  vap.va_atimensec = nsec(d.i_atimensec);
  vap.va_mtime = d.i_mtime;
  vap.va_mtimensec = nsec(d.i_mtimensec);
  vap.va_ctime = d.i_ctime;
  vap.va_ctimensec = nsec(d.i_ctimensec);
  vap.va_birthtime = d.i_crtime;
  vap.va_birthtimensec = nsec(d.i_crtimensec);
  vap.va_gen = d.i_generation;
  vap.va_flags = flags(d.i_flags);
  vap.va_rdev = type === VBLK || type === VCHR ? rdev(d) : 0n;
  // A file that lies in its inode takes no block; Linux counts its bytes all the same.
  const inline = type === VREG && (d.i_flags & FL.INLINE_DATA) !== 0 ? Math.ceil(d.i_size / 512) : 0;
  vap.va_bytes = (d.i_blocks + inline) * 512;
  vap.va_vaflags = 0;
}

/** Read anew by each call, and used up before it returns. */
const scratch = new Dinode();

/** Attributes of an inode that has no vnode. Says nothing of damage; loading the inode does. */
export function ext2_attributes(mp: Mount, ino: number, vap: Vattr): MaybePromise<boolean> {
  const em = VFSTOEXT2(mp);
  if (!inode_ordinary(em, ino)) return false;
  const bp = em.inodeblock(ino);
  return bp instanceof Promise ? bp.then((b) => fromblock(em, ino, b, vap)) : fromblock(em, ino, bp, vap);
}

/** Takes the reference to `bp`. */
function fromblock(em: Ext2Mount, ino: number, bp: Buf, vap: Vattr): boolean {
  const at = em.inodeat(ino);
  em.em_bufcache.brelse(bp);
  dinode_load(scratch, em.em_fs, bp.b_view, at);
  const type = iftovt(scratch.i_mode);
  scratch.i_nlink = Math.max(0, scratch.i_nlink - (em.em_write?.order.linksgone(ino) ?? 0));
  if (scratch.i_mode === 0 || scratch.i_nlink === 0 || (scratch.i_flags & FL.EA_INODE) !== 0) return false;
  if (em.em_csum && !dinode_sealed(em.em_fs, bp.b_data, bp.b_view, at, ino)) return false;
  if (inode_problem(em, scratch, type) !== undefined) return false;
  ext2_fillattr(em, scratch, type, BigInt(ino), vap);
  return true;
}
