import { S_IFDIR, S_IFLNK, S_IFMT } from '../../kernel/stat.js';
import { checkhash } from '../lib/crc32c.js';
import { geti64, getu64, put64 } from '../lib/endian.js';

/**
 * Inodes as the disk holds them. Source of the layout: NetBSD sys/ufs/ufs/dinode.h (struct ufs1_dinode of 128 bytes,
 * struct ufs2_dinode of 256).
 */

export const UFS_NDADDR = 12;
export const UFS_NIADDR = 3;
export const UFS_NXADDR = 2;
export const UFS1_MAXSYMLINKLEN = 60;
export const UFS2_MAXSYMLINKLEN = 120;

/** How the inodes of a volume are laid out. */
export interface DinodeFormat {
  readonly le: boolean;
  readonly ufs2: boolean;
  /** 4.2BSD: owners are 16 bits at the old place (see idsagree). UFS1 only. */
  readonly oldids: boolean;
  /** Symlinks below this many bytes live in the inode; 0: those that hold no blocks. */
  readonly maxsymlinklen: number;
  /** Inodes of Solaris; they are only read. UFS1 only. */
  readonly sun?: boolean;
  /** Inodes carry FreeBSD's check hash. UFS2 only. */
  readonly ckhash?: boolean;
  /** Directories may tell how deep they lie (FreeBSD 14). */
  readonly dirdepth?: boolean;
}

/** di_dirdepth of a directory, where other inodes have di_freelink (FreeBSD sys/ufs/ufs/dinode.h). */
const DI1_DIRDEPTH = 4;
const DI2_DIRDEPTH = 240;

/** UID_LONG, GID_LONG of Solaris: the owner is in the 32-bit field. */
const SUN_ID_LONG = 0xffff;

/**
 * di_ckhash: the check hash over the other bytes of a UFS2 inode; meaningless in a free one (FreeBSD
 * sys/ufs/ffs/ffs_subr.c).
 */
const DI2_CKHASH = 244;
const DI2_SIZE = 256;

function dinode_bytes(view: DataView, at: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, DI2_SIZE);
}

/** Is the UFS2 inode at `at` free, or its check hash right? */
export function dinode_ckhash_verifies(view: DataView, at: number, le: boolean): boolean {
  if (view.getUint16(at, le) === 0) return true;
  return view.getUint32(at + DI2_CKHASH, le) === checkhash(dinode_bytes(view, at), 0, DI2_SIZE, DI2_CKHASH);
}

/** Makes the check hash of the UFS2 inode at `at` right, after its other bytes have changed. */
export function dinode_ckhash_update(view: DataView, at: number, le: boolean): void {
  view.setUint32(at + DI2_CKHASH, checkhash(dinode_bytes(view, at), 0, DI2_SIZE, DI2_CKHASH), le);
}

/**
 * The contents of an inode, with the names of NetBSD's struct inode. Nothing has been checked but the arithmetic:
 * sizes and block numbers may be any integer.
 */
export class Dinode {
  /** Type and permission bits; 0 when the inode is free. */
  i_mode = 0;
  i_nlink = 0;
  i_uid = 0;
  i_gid = 0;
  /** Bytes. */
  i_size = 0;
  /** Units of 512 bytes held, indirect blocks and attribute blocks included. */
  i_blocks = 0;
  /** st_flags. */
  i_flags = 0;
  /** UFS2: kernel flags, kept. */
  i_kernflags = 0;
  /** uint32. */
  i_gen = 0;
  i_atime = 0;
  i_atimensec = 0;
  i_mtime = 0;
  i_mtimensec = 0;
  i_ctime = 0;
  i_ctimensec = 0;
  /** UFS2 only; 0 in UFS1. */
  i_birthtime = 0;
  i_birthnsec = 0;
  /** Of a directory: how many names below the root; 0: not known, or the root. FreeBSD only. */
  i_dirdepth = 0;
  /** Direct and indirect block pointers, frag numbers; 0 is a hole. All 0 for a short symlink. */
  readonly i_db: number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  readonly i_ib: number[] = [0, 0, 0];
  /** UFS2: bytes of extended attributes, and where they are. */
  i_extsize = 0;
  readonly i_extb: number[] = [0, 0];
  /** The target of a symlink that lives in the inode (exactly i_size bytes); else null. Excludes block pointers. */
  i_shortlink: Uint8Array | null = null;
}

/** Does a symlink of `size` bytes that holds `blocks` live in its inode? */
export function isshortlink(size: number, blocks: number, fmt: Pick<DinodeFormat, 'ufs2' | 'maxsymlinklen'>): boolean {
  const room = fmt.ufs2 ? UFS2_MAXSYMLINKLEN : UFS1_MAXSYMLINKLEN;
  if (size > room) return false;
  return size < fmt.maxsymlinklen || (fmt.maxsymlinklen <= 0 && blocks === 0);
}

