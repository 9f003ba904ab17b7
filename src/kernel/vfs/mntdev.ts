import type { BlockDevice } from '../blkdev.js';
import { E, Errno, errno, errnoName } from '../errno.js';
import type { LogLevel, MaybePromise } from '../rumpuser/rumpuser.js';

type Operation = 'read' | 'write' | 'flush';

const DOING: Record<Operation, string> = { read: 'reading', write: 'writing', flush: 'bringing writes to stable storage' };

/** Errors that came from a device, and not from the code of a driver. */
const fromdevice = new WeakSet<object>();

/** Did a mounted device throw this? */
export function device_failed(thrown: unknown): boolean {
  return typeof thrown === 'object' && thrown !== null && fromdevice.has(thrown);
}

/**
 * The device of a mount, as its driver sees it: the one that was given to mount(2), with three rules for its errors.
 * Each kind of error is logged once. A driver can tell them from its own ({@link device_failed}). And a flush that
 * failed is never followed by one that succeeds: what it was to keep may be gone, and the next one would not know.
 */
export class MountedDevice implements BlockDevice {
  readonly name: string;
  readonly sector_bytes: number;
  readonly readonly: boolean;
  /** What is behind it. */
  readonly disk: BlockDevice;
  private readonly log: (level: LogLevel, message: string) => void;
  private readonly said = new Set<string>();
  private flush_failed: Error | null = null;

  constructor(disk: BlockDevice, log: (level: LogLevel, message: string) => void) {
    this.disk = disk;
    this.name = disk.name;
    this.sector_bytes = disk.sector_bytes;
    this.readonly = disk.readonly;
    this.log = log;
  }

  get size_bytes(): number {
    return this.disk.size_bytes;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    let reading: MaybePromise<void>;
    try {
      reading = this.disk.read(into, into_offset, length, offset_bytes);
    } catch (thrown) {
      throw this.failed('read', thrown, length, offset_bytes);
    }
    if (reading instanceof Promise) return reading.catch((thrown: unknown) => Promise.reject(this.failed('read', thrown, length, offset_bytes)));
    return undefined;
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    let writing: MaybePromise<void>;
    try {
      writing = this.disk.write(from, from_offset, length, offset_bytes);
    } catch (thrown) {
      throw this.failed('write', thrown, length, offset_bytes);
    }
    if (writing instanceof Promise) return writing.catch((thrown: unknown) => Promise.reject(this.failed('write', thrown, length, offset_bytes)));
    return undefined;
  }

  flush(): MaybePromise<void> {
    if (this.flush_failed !== null) throw this.flush_failed;
    const fail = (thrown: unknown): never => {
      throw (this.flush_failed = this.failed('flush', thrown, 0, 0));
    };
    try {
      const flushing = this.disk.flush();
      return flushing instanceof Promise ? flushing.catch(fail) : undefined;
    } catch (thrown) {
      return fail(thrown);
    }
  }

  discard(offset_bytes: number, length: number): MaybePromise<void> {
    return this.disk.discard(offset_bytes, length);
  }

  close(): MaybePromise<void> {
    return this.disk.close();
  }

  /** Notes an error and returns it. A range that is not on the device is the driver's fault, or the volume's. */
  private failed(operation: Operation, thrown: unknown, length: number, offset_bytes: number): Error {
    if (!(thrown instanceof Errno)) return thrown as Error;
    if (thrown.errno === E.EINVAL) return thrown;
    // Of its own: a device may throw the error object that all share.
    const error = errno(thrown.errno, thrown.message);
    fromdevice.add(error);
    const what = `${operation} ${thrown.errno}`;
    if (!this.said.has(what)) {
      this.said.add(what);
      const where = operation === 'flush' ? '' : ` ${length} bytes at ${offset_bytes}`;
      this.log('error', `${this.name}: ${DOING[operation]}${where} failed: ${errnoName(thrown.errno)} (${thrown.message}); more errors of this kind are not reported`);
    }
    return error;
  }
}
