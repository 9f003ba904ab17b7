/** What the buffer cache (bio.ts) is built of: cached blocks, lists of them, and what is kept for each device. */
import type { BlockDevice } from '../blkdev.js';
import type { Keep, KeptBlock } from '../keep/keep.js';
import type { Buf } from './bio.js';

/**
 * One cached block. Where it is linked:
 *
 *   free list of the cache     clean, valid, b_refs 0: may be evicted
 *   dirty list of its device   dirty is set, any b_refs
 *   neither                    clean and referenced, or being read, or detached
 */
export class CachedBuf implements Buf, KeptBlock {
  readonly b_dev: BlockDevice;
  readonly b_offset: number;
  readonly b_bcount: number;
  readonly b_data: Uint8Array;
  readonly b_view: DataView;
  b_flags = 0;
  b_refs = 1;
  b_private: unknown = null;
  readonly blocks: DeviceBlocks;
  /** On the dirty list; equal to B_DELWRI unless a driver changed that by hand. */
  dirty = false;
  /** On the free list. */
  free = false;
  /** Left the cache (binval, failed read): nothing may be written through it. */
  detached = false;
  /** While the block is read: the promise that all readers of the block wait for. */
  reading: Promise<Buf> | null = null;
  kept = -1;
  keptlisted = false;
  prev: CachedBuf | null = null;
  next: CachedBuf | null = null;

  constructor(blocks: DeviceBlocks, offset: number, size: number) {
    this.blocks = blocks;
    this.b_dev = blocks.dev;
    this.b_offset = offset;
    this.b_bcount = size;
    this.b_data = new Uint8Array(size);
    this.b_view = new DataView(this.b_data.buffer);
  }
}

/** A doubly linked list through prev and next; first is the newest. */
export class BufList {
  first: CachedBuf | null = null;
  last: CachedBuf | null = null;

  *[Symbol.iterator](): Iterator<CachedBuf> {
    for (let bp = this.first; bp !== null; bp = bp.next) yield bp;
  }

  add(bp: CachedBuf): void {
    bp.prev = null;
    bp.next = this.first;
    if (this.first === null) this.last = bp;
    else this.first.prev = bp;
    this.first = bp;
  }

  remove(bp: CachedBuf): void {
    if (bp.prev === null) this.first = bp.next;
    else bp.prev.next = bp.next;
    if (bp.next === null) this.last = bp.prev;
    else bp.next.prev = bp.prev;
    bp.prev = bp.next = null;
  }
}

/** What the cache keeps for one device. */
export class DeviceBlocks {
  readonly dev: BlockDevice;
  readonly map = new Map<number, CachedBuf>();
  readonly dirtylist = new BufList();
  dirty_bytes = 0;
  pressure: (() => Promise<void>) | null = null;
  /** Who copies the dirty blocks for a successor. */
  keeper: Keep | null = null;
  /** While the pressure hook runs. */
  flushing: Promise<void> | null = null;
  /**
   * The hook is started above this. Rises after a flush that left much dirty, so that it is not called again and again.
   */
  pressure_at: number;

  constructor(dev: BlockDevice, pressure_at: number) {
    this.dev = dev;
    this.pressure_at = pressure_at;
  }
}