/**
 * 4.4BSD systems that write a volume with 4.2BSD inodes put owners into the old 16-bit fields and, whole, into the new
 * ones as well. Where the low halves agree the new ones hold the truth; on a volume that only an older system wrote
 * they are spare bytes.
 */
function idsagree(view: DataView, at: number, le: boolean): boolean {
  return (
    (view.getUint32(at + 112, le) & 0xffff) === view.getUint16(at + 4, le) &&
    (view.getUint32(at + 116, le) & 0xffff) === view.getUint16(at + 6, le)
  );
}

/**
 * Where Solaris differs (illumos sys/fs/ufs_inode.h): owners above 16 bits stand one word further, behind the number of
 * the inode with the access control list, and are marked by 65535 in the old places; times have microseconds; what BSD
 * has as flags of the user's are flags of the system's.
 */
function sunfields(ip: Dinode, view: DataView, at: number, le: boolean): void {
  const suid = view.getUint16(at + 4, le);
  const sgid = view.getUint16(at + 6, le);
  ip.i_uid = suid === SUN_ID_LONG ? view.getUint32(at + 116, le) : suid;
  ip.i_gid = sgid === SUN_ID_LONG ? view.getUint32(at + 120, le) : sgid;
  ip.i_flags = 0;
  ip.i_atimensec *= 1000;
  ip.i_mtimensec *= 1000;
  ip.i_ctimensec *= 1000;
}

/** Reads the inode at `at` into `ip`. */
export function dinode_load(ip: Dinode, view: DataView, at: number, fmt: DinodeFormat): void {
  const { le } = fmt;
  ip.i_mode = view.getUint16(at, le);
  ip.i_nlink = view.getUint16(at + 2, le);
  ip.i_dirdepth =
    fmt.dirdepth === true && (ip.i_mode & S_IFMT) === S_IFDIR
      ? view.getUint32(at + (fmt.ufs2 ? DI2_DIRDEPTH : DI1_DIRDEPTH), le)
      : 0;
  if (fmt.ufs2) {
    ip.i_uid = view.getUint32(at + 4, le);
    ip.i_gid = view.getUint32(at + 8, le);
    ip.i_size = getu64(view, at + 16, le);
    ip.i_blocks = getu64(view, at + 24, le);
    ip.i_atime = geti64(view, at + 32, le);
    ip.i_mtime = geti64(view, at + 40, le);
    ip.i_ctime = geti64(view, at + 48, le);
    ip.i_birthtime = geti64(view, at + 56, le);
    ip.i_mtimensec = view.getInt32(at + 64, le);
    ip.i_atimensec = view.getInt32(at + 68, le);
    ip.i_ctimensec = view.getInt32(at + 72, le);
    ip.i_birthnsec = view.getInt32(at + 76, le);
    ip.i_gen = view.getUint32(at + 80, le);
    ip.i_kernflags = view.getUint32(at + 84, le);
    ip.i_flags = view.getUint32(at + 88, le);
    ip.i_extsize = view.getUint32(at + 92, le);
    for (let i = 0; i < UFS_NXADDR; i++) ip.i_extb[i] = geti64(view, at + 96 + 8 * i, le);
  } else {
    ip.i_size = getu64(view, at + 8, le);
    ip.i_atime = view.getInt32(at + 16, le);
    ip.i_atimensec = view.getInt32(at + 20, le);
    ip.i_mtime = view.getInt32(at + 24, le);
    ip.i_mtimensec = view.getInt32(at + 28, le);
    ip.i_ctime = view.getInt32(at + 32, le);
    ip.i_ctimensec = view.getInt32(at + 36, le);
    ip.i_birthtime = ip.i_birthnsec = 0;
    ip.i_flags = view.getUint32(at + 100, le);
    ip.i_kernflags = 0;
    ip.i_blocks = view.getUint32(at + 104, le);
    ip.i_gen = view.getUint32(at + 108, le);
    ip.i_extsize = ip.i_extb[0] = ip.i_extb[1] = 0;
    if (fmt.sun === true) {
      sunfields(ip, view, at, le);
    } else if (fmt.oldids && !idsagree(view, at, le)) {
      ip.i_uid = view.getUint16(at + 4, le);
      ip.i_gid = view.getUint16(at + 6, le);
    } else {
      ip.i_uid = view.getUint32(at + 112, le);
      ip.i_gid = view.getUint32(at + 116, le);
    }
  }
  const blocks = at + (fmt.ufs2 ? 112 : 40);
  ip.i_shortlink = null;
  if ((ip.i_mode & S_IFMT) === S_IFLNK && isshortlink(ip.i_size, ip.i_blocks, fmt)) {
    ip.i_shortlink = new Uint8Array(view.buffer, view.byteOffset + blocks, ip.i_size).slice();
    ip.i_db.fill(0);
    ip.i_ib.fill(0);
    return;
  }
  if (fmt.ufs2) {
    for (let i = 0; i < UFS_NDADDR; i++) ip.i_db[i] = geti64(view, blocks + 8 * i, le);
    for (let i = 0; i < UFS_NIADDR; i++) ip.i_ib[i] = geti64(view, blocks + 96 + 8 * i, le);
  } else {
    for (let i = 0; i < UFS_NDADDR; i++) ip.i_db[i] = view.getInt32(blocks + 4 * i, le);
    for (let i = 0; i < UFS_NIADDR; i++) ip.i_ib[i] = view.getInt32(blocks + 48 + 4 * i, le);
  }
}

