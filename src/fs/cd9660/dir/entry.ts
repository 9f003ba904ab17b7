/** From the place of a directory record to what it describes. */
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Isodir } from '../disk/dirrec.js';
import { isodir_bad, isodir_isdir, isodir_load, isodir_special } from '../disk/dirrec.js';
import { ISODIR_MIN, ISO_ASSOCIATED, ISO_HIDDEN, ISO_MULTIEXTENT } from '../disk/iso.js';
import { acornName, enhancedName, exactName, jolietName, plainName } from '../disk/names.js';
import type { Continuation } from '../disk/susp.js';
import { RockRidge } from '../disk/susp.js';
import { Hardlinks } from '../file/hardlinks.js';
import type { Section } from '../file/node.js';
import { IsoNode, sectionOf } from '../file/node.js';
import type { IsoMount } from '../volume/isomount.js';

/** Areas that a record's fields may go on in, and their bytes together. Linux takes 32 areas. */
const CONTINUATIONS_MAX = 64;
const CONTINUATION_BYTES_MAX = 65536;
/** Extents of a file: 256 TiB. */
const SECTIONS_MAX = 65536;

/** A place in a directory: the record to be read next. */
export interface Cursor {
  /** Logical block, and which record of it. */
  block: number;
  ordinal: number;
  /** Byte of the device. */
  at: number;
  /** No record begins here or behind. Byte of the device. */
  readonly end: number;
}

/** A record and its fields. */
interface Raw {
  readonly number: number;
  readonly record: Isodir;
  readonly rr: RockRidge | null;
  /** As it appears, Rock Ridge apart; '' where that has a name and the file has one extent, unless asked for. */
  readonly name: string;
  /** It is "." or "..". */
  readonly special: boolean;
}

function skipBlock(im: IsoMount, cursor: Cursor): void {
  cursor.block++;
  cursor.ordinal = 0;
  cursor.at = cursor.block * im.bsize;
}

/**
 * Reads the record at the cursor with all that belongs to it and moves the cursor behind. null: there is none in the
 * rest of the block (the cursor stands at the next one), or it is damaged, which the log says.
 */
function raw_record(im: IsoMount, cursor: Cursor, identify = false): MaybePromise<Raw | null> {
  const bp = im.window(cursor.at);
  if (bp instanceof Promise) return bp.then((b) => from_window(im, b, cursor, identify));
  return from_window(im, bp, cursor, identify);
}

/** Takes the reference to `bp`. */
function from_window(im: IsoMount, bp: Buf, cursor: Cursor, identify: boolean): MaybePromise<Raw | null> {
  const { b_data: bytes, b_view: view } = bp;
  const at = cursor.at - bp.b_offset;
  const end = Math.min(at - (cursor.at % im.bsize) + im.bsize, bp.b_bcount);
  if (end - at < ISODIR_MIN || bytes[at] === 0) {
    im.bufcache.brelse(bp);
    skipBlock(im, cursor);
    return null;
  }
  const bad = isodir_bad(bytes, at, end);
  if (bad !== undefined) {
    im.bufcache.brelse(bp);
    im.damage.note(`directory record at byte ${cursor.at}: ${bad}; the rest of its block is left out`);
    skipBlock(im, cursor);
    return null;
  }
  const raw = loaded(im, bytes, view, at, cursor, identify);
  im.bufcache.brelse(bp);
  cursor.at += raw.record.length;
  cursor.ordinal++;
  if (cursor.at % im.bsize === 0) skipBlockEnd(cursor);
  const more = raw.rr?.continuation ?? null;
  if (more === null) return raw;
  const taken = continuation(im, raw.rr!, more, CONTINUATIONS_MAX, CONTINUATION_BYTES_MAX);
  return taken instanceof Promise ? taken.then(() => raw) : raw;
}

/** The record was the last one that fits its block. */
function skipBlockEnd(cursor: Cursor): void {
  cursor.block++;
  cursor.ordinal = 0;
}

function loaded(im: IsoMount, bytes: Uint8Array, view: DataView, at: number, cursor: Cursor, identify: boolean): Raw {
  const record = isodir_load(bytes, view, at, im);
  const special = isodir_special(bytes, record);
  let rr: RockRidge | null = null;
  if (im.rock) {
    rr = new RockRidge();
    const { skip, root_block } = im.layout;
    const root = cursor.block === root_block && cursor.ordinal === 0;
    rr.take(bytes, view, record.use_from + (root ? skip.root : skip.others), record.use_to);
  }
  const named = rr !== null && rr.name !== '' && !identify && (record.flags & ISO_MULTIEXTENT) === 0;
  const name = special || named ? '' : nameOf(im, bytes, record);
  return { number: im.number(cursor.block, cursor.ordinal), record, rr, name, special };
}

