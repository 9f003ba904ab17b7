import { bytestrFromUtf16, loneSurrogate } from '../../../lib/names/utf16.js';
import { charset } from '../../../lib/names/charset.js';
import { DIRENT_BYTES } from '../../disk/bpb.js';
import { ATTR_DIRECTORY, D, MOVED_HERE, SLOT_DELETED, getStart, isLong } from '../../disk/direntry.js';
import { Names } from '../../disk/names.js';
import { EntryParser, isdot, shortName } from '../../dir/parse.js';
import { DIRENTS_MAX } from '../../dir/build.js';
import { claim, settleTwins, writeEntry } from './chains.js';
import type { FsckContext } from './context.js';
import { pathOf } from './files.js';
import type { Found } from './files.js';
import { patchEntry, readDirectory } from './directory.js';
import type { Directory } from './directory.js';
import { checkDots } from './dots.js';
import { dropLong, renameEntry } from './rename.js';

/** All directories, one after the other, with the entries in them. */

const NAMES = new Names({ codepage: charset('437')!, iocharset: null, shortname: 'mixed', numtail: true });
/** Characters that no short name has; 0x05 as the first stands for another one. */
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const BAD_SHORT = /[\x00-\x1f"*+,./:;<=>?[\\\]|a-z\x7f]/;
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const BAD_LONG = /[\x00-\x1f/]/;
/** Bits of the attribute byte that mean nothing. */
const ATTR_UNUSED = 0xc0;

/** Walks the tree. @returns all that was found, the root directory first */
export async function walk(ctx: FsckContext): Promise<Found[]> {
  const { g } = ctx;
  const root: Found = {
    offset: -1,
    parts: [],
    name: '',
    dir: null,
    isdir: true,
    start: g.rootCluster,
    size: 0,
    born: '',
    namesake: false,
    clusters: 0,
    removed: false,
    walked: false,
    moved: false,
  };
  const files: Found[] = [root];
  if (g.type === 32) await claim(ctx, files, 0, Math.ceil((DIRENTS_MAX * DIRENT_BYTES) / g.clusterBytes));
  const pending = [root];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (!next.removed) await directory(ctx, next, files, pending);
  }
  // Files when all are known: of two that are the same one goes before the clusters are counted.
  await settleTwins(ctx, files);
  if (ctx.mode !== 'check') for (const file of files) if (file.moved && !file.removed) await unmark(ctx, file);
  for (const [index, file] of files.entries()) if (!file.isdir && !file.removed) await checkFile(ctx, files, index);
  return files;
}

async function directory(ctx: FsckContext, file: Found, files: Found[], pending: Found[]): Promise<void> {
  file.walked = true;
  let dir = await readDirectory(ctx, file);
  if (file.offset >= 0 && (await garbage(ctx, dir))) return;
  await leftovers(ctx, dir);
  if (file.offset >= 0 && (await checkDots(ctx, dir))) dir = await readDirectory(ctx, file);
  ctx.counted(dir.end);
  for (const found of await entriesOf(ctx, dir)) {
    const index = files.push(found) - 1;
    if (found.isdir && (await checkFile(ctx, files, index))) pending.push(found);
  }
}

/** The mark of a rename that was cut short says nothing any more. */
async function unmark(ctx: FsckContext, file: Found): Promise<void> {
  const byte = new Uint8Array(1);
  await ctx.dev.read(byte, 0, 1, file.offset + D.lowerCase);
  byte[0] = byte[0]! & ~MOVED_HERE;
  await ctx.patch(file.offset + D.lowerCase, byte);
  ctx.modified = true;
}

/**
 * Entries behind the end of a directory: not there for us, but for systems that do not stop at the end. A power cut
 * leaves them where a later piece of a directory reached the disk and an earlier one did not.
 */
