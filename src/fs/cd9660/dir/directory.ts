/** Walks over directories: listing, looking up, finding a file by its number, finding the directory above. */
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { VDIR } from '../../../kernel/vfs/vattr.js';
import type { Cookie, ReaddirEmit } from '../../../kernel/vfs/vnops.js';
import { IFTODT, S_IFDIR } from '../../../kernel/stat.js';
import { ISODIR_MIN } from '../disk/iso.js';
import type { IsoNode } from '../file/node.js';
import type { IsoMount } from '../volume/isomount.js';
import type { Cursor } from './entry.js';
import { iso_dot, iso_dotdot, iso_entry } from './entry.js';

/** No directory is larger: 2.5 million names. Bytes. */
export const ISO_MAXDIRSIZE = 256 << 20;
/** Blocks without a record, one behind the other, after which nothing more is expected. */
const BLANKS_MAX = 32;
/** Of a whole disc, that a search walks through. */
const DIRECTORIES_MAX = 1_000_000;
/** Cookies of listing: where "." and ".." come, and what comes behind. Others are file numbers, which are larger. */
const COOKIE_DOTDOT = 1;
const COOKIE_FIRST = 2;
const DT_DIR = IFTODT(S_IFDIR);

/** The start of a directory. @throws EIO */
function beginning(im: IsoMount, dir: IsoNode): Cursor {
  const block = dir.start / im.bsize;
  if (!(block > 0 && dir.start < im.dev.size_bytes))
    throw im.damage.error(`directory ${dir.number}: block ${block} is not on the disc`);
  if (dir.size > ISO_MAXDIRSIZE) throw im.damage.error(`directory ${dir.number}: ${dir.size} bytes`);
  return { block, ordinal: 0, at: dir.start, end: Math.min(dir.start + dir.size, im.dev.size_bytes) };
}

/**
 * Calls `visit` with each file from the cursor on, until it answers false; the cursor stands behind the file then.
 * `blanks`: blocks without record just before. @returns whether the end was reached
 */
function walk(im: IsoMount, cursor: Cursor, visit: (node: IsoNode) => boolean, blanks = 0): MaybePromise<boolean> {
  while (cursor.at < cursor.end && blanks <= BLANKS_MAX) {
    const whole = cursor.ordinal === 0;
    const { block } = cursor;
    const found = iso_entry(im, cursor);
    if (found instanceof Promise) {
      const before = blanks;
      return found.then((node) => {
        if (node !== null && !visit(node)) return false;
        return walk(im, cursor, visit, node === null && whole && cursor.block > block ? before + 1 : 0);
      });
    }
    if (found !== null && !visit(found)) return false;
    blanks = found === null && whole && cursor.block > block ? blanks + 1 : 0;
  }
  return true;
}

/** Where record `ordinal` of a block begins; null if the block has fewer. @throws EIO */
function locate(im: IsoMount, block: number, ordinal: number): MaybePromise<number | null> {
  const at = block * im.bsize;
  if (!(block > 0 && at + ISODIR_MIN <= im.dev.size_bytes)) return null;
  const bp = im.window(at);
  return bp instanceof Promise ? bp.then((b) => locateIn(im, b, at, ordinal)) : locateIn(im, bp, at, ordinal);
}

/** Takes the reference to `bp`. */
function locateIn(im: IsoMount, bp: Buf, start: number, ordinal: number): number | null {
  const from = start - bp.b_offset;
  const end = Math.min(from + im.bsize, bp.b_bcount);
  let at = from;
  for (; ordinal > 0 && at < end; ordinal--) {
    const length = bp.b_data[at]!;
    if (length < ISODIR_MIN) break;
    at += length;
  }
  im.bufcache.brelse(bp);
  return ordinal > 0 || at >= end ? null : bp.b_offset + at;
}

/** The file of that number; null if there is none. @throws EIO */
export function iso_bynumber(im: IsoMount, fileno: number): MaybePromise<IsoNode | null> {
  if (fileno === im.root_number) return im.root;
  const known = im.remembered(fileno);
  if (known !== undefined) return known;
  if (!im.isLinkNumber(fileno)) return byrecord(im, fileno);
  const record = im.links.record(fileno);
  return record === undefined ? findlink(im, fileno) : byrecord(im, record);
}

function byrecord(im: IsoMount, fileno: number): MaybePromise<IsoNode | null> {
  const block = im.blockOf(fileno);
  const ordinal = im.ordinalOf(fileno);
  const at = locate(im, block, ordinal);
  return at instanceof Promise ? at.then((a) => entryAt(im, block, ordinal, a)) : entryAt(im, block, ordinal, at);
}

function entryAt(im: IsoMount, block: number, ordinal: number, at: number | null): MaybePromise<IsoNode | null> {
  return at === null ? null : iso_entry(im, { block, ordinal, at, end: im.dev.size_bytes });
}

/** Looks for a file with several names that a server before this one has found. */
async function findlink(im: IsoMount, fileno: number): Promise<IsoNode | null> {
  const seen = new Set<number>([im.root.start]);
  const dirs = [im.root];
  let found: IsoNode | null = null;
  for (let dir; found === null && (dir = dirs.pop()) !== undefined;) {
    await walk(im, beginning(im, dir), (node) => {
      if (node.number === fileno) found = node;
      if (node.type === VDIR && !seen.has(node.start) && seen.size < DIRECTORIES_MAX) {
        seen.add(node.start);
        dirs.push(node);
      }
      return found === null;
    });
  }
  return found;
}

