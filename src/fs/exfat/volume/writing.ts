import { E, errno } from '../../../kernel/errno.js';
import type { Nameless } from '../../../kernel/keep/keep.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { Order } from '../order/order.js';
import { rows_inherit } from '../order/rows.js';
import type { ExfatMount } from './exfatmount.js';

/** Counting this many clusters takes no time that anybody would notice. */
const COUNT_AT_ONCE = 1 << 24;

/**
 * The volume becomes writable; what a predecessor left undone is gone on with. It is marked dirty before the first
 * change. `dirty`: it is so now, and stays so until it is checked.
 */
export async function start_writing(em: ExfatMount, dirty: boolean): Promise<void> {
  const order = new Order(em);
  order.staysdirty = dirty;
  em.em_order = order;
  em.em_bufcache.onpressure(em.em_dev, () => order.flush(true));
  const { mnt_dev, mnt_kept } = em.em_mountp;
  if (mnt_kept === null) return;
  em.em_posting = mnt_dev;
  rows_inherit(em, order, mnt_kept);
  await hold(em, order);
}

/** Keeps the files without a name in memory until their users have taken them over. */
async function hold(em: ExfatMount, order: Order): Promise<void> {
  const { em_kernel: kernel, em_mountp: mp } = em;
  const vnodes: Vnode[] = [];
  const nameless: Nameless[] = [];
  for (const node of order.nameless) {
    vnodes.push(await kernel.vcache_get(mp, node.en_number));
    nameless.push({ fid_ino: node.en_number, fid_gen: em.em_where.numbers.generation(node.en_number) });
  }
  if (vnodes.length === 0) return;
  kernel.keep!.holds(nameless, async () => {
    for (const vp of vnodes) await kernel.vrele(vp);
  });
}

/**
 * Everything goes to the disk, which says then that it is clean. @throws EIO; EBUSY for files without a name that are
 * still open
 */
export async function stop_writing(em: ExfatMount): Promise<void> {
  const order = em.em_order;
  if (order === null) return;
  if (order.orphancount > 0) throw errno(E.EBUSY, `${order.orphancount} removed files are still open`);
  await order.flush(true);
  if (em.em_boot.ClusterCount <= COUNT_AT_ONCE && order.marked) await em.em_bitmap.count();
  await order.settle();
  em.em_order = null;
  em.em_posting = null;
  em.em_where.numbers.record = null;
}