async function leftovers(ctx: FsckContext, dir: Directory): Promise<void> {
  const slots: number[] = [];
  for (let slot = dir.end; slot < dir.bytes.length / DIRENT_BYTES; slot++)
    if (dir.bytes[slot * DIRENT_BYTES] !== 0) {
      slots.push(slot);
    }
  if (slots.length === 0) return;
  await ctx.problem(`${pathOf(dir.file)}: ${slots.length} entries behind its end`, {
    preen: true,
    fix: async () => {
      for (const slot of slots) await patchEntry(ctx, dir, slot, (at) => dir.bytes.fill(0, at, at + DIRENT_BYTES));
      return 'cleared';
    },
  });
}

/** Checks an entry and its chain. @returns whether it is a directory to walk into */
async function checkFile(ctx: FsckContext, files: Found[], index: number): Promise<boolean> {
  const file = files[index]!;
  const { g } = ctx;
  if (file.isdir && file.size !== 0) {
    await ctx.problem(`${pathOf(file)}: a directory with a size, ${file.size}`, {
      preen: true,
      fix: async () => ((file.size = 0), await writeEntry(ctx, file), 'set to 0'),
    });
  }
  const most = file.isdir
    ? Math.ceil((DIRENTS_MAX * DIRENT_BYTES) / g.clusterBytes)
    : Math.ceil(file.size / g.clusterBytes);
  return (await claim(ctx, files, index, most)) && file.isdir && files[index] === file && !file.removed;
}

/**
 * A directory that holds something else altogether becomes a file, so that nothing of it is lost.
 * @returns whether it is one
 */
async function garbage(ctx: FsckContext, dir: Directory): Promise<boolean> {
  const { file, bytes, end } = dir;
  if (isdot(bytes, 0) && isdot(bytes, DIRENT_BYTES)) return false;
  let bad = 0;
  let good = 0;
  for (let slot = 0; slot < end; slot++) {
    const at = slot * DIRENT_BYTES;
    if (bytes[at] === SLOT_DELETED || isLong(bytes, at)) continue;
    if (badShort(shortName(bytes, at)) || (bytes[at + D.attr]! & ATTR_UNUSED) !== 0) bad++;
    else good++;
  }
  if (bad <= good + 1) return false;
  return ctx.problem(`${pathOf(file)}: a directory that holds no entries, but something else`, {
    preen: false, serious: true,
    fix: async () => {
      const entry = new Uint8Array(DIRENT_BYTES);
      await ctx.dev.read(entry, 0, DIRENT_BYTES, file.offset);
      new DataView(entry.buffer).setUint32(D.fileSize, file.clusters * ctx.g.clusterBytes, true);
      entry[D.attr] = entry[D.attr]! & ~ATTR_DIRECTORY;
      await ctx.patch(file.offset, entry);
      return 'it is a file now';
    },
  });
}

function badShort(name: string): boolean {
  const plain = name.startsWith('\x05') ? `\xe5${name.slice(1)}` : name;
  return plain.startsWith(' ') || BAD_SHORT.test(plain);
}

/** The files of a directory, their names checked: long ones belong to a short one, and no two are the same. */
async function entriesOf(ctx: FsckContext, dir: Directory): Promise<Found[]> {
  const parser = new EntryParser();
  const found: Found[] = [];
  const keys = new Map<string, Found>();
  const shorts = new Map<string, Found>();
  let parts: number[] = [];
  for (let slot = 0; slot < dir.end; slot++) {
    const at = slot * DIRENT_BYTES;
    const isfile = parser.feed(dir.bytes, dir.view, at);
    if (dir.bytes[at] !== SLOT_DELETED && isLong(dir.bytes, at)) {
      parts.push(slot);
      continue;
    }
    const own = isfile ? parts.slice(parts.length - parser.parts) : [];
    await orphans(ctx, dir, parts.slice(0, parts.length - own.length));
    parts = [];
    if (!isfile || isdot(dir.bytes, at)) continue;
    found.push(await entry(ctx, dir, slot, own, parser.long, keys, shorts));
  }
  await orphans(ctx, dir, parts);
  return found;
}

