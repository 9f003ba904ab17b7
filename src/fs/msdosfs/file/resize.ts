import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { clusterOffset } from '../disk/bpb.js';
import { withroom } from '../dir/create.js';
import { CELL_FREE } from '../space/fat.js';
import { FILE_MAX } from '../volume/limits.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { chain_learn } from './chain.js';
import type { Denode } from './denode.js';
import { denode_update, entry_store } from './denode.js';

/**
 * Clusters for files, and lengths of files. The format knows no holes: what lies between is zeros, which are written.
 */

/** Growing goes piece by piece, with a pause after each in which others get on and the caller may give up; bytes. */
const PIECE_BYTES = 16 << 20;
const ZEROS_BYTES = 1 << 20;
let zeros: Uint8Array | null = null;

/**
 * Before a transaction in which the file may get clusters: where its end was cut off and the disk does not know it yet,
 * the disk must know first. A new tail behind the old size would be a wrong one if the power went.
 */
export function settlecut(dep: Denode, length: number): MaybePromise<void> {
  const { pmp, chain } = dep;
  const order = pmp.pm_order;
  if (order === null || order.cuts.size === 0 || pmp.clustersOf(length) <= pmp.clustersOf(dep.size)) return undefined;
  const learned = chain_learn(dep, pmp.clustersOf(length));
  const check = (): MaybePromise<void> => (order.cuts.has(chain.last) ? order.flush(true) : undefined);
  return learned instanceof Promise ? learned.then(check) : check();
}

/**
 * Gives the file clusters for `length` bytes, as many as there are. Inside of a transaction. @returns clusters that it
 * has then;
 * @throws EIO
 */
export function allocate(dep: Denode, length: number): MaybePromise<number> {
  const { pmp, chain } = dep;
  const need = pmp.clustersOf(length);
  const learned = chain_learn(dep, need);
  if (learned instanceof Promise) return learned.then(() => allocate(dep, length));
  if (chain.length >= need) return chain.length;
  if (chain.broken) throw pmp.pm_damage.error(`${dep.what}: it cannot grow, for the end of its chain is damaged`);
  return append(dep, need);
}

async function append(dep: Denode, need: number): Promise<number> {
  const { pmp, chain } = dep;
  const { pm_fat: fat, pm_space, pm_geometry: g } = pmp;
  while (chain.length < need) {
    const { last } = chain;
    const room = pmp.pm_mountp.mnt_dev?.spare((need - chain.length) * g.clusterBytes) ?? Infinity;
    const want = Math.min(need - chain.length, Math.floor(room / g.clusterBytes));
    const got = want < 1 ? null : pm_space.alloc(want, last + 1);
    const run = got instanceof Promise ? await got : got;
    if (run === null) return chain.length;
    if (last === 0) {
      dep.start = run.first;
      dep.freshepoch = pmp.order.epoch;
    } else {
      try {
        for (let wait = fat.pin(last); wait; wait = fat.pin(last)) await wait;
      } catch (error) {
        await unchain(pmp, run.first, run.count);
        throw error;
      }
      pmp.order.link(last, run.first, dep.freshepoch === pmp.order.epoch);
    }
    for (let i = 0; i < run.count; i++) chain.push(run.first + i);
  }
  return chain.length;
}

/** Gives back clusters in a row that no file has. */
async function unchain(pmp: MsdosMount, first: number, count: number): Promise<void> {
  const { pm_fat: fat } = pmp;
  for (let c = first; c < first + count; c++) {
    for (let wait = fat.pin(c); wait; wait = fat.pin(c)) await wait;
    fat.set(c, CELL_FREE);
  }
}

/** Writes zeros over from..to-1, for which the file has clusters. Inside of a transaction. @throws EIO */
export async function zero(dep: Denode, from: number, to: number): Promise<void> {
  const { pmp, chain } = dep;
  const { clusterBytes } = pmp.pm_geometry;
  const bytes = (zeros ??= new Uint8Array(ZEROS_BYTES));
  const { order } = pmp;
  for (let at = from; at < to; ) {
    const fc = Math.floor(at / clusterBytes);
    const within = at - fc * clusterBytes;
    const n = Math.min(to - at, chain.count(fc) * clusterBytes - within, bytes.length);
    order.newdata = order.unflushed = true;
    const wait = pmp.pm_dev.write(bytes, 0, n, clusterOffset(pmp.pm_geometry, chain.at(fc)) + within);
    if (wait) await wait;
    at += n;
  }
}

