import { E, errno } from '../../../kernel/errno.js';
import type { Order } from '../order/order.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { Chain } from './chain.js';
import { Run } from './chain.js';
import { CHAIN_END } from './fat.js';

/** As many clusters as are asked of the host at a time. */
const SPARE_MAX = 1 << 16;

/** Who wants clusters. */
export interface Grower {
  readonly chain: Chain;
  /** In the count of flushes: when its chain was cut last. */
  readonly cut: number;
  /** It is being written, and will want more. */
  readonly growing?: boolean;
}

/**
 * Gives a file more clusters behind its last one: next to that if they are free, else where the longest row is. A file
 * in one
 * row that cannot go on there becomes a chain: the FAT is told of all of it first. Inside an operation; the caller
 * stores the set.
 * @returns how many it got; fewer than `want` (at least 1) where the volume is full
 * @throws ENOSPC not even one; EIO
 */
export async function chain_grow(em: ExfatMount, who: Grower, want: number): Promise<number> {
  const order = em.em_order!;
  const { chain } = who;
  let got = 0;
  let flushed = false;
  while (got < want) {
    try {
      const n = await grow_once(em, order, who, want - got);
      if (n > 0) {
        got += n;
        continue;
      }
    } catch (thrown) {
      if (got > 0) return got;
      throw thrown;
    }
    // What was removed a moment ago is free after a flush.
    if (order.freeing > 0 && !flushed) {
      const before = chain.count;
      await order.reopen();
      if (chain.count !== before) throw errno(E.EIO, 'a file changed while room was made for it');
      flushed = true;
      continue;
    }
    if (got > 0) return got;
    throw errno(E.ENOSPC);
  }
  return got;
}

/** One row. 0: nothing is free. */
async function grow_once(em: ExfatMount, order: Order, who: Grower, want: number): Promise<number> {
  const { chain } = who;
  const { em_fat: fat } = em;
  const last = chain.count === 0 ? 0 : (await chain.run(em, chain.count - 1, 1)).cluster;
  // The disk has a longer chain that its length still covers: it must not be led astray.
  if (last !== 0 && !chain.contiguous && (who.cut === order.epoch || order.ending(last))) {
    await order.reopen();
    return grow_once(em, order, { ...who, cut: -1 }, want);
  }
  const run = await claim(em, order, who, last, want);
  if (run === null) return 0;
  const { cluster: next, count } = run;
  if (last === 0) {
    chain.contiguous = true;
  } else if (!(chain.contiguous && next === last + 1)) {
    await fat.link(next, count, CHAIN_END);
    if (chain.system) await end_first(order, next, count);
    if (chain.contiguous) {
      await fat.link(chain.first, chain.count, next);
      chain.chained();
    } else {
      await fat.set(last, next);
    }
  }
  chain.grew(next, count);
  return count;
}

/** The root is as long as its chain: where that will end must be on the disk before what leads there. @throws EIO */
async function end_first(order: Order, first: number, count: number): Promise<void> {
  try {
    await order.reopen();
  } catch (thrown) {
    await order.giveback(first, count);
    throw thrown;
  }
}

/**
 * Finds free clusters for a file that ends with cluster `last` (0: it has none), and marks them as in use. One at a
 * time.
 */
async function claim(em: ExfatMount, order: Order, who: Grower, last: number, want: number): Promise<Run | null> {
  const { em_bitmap: bitmap } = em;
  const wait = order.allocating.enter(true);
  if (wait) await wait;
  try {
    const spare = em.em_mountp.mnt_dev?.spare(Math.min(want, SPARE_MAX) * em.em_clbytes);
    const most = spare === undefined ? want : Math.min(want, Math.floor(spare / em.em_clbytes));
    if (most === 0) return null;
    const run = await free_run(em, order, who.chain, last, most);
    if (run === null) return null;
    await bitmap.take(run.cluster, run.count);
    const end = run.cluster + run.count;
    if (end > order.rotor || run.cluster !== last + 1) order.rotor = end;
    if (who.growing === true) await keep_room(em, order, who.chain, end);
    return run;
  } finally {
    order.allocating.exit(true);
  }
}

/** Behind the file's end if that is free, else where the search is; what others may want only if nothing else is. */
async function free_run(em: ExfatMount, order: Order, chain: Chain, last: number, most: number): Promise<Run | null> {
  const { em_bitmap: bitmap } = em;
  const { windows } = order;
  if (last !== 0 && em.iscluster(last + 1)) {
    const { count } = windows.clip(chain, last + 1, await bitmap.row(last + 1, most, false));
    if (count > 0) return new Run(last + 1, count);
  }
  // A file that has grown large goes on behind itself, if not next to its end.
  const start = chain.count > 16 ? Math.max(order.rotor, last + 1) : order.rotor;
  const run = await bitmap.find(start, most, (cluster, count) => windows.clip(chain, cluster, count));
  return run !== null || !windows.clear() ? run : bitmap.find(start, most);
}

/** The file ends before `cluster`: what is free from there on is to be its own, if it can be. */
async function keep_room(em: ExfatMount, order: Order, chain: Chain, cluster: number): Promise<void> {
  const { windows } = order;
  if (windows.has(chain, cluster)) return windows.used(chain, cluster);
  const free = em.iscluster(cluster) ? await em.em_bitmap.row(cluster, windows.wanted(chain), false) : 0;
  const { count } = windows.clip(chain, cluster, free);
  order.rotor = Math.min(order.rotor, windows.give(chain, cluster, count, chain.count > 0));
}
