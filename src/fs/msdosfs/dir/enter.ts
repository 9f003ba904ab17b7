import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { DIRENT_BYTES, clusterOffset } from '../disk/bpb.js';
import { LFN_UNITS, SLOT_DELETED, SLOT_EMPTY, lfnChecksum, putLfn } from '../disk/direntry.js';
import type { ShortName } from '../disk/names.js';
import { CELL_FREE } from '../space/fat.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import type { Denode } from '../file/denode.js';
import { DIRENTS_MAX, dir_block, dir_piece, dir_place, dir_table, entry_names } from './build.js';
import type { DirEnt, DirTable } from './table.js';

/** Making entries. Inside of a transaction, under the exclusive lock of the directory. */

/** A name that is to be entered: its units and the short name that goes with it. */
export interface NewName extends ShortName {
  readonly units: string;
  /** Entries that the long name takes. */
  readonly parts: number;
}

/** The bytes of a short entry behind the name: what belongs to the file. */
export type FillEntry = (bytes: Uint8Array, view: DataView, at: number) => void;

/** A number 0..1 that nobody can foretell. */
function dice(pmp: MsdosMount): number {
  const bytes = new Uint8Array(4);
  pmp.pm_kernel.rumpuser.rumpuser_getrandom(bytes);
  return new DataView(bytes.buffer).getUint32(0) / 2 ** 32;
}

/**
 * What `name` becomes in a directory; `own`: the short name of the file that is to be called so, which is free for it.
 * @throws EINVAL characters that cannot be; ENAMETOOLONG; ENOENT nothing but dots; EEXIST its short name is another
 *   file's
 */
export function newname(pmp: MsdosMount, table: DirTable, name: string, own?: string): NewName {
  const { names } = pmp.pm_options;
  const checked = names.check(name);
  if ('bad' in checked) {
    throw errno(checked.bad === 'long' ? E.ENAMETOOLONG : checked.bad === 'none' ? E.ENOENT : E.EINVAL);
  }
  const { units } = checked;
  const short = names.short(units, (candidate) => candidate !== own && table.hasShort(candidate), () => dice(pmp));
  if (short === null) throw errno(E.EEXIST);
  return { ...short, units, parts: short.long ? Math.ceil(units.length / LFN_UNITS) : 0 };
}

/** Where `count` entries in a row can be put; the directory grows if need be. @throws ENOSPC EIO */
export async function freeslots(dir: Denode, table: DirTable, count: number): Promise<number> {
  for (;;) {
    const slot = table.findfree(count, dir_piece(dir));
    if (slot >= 0) return slot;
    await grow(dir, table);
  }
}

/**
 * Another cluster for a directory: empty on the device before the FAT says that it is the directory's.
 * @throws ENOSPC EIO
 */
async function grow(dir: Denode, table: DirTable): Promise<void> {
  const { pmp } = dir;
  const { pm_geometry: g, pm_fat: fat } = pmp;
  if (dir.isroot && g.rootBytes > 0) {
    throw errno(E.ENOSPC, `the root directory has room for ${table.capacity} entries only`);
  }
  if (table.capacity + g.clusterBytes / DIRENT_BYTES > DIRENTS_MAX) {
    throw errno(E.ENOSPC, `a directory has at most ${DIRENTS_MAX} entries`);
  }
  if (dir.chain.broken) throw pmp.pm_damage.error(`${dir.what}: it cannot grow, for the end of its chain is damaged`);
  const { last } = dir.chain;
  const cluster = await newcluster(pmp, last + 1, () => new Uint8Array(g.clusterBytes));
  try {
    for (let wait = fat.pin(last); wait; wait = fat.pin(last)) await wait;
  } catch (error) {
    await uncluster(pmp, cluster);
    throw error;
  }
  pmp.order.link(last, cluster, dir.freshepoch === pmp.order.epoch);
  dir.chain.push(cluster);
  table.capacity += g.clusterBytes / DIRENT_BYTES;
}

/** A free cluster; `contentOf`: what it holds, on the device already, given its number. @throws ENOSPC EIO */
export async function newcluster(
  pmp: MsdosMount,
  near: number,
  contentOf: (cluster: number) => Uint8Array,
): Promise<number> {
  const { mnt_dev } = pmp.pm_mountp;
  if (mnt_dev !== null && mnt_dev.spare(pmp.pm_geometry.clusterBytes) < pmp.pm_geometry.clusterBytes) {
    throw errno(E.ENOSPC);
  }
  const run = await pmp.pm_space.alloc(1, near);
  if (run === null) throw errno(E.ENOSPC);
  const content = contentOf(run.first);
  const offset = clusterOffset(pmp.pm_geometry, run.first);
  pmp.pm_bufcache.binval(pmp.pm_dev, offset, content.length);
  const { order } = pmp;
  order.newdata = order.unflushed = true;
  try {
    const wait = pmp.pm_dev.write(content, 0, content.length, offset);
    if (wait) await wait;
  } catch (error) {
    await uncluster(pmp, run.first);
    throw error;
  }
  return run.first;
}

