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
  if (who.cut === order.epoch && last !== 0 && !chain.contiguous) {
    await order.reopen();
    return grow_once(em, order, { chain, cut: -1 }, want);
  }
  const run = await claim(em, order, chain, last, want);
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
async function claim(em: ExfatMount, order: Order, chain: Chain, last: number, want: number): Promise<Run | null> {
  const { em_bitmap: bitmap } = em;
  const wait = order.allocating.enter(true);
  if (wait) await wait;
  try {
    const spare = em.em_mountp.mnt_dev?.spare(Math.min(want, SPARE_MAX) * em.em_clbytes);
    const most = spare === undefined ? want : Math.min(want, Math.floor(spare / em.em_clbytes));
    if (most === 0) return null;
    const behind = last !== 0 && em.iscluster(last + 1) ? await bitmap.row(last + 1, most, false) : 0;
    // A file that has grown large goes on behind itself, if not next to its end.
    const start = chain.count > 16 ? Math.max(order.rotor, last + 1) : order.rotor;
    const run = behind > 0 ? new Run(last + 1, behind) : await bitmap.find(start, most);
    if (run === null) return null;
    await bitmap.take(run.cluster, run.count);
    const end = run.cluster + run.count;
    if (end > order.rotor || behind === 0) order.rotor = end;
    return run;
  } finally {
    order.allocating.exit(true);
  }
}
