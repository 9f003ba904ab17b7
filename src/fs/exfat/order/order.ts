import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { RwLock } from '../../../kernel/vfs/rwlock.js';
import type { ExfatNode } from '../file/node.js';
import type { Chain } from '../space/chain.js';
import { CHAIN_END } from '../space/fat.js';
import { Windows } from '../space/windows.js';
import { CLEAR_TO_ZERO, VOLUME_DIRTY } from '../disk/boot.js';
import { write_flags } from '../volume/flags.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import { Rank } from './ranks.js';
import { Rows } from './rows.js';

/**
 * What is to be written, and in which order, so that whatever the power cuts off there is no worse than lost clusters.
 * Operations
 * change buffers only, and file data lies in clusters that the disk knows nothing of before; a flush writes
 *
 *   1. the FAT and the bitmap as they have become by allocation
 *   2. entries of directories, rank by rank (ranks.ts)
 *   3. what may be free now: bits of the bitmap, ends of chains that were cut. They are not in the buffers before that
 *
 * with a barrier behind each step that wrote something. fsync needs steps 1 and 2. Clusters of what was removed are
 * free for
 * others once step 2 is done.
 *
 * States of the volume: clean on the disk (marked false) -> marked dirty, before the first change -> clean again, after
 * a sync
 * that left nothing to write. broken: a write failed or the volume contradicts itself; nothing is changed any more.
 */
export class Order {
  readonly em: ExfatMount;
  /** Counts flushes: what was done since the last one is not on the disk. */
  epoch = 0;
  /** Why nothing is changed any more; undefined: it is. */
  broken: string | undefined;
  /** The volume was marked dirty by us. */
  marked = false;
  /** It was so before: only a check may call it clean. */
  staysdirty = false;
  /** Where the next file begins to look for room. */
  rotor = 2;
  /** Room behind files that grow. */
  readonly windows: Windows;
  private readonly lock = new RwLock();
  /** Taken by who looks for free clusters, until they are marked as in use. */
  readonly allocating = new RwLock();
  private readonly dirtyentries = new Set<Buf>();
  private readonly dirtymaps = new Set<Buf>();
  /** Rows of clusters to be freed in step 3: first, count, ... */
  private frees: number[] = [];
  /** Clusters in `frees`. */
  freeing = 0;
  /** Cells that become the end of a chain in step 3. */
  private readonly ends = new Set<number>();
  private readonly orphans = new Map<number, ExfatNode>();
  /** Something was written since the last barrier. */
  private written = false;
  /** Files whose data was lost because a write failed that had been put off: their next fsync says so. */
  readonly lost = new Set<number>();
  /** What a successor must know; null: there will be none. */
  private readonly rows: Rows | null;

  constructor(em: ExfatMount) {
    this.em = em;
    this.windows = new Windows(em.em_boot.ClusterCount, em.em_clbytes);
    const { mnt_kept: kept } = em.em_mountp;
    const rows = kept === null ? null : new Rows(kept);
    this.rows = rows;
    if (rows !== null) em.em_where.numbers.record = (number, words) => rows.number(number, words);
  }

  // ---- operations

  /**
   * An operation that changes something begins; it ends with `end`. Test the result before awaiting it. @throws EIO
   * EROFS
   */
  begin(): Promise<void> | undefined {
    const wait = this.lock.enter(false);
    if (wait === undefined && this.marked && this.broken === undefined) return undefined;
    return this.entered(wait);
  }

  private async entered(wait: Promise<void> | undefined): Promise<void> {
    await wait;
    try {
      if (this.broken !== undefined) throw errno(E.EROFS, this.broken);
      if (!this.marked) await this.mark();
    } catch (thrown) {
      this.end();
      throw thrown;
    }
  }

  end(): void {
    this.lock.exit(false);
  }