/**
 * Writes `ip` to the inode at `at`. Bytes that no field stands for (spares, modification revision) stay; the check hash
 * is made right where the format has one.
 * Block numbers and sizes must be exact integers; times are cut to what the format holds.
 */
export function dinode_store(ip: Dinode, view: DataView, at: number, fmt: DinodeFormat): void {
  dinode_fields(ip, view, at, fmt);
  if (fmt.ckhash === true) dinode_ckhash_update(view, at, fmt.le);
}

function dinode_fields(ip: Dinode, view: DataView, at: number, fmt: DinodeFormat): void {
  const { le } = fmt;
  view.setUint16(at, ip.i_mode, le);
  view.setUint16(at + 2, ip.i_nlink, le);
  if (fmt.dirdepth === true && (ip.i_mode & S_IFMT) === S_IFDIR) {
    view.setUint32(at + (fmt.ufs2 ? DI2_DIRDEPTH : DI1_DIRDEPTH), ip.i_dirdepth, le);
  }
  if (fmt.ufs2) {
    view.setUint32(at + 4, ip.i_uid, le);
    view.setUint32(at + 8, ip.i_gid, le);
    put64(view, at + 16, ip.i_size, le);
    put64(view, at + 24, Math.max(0, ip.i_blocks), le);
    put64(view, at + 32, ip.i_atime, le);
    put64(view, at + 40, ip.i_mtime, le);
    put64(view, at + 48, ip.i_ctime, le);
    put64(view, at + 56, ip.i_birthtime, le);
    view.setInt32(at + 64, ip.i_mtimensec, le);
    view.setInt32(at + 68, ip.i_atimensec, le);
    view.setInt32(at + 72, ip.i_ctimensec, le);
    view.setInt32(at + 76, ip.i_birthnsec, le);
    view.setUint32(at + 80, ip.i_gen, le);
    view.setUint32(at + 84, ip.i_kernflags, le);
    view.setUint32(at + 88, ip.i_flags, le);
    view.setUint32(at + 92, ip.i_extsize, le);
    for (let i = 0; i < UFS_NXADDR; i++) put64(view, at + 96 + 8 * i, ip.i_extb[i], le);
  } else {
    put64(view, at + 8, ip.i_size, le);
    view.setInt32(at + 16, ip.i_atime, le);
    view.setInt32(at + 20, ip.i_atimensec, le);
    view.setInt32(at + 24, ip.i_mtime, le);
    view.setInt32(at + 28, ip.i_mtimensec, le);
    view.setInt32(at + 32, ip.i_ctime, le);
    view.setInt32(at + 36, ip.i_ctimensec, le);
    view.setUint32(at + 100, ip.i_flags, le);
    view.setUint32(at + 104, Math.max(0, ip.i_blocks), le);
    view.setUint32(at + 108, ip.i_gen, le);
    const full = !fmt.oldids || ip.i_uid > 0xffff || ip.i_gid > 0xffff || idsagree(view, at, le);
    if (fmt.oldids) {
      view.setUint16(at + 4, ip.i_uid, le);
      view.setUint16(at + 6, ip.i_gid, le);
    }
    if (full) {
      view.setUint32(at + 112, ip.i_uid, le);
      view.setUint32(at + 116, ip.i_gid, le);
    }
  }
  const blocks = at + (fmt.ufs2 ? 112 : 40);
  if (ip.i_shortlink !== null) {
    const area = new Uint8Array(
      view.buffer,
      view.byteOffset + blocks,
      fmt.ufs2 ? UFS2_MAXSYMLINKLEN : UFS1_MAXSYMLINKLEN,
    );
    area.set(ip.i_shortlink);
    area.fill(0, ip.i_shortlink.length);
    return;
  }
  if (fmt.ufs2) {
    for (let i = 0; i < UFS_NDADDR; i++) put64(view, blocks + 8 * i, ip.i_db[i], le);
    for (let i = 0; i < UFS_NIADDR; i++) put64(view, blocks + 96 + 8 * i, ip.i_ib[i], le);
  } else {
    for (let i = 0; i < UFS_NDADDR; i++) view.setInt32(blocks + 4 * i, ip.i_db[i], le);
    for (let i = 0; i < UFS_NIADDR; i++) view.setInt32(blocks + 48 + 4 * i, ip.i_ib[i], le);
  }
}
