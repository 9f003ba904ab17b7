import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { FIRST_CLUSTER } from '../disk/boot.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { Chain } from './chain.js';
import { Run } from './chain.js';
import { bits_clear, bits_count, bits_free_run, bits_set, bits_used_run } from '../../lib/bits.js';

const BLOCK_BYTES = 4096;
/** Read at a time where all of it is counted, bytes. */
const COUNT_BYTES = 1 << 20;

type Clip = (cluster: number, count: number) => { readonly skip: number; readonly count: number };

/**
 * The allocation bitmap, alone in saying which clusters are free: bit 0 is cluster 2. It is read in blocks as they are
 * wanted,
 * never as a whole: that of a large volume has tens of megabytes.
 */
export class Bitmap {
  private readonly em: ExfatMount;
  private readonly chain: Chain;
  private readonly blockbytes: number;
  /** Clusters that a block tells of, and blocks. */
  private readonly perblock: number;
  private readonly blocks: number;
  /** Free clusters of each block; -1: it has not been looked at. */
  private readonly frees: Int32Array;
  /** Free clusters of the volume; -1: not counted. */
  free = -1;
  private counting: Promise<number> | null = null;
  /** Rises with every change: a count that was read from the disk meanwhile is read again. */
  private changes = 0;

  constructor(em: ExfatMount, chain: Chain) {
    this.em = em;
    this.chain = chain;
    this.blockbytes = Math.min(BLOCK_BYTES, em.em_clbytes);
    this.perblock = this.blockbytes * 8;
    this.blocks = Math.ceil(em.em_boot.ClusterCount / this.perblock);
    this.frees = new Int32Array(this.blocks).fill(-1);
  }

  get clusters(): number {
    return this.em.em_boot.ClusterCount;
  }

  /** Bits that block `i` has. */
  private bitsof(i: number): number {
    return Math.min(this.perblock, this.clusters - i * this.perblock);
  }

  /** Block `i`, referenced. @throws EIO */
  private block(i: number): MaybePromise<Buf> {
    const { em, blockbytes } = this;
    const at = i * blockbytes;
    const run = this.chain.run(em, Math.floor(at / em.em_clbytes), 1);
    const read = (r: Run): MaybePromise<Buf> => em.em_bufcache.bread(
      em.em_dev, em.clusterat(r.cluster) + (at % em.em_clbytes), blockbytes,
    );
    return run instanceof Promise ? run.then(read) : read(run);
  }

  private freesof(i: number, bp: Buf): number {
    if (this.frees[i] < 0) this.frees[i] = this.bitsof(i) - bits_count(bp.b_data, this.bitsof(i));
    return this.frees[i];
  }

  /** How many of at most `max` clusters from `cluster` on are free (`used` false) or in use, in a row. @throws EIO */
  async row(cluster: number, max: number, used: boolean): Promise<number> {
    let found = 0;
    const end = Math.min(max, this.em.em_clend - cluster);
    while (found < end) {
      const bit = cluster - FIRST_CLUSTER + found;
      const i = Math.floor(bit / this.perblock);
      const got = this.block(i);
      const bp = got instanceof Promise ? await got : got;
      const from = bit - i * this.perblock;
      const room = Math.min(this.bitsof(i) - from, end - found);
      const n = used ? bits_used_run(bp.b_data, from, from + room) : bits_free_run(bp.b_data, from, from + room);
      this.em.em_bufcache.brelse(bp);
      found += n;
      if (n < room) break;
    }
    return found;
  }

  /**
   * Looks for free clusters from `start` on, round to where it began: the first row of `want`, else the longest.
   * null: there is none. Looks at no more than it must: blocks that are known to be full are passed over.
   * @param clip of free clusters in a row: how many are to be passed over, or else how many may be taken
   * @throws EIO
   */
  async find(start: number, want: number, clip: Clip = (_, count) => ({ skip: 0, count })): Promise<Run | null> {
    let best: Run | null = null;
    const first = this.em.iscluster(start) ? start - FIRST_CLUSTER : 0;
    // One more than there are: the block that the search begins in is looked at twice, behind and before the start.
    for (let n = 0, i = Math.floor(first / this.perblock); n <= this.blocks; n++, i = (i + 1) % this.blocks) {
      if (this.frees[i] === 0) continue;
      const got = this.block(i);
      const bp = got instanceof Promise ? await got : got;
      try {
        if (this.freesof(i, bp) === 0) continue;
        const bits = this.bitsof(i);
        for (let bit = n === 0 ? first % this.perblock : 0; bit < bits; ) {
          bit += bits_used_run(bp.b_data, bit, bits);
          if (bit >= bits) break;
          const free = bits_free_run(bp.b_data, bit, Math.min(bits, bit + want));
          const { skip, count: length } = clip(FIRST_CLUSTER + i * this.perblock + bit, free);
          if (skip > 0) {
            bit += skip;
            continue;
          }
          if (best === null || length > best.count) best = new Run(FIRST_CLUSTER + i * this.perblock + bit, length);
          if (length >= want) return best;
          bit += length;
        }
      } finally {
        this.em.em_bufcache.brelse(bp);
      }
      // Long enough to be worth a place in the FAT.
      if (best !== null && best.count >= this.perblock / 2) break;
    }
    if (best !== null && best.count < want) {
      // A row may go on in the next block.
      const { count } = clip(best.cluster, await this.row(best.cluster, want, false));
      if (count > best.count) best = new Run(best.cluster, count);
    }
    return best;
  }

