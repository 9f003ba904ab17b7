import type { Buf } from '../../../kernel/vfs/bio.js';
import { I_BLOCK_BYTES } from '../disk/dinode.js';
import { ee_block, eh_depth, eh_entries, eh_problem, ei_leaf, ext_search } from '../disk/extent.js';
import { BK_INDEX, BK_LEAF } from '../order/ordering.js';
import { SEAL_EXTENTS } from '../order/seals.js';
import { WRITE } from '../volume/transact.js';
import { ext_verify } from './extents.js';
import type { Inode } from './inode.js';

/** A node on the way from the root of an extent tree to a leaf. */
export interface Step {
  /** null: the root, in the inode. */
  readonly bp: Buf | null;
  readonly view: DataView;
  /** The entry that the way goes by; in a leaf the last one that begins at or before the block, -1: none. */
  i: number;
}

/** The way to the leaf that has, or would get, block `lbn`; all buffers referenced. @throws EIO */
export async function ext_path(ip: Inode, lbn: number): Promise<Step[]> {
  const root = ip.i_blockview;
  const problem = eh_problem(root, 0, I_BLOCK_BYTES);
  if (problem !== undefined)
    throw ip.i_em.em_damage.error(`inode ${ip.i_number}: extent tree, root: ${problem}`);
  const path: Step[] = [{ bp: null, view: root, i: ext_search(root, 0, lbn) }];
  try {
    for (let depth = eh_depth(root, 0); depth > 0; depth--) {
      const step = path[path.length - 1];
      if (step.i < 0) step.i = 0;
      if (eh_entries(step.view, 0) === 0)
        throw ip.i_em.em_damage.error(`inode ${ip.i_number}: extent tree: an inner node without entries`);
      const got = ip.i_em.bread(ei_leaf(step.view, 0, step.i), `inode ${ip.i_number}: extent tree`);
      const bp = got instanceof Promise ? await got : got;
      path.push({ bp, view: bp.b_view, i: ext_search(bp.b_view, 0, lbn) });
      ext_verify(ip, bp, depth - 1);
    }
  } catch (thrown) {
    ext_release(ip, path);
    throw thrown;
  }
  return path;
}

export function ext_release(ip: Inode, path: readonly Step[]): void {
  for (const { bp } of path) if (bp !== null) ip.i_em.em_bufcache.brelse(bp);
}

/** A node was changed. Of the root the inode is to be stored by whoever began. */
export function ext_dirty(ip: Inode, { bp, view }: Step): void {
  if (bp === null) return;
  const state = WRITE(ip.i_em);
  state.order.dirty(bp, eh_depth(view, 0) === 0 ? BK_LEAF : BK_INDEX);
  state.seals.mark(bp, SEAL_EXTENTS, ip.csum_seed);
}

/** The first entry of the node at `level` has become another: what is above it says so. */
export function ext_rekey(ip: Inode, path: readonly Step[], level: number): void {
  for (; level > 0; level--) {
    const { view } = path[level];
    if (eh_entries(view, 0) === 0) return;
    const first = ee_block(view, 0, 0);
    const above = path[level - 1];
    const at = 12 + 12 * above.i;
    if (above.view.getUint32(at, true) === first) return;
    above.view.setUint32(at, first, true);
    ext_dirty(ip, above);
    if (above.i > 0) return;
  }
}

/** First block of the file that the leaves behind this one have; Infinity: there are none. */
export function ext_nextleaf(path: readonly Step[]): number {
  for (let level = path.length - 2; level >= 0; level--) {
    const { view, i } = path[level];
    if (i + 1 < eh_entries(view, 0)) return ee_block(view, 0, i + 1);
  }
  return Infinity;
}