/** Parts of long names that belong to no file: a power cut leaves them, and systems that do not know long names. */
async function orphans(ctx: FsckContext, dir: Directory, slots: readonly number[]): Promise<void> {
  if (slots.length === 0) return;
  await ctx.problem(
    `${pathOf(dir.file)}: ${slots.length} entries at ${slots[0]} are of a long name that belongs to no file`,
    { preen: true, fix: async () => (await dropLong(ctx, dir, slots), 'removed') },
  );
}

async function entry(
  ctx: FsckContext,
  dir: Directory,
  slot: number,
  own: readonly number[],
  long: string | null,
  keys: Map<string, Found>,
  shorts: Map<string, Found>,
): Promise<Found> {
  const { bytes, view, file: above } = dir;
  const at = slot * DIRENT_BYTES;
  let short = shortName(bytes, at);
  let parts = own;
  const where = pathOf(above) === '/' ? '/' : `${pathOf(above)}/`;
  if (long !== null && (BAD_LONG.test(long) || loneSurrogate(long) || long.length > 255)) {
    if (
      await ctx.problem(`${where}: the long name of ${short.trim()} has characters that no name has`, {
        preen: false,
        fix: async () => (await dropLong(ctx, dir, parts), 'it has its short name only'),
      })
    ) {
      parts = [];
      long = null;
    }
  }
  if (badShort(short) || shorts.has(short)) {
    const why = badShort(short) ? 'is no name' : 'is the name of two files';
    if (
      await ctx.problem(`${where}: the short name ${JSON.stringify(short)} ${why}`, {
        preen: false,
        fix: async () => `renamed ${(short = await renameEntry(ctx, dir, slot, parts, shorts))}`,
      })
    ) {
      short = shortName(bytes, at);
    }
  }
  let name = long === null ? null : NAMES.fromLong(long);
  const shown = NAMES.fromShort(short, bytes[at + D.lowerCase]!);
  if (name !== null && keys.has(NAMES.fold(name)) && !twinOf(keys.get(NAMES.fold(name))!, dir, at, ctx)) {
    keys.get(NAMES.fold(name))!.namesake = true;
    const taken = name;
    if (
      await ctx.problem(`${where}${bytestrFromUtf16(taken)}: two files have this name`, {
        preen: false,
        fix: async () => (await dropLong(ctx, dir, parts), 'one has its short name only'),
      })
    ) {
      parts = [];
      name = null;
    }
  }
  const made: Found = {
    offset: dir.offsetOf(slot),
    parts: parts.map((part) => dir.offsetOf(part)),
    name: name ?? shown ?? short,
    dir: above,
    isdir: (bytes[at + D.attr]! & ATTR_DIRECTORY) !== 0,
    start: getStart(view, at, ctx.g.type === 32),
    size: view.getUint32(at + D.fileSize, true),
    born: bornOf(bytes, at), namesake: false, clusters: 0, removed: false, walked: false,
    moved: (bytes[at + D.lowerCase]! & MOVED_HERE) !== 0,
  };
  for (const key of [name, shown]) if (key !== null && !keys.has(NAMES.fold(key))) keys.set(NAMES.fold(key), made);
  shorts.set(short, made);
  if ((bytes[at + D.attr]! & ATTR_UNUSED) !== 0) {
    await ctx.problem(`${pathOf(made)}: attributes 0x${bytes[at + D.attr]!.toString(16)}`, {
      preen: true,
      fix: async () => (
        await patchEntry(ctx, dir, slot, (a) => (bytes[a + D.attr] = bytes[a + D.attr]! & ~ATTR_UNUSED)),
        'set'
      ),
    });
  }
  return made;
}

function twinOf(other: Found, dir: Directory, at: number, ctx: FsckContext): boolean {
  return other.start !== 0 && other.start === getStart(dir.view, at, ctx.g.type === 32);
}

function bornOf(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(bytes[at + D.attr]!, ...bytes.subarray(at + D.chundredth, at + D.adate));
}

