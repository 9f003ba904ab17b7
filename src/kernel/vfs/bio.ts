/** The buffer cache: blocks of metadata in memory, found by device and byte offset. Names after NetBSD's vfs_bio.c. */
import type { BlockDevice } from '../blkdev.js';
import { E, errno, errnoName, errnoOf } from '../errno.js';
import type { LogLevel, MaybePromise } from '../rumpuser/rumpuser.js';
import type { Keep } from '../keep/keep.js';
import type { KeepsBlocks } from '../keep/volume.js';
import { BufList, CachedBuf, DeviceBlocks } from './cachedbuf.js';

/**
 * The content is newer than the disk. Such a buffer stays in memory until its owner writes it. Set by bdwrite only,
 * cleared by writing only.
 */
export const B_DELWRI = 0x1;
/** The content has been read or wholly written (else it is undefined: the owner of a getblk fills it). */
export const B_VALID = 0x2;

/** A block of a device in memory. Referenced from bread or getblk until brelse; only then may it leave the cache. */
export interface Buf {
  readonly b_dev: BlockDevice;
  /** Byte offset on the device. */
  readonly b_offset: number;
  /** Bytes. */
  readonly b_bcount: number;
  readonly b_data: Uint8Array;
  readonly b_view: DataView;
  b_flags: number;
  b_refs: number;
  /** For the driver that owns the buffer: ordering state. */
  b_private: unknown;
}

/**
 * The buffer cache: metadata blocks only, file data goes past it. One for a kernel, bounded in bytes (default 64 MiB).
 * A block is always asked for with the same offset and size while it is cached; a driver that changes its mind (a
 * fragment that grew, a freed block) calls binval first. Dirty buffers are not evicted; when they pass a quarter of
 * the limit the cache starts the onpressure hook of their device (the mount's sync) as soon as running code yields.
 */
export interface BufferCache extends KeepsBlocks<Keep> {
  /** @throws EIO a read error, or a block beyond the device; EINVAL for a size that no block has */
  bread(dev: BlockDevice, offset_bytes: number, size_bytes: number): MaybePromise<Buf>;
  /**
   * Like bread but without reading: the caller fills the whole of b_data. Released without bdwrite, bwrite or B_VALID
   * it is forgotten.
   */
  getblk(dev: BlockDevice, offset_bytes: number, size_bytes: number): Buf;
  /** The buffer if it is cached and has content, referenced; else undefined. */
  incore(dev: BlockDevice, offset_bytes: number): Buf | undefined;
  brelse(bp: Buf): void;
  /** Marks dirty (B_DELWRI | B_VALID). The reference stays the caller's. */
  bdwrite(bp: Buf): void;
  /** Writes now; clean afterwards, dirty if it throws. The reference stays the caller's. */
  bwrite(bp: Buf): MaybePromise<void>;
  /**
   * Writes the device's dirty buffers (those that `which` chooses) in the order of their offsets, adjacent ones in one
   * transfer. No barrier. Tries all of them, then throws the first error; what could not be written stays dirty.
   */
  bflush(dev: BlockDevice, which?: (bp: Buf) => boolean): MaybePromise<void>;
  /**
   * Forgets cached blocks inside the range, dirty or not (they were freed). Who still holds one keeps the memory; its
   * writes are dropped.
   */
  binval(dev: BlockDevice, offset_bytes: number, length: number): void;
  /** Forgets everything of the device; dirty buffers must have been written. */
  purge(dev: BlockDevice): void;
  /** Called when this device's dirty buffers take too much room. */
  onpressure(dev: BlockDevice, flush: () => Promise<void>): void;
  /**
   * For whoever makes much dirty at a time: a promise while the pressure hook of the device runs and twice the
   * tolerated amount is dirty. Await it only where no lock is held that the hook may want.
   */
  throttle(dev: BlockDevice): Promise<void> | undefined;
  readonly dirty_bytes: number;
}

