import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { ExfatMount } from '../volume/exfatmount.js';

/** What ends a chain. */
export const CHAIN_END = 0xffff_ffff;

/** Bytes of the FAT that are cached as one block; fewer at its end. */
const BLOCK_BYTES = 4096;

/**
 * The active FAT: for each cluster of a chain the next one. A cell means nothing where its cluster is free or belongs
 * to a file
 * that is marked NoFatChain.
 */
export class Fat {
  private readonly em: ExfatMount;
  /** Byte offset on the device. */
  private readonly at: number;
  private readonly bytes: number;

  constructor(em: ExfatMount, at: number) {
    this.em = em;
    this.at = at;
    this.bytes = em.em_boot.FatLength * em.em_secbytes;
  }

  /** The cell of a cluster of the volume. @throws EIO */
  get(cluster: number): MaybePromise<number> {
    const bp = this.block(cluster);
    return bp instanceof Promise ? bp.then((b) => this.take(b, cluster)) : this.take(bp, cluster);
  }

  private take(bp: Buf, cluster: number): number {
    const next = bp.b_view.getUint32((cluster * 4) % BLOCK_BYTES, true);
    this.em.em_bufcache.brelse(bp);
    return next;
  }

  /** The block with the cell of `cluster`, referenced. */
  private block(cluster: number): MaybePromise<Buf> {
    const start = cluster * 4 - ((cluster * 4) % BLOCK_BYTES);
    return this.em.em_bufcache.bread(this.em.em_dev, this.at + start, Math.min(BLOCK_BYTES, this.bytes - start));
  }

  /** Sets the cell of a cluster; the block is dirty then. @throws EIO */
  set(cluster: number, next: number): MaybePromise<void> {
    const bp = this.block(cluster);
    if (bp instanceof Promise) return bp.then((b) => this.put(b, cluster, 1, next));
    this.put(bp, cluster, 1, next);
  }

  /**
   * Chains `count` clusters that lie in a row: each leads to the one behind it, the last to `next`.
   * @throws EIO cells before the failure are set
   */
  async link(first: number, count: number, next: number): Promise<void> {
    for (let done = 0; done < count; ) {
      const cluster = first + done;
      const room = (BLOCK_BYTES - ((cluster * 4) % BLOCK_BYTES)) / 4;
      const n = Math.min(room, count - done);
      done += n;
      const got = this.block(cluster);
      this.put(got instanceof Promise ? await got : got, cluster, n, done === count ? next : cluster + n);
    }
  }

  /** Sets `n` cells of one block from that of `cluster` on, each to the cluster behind it, the last to `next`. */
  private put(bp: Buf, cluster: number, n: number, next: number): void {
    const at = (cluster * 4) % BLOCK_BYTES;
    for (let i = 0; i < n - 1; i++) bp.b_view.setUint32(at + 4 * i, cluster + i + 1, true);
    bp.b_view.setUint32(at + 4 * (n - 1), next, true);
    this.em.em_order!.changed(bp);
    this.em.em_bufcache.brelse(bp);
  }
}
