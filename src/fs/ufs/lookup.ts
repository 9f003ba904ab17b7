import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../kernel/vfs/bio.js';
import { ufs_blkatoff } from './bmap.js';
import { UFS_MAXDIRSIZE, UFS_WINO, dirent_is, dirent_namlen, dirent_type, ufs_dirbadentry } from './dir.js';
import { DIRINDEX_BYTES, DirIndex, dirhash_name } from './dirindex.js';
import type { UfsInode } from './inode.js';

/** Directories of more bytes get an index; a walk over fewer costs less than hashing. */
export const DIRINDEX_MIN_BYTES = 2048;
/** An entry takes at least 12 bytes; most take 24. Sizes the table of a new index. */
const TYPICAL_ENTRY_BYTES = 20;

/** An entry that was found. */
export class DirHit {
  readonly ino: number;
  /** Byte offset in the directory. */
  readonly offset: number;
  /** DT_*; DT_UNKNOWN in the old format. */
  readonly type: number;

  constructor(ino: number, offset: number, type: number) {
    this.ino = ino;
    this.offset = offset;
    this.type = type;
  }
}

/**
 * The entry of a directory with that name, or null. The inode number is in range; whether the inode is in use is for
 * the caller to see. Damaged chunks are logged and skipped from the damage on.
 */
export function ufs_dirlookup(ip: UfsInode, name: string): MaybePromise<DirHit | null> {
  const index = ip.i_dirindex;
  if (index !== null) {
    ip.i_ump.um_dirindexes.use(index);
    return probe(ip, index, name, dirhash_name(name), -1);
  }
  if (ip.i_size > DIRINDEX_MIN_BYTES && indexable(ip)) {
    const built = ufs_dirindex(ip);
    if (built instanceof Promise) return built.then((i) => probe(ip, i, name, dirhash_name(name), -1));
    return probe(ip, built, name, dirhash_name(name), -1);
  }
  return scan(ip, name, 0);
}

/** Is a directory small enough that its index fits the memory for indexes? */
export function indexable(ip: UfsInode): boolean {
  return ip.i_size <= UFS_MAXDIRSIZE && (ip.i_size / TYPICAL_ENTRY_BYTES) * 8 < DIRINDEX_BYTES;
}

/** Reports damage in a directory, once for each place. */
export function ufs_dirbad(ip: UfsInode, offset: number, what: string): void {
  ip.i_ump.um_damage.note(`directory inode ${ip.i_number}, entry at ${offset}: ${what}`);
}

/** What an entry says, or null if it points nowhere or is a whiteout. */
function hit(ip: UfsInode, view: DataView, at: number, offset: number): DirHit | null {
  const fmt = ip.i_ump.um_dirfmt;
  const ino = view.getUint32(at, fmt.le);
  if (ino === UFS_WINO) return null;
  if (ino >= ip.i_fs.ninodes) {
    ufs_dirbad(ip, offset, `names inode ${ino}, beyond ${ip.i_fs.ninodes - 1}`);
    return null;
  }
  return new DirHit(ino, offset, dirent_type(view, at, fmt));
}

// ---- without index

function scan(ip: UfsInode, name: string, lbn: number): MaybePromise<DirHit | null> {
  const fs = ip.i_fs;
  const blocks = Math.ceil(Math.min(ip.i_size, UFS_MAXDIRSIZE) / fs.fs_bsize);
  for (; lbn < blocks; lbn++) {
    const bp = ufs_blkatoff(ip, lbn);
    if (bp instanceof Promise) {
      return bp.then((b) => scanblock(ip, name, lbn, b) ?? scan(ip, name, lbn + 1));
    }
    const found = scanblock(ip, name, lbn, bp);
    if (found !== null) return found;
  }
  return null;
}

/** Takes the reference to `bp`. */
function scanblock(ip: UfsInode, name: string, lbn: number, bp: Buf | null): DirHit | null {
  const base = lbn * ip.i_fs.fs_bsize;
  if (bp === null) {
    ufs_dirbad(ip, base, 'the directory has a hole');
    return null;
  }
  const fmt = ip.i_ump.um_dirfmt;
  const { b_data, b_view } = bp;
  const valid = Math.min(ip.i_size - base, bp.b_bcount);
  let found: DirHit | null = null;
  search: for (let chunk = 0; chunk < valid; chunk += fmt.dirblksiz) {
    const end = Math.min(chunk + fmt.dirblksiz, valid);
    for (let at = chunk; at < end; ) {
      const bad = ufs_dirbadentry(b_data, b_view, at, end, fmt);
      if (bad !== undefined) {
        ufs_dirbad(ip, base + at, bad);
        break;
      }
      if (b_view.getUint32(at, fmt.le) !== 0 && dirent_is(b_data, at, dirent_namlen(b_view, at, fmt), name)) {
        found = hit(ip, b_view, at, base + at);
        break search;
      }
      at += b_view.getUint16(at + 4, fmt.le);
    }
  }
  ip.i_ump.um_bufcache.brelse(bp);
  return found;
}