/** Gives back a cluster that nothing names yet. */
export async function uncluster(pmp: MsdosMount, cluster: number): Promise<void> {
  const { pm_fat: fat } = pmp;
  for (let wait = fat.pin(cluster); wait; wait = fat.pin(cluster)) await wait;
  fat.set(cluster, CELL_FREE);
}

/** Blocks of a directory by their first entry, referenced. */
class Blocks {
  private readonly held = new Map<number, Buf>();

  constructor(private readonly dir: Denode) {}

  async hold(slot: number): Promise<void> {
    const piece = dir_piece(this.dir);
    const first = Math.floor(slot / piece) * piece;
    if (!this.held.has(first)) this.held.set(first, await dir_block(this.dir, first));
  }

  /** The entry in one of them; its block will be dirty. */
  entry(slot: number): { readonly bytes: Uint8Array; readonly view: DataView; readonly at: number } {
    const piece = dir_piece(this.dir);
    const first = Math.floor(slot / piece) * piece;
    const bp = this.held.get(first)!;
    return { bytes: bp.b_data, view: bp.b_view, at: (slot - first) * DIRENT_BYTES };
  }

  release(dirty: boolean): void {
    const { pmp } = this.dir;
    for (const bp of this.held.values()) {
      if (dirty) pmp.order.dirtyDir(bp);
      pmp.pm_bufcache.brelse(bp);
    }
  }
}

/**
 * Holds the blocks with entries first..last of a directory and changes them at one go.
 * @throws EIO before anything is changed
 */
export async function change_entries(
  dir: Denode,
  first: number,
  last: number,
  change: (entry: (slot: number) => { bytes: Uint8Array; view: DataView; at: number }) => void,
): Promise<void> {
  const blocks = new Blocks(dir);
  let changed = false;
  try {
    const piece = dir_piece(dir);
    for (let slot = first; slot <= last; slot += piece) await blocks.hold(slot);
    await blocks.hold(last);
    changed = true;
    change((slot) => blocks.entry(slot));
  } finally {
    blocks.release(changed);
  }
}

/** Writes a name, long and short, so that the short entry is at `slot`. */
export function put_name(
  entry: (slot: number) => { bytes: Uint8Array; view: DataView; at: number },
  slot: number,
  name: NewName,
  fill: FillEntry,
): void {
  const { bytes, view, at } = entry(slot);
  for (let i = 0; i < 11; i++) bytes[at + i] = name.name.charCodeAt(i);
  fill(bytes, view, at);
  bytes[at + 12] = name.lowerCase;
  const sum = lfnChecksum(bytes, at);
  for (let n = 1; n <= name.parts; n++) {
    const part = entry(slot - n);
    putLfn(part.bytes, part.view, part.at, name.units, n, name.parts, sum);
  }
}

/** Enters a name in a directory. @returns its entry in the table; @throws ENOSPC EIO */
export async function enter_name(dir: Denode, name: NewName, fill: FillEntry): Promise<DirEnt> {
  const table = await dir_table(dir);
  const count = name.parts + 1;
  const first = await freeslots(dir, table, count);
  const slot = first + name.parts;
  const { end } = table;
  // What is skipped must not end the directory, and what comes behind must.
  const behind = slot + 1 > end && slot + 1 < table.capacity ? slot + 1 : slot;
  await change_entries(dir, Math.min(first, end), behind, (entry) => {
    for (let skipped = end; skipped < first; skipped++) {
      const { bytes, at } = entry(skipped);
      bytes[at] = SLOT_DELETED;
    }
    const short = entry(slot);
    short.bytes.fill(0, short.at, short.at + DIRENT_BYTES);
    put_name(entry, slot, name, fill);
    if (behind > slot) {
      const { bytes, at } = entry(behind);
      bytes[at] = SLOT_EMPTY;
    }
  });
  table.occupy(first, count);
  const made: DirEnt = {
    slot,
    parts: name.parts,
    place: dir_place(dir, slot),
    short: name.name,
    ...entry_names(dir, name.name, name.lowerCase, name.long ? name.units : null),
  };
  table.add(made);
  return made;
}
