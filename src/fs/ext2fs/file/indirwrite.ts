import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { BK_LEAF, BK_NEW } from '../order/ordering.js';
import { ext2_alloc } from '../space/balloc.js';
import { WRITE } from '../volume/transact.js';
import { NDADDR, NIADDR } from './indirect.js';
import type { Inode } from './inode.js';

/** Changes of block maps without extents. All inside operations; the caller stores the inode. */

/** Numbers of consecutive blocks of a file, in the inode or in an indirect block. */
interface Row {
  /** null: in the inode. */
  readonly bp: Buf | null;
  readonly view: DataView;
  /** Place of the first one, and how many there are from there. */
  readonly at: number;
  readonly length: number;
}

/** Levels of indirect blocks above block `lbn`, its number among those below them, and how many those are. */
function levelof(ip: Inode, lbn: number): { level: number; rel: number; span: number } {
  const nindir = ip.i_fs.bsize / 4;
  let rel = lbn - NDADDR;
  let span = 1;
  for (let level = 1; level <= NIADDR; level++) {
    span *= nindir;
    if (rel < span) return { level, rel, span };
    rel -= span;
  }
  throw errno(E.EFBIG);
}

/** An indirect block full of holes. @throws ENOSPC EIO */
async function newindirect(ip: Inode, goal: number, ctx: Context): Promise<{ block: number; bp: Buf }> {
  const { i_em: em, i_fs: fs } = ip;
  const state = WRITE(em);
  const got = ext2_alloc(state, goal, 1, ctx);
  const { block } = got instanceof Promise ? await got : got;
  const bp = em.em_bufcache.getblk(em.em_dev, block * fs.bsize, fs.bsize);
  bp.b_data.fill(0);
  bp.b_private = null;
  state.order.dirty(bp, BK_NEW);
  ip.i_blocks += fs.bsize / 512;
  return { block, bp };
}

/** The row that has the number of block `lbn`, referenced; indirect blocks that are missing are made. */
async function rowof(ip: Inode, lbn: number, goal: number, ctx: Context): Promise<Row> {
  const { i_em: em } = ip;
  if (lbn < NDADDR) return { bp: null, view: ip.i_blockview, at: lbn, length: NDADDR - lbn };
  const state = WRITE(em);
  const nindir = ip.i_fs.bsize / 4;
  const { level, rel, span } = levelof(ip, lbn);
  let view: DataView = ip.i_blockview;
  let held: Buf | null = null;
  let at = NDADDR + level - 1;
  let left = rel;
  for (let below = span; below >= nindir; below /= nindir) {
    const block = view.getUint32(4 * at, true);
    let next: Buf;
    try {
      if (block === 0) {
        const made = await newindirect(ip, goal, ctx);
        view.setUint32(4 * at, made.block, true);
        if (held !== null) state.order.dirty(held, BK_LEAF);
        next = made.bp;
      } else {
        const got = em.bread(block, `inode ${ip.i_number}: an indirect block`);
        next = got instanceof Promise ? await got : got;
      }
    } finally {
      if (held !== null) em.em_bufcache.brelse(held);
    }
    held = next;
    view = next.b_view;
    const child = below / nindir;
    at = Math.floor(left / child);
    left -= at * child;
  }
  return { bp: held, view, at, length: nindir - at };
}

/**
 * Enters blocks where the file has none. @throws ENOSPC for an indirect block: what was entered is said by `entered`
 */
export async function indir_insert(
  ip: Inode, lbn: number, count: number, block: number, ctx: Context, entered: (n: number) => void,
): Promise<void> {
  const { i_em: em } = ip;
  if (block + count > 2 ** 32) throw errno(E.EFBIG, `block ${block} has no place in 32 bits`);
  for (let done = 0; done < count; ) {
    const row = await rowof(ip, lbn + done, block, ctx);
    const n = Math.min(count - done, row.length);
    for (let k = 0; k < n; k++) row.view.setUint32(4 * (row.at + k), block + done + k, true);
    if (row.bp !== null) {
      WRITE(em).order.dirty(row.bp, BK_LEAF);
      em.em_bufcache.brelse(row.bp);
    }
    done += n;
    entered(done);
  }
}

/**
 * Takes blocks from..to-1 away; indirect blocks without numbers go, too. `taken` gets runs of blocks, `node` indirect
 * blocks. @throws EIO
 */
export async function indir_remove(
  ip: Inode, from: number, to: number, taken: (block: number, count: number) => void, node: (block: number) => void,
): Promise<void> {
  const nindir = ip.i_fs.bsize / 4;
  clear(ip, ip.i_blockview, from, Math.min(to, NDADDR), taken);
  let base = NDADDR;
  let span = 1;
  for (let level = 0; level < NIADDR && base < to; level++) {
    span *= nindir;
    const block = ip.i_blockview.getUint32(4 * (NDADDR + level), true);
    if (block !== 0 && from < base + span) {
      const empty = await cuttree(ip, block, span, Math.max(from - base, 0), Math.min(to - base, span), taken, node);
      if (empty) {
        ip.i_blockview.setUint32(4 * (NDADDR + level), 0, true);
        gone(ip, block, node);
      }
    }
    base += span;
  }
}

function gone(ip: Inode, block: number, node: (block: number) => void): void {
  ip.i_blocks = Math.max(0, ip.i_blocks - ip.i_fs.bsize / 512);
  node(block);
}

/** Numbers from..to-1 of a row become holes. */
function clear(
  ip: Inode, view: DataView, from: number, to: number, taken: (block: number, count: number) => void,
): void {
  for (let i = from; i < to; ) {
    const block = view.getUint32(4 * i, true);
    let n = 1;
    if (block !== 0) {
      if (!ip.i_em.inside(block, 1))
        throw ip.i_em.em_damage.error(`inode ${ip.i_number}: block ${block} lies outside of the volume`);
      while (i + n < to && view.getUint32(4 * (i + n), true) === block + n && ip.i_em.inside(block, n + 1)) n++;
      for (let k = 0; k < n; k++) view.setUint32(4 * (i + k), 0, true);
      taken(block, n);
    }
    i += n;
  }
}

/** Goes down three levels at most. @returns whether nothing is left in the block */
async function cuttree(
  ip: Inode, block: number, span: number, from: number, to: number, taken: (block: number, count: number) => void,
  node: (block: number) => void,
): Promise<boolean> {
  const { i_em: em } = ip;
  const nindir = ip.i_fs.bsize / 4;
  const got = em.bread(block, `inode ${ip.i_number}: an indirect block`);
  const bp = got instanceof Promise ? await got : got;
  try {
    const child = span / nindir;
    if (child === 1) clear(ip, bp.b_view, from, to, taken);
    else {
      for (let i = Math.floor(from / child); i * child < to; i++) {
        const below = bp.b_view.getUint32(4 * i, true);
        if (below === 0) continue;
        const start = Math.max(from - i * child, 0);
        if (await cuttree(ip, below, child, start, Math.min(to - i * child, child), taken, node)) {
          bp.b_view.setUint32(4 * i, 0, true);
          gone(ip, below, node);
        }
      }
    }
    WRITE(em).order.dirty(bp, BK_LEAF);
    for (let i = 0; i < nindir; i++) if (bp.b_view.getUint32(4 * i, true) !== 0) return false;
    return true;
  } finally {
    em.em_bufcache.brelse(bp);
  }
}