/**
 * Makes a file longer: zeros up to `length`. Not inside of a transaction.
 * @throws EFBIG ENOSPC EIO EINTR; its size is then as before
 */
export async function extend(dep: Denode, length: number, ctx: Context): Promise<void> {
  const { pmp } = dep;
  const osize = dep.size;
  if (length > FILE_MAX) throw errno(E.EFBIG, `a file on FAT has at most ${FILE_MAX} bytes`);
  const settled = settlecut(dep, length);
  if (settled) await settled;
  const order = pmp.writable();
  try {
    while (dep.size < length) {
      if (dep.size > osize) await pause(pmp, ctx.signal);
      const to = Math.min(length, dep.size + PIECE_BYTES);
      await withroom(order, async () => {
        const clusters = await allocate(dep, to);
        if (clusters < pmp.clustersOf(to)) throw errno(E.ENOSPC);
        await zero(dep, dep.size, to);
        dep.size = to;
        const wait = entry_store(dep);
        if (wait) await wait;
      });
    }
  } catch (error) {
    await order.run(() => shrink(dep, osize));
    throw error;
  }
}

/**
 * Makes from..to-1 zeros; what lies behind the end extends the file. Not inside of a transaction.
 * @throws EFBIG ENOSPC EIO EINTR
 */
export async function zerorange(dep: Denode, from: number, to: number, ctx: Context): Promise<void> {
  const { pmp } = dep;
  const order = pmp.writable();
  const end = Math.min(to, dep.size);
  for (let at = from; at < end; at += PIECE_BYTES) {
    if (at > from) await pause(pmp, ctx.signal);
    await order.run(async () => {
      const learned = chain_learn(dep, pmp.clustersOf(dep.size));
      if (learned) await learned;
      if (dep.chain.length < pmp.clustersOf(dep.size)) {
        throw pmp.pm_damage.error(`${dep.what}: it has fewer clusters than its size needs`);
      }
      await zero(dep, at, Math.min(end, at + PIECE_BYTES));
      denode_update(dep);
      const wait = entry_store(dep);
      if (wait) await wait;
    });
  }
  if (to > dep.size) await extend(dep, to, ctx);
}

async function pause(pmp: MsdosMount, signal: AbortSignal | undefined): Promise<void> {
  await pmp.pm_kernel.rumpuser.rumpuser_clock_sleep(0);
  if (signal?.aborted === true) throw errno(E.EINTR);
}

/**
 * Makes a file shorter; with its own size, takes back clusters that it got and does not need. Inside of a transaction.
 * @throws EIO
 */
export async function shrink(dep: Denode, length: number): Promise<void> {
  const { pmp, chain } = dep;
  const { order } = pmp;
  const keep = pmp.clustersOf(length);
  const learned = chain_learn(dep, keep + 1);
  if (learned) await learned;
  if (keep === 0) {
    if (dep.start !== 0 && chain.length > 0) order.free(dep.start, Math.max(1, pmp.clustersOf(dep.size)));
    dep.start = 0;
  } else if (chain.length > keep) {
    const last = chain.at(keep - 1);
    order.free(chain.at(keep), Math.max(1, pmp.clustersOf(dep.size) - keep));
    // Where the FAT does not know of what came behind yet, it still says that the chain ends here.
    if (!order.unlink(last)) order.cut(last);
  }
  chain.cut(keep);
  if (keep === 0) {
    chain.clear();
    chain.whole = true;
  }
  dep.size = Math.min(dep.size, length);
  const wait = entry_store(dep);
  if (wait) await wait;
}

/** VOP_SETATTR of a size. @throws EFBIG ENOSPC EIO EINTR */
export async function truncate(dep: Denode, length: number, ctx: Context): Promise<void> {
  const before = dep.mtime;
  denode_update(dep);
  try {
    if (length > dep.size) await extend(dep, length, ctx);
    else await dep.pmp.order.run(() => shrink(dep, length));
    if (length === 0) dep.pmp.order.lost.delete(dep.number);
  } catch (error) {
    dep.mtime = before;
    throw error;
  }
}
