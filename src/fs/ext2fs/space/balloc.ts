import type { Context } from '../../../kernel/context.js';
import { kauth_issuser } from '../../../kernel/cred.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { bits_clear, bits_free_run, bits_set, bits_used_run } from '../../lib/bits.js';
import { BK_ALLOC } from '../order/ordering.js';
import type { WriteState } from '../volume/writestate.js';

/** Blocks in a row. */
export interface Blocks {
  readonly block: number;
  readonly count: number;
}

/** A run of free blocks that is long enough not to look for a longer one. */
const GOOD_RUN = 2048;

/**
 * Gives blocks that lie in a row, at most `want` of them and at least one: at `goal` if they are free there, else
 * behind
 * it, else wherever there is room. Sizes and places are multiples of a cluster.
 * @throws ENOSPC EIO
 */
export function ext2_alloc(state: WriteState, goal: number, want: number, ctx: Context): MaybePromise<Blocks> {
  const { em, groups } = state;
  const { em_fs: fs } = em;
  let clusters = Math.ceil(want / fs.clusterblocks);
  const reserve = kauth_issuser(ctx.cred) ? 0 : Math.ceil(fs.s_r_blocks_count / fs.clusterblocks);
  clusters = Math.min(clusters, groups.blocks - reserve);
  if (clusters <= 0) throw errno(E.ENOSPC);
  const { mnt_dev } = em.em_mountp;
  if (mnt_dev !== null) {
    const bytes = fs.clusterblocks * fs.bsize;
    clusters = Math.min(clusters, Math.floor(mnt_dev.spare(clusters * bytes) / bytes));
    if (clusters <= 0) throw errno(E.ENOSPC);
  }
  const start = goal > fs.s_first_data_block && goal < fs.s_blocks_count ? goal : fs.s_first_data_block;
  const g = Math.floor((start - fs.s_first_data_block) / fs.s_blocks_per_group);
  const bit = Math.floor((start - fs.groupfirst(g)) / fs.clusterblocks);
  if (groups.free_blocks[g] > 0) {
    const got = ingroup(state, g, bit, clusters);
    if (got instanceof Promise) return got.then((b) => b ?? elsewhere(state, g, clusters));
    if (got !== null) return got;
  }
  return elsewhere(state, g, clusters);
}

/** In the groups behind `g`, then in those before it; first where there is room for all. */
async function elsewhere(state: WriteState, g: number, clusters: number): Promise<Blocks> {
  const { groups, em } = state;
  const { ngroups } = em.em_fs;
  for (const least of clusters > 1 ? [clusters, 1] : [1]) {
    for (let i = 0; i < ngroups; i++) {
      const other = (g + i) % ngroups;
      if (groups.free_blocks[other] < least) continue;
      const got = await ingroup(state, other, 0, clusters);
      if (got !== null) return got;
    }
  }
  throw errno(E.ENOSPC);
}

function ingroup(state: WriteState, g: number, bit: number, clusters: number): MaybePromise<Blocks | null> {
  const bp = state.groups.blockbitmap(g);
  return bp instanceof Promise
    ? bp.then((b) => frombitmap(state, g, b, bit, clusters))
    : frombitmap(state, g, bp, bit, clusters);
}

/** Takes the reference to `bp`. null: none is free, whatever the counts say. */
function frombitmap(state: WriteState, g: number, bp: Buf, bit: number, clusters: number): MaybePromise<Blocks | null> {
  const { em, groups, order } = state;
  const { em_fs: fs } = em;
  const end = groups.clustersof(g);
  const run = pick(bp.b_data, bit, end, clusters);
  if (run === null) {
    em.em_bufcache.brelse(bp);
    em.em_damage.note(`group ${g}: ${groups.free_blocks[g]} blocks are said to be free, and none is`);
    groups.blocks -= groups.free_blocks[g];
    groups.free_blocks[g] = 0;
    return null;
  }
  bits_set(bp.b_data, run.from, run.from + run.count);
  order.dirty(bp, BK_ALLOC);
  em.em_bufcache.brelse(bp);
  groups.free_blocks[g] = Math.max(0, groups.free_blocks[g] - run.count);
  groups.blocks = Math.max(0, groups.blocks - run.count);
  const block = fs.groupfirst(g) + run.from * fs.clusterblocks;
  const got = { block, count: Math.min(run.count * fs.clusterblocks, fs.s_blocks_count - block) };
  const put = groups.put(g);
  return put instanceof Promise ? put.then(() => got) : got;
}

interface BitRun {
  readonly from: number;
  readonly count: number;
}

/** Clear bits at `bit`; else the first run behind it, or before it, that is long enough, else the longest. */
function pick(bits: Uint8Array, bit: number, end: number, want: number): BitRun | null {
  const here = bits_free_run(bits, bit, Math.min(end, bit + want));
  if (here > 0) return { from: bit, count: here };
  return longest(bits, bit, end, want) ?? longest(bits, 0, bit, want);
}

function longest(bits: Uint8Array, from: number, end: number, want: number): BitRun | null {
  const enough = Math.min(want, GOOD_RUN);
  let best: BitRun | null = null;
  for (let at = from; at < end; ) {
    at += bits_used_run(bits, at, end);
    if (at >= end) break;
    const count = bits_free_run(bits, at, Math.min(end, at + want));
    if (best === null || count > best.count) best = { from: at, count };
    if (count >= enough) break;
    at += count;
  }
  return best;
}

/**
 * Frees blocks first..first+count-1 in memory, at once. With `tolerant` those that are free already count for nothing.
 * @throws EIO they were free, or are nobody's
 */
export async function ext2_free(state: WriteState, first: number, count: number, tolerant = false): Promise<void> {
  const { em, groups, order } = state;
  const { em_fs: fs } = em;
  if (!em.inside(first, count)) throw state.damage(`blocks ${first} to ${first + count - 1} are freed: outside`);
  for (let block = first; block < first + count; ) {
    const g = Math.floor((block - fs.s_first_data_block) / fs.s_blocks_per_group);
    const base = fs.groupfirst(g);
    const stop = Math.min(first + count, base + fs.s_blocks_per_group);
    const from = Math.floor((block - base) / fs.clusterblocks);
    const to = Math.ceil((stop - base) / fs.clusterblocks);
    const got = groups.blockbitmap(g);
    const bp = got instanceof Promise ? await got : got;
    const cleared = bits_clear(bp.b_data, from, to);
    order.dirty(bp, BK_ALLOC);
    em.em_bufcache.brelse(bp);
    groups.free_blocks[g] += cleared;
    groups.blocks += cleared;
    const put = groups.put(g);
    if (put) await put;
    if (cleared < to - from && !tolerant)
      throw state.damage(`group ${g}: ${to - from - cleared} blocks from ${block} on are freed that were free`);
    block = stop;
  }
}
