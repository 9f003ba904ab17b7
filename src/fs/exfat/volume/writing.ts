import { E, errno } from '../../../kernel/errno.js';
import type { Inheritance } from '../../../kernel/keep/keep.js';
import { Kept } from '../order/kept.js';
import { Order } from '../order/order.js';
import type { ExfatMount } from './exfatmount.js';

/** Counting this many clusters takes no time that anybody would notice. */
const COUNT_AT_ONCE = 1 << 24;

/** The volume becomes writable. It is marked dirty before the first change. */
export async function start_writing(em: ExfatMount, _from?: Inheritance): Promise<void> {
  const order = new Order(em);
  em.em_order = order;
  em.em_bufcache.onpressure(em.em_dev, () => order.flush(true));
  const { keep } = em.em_kernel;
  const { mnt_dev } = em.em_mountp;
  if (keep === null) return;
  const kept = new Kept(order, keep);
  order.kept = kept;
  if (mnt_dev !== null && mnt_dev === em.em_dev) {
    mnt_dev.postinto(keep.posted, (number) => order.lost.add(number));
    em.em_posting = mnt_dev;
  }
  keep.attach(kept, em.em_bufcache.keep(em.em_dev, keep));
}

/** Everything goes to the disk, which says then that it is clean. @throws EIO; EBUSY for files without a name that are still open */
export async function stop_writing(em: ExfatMount): Promise<void> {
  const order = em.em_order;
  if (order === null) return;
  if (order.orphancount > 0) throw errno(E.EBUSY, `${order.orphancount} removed files are still open`);
  await order.flush(true);
  if (em.em_boot.ClusterCount <= COUNT_AT_ONCE && order.marked) await em.em_bitmap.count();
  await order.settle();
  em.em_order = null;
  const { keep } = em.em_kernel;
  if (keep === null) return;
  em.em_posting?.postinto(null, () => {});
  em.em_posting = null;
  em.em_bufcache.keep(em.em_dev, null);
  keep.detach();
}
