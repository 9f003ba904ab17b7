import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { SB, superblock_seal } from '../disk/sbfields.js';
import { SBOFF, SBSIZE } from '../disk/superblock.js';
import { BK_ALLOC } from '../order/ordering.js';
import type { WriteState } from './writestate.js';

/** Changes the first superblock, in the buffer of its block. Copies of it hold what never changes, and stay. */
export class SbWriter {
  private readonly block: number;
  private readonly at: number;

  constructor(private readonly state: WriteState) {
    const { bsize } = state.em.em_fs;
    this.block = Math.floor(SBOFF / bsize);
    this.at = SBOFF % bsize;
  }

  /** @param change gets the view of the block, and the byte in it at which the superblock begins. @throws EIO */
  change(change: (view: DataView, at: number) => void): MaybePromise<void> {
    const { em } = this.state;
    const { bsize } = em.em_fs;
    const bp = em.em_bufcache.bread(em.em_dev, this.block * bsize, bsize);
    return bp instanceof Promise ? bp.then((b) => this.changed(b, change)) : this.changed(bp, change);
  }

  private changed(bp: Buf, change: (view: DataView, at: number) => void): void {
    const { em, order } = this.state;
    change(bp.b_view, this.at);
    superblock_seal(bp.b_data.subarray(this.at, this.at + SBSIZE));
    order.dirty(bp, BK_ALLOC);
    em.em_bufcache.brelse(bp);
  }

  /** The counts of free blocks and inodes. */
  counts(): MaybePromise<void> {
    const { groups, em } = this.state;
    const { clusterblocks } = em.em_fs;
    const blocks = groups.blocks * clusterblocks;
    return this.change((view, at) => {
      view.setUint32(at + SB.s_free_blocks_count_lo, blocks % 2 ** 32, true);
      if (em.em_fs.has64) view.setUint32(at + SB.s_free_blocks_count_hi, Math.floor(blocks / 2 ** 32), true);
      view.setUint32(at + SB.s_free_inodes_count, groups.inodes, true);
      view.setUint32(at + SB.s_wtime, em.em_kernel.now().sec >>> 0, true);
    });
  }

  /** Writes to the device at once, with a barrier behind it. Outside of operations. @throws EIO */
  async now(change: (view: DataView, at: number) => void): Promise<void> {
    const { em } = this.state;
    const { bsize } = em.em_fs;
    const bp = await em.em_bufcache.bread(em.em_dev, this.block * bsize, bsize);
    change(bp.b_view, this.at);
    superblock_seal(bp.b_data.subarray(this.at, this.at + SBSIZE));
    try {
      await em.em_bufcache.bwrite(bp);
      await em.em_dev.flush();
    } finally {
      em.em_bufcache.brelse(bp);
    }
  }
}
