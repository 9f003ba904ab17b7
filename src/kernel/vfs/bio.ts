/** Placeholder while the buffer cache is written: the types below are its interface. */
import type { BlockDevice } from '../blkdev.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';

/** The content is newer than the disk. Such a buffer stays in memory until its owner writes it. */
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
 * the limit the cache calls the `reclaim` hook of their mount (its sync) before it hands out more.
 */
export interface BufferCache {
  bread(dev: BlockDevice, offset_bytes: number, size_bytes: number): MaybePromise<Buf>;
  /** Like bread but without reading: the caller fills the whole of b_data. */
  getblk(dev: BlockDevice, offset_bytes: number, size_bytes: number): Buf;
  /** The buffer if it is cached, referenced; else undefined. */
  incore(dev: BlockDevice, offset_bytes: number): Buf | undefined;
  brelse(bp: Buf): void;
  /** Marks dirty (B_DELWRI | B_VALID). The reference stays the caller's. */
  bdwrite(bp: Buf): void;
  /** Writes now; clean afterwards. The reference stays the caller's. */
  bwrite(bp: Buf): MaybePromise<void>;
  /** Forgets cached blocks inside the range, dirty or not (they were freed). */
  binval(dev: BlockDevice, offset_bytes: number, length: number): void;
  /** Forgets everything of the device; dirty buffers must have been written. */
  purge(dev: BlockDevice): void;
  /** Called when this device's dirty buffers take too much room. */
  onpressure(dev: BlockDevice, flush: () => Promise<void>): void;
  readonly dirty_bytes: number;
}
