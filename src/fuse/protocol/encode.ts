/**
 * What the kernel answers, as replies carry it. Each function writes at `at` (offset in the payload) all of its
 * structure.
 */
import type { Dirent, Stat, Statvfs } from '../../kernel/stat.js';
import { major, minor } from '../../kernel/stat.js';
import * as F from './fuse_kernel.js';
import { STATX_BASIC_STATS, STATX_BTIME, encodeDev } from './linux.js';
import type { OutBuf } from './message.js';

/** How long the host may keep what it is told, seconds; and what it is not told. */
export interface Timeouts {
  readonly entry: number;
  readonly attr: number;
  /** For names that are not there; 0 does not tell the host at all that it may remember them. */
  readonly negative: number;
  /** Whom every file belongs to, whatever its volume says. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

function seconds(value: number): number {
  return Math.floor(value);
}
function nanoseconds(value: number): number {
  return Math.round((value - Math.floor(value)) * 1e9);
}

function putAttr(out: OutBuf, at: number, st: Stat, owner: Timeouts['owner']): void {
  out.setBig(at + F.fuse_attr.ino, st.st_ino);
  out.set64(at + F.fuse_attr.size, st.st_size);
  out.set64(at + F.fuse_attr.blocks, st.st_blocks);
  out.set64(at + F.fuse_attr.atime, st.st_atime);
  out.set64(at + F.fuse_attr.mtime, st.st_mtime);
  out.set64(at + F.fuse_attr.ctime, st.st_ctime);
  out.set32(at + F.fuse_attr.atimensec, st.st_atimensec);
  out.set32(at + F.fuse_attr.mtimensec, st.st_mtimensec);
  out.set32(at + F.fuse_attr.ctimensec, st.st_ctimensec);
  out.set32(at + F.fuse_attr.mode, st.st_mode);
  out.set32(at + F.fuse_attr.nlink, st.st_nlink);
  out.set32(at + F.fuse_attr.uid, owner === undefined ? st.st_uid : owner.uid);
  out.set32(at + F.fuse_attr.gid, owner === undefined ? st.st_gid : owner.gid);
  out.set32(at + F.fuse_attr.rdev, st.st_rdev === 0n ? 0 : encodeDev(st.st_rdev));
  out.set32(at + F.fuse_attr.blksize, st.st_blksize);
  out.set32(at + F.fuse_attr.flags, 0);
}

export function putAttrOut(out: OutBuf, st: Stat, timeouts: Timeouts): number {
  out.set64(F.fuse_attr_out.attr_valid, seconds(timeouts.attr));
  out.set32(F.fuse_attr_out.attr_valid_nsec, nanoseconds(timeouts.attr));
  out.set32(F.fuse_attr_out.dummy, 0);
  putAttr(out, F.fuse_attr_out.SIZEOF, st, timeouts.owner);
  return F.ATTR_OUT_SIZEOF;
}

/**
 * The node is `lo`, `hi`; the generation only has to tell apart two files that had the same node one after the other.
 */
export function putEntryOut(
  out: OutBuf,
  at: number,
  lo: number,
  hi: number,
  generation: number,
  st: Stat,
  timeouts: Timeouts,
): number {
  out.set64words(at + F.fuse_entry_out.nodeid, lo, hi);
  out.set64words(at + F.fuse_entry_out.generation, generation, 0);
  out.set64(at + F.fuse_entry_out.entry_valid, seconds(timeouts.entry));
  out.set64(at + F.fuse_entry_out.attr_valid, seconds(timeouts.attr));
  out.set32(at + F.fuse_entry_out.entry_valid_nsec, nanoseconds(timeouts.entry));
  out.set32(at + F.fuse_entry_out.attr_valid_nsec, nanoseconds(timeouts.attr));
  putAttr(out, at + F.fuse_entry_out.SIZEOF, st, timeouts.owner);
  return F.ENTRY_OUT_SIZEOF;
}

/** The answer that a name is not there, to be remembered by the host. */
export function putNegativeEntry(out: OutBuf, timeouts: Timeouts): number {
  out.clear(0, F.ENTRY_OUT_SIZEOF);
  out.set64(F.fuse_entry_out.entry_valid, seconds(timeouts.negative));
  out.set32(F.fuse_entry_out.entry_valid_nsec, nanoseconds(timeouts.negative));
  return F.ENTRY_OUT_SIZEOF;
}

export function putStatxOut(out: OutBuf, st: Stat, timeouts: Timeouts): number {
  out.clear(0, F.STATX_OUT_SIZEOF);
  out.set64(F.fuse_statx_out.attr_valid, seconds(timeouts.attr));
  out.set32(F.fuse_statx_out.attr_valid_nsec, nanoseconds(timeouts.attr));
  const at = F.fuse_statx_out.SIZEOF;
  const X = F.fuse_statx;
  const birth = st.st_birthtime !== 0 || st.st_birthtimensec !== 0;
  out.set32(at + X.mask, STATX_BASIC_STATS | (birth ? STATX_BTIME : 0));
  out.set32(at + X.blksize, st.st_blksize);
  out.set32(at + X.nlink, st.st_nlink);
  const { owner } = timeouts;
  out.set32(at + X.uid, owner === undefined ? st.st_uid : owner.uid);
  out.set32(at + X.gid, owner === undefined ? st.st_gid : owner.gid);
  out.set16(at + X.mode, st.st_mode);
  out.setBig(at + X.ino, st.st_ino);
  out.set64(at + X.size, st.st_size);
  out.set64(at + X.blocks, st.st_blocks);
  out.set64(at + X.atime, st.st_atime);
  out.set32(at + X.atimensec, st.st_atimensec);
  out.set64(at + X.btime, st.st_birthtime);
  out.set32(at + X.btimensec, st.st_birthtimensec);
  out.set64(at + X.ctime, st.st_ctime);
  out.set32(at + X.ctimensec, st.st_ctimensec);
  out.set64(at + X.mtime, st.st_mtime);
  out.set32(at + X.mtimensec, st.st_mtimensec);
  out.set32(at + X.rdev_major, major(st.st_rdev));
  out.set32(at + X.rdev_minor, minor(st.st_rdev));
  return F.STATX_OUT_SIZEOF;
}

export function putStatfsOut(out: OutBuf, sv: Statvfs): number {
  const K = F.fuse_kstatfs;
  out.clear(0, K.SIZEOF);
  out.set64(K.blocks, sv.f_blocks);
  out.set64(K.bfree, sv.f_bfree);
  out.set64(K.bavail, Math.max(0, sv.f_bavail));
  out.set64(K.files, sv.f_files);
  out.set64(K.ffree, sv.f_ffree);
  out.set32(K.bsize, sv.f_bsize);
  out.set32(K.namelen, sv.f_namemax);
  out.set32(K.frsize, sv.f_frsize);
  return K.SIZEOF;
}

/** Bytes of a directory entry with a name of `namelen` bytes, padding included. */
export function direntBytes(namelen: number): number {
  return (F.fuse_dirent.SIZEOF + namelen + 7) & ~7;
}

/**
 * One entry of READDIR, or the part of READDIRPLUS behind the entry_out. Returns its bytes; the caller has seen to the
 * room.
 */
export function putDirent(out: OutBuf, at: number, entry: Dirent): number {
  const namelen = entry.d_name.length;
  const size = direntBytes(namelen);
  out.setBig(at + F.fuse_dirent.ino, entry.d_fileno);
  if (typeof entry.d_off === 'number') out.set64(at + F.fuse_dirent.off, entry.d_off);
  else out.setBig(at + F.fuse_dirent.off, entry.d_off);
  out.set32(at + F.fuse_dirent.namelen, namelen);
  out.set32(at + F.fuse_dirent.type, entry.d_type);
  // The padding first: the name overwrites its beginning. (A name is never empty.)
  out.set64words(at + size - 8, 0, 0);
  out.setName(at + F.fuse_dirent.SIZEOF, entry.d_name);
  return size;
}
