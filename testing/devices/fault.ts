import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, errno } from '../../src/kernel/errno.js';
import type { MaybePromise } from '../../src/kernel/rumpuser/rumpuser.js';
import { checkRange } from '../../src/blockdev/range.js';

/** One thing that the disk was asked to keep, in the order in which it was asked. */
export type DiskEvent =
  | { readonly op: 'write'; readonly offset_bytes: number; readonly bytes: Uint8Array }
  | { readonly op: 'discard'; readonly offset_bytes: number; readonly length: number }
  | { readonly op: 'flush' };

export type DiskOperation = 'read' | 'write' | 'flush' | 'discard';

/** How one operation goes wrong. */
export type Fault =
  /** Fails with this errno; nothing is transferred. */
  | { readonly errno: number }
  /** Transfers so many bytes, then fails with EIO. */
  | { readonly short_bytes: number };

export interface FaultOptions {
  /** Asked before every operation, which are counted from 0; undefined lets it pass. */
  readonly fault?: (op: DiskOperation, number: number, offset_bytes: number, length: number) => Fault | undefined;
  /** From the operation of this number on everything fails with ENXIO: the disk was pulled out. */
  readonly vanish_after?: number;
  /** Keep all writes and flushes in {@link FaultDevice.events}; default false. */
  readonly record?: boolean;
  /** Answer later, by promises, as a slow disk does; default false. */
  readonly slow?: boolean;
}

/**
 * For tests: a disk that fails on demand and remembers what it was asked to keep. Everything it lets pass goes to the
 * device below.
 */
export class FaultDevice implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly: boolean;
  readonly events: DiskEvent[] = [];
  /** Operations asked for so far. */
  operations = 0;
  reads = 0;
  writes = 0;
  flushes = 0;
  /** May be changed between operations. */
  fault: FaultOptions['fault'];
  vanish_after: number;
  private readonly disk: BlockDevice;
  private readonly record: boolean;
  private readonly slow: boolean;
  /** The slow disk works through its operations one by one. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(disk: BlockDevice, options: FaultOptions = {}) {
    this.disk = disk;
    this.name = disk.name;
    this.size_bytes = disk.size_bytes;
    this.sector_bytes = disk.sector_bytes;
    this.readonly = disk.readonly;
    this.fault = options.fault;
    this.vanish_after = options.vanish_after ?? Infinity;
    this.record = options.record ?? false;
    this.slow = options.slow ?? false;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    checkRange(this, offset_bytes, length);
    this.reads++;
    return this.run('read', offset_bytes, length, (count) => this.disk.read(into, into_offset, count, offset_bytes));
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    checkRange(this, offset_bytes, length);
    this.writes++;
    const bytes =
      this.record || this.slow
        ? from.slice(from_offset, from_offset + length)
        : from.subarray(from_offset, from_offset + length);
    return this.run('write', offset_bytes, length, (count) => {
      if (this.record) this.events.push({ op: 'write', offset_bytes, bytes: bytes.subarray(0, count) });
      return this.disk.write(bytes, 0, count, offset_bytes);
    });
  }

  flush(): MaybePromise<void> {
    this.flushes++;
    return this.run('flush', 0, 0, () => {
      if (this.record) this.events.push({ op: 'flush' });
      return this.disk.flush();
    });
  }

  discard(offset_bytes: number, length: number): MaybePromise<void> {
    checkRange(this, offset_bytes, length);
    return this.run('discard', offset_bytes, length, (count) => {
      if (this.record) this.events.push({ op: 'discard', offset_bytes, length: count });
      return this.disk.discard(offset_bytes, count);
    });
  }

  close(): MaybePromise<void> {
    return this.disk.close();
  }

  private run(
    op: DiskOperation,
    offset_bytes: number,
    length: number,
    transfer: (count: number) => MaybePromise<void>,
  ): MaybePromise<void> {
    const number = this.operations++;
    const fault: Fault | undefined =
      number >= this.vanish_after ? { errno: E.ENXIO } : this.fault?.(op, number, offset_bytes, length);
    const go = (): MaybePromise<void> => {
      if (fault === undefined) return transfer(length);
      if ('errno' in fault) throw errno(fault.errno, `${this.name}: injected error of ${op} ${number}`);
      const short = errno(
        E.EIO,
        `${this.name}: injected: ${op} ${number} stopped after ${fault.short_bytes} of ${length} bytes`,
      );
      const done = transfer(Math.min(fault.short_bytes, length));
      if (done instanceof Promise) return done.then(() => Promise.reject(short));
      throw short;
    };
    if (!this.slow) return go();
    const result = this.tail.then(go);
    this.tail = result.catch(() => undefined);
    return result;
  }
}