  /** Marks clusters that are free as in use. @throws EIO what was marked before stays so */
  async take(cluster: number, count: number): Promise<void> {
    await this.change(cluster, count, true);
    if (this.free >= 0) this.free -= count;
  }

  /**
   * Marks clusters as free.
   * @param part told of each part in the moment in which it becomes free: its first cluster, and how many
   * @returns how many of them were free already: the volume is damaged then
   * @throws EIO
   */
  async give(cluster: number, count: number, part?: (cluster: number, count: number) => void): Promise<number> {
    const changed = await this.change(cluster, count, false, part);
    if (this.free >= 0) this.free += changed;
    return count - changed;
  }

  private async change(
    cluster: number, count: number, used: boolean, part?: (cluster: number, count: number) => void,
  ): Promise<number> {
    let changed = 0;
    for (let done = 0; done < count; ) {
      const bit = cluster - FIRST_CLUSTER + done;
      const i = Math.floor(bit / this.perblock);
      const from = bit - i * this.perblock;
      const n = Math.min(count - done, this.bitsof(i) - from);
      const got = this.block(i);
      const bp = got instanceof Promise ? await got : got;
      this.freesof(i, bp);
      const now = used ? bits_set(bp.b_data, from, from + n) : bits_clear(bp.b_data, from, from + n);
      this.frees[i] += used ? -now : now;
      this.changes++;
      this.em.em_order!.changed(bp);
      part?.(cluster + done, n);
      this.em.em_bufcache.brelse(bp);
      changed += now;
      done += n;
    }
    return changed;
  }

  /** Free clusters of the volume, counted at the first call; other requests are served meanwhile. @throws EIO */
  count(): MaybePromise<number> {
    if (this.free >= 0) return this.free;
    return (this.counting ??= this.countall().finally(() => (this.counting = null)));
  }

  private async countall(): Promise<number> {
    const { em, blockbytes, frees } = this;
    const piece = new Uint8Array(Math.min(COUNT_BYTES, this.blocks * blockbytes));
    for (let i = 0; i < this.blocks; ) {
      if (frees[i] >= 0) {
        i++;
        continue;
      }
      const at = i * blockbytes;
      const run = await this.chain.run(em, Math.floor(at / em.em_clbytes), Math.ceil(piece.length / em.em_clbytes));
      const into = at % em.em_clbytes;
      const length = Math.min(piece.length, run.count * em.em_clbytes - into, (this.blocks - i) * blockbytes);
      const before = this.changes;
      await em.em_dev.read(piece, 0, length, em.clusterat(run.cluster) + into);
      if (this.changes !== before) continue;
      for (let k = 0; k < length / blockbytes; k++) {
        this.countblock(
          i + k, piece.subarray(k * blockbytes, (k + 1) * blockbytes),
          em.clusterat(run.cluster) + into + k * blockbytes,
        );
      }
      i += length / blockbytes;
      await em.em_kernel.rumpuser.rumpuser_clock_sleep(0);
    }
    let free = 0;
    for (let i = 0; i < this.blocks; i++) free += frees[i];
    return (this.free = free);
  }

  /** Block `i`: what the disk has of it, unless memory has something newer. */
  private countblock(i: number, ondisk: Uint8Array, at: number): void {
    if (this.frees[i] >= 0) return;
    const bp = this.em.em_bufcache.incore(this.em.em_dev, at);
    this.frees[i] = this.bitsof(i) - bits_count(bp === undefined ? ondisk : bp.b_data, this.bitsof(i));
    if (bp !== undefined) this.em.em_bufcache.brelse(bp);
  }
}