// ---- with index

/** Compares the entries of the slots behind `slot` that have the right hash. */
function probe(ip: UfsInode, index: DirIndex, name: string, hash: number, slot: number): MaybePromise<DirHit | null> {
  const bsize = ip.i_fs.fs_bsize;
  for (slot = index.next(hash, slot); slot >= 0; slot = index.next(hash, slot)) {
    const offset = index.offset(slot);
    const bp = ufs_blkatoff(ip, Math.floor(offset / bsize));
    if (bp instanceof Promise) {
      const after = slot;
      return bp.then((b) => compare(ip, b, offset, name) ?? probe(ip, index, name, hash, after));
    }
    const found = compare(ip, bp, offset, name);
    if (found !== null) return found;
  }
  return null;
}

/** Takes the reference to `bp`. */
function compare(ip: UfsInode, bp: Buf | null, offset: number, name: string): DirHit | null {
  if (bp === null) return null;
  const fmt = ip.i_ump.um_dirfmt;
  const at = offset % ip.i_fs.fs_bsize;
  const end = Math.min(at - (at % fmt.dirblksiz) + fmt.dirblksiz, bp.b_bcount);
  let found: DirHit | null = null;
  // The entry was sound when it was indexed; a volume that changes under us must still do no harm.
  if (
    ufs_dirbadentry(bp.b_data, bp.b_view, at, end, fmt) === undefined &&
    dirent_is(bp.b_data, at, dirent_namlen(bp.b_view, at, fmt), name)
  ) {
    if (bp.b_view.getUint32(at, fmt.le) !== 0) found = hit(ip, bp.b_view, at, offset);
  }
  ip.i_ump.um_bufcache.brelse(bp);
  return found;
}

/**
 * The index of a directory, built if there is none. The caller holds the directory's lock, so that nothing changes
 * while its blocks are read.
 */
export function ufs_dirindex(ip: UfsInode): MaybePromise<DirIndex> {
  if (ip.i_dirindex !== null) return ip.i_dirindex;
  const size = Math.min(ip.i_size, UFS_MAXDIRSIZE);
  const dirblksiz = ip.i_ump.um_dirblksiz;
  const index: DirIndex = new DirIndex(
    dirblksiz,
    Math.ceil(size / dirblksiz),
    Math.ceil(size / TYPICAL_ENTRY_BYTES),
    () => {
      ip.i_dirindex = null;
    },
  );
  return build(ip, index, 0, Math.ceil(size / ip.i_fs.fs_bsize));
}

function build(ip: UfsInode, index: DirIndex, lbn: number, blocks: number): MaybePromise<DirIndex> {
  for (; lbn < blocks; lbn++) {
    const bp = ufs_blkatoff(ip, lbn);
    if (bp instanceof Promise) {
      return bp.then((b) => {
        take(ip, index, lbn, b);
        return build(ip, index, lbn + 1, blocks);
      });
    }
    take(ip, index, lbn, bp);
  }
  // Somebody else may have built one while this one waited for the disk.
  if (ip.i_dirindex !== null) return ip.i_dirindex;
  ip.i_dirindex = index;
  ip.i_ump.um_dirindexes.use(index);
  return index;
}

/** Takes the reference to `bp`. */
function take(ip: UfsInode, index: DirIndex, lbn: number, bp: Buf | null): void {
  const base = lbn * ip.i_fs.fs_bsize;
  if (bp === null) {
    ufs_dirbad(ip, base, 'the directory has a hole');
    return;
  }
  const problem = index.addblock(
    bp.b_data,
    bp.b_view,
    Math.min(ip.i_size - base, bp.b_bcount),
    base,
    ip.i_ump.um_dirfmt,
  );
  ip.i_ump.um_bufcache.brelse(bp);
  if (problem !== undefined) ip.i_ump.um_damage.note(`directory inode ${ip.i_number}, ${problem}`);
}

/** Forgets the index of a directory: for reclaim, and for changes that it is not told of. */
export function ufs_dirindex_drop(ip: UfsInode): void {
  const index = ip.i_dirindex;
  if (index === null) return;
  ip.i_dirindex = null;
  ip.i_ump.um_dirindexes.remove(index);
}
