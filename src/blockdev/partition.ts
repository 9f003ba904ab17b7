import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno } from '../kernel/errno.js';
import type { MaybePromise } from '../kernel/rumpuser/rumpuser.js';
import { checkRange } from './range.js';

/** A window on another device. */
export class PartitionDevice implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly: boolean;
  /** The device that the window is on. */
  readonly disk: BlockDevice;
  /** Where the window begins on it, bytes. */
  readonly offset_bytes: number;

  /**
   * Closing the partition closes the disk.
   * @throws EINVAL the window does not lie inside the disk
   */
  constructor(disk: BlockDevice, offset_bytes: number, size_bytes: number, name: string) {
    if (
      !Number.isSafeInteger(offset_bytes) ||
      !Number.isSafeInteger(size_bytes) ||
      offset_bytes < 0 ||
      size_bytes <= 0 ||
      offset_bytes + size_bytes > disk.size_bytes
    ) {
      throw errno(
        E.EINVAL,
        `${name} (${size_bytes} bytes at ${offset_bytes}) does not lie inside ${disk.name}, which has ` +
          `${disk.size_bytes} bytes`,
      );
    }
    this.disk = disk;
    this.offset_bytes = offset_bytes;
    this.size_bytes = size_bytes;
    this.sector_bytes = disk.sector_bytes;
    this.readonly = disk.readonly;
    this.name = name;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    checkRange(this, offset_bytes, length);
    return this.disk.read(into, into_offset, length, this.offset_bytes + offset_bytes);
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    checkRange(this, offset_bytes, length);
    return this.disk.write(from, from_offset, length, this.offset_bytes + offset_bytes);
  }

  flush(): MaybePromise<void> {
    return this.disk.flush();
  }

  discard(offset_bytes: number, length: number): MaybePromise<void> {
    checkRange(this, offset_bytes, length);
    return this.disk.discard(this.offset_bytes + offset_bytes, length);
  }

  get immediate(): boolean {
    return this.disk.immediate ?? false;
  }

  room(): number | undefined {
    return this.disk.room?.();
  }

  close(): MaybePromise<void> {
    return this.disk.close();
  }
}

/** Where a device lies on the disk that it is a part of (itself, if it is none), bytes. */
export function placeOf(device: BlockDevice): { disk: BlockDevice; start: number; end: number } {
  let disk = device;
  let start = 0;
  for (; disk instanceof PartitionDevice; disk = disk.disk) start += disk.offset_bytes;
  return { disk, start, end: start + device.size_bytes };
}
