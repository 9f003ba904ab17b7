import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { SF_SNAPSHOT } from '../../kernel/stat.js';
import type { Buf } from '../../kernel/vfs/bio.js';
import { UFS_NDADDR, UFS_NIADDR } from './dinode.js';
import { geti64 } from '../lib/endian.js';
import type { UfsInode } from './inode.js';

/**
 * From blocks of a file to places on the disk. A file's first 12 blocks are named by i_db; i_ib[0], i_ib[1] and i_ib[2]
 * root trees of one, two and three levels of indirect blocks with fs_nindir pointers each. Pointers are frag numbers;
 * 0 is a hole. They come from the disk: every one is checked before use.
 */

/** Largest pointer of a snapshot that is none. Source: NetBSD sys/ufs/ffs/fs.h. */
const BLK_SNAP = 2;
const SF_SNAPINVAL = 0x00800000;

/** Consecutive blocks of a file that lie one behind the other on the disk, or a hole. */
export class Run {
  /** First frag on the disk; 0 for a hole. */
  readonly fsb: number;
  /** At least 1. */
  readonly blocks: number;

  constructor(fsb: number, blocks: number) {
    this.fsb = fsb;
    this.blocks = blocks;
  }
}

/** May a block of `frags` frags lie at `fsb`? */
function inside(ip: UfsInode, fsb: number, frags: number): boolean {
  return fsb > 0 && fsb + frags <= ip.i_fs.fs_size;
}

function badpointer(ip: UfsInode, what: string, fsb: number): Error {
  return ip.i_ump.um_damage.error(
    `inode ${ip.i_number}: ${what} points to frag ${fsb}, outside 1..${ip.i_fs.fs_size - 1}`,
  );
}

/** Pointer `i` of an indirect block. */
function indirptr(ip: UfsInode, view: DataView, i: number): number {
  return ip.i_ump.um_dinofmt.ufs2 ? geti64(view, 8 * i, ip.i_ump.um_le) : view.getInt32(4 * i, ip.i_ump.um_le);
}

/** Frag of block `lbn`, or 0 for a hole. @throws EIO a pointer out of range; EFBIG no file has that block */
export function ufs_bmap(ip: UfsInode, lbn: number): MaybePromise<number> {
  if (lbn < UFS_NDADDR) {
    const fsb = ip.i_db[lbn];
    if (fsb === 0 || inside(ip, fsb, 1)) return fsb;
    throw badpointer(ip, `direct block ${lbn}`, fsb);
  }
  const run = ufs_bmaprun(ip, lbn, 1);
  return run instanceof Promise ? run.then((r) => r.fsb) : run.fsb;
}

/**
 * The run that begins with block `lbn`, at most `max` blocks (at least 1) of it; it may end early where an indirect
 * block ends. A missing indirect block makes one long hole.
 * The frags of the last block of a short file are not checked here beyond the first: only the caller knows how many it
 * reads.
 */
export function ufs_bmaprun(ip: UfsInode, lbn: number, max: number): MaybePromise<Run> {
  if ((ip.i_flags & SF_SNAPSHOT) !== 0 && issnapshot(ip)) return snapshotrun(ip, lbn);
  return filerun(ip, lbn, max);
}

/** One of the volume's snapshots: the flag alone does not make one. */
function issnapshot(ip: UfsInode): boolean {
  return (ip.i_flags & SF_SNAPINVAL) === 0 && ip.i_fs.fs_snapinum.includes(ip.i_number);
}

/**
 * A snapshot holds copies of the blocks that have changed since. A block without copy is still where it was on the
 * volume; pointers 1 and 2 (BLK_NOCOPY, BLK_SNAP) stand for blocks that held nothing of interest.
 */
function snapshotrun(ip: UfsInode, lbn: number): MaybePromise<Run> {
  const run = filerun(ip, lbn, 1);
  return run instanceof Promise ? run.then((r) => snapshotblock(ip, lbn, r)) : snapshotblock(ip, lbn, run);
}

function snapshotblock(ip: UfsInode, lbn: number, run: Run): Run {
  const { fs_frag, fs_size } = ip.i_fs;
  if (run.fsb === 0 && lbn > 0 && lbn * fs_frag < fs_size) return new Run(lbn * fs_frag, 1);
  return run.fsb > 0 && run.fsb <= BLK_SNAP ? new Run(0, 1) : run;
}

