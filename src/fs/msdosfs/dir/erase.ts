import { E, errno } from '../../../kernel/errno.js';
import { DIRENT_BYTES } from '../disk/bpb.js';
import { SLOT_DELETED } from '../disk/direntry.js';
import type { Denode } from '../file/denode.js';
import { dir_place, dir_table } from './build.js';
import { change_entries } from './enter.js';
import type { DirEnt, DirTable } from './table.js';

/** Taking entries away. Inside of a transaction, under the exclusive lock of the directory. */

/** What a disk writes wholly or not at all, bytes. */
const ATOMIC_BYTES = 512;

/** The entry of a directory that `name` finds and that is the file's. @throws ENOENT */
export async function entry_of_file(
  dir: Denode,
  dep: Denode,
  name: string,
): Promise<{ table: DirTable; entry: DirEnt }> {
  const { pmp } = dir;
  const table = await dir_table(dir);
  const entry = table.get(pmp.pm_options.names.fold(name));
  if (entry === undefined || pmp.pm_numbers.numberAt(entry.place) !== dep.number) throw errno(E.ENOENT);
  return { table, entry };
}

/** Are the places of all entries first..last in one sector? */
export function onesector(dir: Denode, first: number, last: number): boolean {
  const sector = (slot: number) => Math.floor((dir_place(dir, slot) * DIRENT_BYTES) / ATOMIC_BYTES);
  return sector(first) === sector(last) && last - first < ATOMIC_BYTES / DIRENT_BYTES;
}

/**
 * The entry leaves its directory. Parts of the long name in other sectors than the short entry go later: a file that
 * shows under its short name all of a sudden is not what it was, nor is it gone.
 */
export async function erase(dir: Denode, table: DirTable, entry: DirEnt): Promise<void> {
  const first = entry.slot - entry.parts;
  let now = first;
  while (!onesector(dir, now, entry.slot)) now++;
  await change_entries(dir, now, entry.slot, (at) => {
    for (let slot = now; slot <= entry.slot; slot++) {
      const one = at(slot);
      one.bytes[one.at] = SLOT_DELETED;
    }
  });
  table.remove(entry);
  // Parts that stay for a while must not come to stand in front of another short entry.
  if (now > first) later(dir, first, entry.parts + 1);
  else table.release(first, entry.parts + 1);
}

/** The entry leaves its directory when what was written so far is on the disk. Until then nobody sees it. */
export function eraselater(dir: Denode, table: DirTable, entry: DirEnt): void {
  table.remove(entry);
  const first = entry.slot - entry.parts;
  later(dir, first, entry.parts + 1);
}

function later(dir: Denode, slot: number, count: number): void {
  const places: number[] = [];
  for (let i = 0; i < count; i++) places.push(dir_place(dir, slot + i));
  dir.pmp.order.remove(places[count - 1]!, { places, dir: dir.isroot ? 0 : dir.start, slot });
}
