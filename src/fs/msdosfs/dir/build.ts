import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { DIRENT_BYTES, clusterOffset } from '../disk/bpb.js';
import { D, SLOT_EMPTY } from '../disk/direntry.js';
import { chain_learn } from '../file/chain.js';
import type { Denode } from '../file/denode.js';
import { EntryParser, isdot, shortName } from './parse.js';
import { DirTable } from './table.js';
import type { DirEnt } from './table.js';

/** Entries that a directory may have: 2 MiB of them. */
export const DIRENTS_MAX = 65536;

/** Has the clusters of a directory known. @throws EIO */
export function dir_clusters(dir: Denode): MaybePromise<void> {
  if (dir.isroot && !dir.pmp.fat32) return undefined;
  const most = dir.pmp.clustersOf(DIRENTS_MAX * DIRENT_BYTES);
  const wait = chain_learn(dir, most + 1);
  const check = (): void => {
    if (dir.chain.length > most) {
      dir.pmp.pm_damage.note(`${dir.what}: more than ${DIRENTS_MAX} entries; the others are not looked at`);
    }
  };
  return wait instanceof Promise ? wait.then(check) : check();
}

/** Entries that there is room for, once the clusters are known. */
export function dir_capacity(dir: Denode): number {
  const { pm_geometry: g } = dir.pmp;
  if (dir.isroot && g.rootBytes > 0) return g.rootBytes / DIRENT_BYTES;
  return Math.min(DIRENTS_MAX, (dir.chain.length * g.clusterBytes) / DIRENT_BYTES);
}

/** The place of an entry of a directory whose clusters are known. */
export function dir_place(dir: Denode, slot: number): number {
  const { pm_geometry: g } = dir.pmp;
  if (dir.isroot && g.rootBytes > 0) return g.rootOffset / DIRENT_BYTES + slot;
  const at = slot * DIRENT_BYTES;
  const fc = Math.floor(at / g.clusterBytes);
  return (clusterOffset(g, dir.chain.at(fc)) + at - fc * g.clusterBytes) / DIRENT_BYTES;
}

/** The block of the buffer cache with an entry of a directory whose clusters are known. @throws EIO */
export function dir_block(dir: Denode, slot: number): MaybePromise<Buf> {
  const where = dir.pmp.entryPlace(dir_place(dir, slot))!;
  return dir.pmp.pm_bufcache.bread(dir.pmp.pm_dev, where.offset, where.bytes);
}

/** Entries in a block. */
export function dir_piece(dir: Denode): number {
  return (dir.isroot && dir.pmp.pm_geometry.rootBytes > 0 ? 4096 : dir.pmp.pm_dirblock) / DIRENT_BYTES;
}

/** What an entry is called, and found by. */
export function entry_names(
  dir: Denode,
  short: string,
  lowerCase: number,
  long: string | null,
): Pick<DirEnt, 'name' | 'key' | 'shortkey'> {
  const { names } = dir.pmp.pm_options;
  const shown = names.fromShort(short, lowerCase);
  const shortkey = shown === null ? null : names.fold(shown);
  const longname = long === null ? null : names.fromLong(long);
  if (longname === null) return { name: shown, key: shortkey ?? `\0${short}`, shortkey: null };
  const key = names.fold(longname);
  return { name: longname, key, shortkey: shortkey === key ? null : shortkey };
}

/** The table of a directory. The caller holds its lock. @throws EIO */
export function dir_table(dir: Denode): MaybePromise<DirTable> {
  if (dir.table !== null) {
    dir.pmp.pm_tables.use(dir);
    return dir.table;
  }
  if (dir.building !== null) return dir.building;
  const known = dir_clusters(dir);
  const built = known instanceof Promise ? known.then(() => build(dir)) : build(dir);
  if (!(built instanceof Promise)) return built;
  dir.building = built.finally(() => (dir.building = null));
  return dir.building;
}

function build(dir: Denode): MaybePromise<DirTable> {
  const table = new DirTable();
  table.capacity = dir_capacity(dir);
  return fill(dir, table, new EntryParser(), 0);
}

function fill(dir: Denode, table: DirTable, parser: EntryParser, slot: number): MaybePromise<DirTable> {
  const piece = dir_piece(dir);
  while (slot < table.capacity) {
    const got = dir_block(dir, slot);
    if (got instanceof Promise) {
      const from = slot;
      return got.then((bp) =>
        take(dir, table, parser, from, bp) ? finish(dir, table) : fill(dir, table, parser, from + piece),
      );
    }
    if (take(dir, table, parser, slot, got)) break;
    slot += piece;
  }
  return finish(dir, table);
}

function finish(dir: Denode, table: DirTable): DirTable {
  dir.table = table;
  dir.pmp.pm_tables.use(dir);
  return table;
}

/** Takes the reference to `bp`. @returns whether the directory ends here */
function take(dir: Denode, table: DirTable, parser: EntryParser, slot: number, bp: Buf): boolean {
  const { pmp } = dir;
  const { b_data: bytes, b_view: view } = bp;
  const removals = pmp.pm_order?.removals;
  let ended = false;
  const most = Math.min(bp.b_bcount / DIRENT_BYTES, table.capacity - slot);
  for (let i = 0; i < most; i++) {
    const at = i * DIRENT_BYTES;
    if (bytes[at] === SLOT_EMPTY) {
      ended = true;
      break;
    }
    const file = parser.feed(bytes, view, at);
    if (bytes[at] === 0xe5) {
      table.end = slot + i + 1;
      continue;
    }
    table.occupy(slot + i, 1);
    if (!file || isdot(bytes, at)) continue;
    const place = dir_place(dir, slot + i);
    if (removals !== undefined && removals.size > 0 && removals.has(place)) continue;
    const short = shortName(bytes, at);
    table.add({
      slot: slot + i,
      parts: parser.parts,
      place,
      short,
      ...entry_names(dir, short, bytes[at + D.lowerCase]!, parser.long),
    });
  }
  pmp.pm_bufcache.brelse(bp);
  return ended;
}
