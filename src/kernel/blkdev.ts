import type { MaybePromise } from './rumpuser/rumpuser.js';

/**
 * What a disk file system is mounted on. Implementations are in src/blockdev: image, raw device, memory, partition,
 * overlay. Offsets and lengths are bytes; a device may be asked for ranges that are not multiples of a sector.
 *
 * Every transfer is whole or fails: EIO for a device error or a transfer that came short, ENXIO for a device that is
 * gone, EINVAL for a range outside 0..size_bytes, EROFS for a write to a read-only device.
 *
 * A device may answer later (a promise). Then it has copied what is to be written before `write` returned, and
 * transfers that overlap take effect in the order in which they were asked for.
 */
export interface BlockDevice {
  /** For messages. */
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly: boolean;
  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void>;
  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void>;
  /** Barrier: every write that returned before this call is on stable storage when it returns. */
  flush(): MaybePromise<void>;
  /** The content of the range no longer matters. Never fails for lack of support. */
  discard(offset_bytes: number, length: number): MaybePromise<void>;
  close(): MaybePromise<void>;
  /**
   * For a device whose writes can fail for want of room behind it (a sparse image): bytes that are left there; Infinity
   * if they suffice for all of the device, undefined if nobody knows.
   */
  room?(): number | undefined;
  /** Whatever it is asked for it does before it returns. Default false. */
  readonly immediate?: boolean;
}
