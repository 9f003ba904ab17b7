import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { CLUST_FIRST, validCluster } from '../disk/bpb.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { CELL_FREE } from './fat.js';
import type { Fat } from './fat.js';

/** Clusters in a row. */
export interface ClusterRun {
  readonly first: number;
  readonly count: number;
}

/** The scan for the free count reads so much at a time, bytes, and lets others get on in between. */
const SCAN_BYTES = 1 << 20;

/**
 * Free clusters: where the next ones are looked for, and how many there are. The count comes from the FSInfo sector
 * where that can be believed, else from a scan of the FAT the first time that somebody asks; allocation goes by the FAT
 * alone.
 */
export class Space {
  /** What the search begins with. */
  next: number;
  /** Free clusters; while a scan is at work, those below `scanned`. -1: not known. */
  private free = -1;
  private scanned: number;
  private scanning: Promise<void> | null = null;
  /** Pieces of the FAT in which nothing is free. */
  private readonly full: Uint8Array;
  private readonly fat: Fat;

  constructor(private readonly pmp: MsdosMount) {
    this.fat = pmp.pm_fat;
    this.full = new Uint8Array(this.fat.pieces);
    this.next = CLUST_FIRST;
    this.scanned = this.behind;
  }

  private get behind(): number {
    return this.pmp.pm_geometry.clusters + CLUST_FIRST;
  }

  /** What the FSInfo sector said, where it can be believed. */
  believe(free: number, next: number): void {
    if (free <= this.pmp.pm_geometry.clusters) this.free = free;
    if (validCluster(this.pmp.pm_geometry, next)) this.next = next;
  }

  /** Free clusters as far as that is known without a scan; -1: it is not. */
  get known(): number {
    return this.scanning === null && this.free >= 0 ? this.free : -1;
  }

  /** The cell of a cluster has become free (1) or is free no more (-1). */
  counted(cluster: number, change: 1 | -1): void {
    if (change === 1) this.full[this.fat.pieceOf(cluster)] = 0;
    if (this.free >= 0 && cluster < this.scanned) this.free = Math.max(0, this.free + change);
  }

  /**
   * Takes up to `want` free clusters in a row, from `near` on where that is free, else from where the last search
   * ended, and chains them; the last one ends the chain. null: there are none. @throws EIO
   */
  alloc(want: number, near: number): MaybePromise<ClusterRun | null> {
    if (validCluster(this.pmp.pm_geometry, near)) {
      const wait = this.fat.pin(near);
      if (wait) return wait.then(() => this.alloc(want, near));
      if (this.fat.cell(near) === CELL_FREE) return this.take(near, want);
    }
    return this.search(want, this.next, 0);
  }

  private search(want: number, from: number, looked: number): MaybePromise<ClusterRun | null> {
    const { fat, behind } = this;
    let c = from < behind ? from : CLUST_FIRST;
    while (looked < behind) {
      const piece = fat.pieceOf(c);
      const end = fat.pieceEnd(piece);
      if (this.full[piece] === 0) {
        const wait = fat.pin(c);
        if (wait) {
          const at = c;
          const before = looked;
          return wait.then(() => this.search(want, at, before));
        }
        const start = c;
        for (; c < end; c++) if (fat.cell(c) === CELL_FREE) return this.take(c, want);
        if (this.wholly(start, piece)) this.full[piece] = 1;
        looked += end - start;
      } else {
        looked += end - c;
      }
      c = end >= behind ? CLUST_FIRST : end;
    }
    if (this.scanned >= behind) this.free = 0;
    return null;
  }

  /** Did a look at the cells from `start` on see all of the piece? */
  private wholly(start: number, piece: number): boolean {
    return start <= CLUST_FIRST || this.fat.pieceOf(start - 1) !== piece;
  }

  /** Takes `first`, which is free and whose piece is pinned, and what is free behind it. */
  private take(first: number, want: number): ClusterRun {
    const { fat, behind } = this;
    let count = 1;
    fat.set(first, fat.eoc);
    while (count < want && first + count < behind) {
      const c = first + count;
      // Where the next piece is not at hand the run ends: the next allocation goes on there.
      if (fat.pin(c) !== undefined || fat.cell(c) !== CELL_FREE) break;
      fat.set(c, fat.eoc);
      // What was just changed is in the cache for certain.
      fat.pin(c - 1);
      fat.set(c - 1, c);
      count++;
    }
    this.next = first + count;
    return { first, count };
  }

  /** How many clusters are free. Reads the FAT, in pieces, where nobody knows. @throws EIO */
  count(): MaybePromise<number> {
    if (this.known >= 0) return this.known;
    this.scanning ??= this.scan().finally(() => (this.scanning = null));
    return this.scanning.then(() => this.free);
  }

  private async scan(): Promise<void> {
    const { fat, pmp } = this;
    const { type } = pmp.pm_geometry;
    const { rumpuser } = pmp.pm_kernel;
    this.free = 0;
    this.scanned = CLUST_FIRST;
    try {
      if (type === 12) {
        while (fat.pin(CLUST_FIRST) !== undefined) await fat.pin(CLUST_FIRST);
        for (let c = CLUST_FIRST; c < this.behind; c++) if (fat.cell(c) === CELL_FREE) this.free++;
        this.scanned = this.behind;
        return;
      }
      const buffer = new Uint8Array(Math.min(SCAN_BYTES, fat.range.bytes));
      const words = type === 32 ? new Uint32Array(buffer.buffer) : new Uint16Array(buffer.buffer);
      const cellBytes = type / 8;
      for (let at = 0; at < fat.range.bytes && this.scanned < this.behind; at += buffer.length) {
        const length = Math.min(buffer.length, fat.range.bytes - at);
        await this.piece(buffer, at, length);
        const from = at / cellBytes;
        const to = Math.min((at + length) / cellBytes, this.behind);
        for (let c = this.scanned; c < to; c++) if (isFree(words[c - from]!, type)) this.free++;
        this.scanned = to;
        if (to < this.behind) await rumpuser.rumpuser_clock_sleep(0);
      }
      this.scanned = this.behind;
    } catch (error) {
      this.free = -1;
      this.scanned = this.behind;
      throw error;
    }
  }

  /**
   * A piece of the FAT as it is now: from the device, with what is changed and not yet written over it. No await behind
   * the last read.
   */
  private async piece(into: Uint8Array, at: number, length: number): Promise<void> {
    const { pmp, fat } = this;
    const offset = fat.range.offset + at;
    const order = pmp.pm_order;
    // As long as nothing is flushed, what changes while the device reads is dirty afterwards.
    const wait = order?.lock.enter(false);
    if (wait) await wait;
    try {
      await pmp.pm_dev.read(into, 0, length, offset);
    } finally {
      order?.lock.exit(false);
    }
    for (const bp of order?.fatdirty ?? []) {
      if (bp.b_offset >= offset && bp.b_offset < offset + length) {
        into.set(bp.b_data.subarray(0, Math.min(bp.b_bcount, offset + length - bp.b_offset)), bp.b_offset - offset);
      }
    }
  }
}

/** Whatever the order of the bytes: all of them are zero, but for the top four bits of a cell of 32. */
function isFree(word: number, type: 16 | 32): boolean {
  return type === 16 ? word === 0 : (word & LOW28) === 0;
}

/** The low 28 bits of a little-endian word as this machine reads it. */
const LOW28 = new Uint32Array(Uint8Array.of(0xff, 0xff, 0xff, 0x0f).buffer)[0]!;
