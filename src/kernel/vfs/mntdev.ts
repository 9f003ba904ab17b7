import type { BlockDevice } from '../blkdev.js';
import { E, Errno, errno, errnoName } from '../errno.js';
import type { PostedWrite } from '../keep/posted.js';
import type { LogLevel, MaybePromise } from '../rumpuser/rumpuser.js';
import { RoomBudget } from './room.js';

type Operation = 'read' | 'write' | 'flush';

const DOING: Record<Operation, string> = {
  read: 'reading',
  write: 'writing',
  flush: 'bringing writes to stable storage',
};

/** Less is not worth putting off, bytes. */
const POST_MIN_BYTES = 16384;
/** What the host must have left for a write to be put off, bytes: it could not be refused for want of room later. */
const POST_RESERVE_BYTES = 64 << 20;
/**
 * What the host is to have left for changes that are in memory and not yet on the device; or a quarter of what it had
 * first, if that is less.
 */
const RESERVE_BYTES = 24 << 20;

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
 *
 * Where a successor would know of it (posted.ts), one write at a time may be put off (`post`): until `settle`, or until
 * anything else is asked of the device, whatever comes first. Nobody can tell the difference but by its failure, which
 * comes too late for whoever asked: the driver is told, and writes are put off no more.
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
  /** Where a write that is put off is noted; null: none is. */
  private notes: PostedWrite | null = null;
  private lost: (owner: number) => void = () => {};
  /** The write that is put off now. */
  private posted: PostedWrite | null = null;
  /** For writes that are put off, and for what is allocated on the volume. */
  private readonly postroom: RoomBudget;
  private readonly spareroom: RoomBudget;

  constructor(disk: BlockDevice, log: (level: LogLevel, message: string) => void) {
    this.disk = disk;
    this.name = disk.name;
    this.sector_bytes = disk.sector_bytes;
    this.readonly = disk.readonly;
    this.log = log;
    this.postroom = new RoomBudget(disk, 0, () => POST_RESERVE_BYTES);
    this.spareroom = new RoomBudget(disk, Infinity, (first) => Math.min(RESERVE_BYTES, first / 4));
  }

  get size_bytes(): number {
    return this.disk.size_bytes;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    this.settle();
    let reading: MaybePromise<void>;
    try {
      reading = this.disk.read(into, into_offset, length, offset_bytes);
    } catch (thrown) {
      throw this.failed('read', thrown, length, offset_bytes);
    }
    if (reading instanceof Promise) {
      return reading.catch((thrown: unknown) => Promise.reject(this.failed('read', thrown, length, offset_bytes)));
    }
    return undefined;
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    this.settle();
    let writing: MaybePromise<void>;
    try {
      writing = this.disk.write(from, from_offset, length, offset_bytes);
    } catch (thrown) {
      throw this.failed('write', thrown, length, offset_bytes);
    }
    if (writing instanceof Promise) {
      return writing.catch((thrown: unknown) => Promise.reject(this.failed('write', thrown, length, offset_bytes)));
    }
    return undefined;
  }

  /**
   * From now on writes may be put off and noted in `notes`; null: no more. `lost`: a write of this owner has failed
   * after all.
   */
  postinto(notes: PostedWrite | null, lost: (owner: number) => void): void {
    this.settle();
    this.notes = this.disk.immediate === true ? notes : null;
    this.lost = lost;
  }

  /** Like write, but may put it off. `from` stays as it is until `settle`. */
  post(from: Uint8Array, from_offset: number, length: number, offset_bytes: number, owner: number): MaybePromise<void> {
    const { notes } = this;
    const holds = notes !== null && length >= POST_MIN_BYTES && notes.holds(from, from_offset, length);
    if (!holds || !this.postroom.has(length)) return this.write(from, from_offset, length, offset_bytes);
    this.settle();
    this.postroom.take(length);
    notes.note(from, from_offset, length, offset_bytes, owner);
    this.posted = notes;
    return undefined;
  }

  /** Does the write that was put off. */
  settle(): void {
    // Each request comes by here, mostly for nothing: short, so that it is inlined.
    if (this.posted !== null) this.writeposted(this.posted);
  }

  private writeposted(posted: PostedWrite): void {
    this.posted = null;
    const { length, offset_bytes, owner } = posted;
    const failed = (thrown: unknown) => {
      this.failed('write', thrown, length, offset_bytes);
      this.notes = null;
      this.lost(owner);
    };
    try {
      const writing = this.disk.write(posted.requests, posted.at, length, offset_bytes);
      // It does not, being immediate. If it does all the same, it has its copy and keeps the order.
      if (writing instanceof Promise) writing.catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
    posted.done();
  }

  /**
   * How many of `bytes` may be allocated on the volume now. Less where the host could run out of room before everything
   * is on the device: better no file than one whose metadata is lost.
   */
  spare(bytes: number): number {
    if (!this.hasspare(bytes)) this.full();
    return this.spareroom.take(bytes);
  }

  /** Would the next `spare` of so many bytes get all of them? */
  hasspare(bytes: number): boolean {
    return this.spareroom.has(bytes);
  }

  private full(): void {
    if (this.said.has('full')) return;
    this.said.add('full');
    this.log('warn', `${this.name}: no space left where it is kept; nothing can be added to the volume until there is`);
  }

  flush(): MaybePromise<void> {
    this.settle();
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
    this.settle();
    return this.disk.discard(offset_bytes, length);
  }

  close(): MaybePromise<void> {
    this.settle();
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
      this.log(
        'error',
        `${this.name}: ${DOING[operation]}${where} failed: ${errnoName(thrown.errno)} (${thrown.message}); more ` +
          'errors of this kind are not reported',
      );
    }
    return error;
  }
}