function nameOf(im: IsoMount, bytes: Uint8Array, record: Isodir): string {
  const { name: at, name_len: length } = record;
  switch (im.layout.flavour) {
    case 'joliet':
      return jolietName(bytes, at, length);
    case 'enhanced':
      return enhancedName(bytes, at, length);
    default:
      if (im.options.map === 'off') return exactName(bytes, at, length);
      if (im.options.map === 'normal') return plainName(bytes, at, length);
      return acornName(plainName(bytes, at, length), bytes, record.use_from, record.use_to, isodir_isdir(record));
  }
}

/** Takes in the area that goes on at `where`, and those that it goes on in. */
function continuation(
  im: IsoMount,
  rr: RockRidge,
  where: Continuation | null,
  areas: number,
  bytes: number,
): MaybePromise<void> {
  while (where !== null) {
    const at = where.block * im.bsize + where.offset;
    const { length } = where;
    const many = areas-- === 0 || length > bytes;
    if (many || !(at + length <= im.dev.size_bytes)) {
      const why = many ? 'too many' : 'beyond the end of the disc';
      im.damage.note(`system use fields that go on with ${length} bytes at byte ${at}: ${why}`);
      return undefined;
    }
    bytes -= length;
    const taken = area(im, rr, at, length);
    if (taken instanceof Promise) {
      const [a, b] = [areas, bytes];
      return taken.then(() => continuation(im, rr, rr.continuation, a, b));
    }
    where = rr.continuation;
  }
  return undefined;
}

function area(im: IsoMount, rr: RockRidge, at: number, length: number): MaybePromise<void> {
  const bp = im.window(at);
  if (bp instanceof Promise) return bp.then((b) => areaOf(im, rr, b, at, length));
  return areaOf(im, rr, bp, at, length);
}

/** Takes the reference to `bp`. An area that crosses the end of a piece of metadata is read by itself. */
function areaOf(im: IsoMount, rr: RockRidge, bp: Buf, at: number, length: number): MaybePromise<void> {
  const from = at - bp.b_offset;
  if (from + length <= bp.b_bcount) {
    rr.take(bp.b_data, bp.b_view, from, from + length);
    im.bufcache.brelse(bp);
    return undefined;
  }
  im.bufcache.brelse(bp);
  const bytes = new Uint8Array(length);
  const take = () => rr.take(bytes, new DataView(bytes.buffer), 0, length);
  const reading = im.dev.read(bytes, 0, length, at);
  return reading instanceof Promise ? reading.then(take) : take();
}

/**
 * The file that the record at the cursor describes; the cursor moves behind all its records. null: nothing that has a
 * name here (end of a block, "." and "..", what is not shown, damage).
 */
export function iso_entry(im: IsoMount, cursor: Cursor): MaybePromise<IsoNode | null> {
  const raw = raw_record(im, cursor);
  return raw instanceof Promise ? raw.then((r) => entry_of(im, cursor, r)) : entry_of(im, cursor, raw);
}

function entry_of(im: IsoMount, cursor: Cursor, raw: Raw | null): MaybePromise<IsoNode | null> {
  if (raw === null || raw.special) return null;
  const { record, rr } = raw;
  if (rr !== null && rr.child >= 0) return moved(im, cursor, raw, rr.child);
  const node = new IsoNode(im, raw.number, shownName(raw), record, rr, isodir_isdir(record));
  if ((record.flags & ISO_MULTIEXTENT) === 0) return shown(im, cursor, node, raw);
  const sections: Section[] = [sectionOf(im, record, 0, node.start, record.size)];
  const gathered = gather(im, cursor, raw, sections);
  const whole = (): IsoNode | null => {
    node.extend(sections);
    return shown(im, cursor, node, raw);
  };
  return gathered instanceof Promise ? gathered.then(whole) : whole();
}

function shownName(raw: Raw): string {
  const name = raw.rr !== null && raw.rr.name !== '' ? raw.rr.name : raw.name;
  return (raw.record.flags & ISO_ASSOCIATED) !== 0 ? `=${name}` : name;
}