function filerun(ip: UfsInode, lbn: number, max: number): MaybePromise<Run> {
  if (lbn < UFS_NDADDR) return directrun(ip, lbn, Math.min(max, UFS_NDADDR - lbn));
  let rel = lbn - UFS_NDADDR;
  let span = 1;
  for (let level = 0; level < UFS_NIADDR; level++) {
    span *= ip.i_ump.um_nindir;
    if (rel < span) return treerun(ip, ip.i_ib[level], span, rel, max);
    rel -= span;
  }
  throw ip.i_ump.um_damage.error(`inode ${ip.i_number}: size ${ip.i_size} needs block ${lbn}, which no file can have`);
}

function directrun(ip: UfsInode, lbn: number, max: number): Run {
  const db = ip.i_db;
  const fsb = db[lbn];
  let n = 1;
  if (fsb === 0) {
    while (n < max && db[lbn + n] === 0) n++;
    return new Run(0, n);
  }
  if (!inside(ip, fsb, 1)) throw badpointer(ip, `direct block ${lbn}`, fsb);
  const { fs_frag, fs_size } = ip.i_fs;
  while (n < max && db[lbn + n] === fsb + n * fs_frag && fsb + n * fs_frag < fs_size) n++;
  return new Run(fsb, n);
}

/**
 * Inside the tree of indirect blocks at frag `addr`, which maps `span` blocks (a power of fs_nindir), the run from its
 * block `rel` on. Calls itself through {@link indirrun} once a level: at most three times.
 */
function treerun(ip: UfsInode, addr: number, span: number, rel: number, max: number): MaybePromise<Run> {
  if (addr === 0) return new Run(0, Math.min(max, span - rel));
  const fs = ip.i_fs;
  if (!inside(ip, addr, fs.fs_frag)) throw badpointer(ip, 'an indirect block', addr);
  const bp = ip.i_ump.um_bufcache.bread(ip.i_ump.um_dev, addr * fs.fs_fsize, fs.fs_bsize);
  if (bp instanceof Promise) return bp.then((b) => indirrun(ip, b, span, rel, max));
  return indirrun(ip, bp, span, rel, max);
}

/** Takes the reference to `bp`. */
function indirrun(ip: UfsInode, bp: Buf, span: number, rel: number, max: number): MaybePromise<Run> {
  const nindir = ip.i_ump.um_nindir;
  if (span === nindir) {
    const run = leafrun(ip, bp.b_view, rel, Math.min(max, nindir - rel));
    ip.i_ump.um_bufcache.brelse(bp);
    if (run.blocks === 0) throw badpointer(ip, 'an indirect block', run.fsb);
    return run;
  }
  const child = span / nindir;
  const i = Math.floor(rel / child);
  const addr = indirptr(ip, bp.b_view, i);
  ip.i_ump.um_bufcache.brelse(bp);
  return treerun(ip, addr, child, rel - i * child, max);
}

/** A run of 0 blocks stands for a bad pointer. */
function leafrun(ip: UfsInode, view: DataView, i: number, max: number): Run {
  const { fs_frag, fs_size } = ip.i_fs;
  const fsb = indirptr(ip, view, i);
  let n = 1;
  if (fsb === 0) {
    while (n < max && indirptr(ip, view, i + n) === 0) n++;
    return new Run(0, n);
  }
  if (!inside(ip, fsb, fs_frag)) return new Run(fsb, 0);
  while (n < max) {
    const next = fsb + n * fs_frag;
    if (indirptr(ip, view, i + n) !== next || next + fs_frag > fs_size) break;
    n++;
  }
  return new Run(fsb, n);
}

/**
 * Block `lbn` of a directory (or of another file whose blocks are metadata), referenced, or null for a hole. Its size
 * is sblksize(i_size, lbn): code that makes a directory larger drops the old buffer first.
 */
export function ufs_blkatoff(ip: UfsInode, lbn: number): MaybePromise<Buf | null> {
  const fsb = ufs_bmap(ip, lbn);
  if (fsb instanceof Promise) return fsb.then((b) => readblk(ip, lbn, b));
  return readblk(ip, lbn, fsb);
}

function readblk(ip: UfsInode, lbn: number, fsb: number): MaybePromise<Buf | null> {
  if (fsb === 0) return null;
  const fs = ip.i_fs;
  const size = fs.sblksize(ip.i_size, lbn);
  if (!inside(ip, fsb, size / fs.fs_fsize)) throw badpointer(ip, `block ${lbn}`, fsb);
  return ip.i_ump.um_bufcache.bread(ip.i_ump.um_dev, fsb * fs.fs_fsize, size);
}