  /** In the middle of an operation: writes everything, and goes on. What the caller has found out may have changed. */
  async reopen(): Promise<void> {
    this.lock.exit(false);
    try {
      await this.flush(true);
    } finally {
      const wait = this.lock.enter(false);
      if (wait) await wait;
    }
    if (this.broken !== undefined) throw errno(E.EROFS, this.broken);
  }

  private marking: Promise<void> | null = null;

  /** Says on the disk that the volume is being changed. */
  private mark(): Promise<void> {
    return (this.marking ??= this.markdirty().finally(() => (this.marking = null)));
  }

  private async markdirty(): Promise<void> {
    const { em } = this;
    await write_flags(em, VOLUME_DIRTY, CLEAR_TO_ZERO);
    await em.em_dev.flush();
    this.adopt();
  }

  /** The volume is marked dirty by us, or was by the server before us. */
  adopt(): void {
    this.marked = true;
    this.rows?.volume(true, false);
  }

  // ---- changes

  /** A block of the FAT or the bitmap was changed by an allocation. */
  changed(bp: Buf): void {
    this.dirtymaps.add(bp);
    this.em.em_bufcache.bdwrite(bp);
  }

  /** A block of a directory was changed. */
  entries(bp: Buf): void {
    this.dirtyentries.add(bp);
    this.em.em_bufcache.bdwrite(bp);
  }

  /** File data was written. */
  wrote(): void {
    this.written = true;
  }

  /** Clusters that the disk may count on until the next flush. */
  freelater(cluster: number, count: number): void {
    this.frees.push(cluster, count);
    this.freeing += count;
    this.rows?.freeing(cluster, count);
  }

  /** The chain of a file ends with this cluster, once the disk knows its new length. */
  endlater(cluster: number): void {
    this.ends.add(cluster);
    this.rows?.ending(cluster);
  }

  /** Is the chain to end with this cluster, but for a disk that does not know it? */
  ending(cluster: number): boolean {
    return this.ends.has(cluster);
  }

  /** All clusters of a chain from `from` on. A chain that is broken is freed as far as it goes. */
  async freechain(chain: Chain, from: number): Promise<void> {
    for (let at = from; at < chain.count; ) {
      const run = await chain.run(this.em, at, chain.count - at);
      this.freelater(run.cluster, run.count);
      at += run.count;
    }
  }

  /** Clusters were allocated and are not used after all: nothing on the disk leads to them. */
  async giveback(cluster: number, count: number): Promise<void> {
    await this.em.em_bitmap.give(cluster, count);
  }

  /** A file that was written is not any more, or is no file any more: what it had no use for is anybody's. */
  settled(chain: Chain): void {
    this.rotor = Math.min(this.rotor, this.windows.release(chain));
  }

  // ---- files without a name

  orphan(number: number): ExfatNode | undefined {
    return this.orphans.get(number);
  }

  /** The file has lost its name, or has changed without one. */
  orphaned(node: ExfatNode): void {
    this.settled(node.en_chain);
    this.orphans.set(node.en_number, node);
    this.rows?.orphan(node);
  }

  /** It is gone. */
  unorphaned(node: ExfatNode): void {
    if (this.orphans.delete(node.en_number)) this.rows?.unorphan(node.en_number);
  }

  get nameless(): Iterable<ExfatNode> {
    return this.orphans.values();
  }

  get orphancount(): number {
    return this.orphans.size;
  }

  // ---- flushes

  /** The volume contradicts itself: it is not changed any more (unless option errors says otherwise). */
  fail(why: string): void {
    if (this.broken !== undefined || this.em.em_options.errors === 'continue') return;
    this.broken = why;
    this.em.em_kernel.log('error', `${this.em.em_mountp.mnt_mntfromname}: not written any more: ${why}`);
    this.rows?.volume(this.marked, true);
  }

