import type { Buf } from '../../../kernel/vfs/bio.js';

/**
 * The order in which changed blocks of directories may reach the disk. A block of rank n is written only when those of
 * lower
 * rank are there, with a barrier between. Most have rank 0. A block from which a file is taken that has got another
 * name elsewhere
 * gets a rank above that of the block with the new name. A block on which others rely in this way keeps its rank until
 * it has
 * been written, so that there are no cycles.
 */
export class Rank {
  rank = 0;
  /** Another block has its rank because of this one. */
  fixed = false;

  static of(bp: Buf): Rank {
    return bp.b_private instanceof Rank ? bp.b_private : (bp.b_private = new Rank());
  }

  /** That of a block as it is; 0 where nothing was said of it. */
  static rankof(bp: Buf): number {
    return bp.b_private instanceof Rank ? bp.b_private.rank : 0;
  }
}

/**
 * `later` must not be on the disk before `earlier` is.
 * @returns whether that could be arranged; if not, everything must be written first
 */
export function rank_after(earlier: Buf, later: Buf): boolean {
  if (earlier === later) return true;
  const before = Rank.of(earlier);
  const after = Rank.of(later);
  if (after.rank <= before.rank) {
    if (after.fixed) return false;
    after.rank = before.rank + 1;
  }
  before.fixed = true;
  return true;
}
