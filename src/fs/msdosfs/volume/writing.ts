import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { Nameless } from '../../../kernel/keep/keep.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { VTODE } from '../file/denode.js';
import { Order } from '../order/order.js';
import { KeptRows } from '../order/rows.js';
import type { Inherited } from '../order/rows.js';
import { markState } from './dirty.js';
import type { MsdosMount } from './msdosmount.js';

/** The volume becomes writable, and stops being so. */

/** What a killed predecessor has left beside the blocks, which are on the disk already; undefined: nothing. */
export function predecessor(mp: Mount, dev: BlockDevice): Inherited | undefined {
  if ((mp.mnt_flag & MNT_RDONLY) !== 0 || dev.readonly) return undefined;
  return new KeptRows(mp).inherited();
}

/**
 * Called at the end of a read-write mount or update. Marks the volume dirty on the disk before anything else can
 * change. `clean`: it is now. `from`: what a predecessor left.
 */
export async function startwriting(pmp: MsdosMount, from: Inherited | undefined, clean: boolean): Promise<void> {
  const { pm_geometry: g, pm_dev: dev } = pmp;
  const order = new Order(pmp);
  const wasclean = from === undefined ? clean : from.state?.[0] === 1;
  order.wasclean = wasclean;
  order.rows.state([wasclean ? 1 : 0]);
  // A mount that only read may have cell 1 in the cache as it was.
  pmp.pm_fat.unpin();
  pmp.pm_bufcache.binval(dev, pmp.pm_fat.range.offset, pmp.pm_fat.range.bytes);
  if (from === undefined) {
    await markState(dev, g, true);
    await dev.flush();
  }
  pmp.pm_order = order;
  order.rows.numbers(pmp.pm_numbers);
  pmp.pm_bufcache.onpressure(dev, () => order.flush(true));
  if (from !== undefined) await inherit(pmp, order, from);
}

/** Makes what waited for a flush wait for those of `order`. @throws EIO */
async function inherit(pmp: MsdosMount, order: Order, from: Inherited): Promise<void> {
  order.unflushed = order.newdata = true;
  await mirror(pmp);
  for (const [number, words] of from.numbers) pmp.pm_numbers.inherit(number, words);
  for (const last of from.cuts) order.cut(last);
  for (const [last, next] of from.links) {
    order.links.set(last, next);
    order.rows.link(last, next);
  }
  for (const place of from.marks) order.mark(place, true);
  for (const [first, count] of from.frees) order.free(first, count);
  for (const [place, removal] of from.removals) order.remove(place, removal);
  const vnodes: Vnode[] = [];
  const nameless: Nameless[] = [];
  for (const [number, words] of from.orphans) {
    pmp.pm_adopting.set(number, words);
    order.orphans++;
    const vp = await pmp.pm_kernel.vcache_get(pmp.pm_mountp, number);
    order.rows.orphan(number, VTODE(vp));
    vnodes.push(vp);
    nameless.push({ fid_ino: number, fid_gen: pmp.pm_numbers.generation(number) });
  }
  pmp.pm_kernel.keep!.holds(nameless, async () => {
    for (const vp of vnodes) await pmp.pm_kernel.vrele(vp);
  });
}

/**
 * The pieces of the FAT that a predecessor left dirty are on the disk in the FAT that is read; the copies may be older.
 */
async function mirror(pmp: MsdosMount): Promise<void> {
  const left = pmp.pm_kernel.keep?.inherit();
  for (const { offset_bytes, bytes } of left?.blocks ?? []) {
    if (!pmp.pm_fat.holds(offset_bytes)) continue;
    for (const offset of pmp.pm_fat.mirrors(offset_bytes)) await pmp.pm_dev.write(bytes, 0, bytes.length, offset);
  }
}

/**
 * Everything goes to the device, and the volume is marked clean, if it was.
 * @throws EBUSY for files without a name that are still open (an update only: at unmount nobody is left)
 */
export async function stopwriting(pmp: MsdosMount): Promise<void> {
  const order = pmp.pm_order;
  if (order === null) return;
  if (order.orphans > 0) throw errno(E.EBUSY, `${order.orphans} removed files are still open`);
  pmp.pm_posting?.settle();
  await order.flush(true);
  if (order.wasclean && !pmp.pm_stopped) {
    await markState(pmp.pm_dev, pmp.pm_geometry, false);
    await pmp.pm_dev.flush();
  }
  pmp.pm_order = null;
}
