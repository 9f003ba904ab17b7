import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { DIRENT_BYTES, clusterOffset } from '../disk/bpb.js';
import { D, MOVED_HERE, SLOT_DELETED, setStart } from '../disk/direntry.js';
import { VTODE } from '../file/denode.js';
import type { Denode } from '../file/denode.js';
import { dir_place, dir_table, entry_names } from './build.js';
import { withroom } from './create.js';
import { change_entries, enter_name, newname, put_name } from './enter.js';
import type { FillEntry, NewName } from './enter.js';
import { entry_of_file, erase, eraselater, onesector } from './erase.js';
import { isdot } from './parse.js';
import { dirupdate, mustbeempty, unlinked } from './remove.js';
import type { DirEnt, DirTable } from './table.js';

/**
 * A file that is renamed gets its new entry first; the old one leaves the disk when that one is there (order/flush.ts).
 * Between the two a power cut leaves two names of one file, which a check knows from two files with the same clusters.
 * Where both entries are in one sector, which a disk writes wholly or not at all, one takes the place of the other.
 */
export async function msdosfs_rename(
  fdvp: Vnode,
  fvp: Vnode,
  fname: string,
  tdvp: Vnode,
  tvp: Vnode | null,
  tname: string,
  _ctx: Context,
): Promise<void> {
  const fdir = VTODE(fdvp);
  const tdir = VTODE(tdvp);
  const dep = VTODE(fvp);
  const order = fdir.pmp.writable();
  if (tdir.nlink === 0) throw errno(E.ENOENT);
  const target = tvp === null ? null : VTODE(tvp);
  if (target !== null && target.isdir) await mustbeempty(target);
  await withroom(order, async () => {
    const { table, entry } = await entry_of_file(fdir, dep, fname);
    const moved = dep.isdir && fdir !== tdir;
    // What can fail comes first.
    const up = moved ? await dotdot(dep) : null;
    try {
      if (target !== null) await replace(fdir, table, entry, dep, tdir, target, tname);
      else await move(fdir, table, entry, dep, tdir, tname);
      up?.point(tdir);
    } finally {
      up?.release();
    }
    await dirupdate(tdir);
    if (fdir !== tdir) await dirupdate(fdir);
  });
}

/** What the short entry of a file says of it, to be put behind another name. */
async function bodyof(dir: Denode, entry: DirEnt): Promise<FillEntry> {
  const body = new Uint8Array(DIRENT_BYTES);
  const { pmp } = dir;
  const where = pmp.entryPlace(entry.place)!;
  const bp = await pmp.pm_bufcache.bread(pmp.pm_dev, where.offset, where.bytes);
  body.set(bp.b_data.subarray(where.at, where.at + DIRENT_BYTES));
  pmp.pm_bufcache.brelse(bp);
  return (bytes, _view, at) => {
    bytes[at + D.attr] = body[D.attr]!;
    bytes.set(body.subarray(D.lowerCase + 1), at + D.lowerCase + 1);
  };
}

/** The file takes the entry of another, under the name that this one has. */
async function replace(
  fdir: Denode,
  table: DirTable,
  entry: DirEnt,
  dep: Denode,
  tdir: Denode,
  target: Denode,
  tname: string,
): Promise<void> {
  const found = await entry_of_file(tdir, target, tname);
  const fill = await bodyof(fdir, entry);
  await change_entries(tdir, found.entry.slot, found.entry.slot, (at) => {
    const { bytes, view, at: offset } = at(found.entry.slot);
    fill(bytes, view, offset);
    bytes[offset + D.lowerCase] = bytes[offset + D.lowerCase]! | MOVED_HERE;
  });
  unlinked(target);
  await leave(fdir, table, entry);
  dep.pmp.order.mark(found.entry.place, true);
  dep.pmp.pm_numbers.moved(dep.number, found.entry.place);
}

/** The old entry goes. One that is new itself goes at once: the disk has the file where it was before. */
async function leave(dir: Denode, table: DirTable, entry: DirEnt): Promise<void> {
  const { order } = dir.pmp;
  if (!order.marks.has(entry.place)) return eraselater(dir, table, entry);
  order.mark(entry.place, false);
  await erase(dir, table, entry);
}

async function move(
  fdir: Denode,
  table: DirTable,
  entry: DirEnt,
  dep: Denode,
  tdir: Denode,
  tname: string,
): Promise<void> {
  const { pmp } = dep;
  const plain = newname(pmp, await dir_table(tdir), tname, fdir === tdir ? entry.short : undefined);
  const fill = await bodyof(fdir, entry);
  if (fdir === tdir && plain.parts <= entry.parts && onesector(fdir, entry.slot - entry.parts, entry.slot)) {
    return inplace(fdir, table, entry, plain, fill);
  }
  const name = { ...plain, lowerCase: plain.lowerCase | MOVED_HERE };
  // Its own short name must not be in the way of the name that takes its place.
  table.remove(entry);
  let made: DirEnt;
  try {
    made = await enter_name(tdir, name, fill);
  } catch (error) {
    table.add(entry);
    throw error;
  }
  await leave(fdir, table, entry);
  pmp.order.mark(made.place, true);
  pmp.pm_numbers.moved(dep.number, made.place);
}

/** The new name takes the place of the old one, all of it in one sector. */
async function inplace(dir: Denode, table: DirTable, entry: DirEnt, name: NewName, fill: FillEntry): Promise<void> {
  const first = entry.slot - entry.parts;
  const begin = entry.slot - name.parts;
  await change_entries(dir, first, entry.slot, (at) => {
    put_name(at, entry.slot, name, fill);
    for (let slot = first; slot < begin; slot++) {
      const { bytes, at: offset } = at(slot);
      bytes[offset] = SLOT_DELETED;
    }
  });
  table.remove(entry);
  table.release(first, begin - first);
  table.add({
    slot: entry.slot,
    parts: name.parts,
    place: dir_place(dir, entry.slot),
    short: name.name,
    ...entry_names(dir, name.name, name.lowerCase, name.long ? name.units : null),
  });
}

/** The ".." of a directory, its block at hand until `release`. */
interface Dotdot {
  point(above: Denode): void;
  release(): void;
}

/** @throws EIO */
async function dotdot(dep: Denode): Promise<Dotdot> {
  const { pmp } = dep;
  const bp = await pmp.pm_bufcache.bread(pmp.pm_dev, clusterOffset(pmp.pm_geometry, dep.start), pmp.pm_dirblock);
  const at = DIRENT_BYTES;
  if (!isdot(bp.b_data, at) || bp.b_data[at + 1] !== 46) {
    pmp.pm_bufcache.brelse(bp);
    throw pmp.pm_damage.error(`${dep.what}: it has no ".."`);
  }
  return {
    point(above) {
      dep.parentStart = above.isroot ? 0 : above.start;
      setStart(bp.b_view, at, pmp.fat32, dep.parentStart);
      pmp.order.dirtyDir(bp);
    },
    release: () => pmp.pm_bufcache.brelse(bp),
  };
}