/** Is there anything in this directory but directories that were moved there? */
export async function iso_onlymoved(im: IsoMount, dir: IsoNode): Promise<boolean> {
  return walk(im, beginning(im, dir), () => false);
}

/** As VOP_READDIR. */
export function iso_readdir(im: IsoMount, dir: IsoNode, given: Cookie, emit: ReaddirEmit): MaybePromise<boolean> {
  const cookie = Number(given);
  if (cookie > COOKIE_DOTDOT) return listFrom(im, dir, cookie, emit);
  const parent = dir.parent?.number ?? iso_parent(im, dir).catch(() => dir.number);
  const begin = (number: number): MaybePromise<boolean> => {
    if (cookie === 0 && !emit(dir.number, DT_DIR, '.', COOKIE_DOTDOT)) return false;
    return emit(number, DT_DIR, '..', COOKIE_FIRST) && listFrom(im, dir, COOKIE_FIRST, emit);
  };
  return parent instanceof Promise ? parent.then(begin) : begin(parent);
}

function listFrom(im: IsoMount, dir: IsoNode, cookie: number, emit: ReaddirEmit): MaybePromise<boolean> {
  const cursor = beginning(im, dir);
  if (cookie === COOKIE_FIRST) return list(im, cursor, emit);
  const block = im.blockOf(cookie);
  if (!(block >= cursor.block && block * im.bsize <= cursor.end) || cookie % 1 !== 0)
    throw errno(E.EINVAL, `directory offset ${cookie}`);
  const at = block * im.bsize < cursor.end ? locate(im, block, im.ordinalOf(cookie)) : null;
  const go = (place: number | null): MaybePromise<boolean> => {
    const from =
      place === null
        ? { block: block + 1, ordinal: 0, at: (block + 1) * im.bsize }
        : { block, ordinal: im.ordinalOf(cookie), at: place };
    return list(im, { ...from, end: cursor.end }, emit);
  };
  return at instanceof Promise ? at.then(go) : go(at);
}

function list(im: IsoMount, cursor: Cursor, emit: ReaddirEmit): MaybePromise<boolean> {
  return walk(im, cursor, (node) => {
    // Attributes of what was listed are asked for next.
    im.remember(node);
    return emit(node.number, node.d_type, node.name, im.number(cursor.block, cursor.ordinal));
  });
}

/** File number of a name; undefined: it is not there. `key`: what `fold` makes of the name. */
export function iso_lookup(
  im: IsoMount,
  dir: IsoNode,
  key: string,
  fold: ((name: string) => string) | null,
): MaybePromise<number | undefined> {
  const index = im.indexes.get(dir);
  if (index !== undefined) return index.get(key);
  const names = new Map<string, number>();
  const cursor = beginning(im, dir);
  let sought: number | undefined;
  const walked = walk(im, cursor, (node) => {
    const folded = fold === null ? node.name : fold(node.name);
    if (folded === key && sought === undefined) {
      sought = node.number;
      im.remember(node);
    }
    // Of several with one name the first counts, which is the newest version.
    if (!names.has(folded)) names.set(folded, node.number);
    return im.indexes.fits(names.size);
  });
  const found = (ended: boolean): MaybePromise<number | undefined> => {
    if (ended) im.indexes.put(dir, names);
    return ended || sought !== undefined ? sought : search(im, cursor, key, fold);
  };
  return walked instanceof Promise ? walked.then(found) : found(walked);
}

/** The same in the rest of a directory that is too large for an index. */
function search(
  im: IsoMount,
  cursor: Cursor,
  key: string,
  fold: ((name: string) => string) | null,
): MaybePromise<number | undefined> {
  let sought: number | undefined;
  const walked = walk(im, cursor, (node) => {
    if ((fold === null ? node.name : fold(node.name)) === key) sought = node.number;
    return sought === undefined;
  });
  return walked instanceof Promise ? walked.then(() => sought) : sought;
}

/** Logical block of the directory above the one that begins in `block`. @throws EIO */
async function above(im: IsoMount, block: number): Promise<number> {
  const dotdot = await iso_dotdot(im, block);
  if (dotdot === null) throw im.damage.error(`directory in block ${block}: no record of the directory above it`);
  if (dotdot.rr !== null && dotdot.rr.parent >= 0) return dotdot.rr.parent;
  return dotdot.record.extent + dotdot.record.ext_attr_length;
}

/**
 * File number of the directory above: its record, which the directory itself does not name, is sought in the one above
 * that. Only needed for directories that nobody has looked up by name (a file handle). @throws EIO
 */
export async function iso_parent(im: IsoMount, dir: IsoNode): Promise<number> {
  if (dir.parent !== null) return dir.parent.number;
  const up = await above(im, dir.start / im.bsize);
  if (up === im.layout.root_block) return im.root_number;
  const upper = await above(im, up);
  const dot = await iso_dot(im, upper);
  if (dot === null || dot.record.size > ISO_MAXDIRSIZE)
    throw im.damage.error(`directory in block ${up}: none begins in block ${upper}, above it`);
  const start = upper * im.bsize;
  let found: number | undefined;
  await walk(
    im,
    { block: upper, ordinal: 0, at: start, end: Math.min(start + dot.record.size, im.dev.size_bytes) },
    (node) => {
      if (node.type === VDIR && node.start === up * im.bsize) found = node.number;
      return found === undefined;
    },
  );
  if (found === undefined)
    throw im.damage.error(`directory in block ${up}: the directory in block ${upper}, above it, does not name it`);
  return found;
}
