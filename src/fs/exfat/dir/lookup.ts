import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import {
  ATTR_DIRECTORY, ENTRY_BYTES, F_SECONDARY_COUNT, SECONDARIES_MAX, SECONDARIES_MIN, T_FILE,
} from '../disk/entry.js';
import { DirIndex, name_key_hash } from './dirindex.js';
import type { Directory } from './directory.js';
import { DIRBLOCK_BYTES } from './directory.js';
import { FileSet } from './fileset.js';
import { dir_walk } from './scan.js';

/** A file in its directory. */
export interface Found {
  /** Byte offset of its first entry. */
  readonly offset: number;
  /** That entry's byte offset on the device. */
  readonly at: number;
  /** Its entries; valid until the next set is read. */
  readonly set: FileSet;
}

const SCRATCH = new FileSet();

/** The set whose first entry is at byte `offset`; undefined: there is none that makes sense. @throws EIO */
export function dir_readset(dir: Directory, offset: number): MaybePromise<Found | undefined> {
  if (!(offset >= 0 && offset < dir.bytes)) return undefined;
  const bp = dir.block(offset);
  return bp instanceof Promise ? bp.then((b) => readset(dir, offset, b)) : readset(dir, offset, bp);
}

function readset(dir: Directory, offset: number, bp: Buf): MaybePromise<Found | undefined> {
  const into = offset % DIRBLOCK_BYTES;
  const count = bp.b_data[into + F_SECONDARY_COUNT] + 1;
  const isfile = bp.b_data[into] === T_FILE && count > SECONDARIES_MIN && count <= SECONDARIES_MAX + 1;
  const at = bp.b_offset + into;
  const here = isfile && into + count * ENTRY_BYTES <= DIRBLOCK_BYTES;
  if (here) {
    SCRATCH.bytes.set(bp.b_data.subarray(into, into + count * ENTRY_BYTES));
    SCRATCH.count = count;
  }
  dir.em.em_bufcache.brelse(bp);
  if (here) return SCRATCH.problem() === undefined ? { offset, at, set: SCRATCH } : undefined;
  return isfile ? longset(dir, offset) : undefined;
}

/** A set that is not in one block. */
function longset(dir: Directory, offset: number): MaybePromise<Found | undefined> {
  let found: Found | undefined;
  const done = dir_walk(dir, offset, {
    file(set, start, at) {
      if (start === offset) found = { offset, at, set };
      return false;
    },
    bad: () => undefined,
    other: () => false,
  });
  return done instanceof Promise ? done.then(() => found) : found;
}

/** The index of a directory, made when it is wanted first. @throws EIO */
export function dir_index(dir: Directory): MaybePromise<DirIndex> {
  const { em, index } = dir;
  if (index !== null) {
    em.em_indexes.use(index);
    return index;
  }
  const made = new DirIndex(dir);
  made.end = dir.bytes;
  const end = dir_walk(dir, 0, {
    file(set, offset) {
      made.add(name_key_hash(em.em_names.key(set.name())), offset);
      if ((set.attributes & ATTR_DIRECTORY) !== 0) made.subdirs++;
      return true;
    },
    block: (bp, base) => made.look(bp.b_data, base),
    bad: (problem, offset) => em.em_damage.note(`directory ${dir.number}, entry at ${offset}: ${problem}`),
  });
  return end instanceof Promise ? end.then((at) => indexed(dir, made, at)) : indexed(dir, made, end);
}

function indexed(dir: Directory, made: DirIndex, end: number): MaybePromise<DirIndex> {
  // Somebody else may have been faster: readers share the lock.
  if (dir.index !== null) return dir.index;
  made.end = end;
  dir.index = made;
  dir.em.em_indexes.use(made);
  dir.em.em_indexes.shrink();
  if (end % DIRBLOCK_BYTES === 0) return made;
  const look = (bp: Buf): DirIndex => {
    made.look(bp.b_data, end - (end % DIRBLOCK_BYTES));
    dir.em.em_bufcache.brelse(bp);
    return made;
  };
  const bp = dir.block(end);
  return bp instanceof Promise ? bp.then(look) : look(bp);
}

/** The file whose name has this key; null: there is none. @throws EIO */
export function dir_find(dir: Directory, key: string): MaybePromise<Found | null> {
  const index = dir_index(dir);
  const hash = name_key_hash(key);
  return index instanceof Promise ? index.then((i) => find(dir, i, key, hash, -1)) : find(dir, index, key, hash, -1);
}

function find(dir: Directory, index: DirIndex, key: string, hash: number, slot: number): MaybePromise<Found | null> {
  const rules = dir.em.em_names;
  for (;;) {
    slot = index.next(hash, slot);
    if (slot < 0) return null;
    const found = dir_readset(dir, index.offset(slot));
    if (found instanceof Promise) {
      const here = slot;
      return found.then(
        (f) => (f !== undefined && rules.key(f.set.name()) === key ? f : find(dir, index, key, hash, here)),
      );
    }
    if (found !== undefined && rules.key(found.set.name()) === key) return found;
  }
}
