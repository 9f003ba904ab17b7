import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { chain_grow } from '../space/alloc.js';
import { CHAIN_END } from '../space/fat.js';
import type { ExfatNode } from './node.js';
import { VTOE } from './node.js';
import { node_must_be_good } from './read.js';
import { node_store } from './store.js';
import { node_touch } from './times.js';

/** Makes the file shorter, inside an operation: first what says so, then what it had becomes free. @throws EIO */
export async function file_shrink(node: ExfatNode, size: number): Promise<void> {
  const { en_em: em, en_chain: chain } = node;
  const order = em.em_order!;
  const count = em.clustersof(size);
  const rows: number[] = [];
  let last = 0;
  if (count < chain.count) {
    // Found out before anything changes: a chain that is broken fails here.
    for (let at = count; at < chain.count; ) {
      const run = await chain.run(em, at, chain.count - at);
      rows.push(run.cluster, run.count);
      at += run.count;
    }
    if (count > 0 && !chain.contiguous) last = (await chain.run(em, count - 1, 1)).cluster;
  }
  node.en_size = size;
  node.en_valid = Math.min(node.en_valid, size);
  if (count < chain.count) chain.cut(count);
  const stored = node_store(node);
  if (stored) await stored;
  for (let i = 0; i < rows.length; i += 2) order.freelater(rows[i], rows[i + 1]);
  if (last !== 0) order.endlater(last);
  if (rows.length > 0) node.en_cut = order.epoch;
}

/**
 * Gives the file clusters up to `size`, which its length does not tell of yet. @throws ENOSPC it then has none more;
 * EIO
 */
export async function file_reserve(node: ExfatNode, size: number): Promise<void> {
  const { en_em: em, en_chain: chain } = node;
  const before = chain.count;
  const want = em.clustersof(size) - before;
  if (want <= 0) return;
  // Nothing is looked for that cannot be there.
  if (want > em.em_boot.ClusterCount) throw errno(E.ENOSPC);
  const got = await chain_grow(em, { chain, cut: node.en_cut }, want);
  if (got === want) return;
  await file_unreserve(node);
  throw errno(E.ENOSPC);
}

/** Takes away the clusters that the length does not tell of. */
export async function file_unreserve(node: ExfatNode): Promise<void> {
  const { en_em: em, en_chain: chain } = node;
  const count = em.clustersof(node.en_size);
  if (count >= chain.count) return;
  const order = em.em_order!;
  for (let at = count; at < chain.count; ) {
    const run = await chain.run(em, at, chain.count - at);
    await order.giveback(run.cluster, run.count);
    at += run.count;
  }
  if (count > 0 && !chain.contiguous) await em.em_fat.set((await chain.run(em, count - 1, 1)).cluster, CHAIN_END);
  chain.cut(count);
}

/** A size of a file that cannot be. @throws EFBIG EINVAL */
export function check_size(size: number): void {
  if (!(size >= 0)) throw errno(E.EINVAL);
  if (size > Number.MAX_SAFE_INTEGER) throw errno(E.EFBIG);
}

/**
 * truncate(2), inside an operation. What a file gains reads as zeros: it lies behind ValidDataLength. @throws EFBIG
 * ENOSPC EIO EISDIR
 */
export async function file_resize(vp: Vnode, size: number, _ctx: Context): Promise<void> {
  const node = VTOE(vp);
  if (node.isdir) throw errno(E.EISDIR);
  node_must_be_good(node);
  check_size(size);
  node_touch(node, true);
  if (size <= node.en_size) return file_shrink(node, size);
  await file_reserve(node, size);
  node.en_size = size;
  const stored = node_store(node);
  if (stored) await stored;
}