/** null for what the mount does not show, and for names that no file can have. */
function shown(im: IsoMount, cursor: Cursor, node: IsoNode, raw: Raw): IsoNode | null {
  const { flags } = raw.record;
  const { options } = im;
  if (raw.rr?.relocated === true || raw.number === im.hidden) return null;
  if (((flags & ISO_ASSOCIATED) !== 0 && !options.showassoc) || ((flags & ISO_HIDDEN) !== 0 && options.hide))
    return null;
  const { name } = node;
  if (name === '' || name === '.' || name === '..' || name.includes('\0')) {
    im.damage.note(`directory record before byte ${cursor.at}: no file can have its name`);
    return null;
  }
  if (raw.rr !== null && Hardlinks.candidate(node)) {
    const number = im.linkNumber(node.start);
    if (im.links.claim(number, raw.number, node)) node.number = number;
  }
  return node;
}

/** The other extents of a file whose first record is `first`: consecutive records of the same name. */
function gather(im: IsoMount, cursor: Cursor, first: Raw, sections: Section[]): MaybePromise<void> {
  while (cursor.at < cursor.end && cursor.at < im.dev.size_bytes && sections.length < SECTIONS_MAX) {
    const began = { ...cursor };
    const raw = raw_record(im, cursor, true);
    if (raw instanceof Promise) {
      return raw.then((r) =>
        another(im, cursor, began, first, r, sections) ? gather(im, cursor, first, sections) : undefined,
      );
    }
    if (!another(im, cursor, began, first, raw, sections)) return undefined;
  }
  im.damage.note(`directory record before byte ${cursor.at}: the file has no last extent`);
  return undefined;
}

/** Adds the extent of `raw`, if it is one of the file. @returns whether more come */
function another(
  im: IsoMount,
  cursor: Cursor,
  began: Cursor,
  first: Raw,
  raw: Raw | null,
  sections: Section[],
): boolean {
  // The end of a block; but not a whole one without records.
  if (raw === null) return began.ordinal > 0;
  const { record } = raw;
  const more = (record.flags & ISO_MULTIEXTENT) !== 0;
  if (raw.special || raw.name !== first.name || isodir_isdir(record)) {
    im.damage.note(`directory record at byte ${began.at}: the file before it has no last extent`);
    Object.assign(cursor, began);
    return false;
  }
  const last = sections[sections.length - 1]!;
  const at = (record.extent + record.ext_attr_length) * im.bsize;
  sections.push(sectionOf(im, record, last.from + last.size, at, record.size));
  return more;
}

/** An entry that stands for a directory elsewhere: the attributes are that one's. */
function moved(im: IsoMount, cursor: Cursor, raw: Raw, block: number): MaybePromise<IsoNode | null> {
  const target = iso_dot(im, block);
  return target instanceof Promise
    ? target.then((t) => standin(im, cursor, raw, t, block))
    : standin(im, cursor, raw, target, block);
}

function standin(im: IsoMount, cursor: Cursor, raw: Raw, target: Dot | null, block: number): IsoNode | null {
  if (target === null) {
    im.damage.note(
      `directory record before byte ${cursor.at}: no directory begins in block ${block}, where it was moved to`,
    );
    return null;
  }
  return shown(im, cursor, new IsoNode(im, raw.number, shownName(raw), target.record, target.rr, true), raw);
}

/** The record "." or ".." of a directory. */
export interface Dot {
  readonly record: Isodir;
  readonly rr: RockRidge | null;
}

/** What a directory that begins in `block` says of itself; null if none does. */
export function iso_dot(im: IsoMount, block: number): MaybePromise<Dot | null> {
  const at = block * im.bsize;
  if (!(at + ISODIR_MIN <= im.dev.size_bytes)) return null;
  const raw = raw_record(im, { block, ordinal: 0, at, end: at + im.bsize });
  const check = (r: Raw | null): Dot | null => {
    if (r === null || !r.special || !isodir_isdir(r.record)) return null;
    // Where it lies is known; some masters got the number wrong.
    return { rr: r.rr, record: { ...r.record, extent: block, ext_attr_length: 0 } };
  };
  return raw instanceof Promise ? raw.then(check) : check(raw);
}

/** What the directory that begins in `block` says of the one above it; null where it has no such record. */
export async function iso_dotdot(im: IsoMount, block: number): Promise<Dot | null> {
  const at = block * im.bsize;
  if (!(at + ISODIR_MIN <= im.dev.size_bytes)) return null;
  const cursor: Cursor = { block, ordinal: 0, at, end: at + im.bsize };
  if ((await raw_record(im, cursor)) === null) return null;
  const raw = await raw_record(im, cursor);
  return raw === null || !raw.special || !isodir_isdir(raw.record) ? null : raw;
}
