import { E, errno } from '../../../kernel/errno.js';
import type { Order } from '../order/order.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { Chain } from './chain.js';
import { CHAIN_END } from './fat.js';

/** Who wants clusters. */
export interface Grower {
  readonly chain: Chain;
  /** In the count of flushes: when its chain was cut last. */
  readonly cut: number;
}

/**
 * Gives a file more clusters behind its last one: next to that if they are free, else where the longest row is. A file in one
 * row that cannot go on there becomes a chain: the FAT is told of all of it first. Inside an operation; the caller stores the set.
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
  const { em_bitmap: bitmap, em_fat: fat } = em;
  const spare = em.em_mountp.mnt_dev?.spare(Math.min(want, 1 << 16) * em.em_clbytes);
  if (spare !== undefined) want = Math.min(want, Math.floor(spare / em.em_clbytes));
  if (want === 0) return 0;
  if (chain.count === 0) {
    const run = await bitmap.find(order.rotor, want);
    if (run === null) return 0;
    await bitmap.take(run.cluster, run.count);
    chain.contiguous = true;
    chain.grew(run.cluster, run.count);
    order.rotor = run.cluster + run.count;
    return run.count;
  }
  const lastrun = await chain.run(em, chain.count - 1, 1);
  const last = lastrun.cluster;
  let next = last + 1;
  let count = em.iscluster(next) ? await bitmap.row(next, want, false) : 0;
  if (count === 0) {
    const run = await bitmap.find(chain.count > 16 ? Math.max(order.rotor, next) : order.rotor, want);
    if (run === null) return 0;
    next = run.cluster;
    count = run.count;
  }
  if (!(chain.contiguous && next === last + 1)) {
    // The disk has a longer chain that its length still covers: it must not be led astray.
    if (who.cut === order.epoch && !chain.contiguous) {
      await order.reopen();
      return grow_once(em, order, { chain, cut: -1 }, want);
    }
    await bitmap.take(next, count);
    await fat.link(next, count, CHAIN_END);
    if (chain.contiguous) {
      await fat.link(chain.first, chain.count, next);
      chain.chained();
    } else {
      await fat.set(last, next);
    }
  } else {
    await bitmap.take(next, count);
  }
  chain.grew(next, count);
  if (next + count > order.rotor || next !== last + 1) order.rotor = next + count;
  return count;
}
