import type { BlockDevice } from '../blkdev.js';
import type { KeptRecord, RecordWriter } from './records.js';

/** What a volume has that is to be kept: the dirty blocks of its device, and what its driver knows beyond them. */

/** A block of the buffer cache, as far as this module knows it (CachedBuf is one). */
export interface KeptBlock {
  readonly b_offset: number;
  readonly b_bcount: number;
  readonly b_data: Uint8Array;
  readonly dirty: boolean;
  /** Where its copy lies; -1: there is none. */
  kept: number;
  /** Changed since the last commit. */
  keptlisted: boolean;
}

/** A buffer cache that tells of the dirty blocks of one device. */
export interface KeepsBlocks<Keeper> {
  /** From now on. @returns the device's dirty blocks, whenever they are looked at */
  keep(dev: BlockDevice, keeper: Keeper | null): Iterable<KeptBlock>;
}

/** The driver's part of the state, beyond its dirty blocks. Types of its records begin with {@link DRIVER_RECORDS}. */
export interface KeptDriver {
  /** No operation is in the middle of a change: what is in memory now is a state to go on from. */
  readonly quiet: boolean;
  /** There is something to be recorded. */
  readonly changed: boolean;
  /** Changes are not known one by one: a snapshot is wanted. */
  readonly whole: boolean;
  /** Records what has changed since it was asked last. */
  delta(out: RecordWriter): void;
  /** Records everything. */
  snapshot(out: RecordWriter): void;
  /**
   * Nothing of it is being recorded: a snapshot will be asked for, and what would be in a delta need not be remembered.
   */
  forget(): void;
  /** Does the write that was put off (posted.ts). */
  settle(): void;
}

/** What a predecessor has left for the driver. */
export interface Inheritance {
  readonly blocks: readonly { readonly offset_bytes: number; readonly bytes: Uint8Array }[];
  readonly records: readonly KeptRecord[];
}