const BUFCACHE_DEFAULT_BYTES = 64 * 1024 * 1024;
/** No format has larger metadata blocks; a larger size comes from a damaged field. */
const BLOCK_MAX_BYTES = 4 * 1024 * 1024;
/** Adjacent dirty buffers are written together up to this size. */
const CLUSTER_MAX_BYTES = 1024 * 1024;
/** Keys of the maps are offsets in this unit: small integers for the first terabyte, which hash faster. */
const KEY_BYTES = 512;

export interface BufCacheOptions {
  /** Bytes; default {@link BUFCACHE_DEFAULT_BYTES}. */
  readonly limit_bytes?: number;
  readonly log?: (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;
  /**
   * For tests: looks for blocks that overlap a cached one, at the cost of a walk over the cache for each new buffer.
   */
  readonly check_overlap?: boolean;
}

export class BufCache implements BufferCache {
  readonly limit_bytes: number;
  /** Lookups that found their block with its content, and those that did not. */
  hits = 0;
  misses = 0;
  evictions = 0;
  /** Memory that buffers take; over the limit only by what is dirty or referenced. */
  resident_bytes = 0;
  dirty_bytes = 0;
  private readonly log: (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;
  private readonly check_overlap: boolean;
  private readonly devices = new Map<BlockDevice, DeviceBlocks>();
  /** The device asked for last: nearly always the next one too. */
  private last: DeviceBlocks | null = null;
  private readonly freelist = new BufList();
  private cluster: Uint8Array | null = null;

  constructor(options: BufCacheOptions = {}) {
    this.limit_bytes = options.limit_bytes ?? BUFCACHE_DEFAULT_BYTES;
    this.log = options.log ?? (() => undefined);
    this.check_overlap = options.check_overlap ?? false;
  }

  bread(dev: BlockDevice, offset_bytes: number, size_bytes: number): MaybePromise<Buf> {
    const blocks = this.blocksOf(dev);
    const bp = blocks.map.get(offset_bytes / KEY_BYTES);
    if (bp !== undefined && bp.b_bcount === size_bytes) {
      if ((bp.b_flags & B_VALID) !== 0) {
        this.hits++;
        this.reference(bp);
        return bp;
      }
      if (bp.reading !== null) {
        this.hits++;
        bp.b_refs++;
        return bp.reading;
      }
      throw this.bug(`block at ${offset_bytes} is read while its owner fills it`, bp);
    }
    return this.fill(this.enter(blocks, offset_bytes, size_bytes, bp));
  }

  getblk(dev: BlockDevice, offset_bytes: number, size_bytes: number): Buf {
    const blocks = this.blocksOf(dev);
    const bp = blocks.map.get(offset_bytes / KEY_BYTES);
    if (bp === undefined || bp.b_bcount !== size_bytes) return this.enter(blocks, offset_bytes, size_bytes, bp);
    if (bp.reading === null) {
      this.hits++;
      this.reference(bp);
      return bp;
    }
    // The read under way would overwrite what the caller fills in: it ends in a buffer of its own.
    this.detach(bp);
    return this.enter(blocks, offset_bytes, size_bytes, undefined);
  }

  incore(dev: BlockDevice, offset_bytes: number): Buf | undefined {
    const bp = this.blocksOf(dev).map.get(offset_bytes / KEY_BYTES);
    if (bp === undefined || (bp.b_flags & B_VALID) === 0) return undefined;
    this.reference(bp);
    return bp;
  }

  brelse(buf: Buf): void {
    const bp = buf as CachedBuf;
    if (bp.b_refs <= 0) throw this.bug(`block at ${bp.b_offset} is released more often than it was referenced`, bp);
    if (--bp.b_refs > 0 || bp.dirty || bp.detached) return;
    if ((bp.b_flags & B_VALID) === 0) {
      if (bp.reading === null) this.detach(bp);
      return;
    }
    bp.free = true;
    this.freelist.add(bp);
    if (this.resident_bytes > this.limit_bytes) this.makeRoom(0);
  }

  bdwrite(buf: Buf): void {
    const bp = buf as CachedBuf;
    if (bp.b_refs <= 0) throw this.bug(`block at ${bp.b_offset} is written without a reference to it`, bp);
    if (this.dropped(bp)) return;
    this.makeDirty(bp);
    const blocks = bp.blocks;
    if (blocks.dirty_bytes > blocks.pressure_at && blocks.flushing === null && blocks.pressure !== null) {
      this.startFlush(blocks, blocks.pressure);
    }
  }

  bwrite(buf: Buf): MaybePromise<void> {
    const bp = buf as CachedBuf;
    if (bp.b_refs <= 0) throw this.bug(`block at ${bp.b_offset} is written without a reference to it`, bp);
    if (this.dropped(bp)) return;
    bp.b_flags |= B_VALID;
    return this.transfer(bp, [bp], bp.b_data, bp.b_bcount);
  }

  bflush(dev: BlockDevice, which?: (bp: Buf) => boolean): MaybePromise<void> {
    const blocks = this.devices.get(dev);
    if (blocks === undefined) return;
    const dirty: CachedBuf[] = [];
    for (let bp = blocks.dirtylist.first; bp !== null; bp = bp.next) {
      if (which === undefined || which(bp)) dirty.push(bp);
    }
    dirty.sort((a, b) => a.b_offset - b.b_offset);
    return this.flushFrom(dirty, 0, undefined);
  }

  binval(dev: BlockDevice, offset_bytes: number, length: number): void {
    const blocks = this.devices.get(dev);
    // Damage may name any place; behind the end of the device there is no block (and, far behind it, no next number).
    if (blocks === undefined || length <= 0 || !(offset_bytes >= 0 && offset_bytes < dev.size_bytes)) return;
    const end = Math.min(offset_bytes + length, dev.size_bytes);
    // By key where the range has fewer of them than the map: blocks begin at multiples of the unit or at no lower key.
    if (length / KEY_BYTES < blocks.map.size && offset_bytes % KEY_BYTES === 0) {
      for (let at = offset_bytes; at < end; ) {
        const bp = blocks.map.get(at / KEY_BYTES);
        if (bp !== undefined) this.detach(bp);
        at += KEY_BYTES;
      }
    } else {
      for (const bp of blocks.map.values()) if (bp.b_offset >= offset_bytes && bp.b_offset < end) this.detach(bp);
    }
  }

  purge(dev: BlockDevice): void {
    const blocks = this.devices.get(dev);
    if (blocks === undefined) return;
    if (blocks.dirty_bytes > 0) {
      this.log('error', `${dev.name}: ${blocks.dirty_bytes} bytes of changed metadata were never written and are lost`);
    }
    for (const bp of blocks.map.values()) this.detach(bp);
    this.devices.delete(dev);
    if (this.last === blocks) this.last = null;
  }

  onpressure(dev: BlockDevice, flush: () => Promise<void>): void {
    this.blocksOf(dev).pressure = flush;
  }

  throttle(dev: BlockDevice): Promise<void> | undefined {
    const blocks = this.blocksOf(dev);
    return blocks.flushing !== null && blocks.dirty_bytes > this.limit_bytes / 2 ? blocks.flushing : undefined;
  }

  keep(dev: BlockDevice, keeper: Keep | null): BufList {
    const blocks = this.blocksOf(dev);
    blocks.keeper = keeper;
    return blocks.dirtylist;
  }

  private blocksOf(dev: BlockDevice): DeviceBlocks {
    if (this.last !== null && this.last.dev === dev) return this.last;
    let blocks = this.devices.get(dev);
    if (blocks === undefined) this.devices.set(dev, (blocks = new DeviceBlocks(dev, this.limit_bytes / 4)));
    return (this.last = blocks);
  }

  private reference(bp: CachedBuf): void {
    bp.b_refs++;
    if (!bp.free) return;
    bp.free = false;
    this.freelist.remove(bp);
  }

  /** A new buffer in the map, without content. `old` is the cached block of another size that it takes the place of. */
  private enter(blocks: DeviceBlocks, offset: number, size: number, old: CachedBuf | undefined): CachedBuf {
    this.misses++;
    if (!(size > 0 && size <= BLOCK_MAX_BYTES)) {
      throw errno(E.EINVAL, `${blocks.dev.name}: block of ${size} bytes at ${offset}`);
    }
    if (!(offset >= 0 && offset + size <= blocks.dev.size_bytes)) {
      throw errno(
        E.EIO,
        `${blocks.dev.name}: block of ${size} bytes at ${offset} lies beyond the device's ${blocks.dev.size_bytes} ` +
          'bytes',
      );
    }
    if (old !== undefined) {
      if (old.dirty) {
        throw this.bug(
          `block at ${offset} is asked for with ${size} bytes while ${old.b_bcount} bytes of it are dirty`,
          old,
        );
      }
      if (old.b_refs > 0) {
        this.bug(
          `block at ${offset} is asked for with ${size} bytes while somebody holds it with ${old.b_bcount}`,
          old,
        );
      }
      this.detach(old);
    }
    if (this.check_overlap) this.refuseOverlap(blocks, offset, size);
    this.makeRoom(size);
    const bp = new CachedBuf(blocks, offset, size);
    blocks.map.set(offset / KEY_BYTES, bp);
    this.resident_bytes += size;
    return bp;
  }

  /** Reads a block just entered. */
  private fill(bp: CachedBuf): MaybePromise<Buf> {
    let reading: MaybePromise<void>;
    try {
      reading = bp.b_dev.read(bp.b_data, 0, bp.b_bcount, bp.b_offset);
    } catch (e) {
      this.detach(bp);
      throw e;
    }
    if (!(reading instanceof Promise)) {
      bp.b_flags |= B_VALID;
      return bp;
    }
    bp.reading = reading.then(
      () => {
        bp.reading = null;
        bp.b_flags |= B_VALID;
        return bp;
      },
      (e: unknown) => {
        bp.reading = null;
        this.detach(bp);
        throw e;
      },
    );
    return bp.reading;
  }

  private makeDirty(bp: CachedBuf): void {
    bp.b_flags |= B_DELWRI | B_VALID;
    const { keeper } = bp.blocks;
    if (keeper !== null) keeper.note(bp);
    if (bp.dirty) return;
    bp.dirty = true;
    if (bp.free) {
      bp.free = false;
      this.freelist.remove(bp);
    }
    bp.blocks.dirtylist.add(bp);
    bp.blocks.dirty_bytes += bp.b_bcount;
    this.dirty_bytes += bp.b_bcount;
  }

  /** The free list is left to the caller, which holds a reference or takes the buffer out of the cache. */
  private makeClean(bp: CachedBuf): void {
    bp.b_flags &= ~B_DELWRI;
    if (!bp.dirty) return;
    bp.dirty = false;
    if (bp.kept >= 0) bp.blocks.keeper?.note(bp);
    bp.blocks.dirtylist.remove(bp);
    bp.blocks.dirty_bytes -= bp.b_bcount;
    this.dirty_bytes -= bp.b_bcount;
  }

  /**
   * Writes `bytes`, the content of `run`, from the offset of `at`. The buffers are clean from the start, so that a
   * change during a slow transfer makes them dirty anew, and dirty again if it fails.
   */
  private transfer(at: CachedBuf, run: CachedBuf[], bytes: Uint8Array, length: number): MaybePromise<void> {
    at.blocks.keeper?.ahead();
    for (const bp of run) {
      bp.b_refs++;
      this.makeClean(bp);
    }
    let writing: MaybePromise<void>;
    try {
      writing = at.b_dev.write(bytes, 0, length, at.b_offset);
    } catch (e) {
      this.written(run, false);
      throw e;
    }
    if (!(writing instanceof Promise)) {
      this.written(run, true);
      return;
    }
    return writing.then(
      () => this.written(run, true),
      (e: unknown) => {
        this.written(run, false);
        throw e;
      },
    );
  }

  private written(run: CachedBuf[], done: boolean): void {
    for (const bp of run) {
      if (!done && !bp.detached) this.makeDirty(bp);
      this.brelse(bp);
    }
  }

  /** Writes the sorted buffers from index `i` on. Stays synchronous as long as the device does. */
  private flushFrom(dirty: CachedBuf[], i: number, failed: unknown): MaybePromise<void> {
    while (i < dirty.length) {
      const at = dirty[i]!;
      if (!at.dirty) {
        i++; // written or freed meanwhile
        continue;
      }
      const run = [at];
      let length = at.b_bcount;
      for (i++; i < dirty.length; i++) {
        const bp = dirty[i]!;
        if (!bp.dirty || bp.b_offset !== at.b_offset + length || length + bp.b_bcount > CLUSTER_MAX_BYTES) break;
        run.push(bp);
        length += bp.b_bcount;
      }
      let writing: MaybePromise<void>;
      try {
        writing = this.transfer(at, run, this.gather(run), length);
      } catch (e) {
        failed ??= e;
        continue;
      }
      if (writing instanceof Promise) {
        const rest = i;
        return writing.then(
          () => this.flushFrom(dirty, rest, failed),
          (e: unknown) => this.flushFrom(dirty, rest, failed ?? e),
        );
      }
    }
    if (failed !== undefined) throw failed as Error;
  }

  private gather(run: CachedBuf[]): Uint8Array {
    if (run.length === 1) return run[0]!.b_data;
    // Free to be used again at once: a device that answers later has taken its copy.
    const cluster = (this.cluster ??= new Uint8Array(CLUSTER_MAX_BYTES));
    let at = 0;
    for (const bp of run) {
      cluster.set(bp.b_data, at);
      at += bp.b_bcount;
    }
    return cluster;
  }

  /** Takes a buffer out of the cache, whatever its state. Who holds it keeps the memory. */
  private detach(bp: CachedBuf): void {
    if (bp.detached) return;
    if (bp.free) {
      bp.free = false;
      this.freelist.remove(bp);
    }
    this.makeClean(bp);
    bp.detached = true;
    bp.blocks.map.delete(bp.b_offset / KEY_BYTES);
    this.resident_bytes -= bp.b_bcount;
  }

  private makeRoom(bytes: number): void {
    while (this.resident_bytes + bytes > this.limit_bytes && this.freelist.last !== null) {
      this.evictions++;
      this.detach(this.freelist.last);
    }
  }

  private startFlush(blocks: DeviceBlocks, hook: () => Promise<void>): void {
    // A microtask later: bdwrite's caller is in the middle of a change.
    blocks.flushing = Promise.resolve()
      .then(hook)
      .catch((e: unknown) =>
        this.log('error', `${blocks.dev.name}: writing changed metadata failed: ${errnoName(errnoOf(e))}`),
      )
      .then(() => {
        blocks.flushing = null;
        const tolerated = this.limit_bytes / 4;
        blocks.pressure_at = blocks.dirty_bytes > tolerated ? blocks.dirty_bytes + tolerated / 4 : tolerated;
      });
  }

  /** A write through a buffer whose block was freed would land on what took its place. */
  private dropped(bp: CachedBuf): boolean {
    if (bp.detached) this.log('debug', `${bp.b_dev.name}: a write to the freed block at ${bp.b_offset} is dropped`);
    return bp.detached;
  }

  private refuseOverlap(blocks: DeviceBlocks, offset: number, size: number): void {
    for (const bp of blocks.map.values()) {
      if (bp.b_offset >= offset + size || bp.b_offset + bp.b_bcount <= offset) continue;
      throw this.bug(
        `block of ${size} bytes at ${offset} overlaps the cached block of ${bp.b_bcount} bytes at ${bp.b_offset}`,
        bp,
      );
    }
  }

  private bug(what: string, bp: CachedBuf): Error {
    this.log('error', `${bp.b_dev.name}: driver bug: ${what}`);
    return errno(E.EIO, what);
  }
}