  /**
   * Brings everything to the disk that operations have changed. `all`: step 3, too, and the barrier behind it; without,
   * what fsync
   * promises. @throws EIO what the device says; everything that it did not take is tried again
   */
  async flush(all: boolean): Promise<void> {
    const wait = this.lock.enter(true);
    if (wait) await wait;
    try {
      await this.steps(all);
    } finally {
      this.lock.exit(true);
    }
  }

  private async steps(all: boolean): Promise<void> {
    await this.maps();
    if (this.dirtyentries.size > 0) {
      await this.barrier();
      await this.ranks();
    }
    await this.barrier();
    this.epoch++;
    await this.release();
    if (all && this.dirtymaps.size > 0) {
      await this.maps();
      await this.barrier();
    }
  }

  private async maps(): Promise<void> {
    if (this.dirtymaps.size === 0) return;
    const writing = this.em.em_bufcache.bflush(this.em.em_dev, (bp) => this.dirtymaps.has(bp));
    if (writing) await writing;
    this.dirtymaps.clear();
    this.written = true;
  }

  private async ranks(): Promise<void> {
    const { em_bufcache: cache, em_dev: dev } = this.em;
    let highest = 0;
    for (const bp of this.dirtyentries) highest = Math.max(highest, Rank.rankof(bp));
    for (let rank = 0; rank <= highest; rank++) {
      if (rank > 0) await this.barrier();
      const writing = cache.bflush(dev, (bp) => this.dirtyentries.has(bp) && Rank.rankof(bp) === rank);
      if (writing) await writing;
      this.written = true;
    }
    for (const bp of this.dirtyentries) bp.b_private = null;
    this.dirtyentries.clear();
  }

  private async barrier(): Promise<void> {
    if (!this.written) return;
    const flushing = this.em.em_dev.flush();
    if (flushing) await flushing;
    this.written = false;
  }

  /** Step 3, in memory: what the disk does not count on any more. */
  private async release(): Promise<void> {
    if (this.frees.length === 0 && this.ends.size === 0) return;
    const { em } = this;
    const { frees } = this;
    const ends = [...this.ends];
    this.frees = [];
    this.freeing = 0;
    this.ends.clear();
    // A successor must not do again what was done: others may have the clusters by then.
    for (const cluster of ends) {
      await em.em_fat.get(cluster);
      const setting = em.em_fat.set(cluster, CHAIN_END);
      this.rows?.ended(cluster);
      if (setting) await setting;
    }
    let twice = 0;
    for (let i = 0; i < frees.length; i += 2) {
      const end = frees[i] + frees[i + 1];
      twice += await em.em_bitmap.give(frees[i], frees[i + 1], (cluster, count) => {
        this.rows?.freed(cluster);
        if (cluster + count < end) this.rows?.freeing(cluster + count, end - cluster - count);
      });
    }
    if (twice > 0) {
      em.em_damage.note(`${twice} clusters of files that were removed or cut were free already`);
      this.fail('clusters were freed that nobody had; run fsck');
    }
    if (em.em_options.discard) {
      for (let i = 0; i < frees.length; i += 2) {
        await em.em_dev.discard(em.clusterat(frees[i]), frees[i + 1] * em.em_clbytes);
      }
    }
  }

  /** Nothing waits to be written. */
  get idle(): boolean {
    const waiting = this.dirtymaps.size + this.dirtyentries.size + this.frees.length + this.ends.size;
    return waiting === 0 && !this.written;
  }

  /** After a flush of all: if nothing has changed meanwhile, the disk may say so. @throws EIO */
  async settle(): Promise<void> {
    const { em } = this;
    const wait = this.lock.enter(true);
    if (wait) await wait;
    try {
      if (!this.marked || !this.idle || this.orphans.size > 0 || this.broken !== undefined || this.staysdirty) return;
      await write_flags(em, 0, VOLUME_DIRTY);
      await em.em_dev.flush();
      this.marked = false;
      this.rows?.volume(false, false);
    } finally {
      this.lock.exit(true);
    }
  }}
