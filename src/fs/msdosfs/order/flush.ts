import type { Buf } from '../../../kernel/vfs/bio.js';
import { isfile } from '../disk/isfile.js';
import { D, MOVED_HERE, SLOT_DELETED } from '../disk/direntry.js';
import { FSINFO_BYTES, FSINFO_UNKNOWN, decodeFsInfo, encodeFsInfo } from '../disk/fsinfo.js';
import { CLUST_FIRST, clusterOffset, validCluster } from '../disk/bpb.js';
import { CELL_FREE } from '../space/fat.js';
import type { Order } from './order.js';

/**
 * The phases of a flush. No operation is open while it runs. After an error what was not written stays dirty, and the
 * next flush begins from the front, which is always right: each phase only relies on those before it.
 *
 *   1  the FAT: clusters that files got, then the links to them from chains that the disk knows. File data and empty
 *      clusters of directories are on the device already
 *   2  directories: entries that are new or have changed, and those of files that were removed
 *   3  the old entries of renamed files
 *      -> an fsync ends here
 *   4  the FAT: new ends of files that were cut, then clusters that files let go of. Then the FSInfo sector
 *
 * Before each phase there is a barrier, and one at the end (with -o async at the end of a full flush only).
 */
export async function flush_phases(order: Order, full: boolean): Promise<void> {
  const { pmp, fatdirty, dirdirty } = order;
  // The disk is never ahead of what a successor knows.
  pmp.pm_kernel.keep?.ahead();
  if (order.newdata && fatdirty.size > 0) await order.between();
  await writefat(order);
  if (order.links.size > 0) {
    await order.between();
    await applylinks(order);
    await writefat(order);
  }
  if (dirdirty.size > 0) {
    await order.between();
    await write(order, dirdirty);
  }
  await order.between();
  if (order.removals.size > 0) {
    await applyremovals(order);
    await write(order, dirdirty);
    await order.between();
  }
  await clearmarks(order);
  if (order.cuts.size > 0) {
    await applycuts(order);
    if (order.frees.size > 0) {
      await writefat(order);
      await order.between();
    }
  }
  const freed = await applyfrees(order);
  order.epoch++;
  if (!full) return;
  await write(order, dirdirty);
  await writefat(order);
  await writeinfo(order);
  await order.barrier();
  if (pmp.pm_options.discard) await discard(order, freed);
}

async function write(order: Order, set: Set<Buf>): Promise<void> {
  if (set.size === 0) return;
  order.unflushed = true;
  const { pm_bufcache, pm_dev } = order.pmp;
  const wait = pm_bufcache.bflush(pm_dev, (bp) => set.has(bp));
  if (wait) await wait;
  set.clear();
}

/**
 * The copies first: the one that is read is right whenever the power goes, and a successor, who knows of it alone,
 * makes them equal.
 */
async function writefat(order: Order): Promise<void> {
  const { pmp, fatdirty } = order;
  if (fatdirty.size === 0) return;
  order.unflushed = true;
  const pieces = [...fatdirty].sort((a, b) => a.b_offset - b.b_offset);
  for (const bp of pieces) {
    for (const offset of pmp.pm_fat.mirrors(bp.b_offset)) {
      const wait = pmp.pm_dev.write(bp.b_data, 0, bp.b_bcount, offset);
      if (wait) await wait;
    }
  }
  await write(order, fatdirty);
}

async function applyremovals(order: Order): Promise<void> {
  const { pmp } = order;
  for (const [place, removal] of order.removals) {
    for (const one of removal.places) {
      const where = pmp.entryPlace(one)!;
      const got = pmp.pm_bufcache.bread(pmp.pm_dev, where.offset, where.bytes);
      const bp = got instanceof Promise ? await got : got;
      bp.b_data[where.at] = SLOT_DELETED;
      order.dirtyDir(bp);
      pmp.pm_bufcache.brelse(bp);
    }
    pmp.pm_dirs.get(removal.dir)?.table?.release(removal.slot, removal.places.length);
    order.removed(place);
  }
}

async function applylinks(order: Order): Promise<void> {
  const { pm_fat: fat } = order.pmp;
  for (const [last, next] of order.links) {
    for (let wait = fat.pin(last); wait; wait = fat.pin(last)) await wait;
    fat.set(last, next);
    order.unlink(last);
  }
}

/** The old entries have left the disk. */
async function clearmarks(order: Order): Promise<void> {
  const { pmp } = order;
  for (const place of order.marks) {
    const where = pmp.entryPlace(place)!;
    const got = pmp.pm_bufcache.bread(pmp.pm_dev, where.offset, where.bytes);
    const bp = got instanceof Promise ? await got : got;
    if (isfile(bp, where.at)) {
      bp.b_data[where.at + D.lowerCase] = bp.b_data[where.at + D.lowerCase]! & ~MOVED_HERE;
      order.dirtyDir(bp);
    }
    pmp.pm_bufcache.brelse(bp);
    order.mark(place, false);
  }
}

async function applycuts(order: Order): Promise<void> {
  const { pm_fat: fat } = order.pmp;
  for (const last of order.cuts) {
    for (let wait = fat.pin(last); wait; wait = fat.pin(last)) await wait;
    if (fat.cell(last) !== CELL_FREE) fat.set(last, fat.eoc);
    order.uncut(last);
  }
}

/** Frees chains: the disk has forgotten who had them. @returns the runs that are free now */
async function applyfrees(order: Order): Promise<[first: number, count: number][]> {
  const { pm_fat: fat, pm_damage, pm_geometry: g } = order.pmp;
  const freed: [number, number][] = [];
  for (const first of order.frees.keys()) {
    for (let c = first; validCluster(g, c); ) {
      for (let wait = fat.pin(c); wait; wait = fat.pin(c)) await wait;
      const cell = fat.cell(c);
      // A chain that runs into itself, or into one that was freed.
      if (cell === CELL_FREE) {
        pm_damage.note(`the chain of a removed file, from cluster ${first} on: ${fat.describe(c, cell)}`);
        break;
      }
      fat.set(c, CELL_FREE);
      const run = freed[freed.length - 1];
      if (run !== undefined && run[0] + run[1] === c) run[1]++;
      else freed.push([c, 1]);
      if (cell === fat.bad) break;
      c = cell;
    }
    order.frees.delete(first);
    order.rows.free(first, null);
  }
  return freed;
}

async function writeinfo(order: Order): Promise<void> {
  const { pmp } = order;
  const { fsInfoOffset } = pmp.pm_geometry;
  if (fsInfoOffset === 0 || !order.infodirty) return;
  const sector = new Uint8Array(FSINFO_BYTES);
  const view = new DataView(sector.buffer);
  await pmp.pm_dev.read(sector, 0, sector.length, fsInfoOffset);
  if (decodeFsInfo(view) === null) return;
  const { known, next } = pmp.pm_space;
  // The last cluster that was taken, as Linux and Windows have it.
  encodeFsInfo(view, { free: known >= 0 ? known : FSINFO_UNKNOWN, next: Math.max(CLUST_FIRST, next - 1) });
  await pmp.pm_dev.write(sector, 0, sector.length, fsInfoOffset);
  order.unflushed = true;
  order.infodirty = false;
}

async function discard(order: Order, runs: readonly (readonly [first: number, count: number])[]): Promise<void> {
  const { pm_dev, pm_geometry: g } = order.pmp;
  for (const [first, count] of runs) {
    const wait = pm_dev.discard(clusterOffset(g, first), count * g.clusterBytes);
    if (wait) await wait;
  }
}
