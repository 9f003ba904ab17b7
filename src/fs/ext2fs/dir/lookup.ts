import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { EXT2_ROOTINO } from '../disk/superblock.js';
import { DIRENT_HEADER } from '../disk/dirent.js';
import { ext2_blkatoff } from '../file/bmap.js';
import type { Inode } from '../file/inode.js';
import { DIRINDEX_MAX_BYTES, DirIndex } from './dirindex.js';
import { ext2_entries } from './entries.js';
import type { Entry } from './entries.js';
import type { NameRule } from './namerule.js';
import { namerule } from './namerule.js';
import type { Piece } from './piece.js';
import { ext2_dirwalk, piece_of } from './piece.js';

/** Larger directories get an index; looking through a smaller one costs less than hashing. */
const INDEX_MIN_BYTES = 8192;
/** An entry that is found. */
export interface DirHit {
  readonly ino: number;
  /** Byte offset in the directory. */
  readonly offset: number;
}

/** The entry of a directory that `name` finds, or null. ".." of a directory in its inode is there, too. @throws EIO */
export function ext2_dirlookup(ip: Inode, name: string): MaybePromise<DirHit | null> {
  if (ip.i_inline !== null && name === '..') return ext2_inlineparent(ip, ip.i_inline);
  const rule = namerule(ip);
  if (ip.i_inline !== null || ip.i_size <= INDEX_MIN_BYTES || ip.i_size > DIRINDEX_MAX_BYTES)
    return scan(ip, rule, name);
  const index = ip.i_dirindex ?? build(ip, rule);
  if (index instanceof Promise) return index.then((i) => probe(ip, i, rule, name, -1));
  ip.i_em.em_indexes.use(index);
  return probe(ip, index, rule, name, -1);
}

/** The parent of a directory in its inode. */
export function ext2_inlineparent(ip: Inode, data: Uint8Array): DirHit | null {
  if (data.length < 4) return null;
  const ino = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  if (ino < EXT2_ROOTINO || ino > ip.i_fs.s_inodes_count)
    throw ip.i_em.em_damage.error(`directory inode ${ip.i_number}: its parent is inode ${ino}`);
  return { ino, offset: 0 };
}

function scan(ip: Inode, rule: NameRule, name: string): MaybePromise<DirHit | null> {
  const matches = rule.matcher(name);
  let hit: DirHit | null = null;
  const walked = ext2_dirwalk(ip, 0, (piece) =>
    ext2_entries(ip, piece, (entry) => {
      if (!matches(piece, entry)) return true;
      hit = { ino: entry.ino, offset: piece.base + entry.at };
      return false;
    }),
  );
  return walked instanceof Promise ? walked.then(() => hit) : hit;
}

/** The caller holds the lock of the directory; somebody else may build an index meanwhile, which does no harm. */
function build(ip: Inode, rule: NameRule): MaybePromise<DirIndex> {
  const index = new DirIndex(() => {
    ip.i_dirindex = null;
  });
  const walked = ext2_dirwalk(ip, 0, (piece) =>
    ext2_entries(ip, piece, (entry) => {
      index.add(rule.hash(piece, entry), piece.base + entry.at);
      return true;
    }),
  );
  const done = (): DirIndex => {
    ip.i_dirindex = index;
    ip.i_em.em_indexes.use(index);
    ip.i_em.em_indexes.shrink();
    return index;
  };
  return walked instanceof Promise ? walked.then(done) : done();
}

/** Compares the entries of the slots behind `slot` that have the right hash. */
function probe(ip: Inode, index: DirIndex, rule: NameRule, name: string, slot: number): MaybePromise<DirHit | null> {
  const hash = rule.hashname(name);
  const matches = rule.matcher(name);
  for (slot = index.next(hash, slot); slot >= 0; slot = index.next(hash, slot)) {
    const offset = index.offset(slot);
    const lbn = Math.floor(offset / ip.i_fs.bsize);
    const bp = ext2_blkatoff(ip, lbn);
    if (bp instanceof Promise) {
      const after = slot;
      return bp.then(
        (b) =>
          (b === null ? null : compare(piece_of(ip, lbn, b), offset, matches)) ?? probe(ip, index, rule, name, after),
      );
    }
    const hit = bp === null ? null : compare(piece_of(ip, lbn, bp), offset, matches);
    if (hit !== null) return hit;
  }
  return null;
}

/** The entry was sound when the index was made, and the volume is only read. */
function compare(piece: Piece, offset: number, matches: (piece: Piece, entry: Entry) => boolean): DirHit | null {
  const at = offset - piece.base;
  if (at + DIRENT_HEADER + piece.data[at + 6] > piece.data.length) return null;
  const entry = { ino: piece.view.getUint32(at, true), at, namelen: piece.data[at + 6], reclen: 0 };
  return entry.ino !== 0 && matches(piece, entry) ? { ino: entry.ino, offset } : null;
}
