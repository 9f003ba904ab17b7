import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno } from '../kernel/errno.js';
import type { MaybePromise } from '../kernel/rumpuser/rumpuser.js';

/** Lets reads through to another device and nothing else. Closing it closes the other. */
export class ReadonlyDevice implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly = true;
  private readonly disk: BlockDevice;

  constructor(disk: BlockDevice) {
    this.disk = disk;
    this.name = disk.name;
    this.size_bytes = disk.size_bytes;
    this.sector_bytes = disk.sector_bytes;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    return this.disk.read(into, into_offset, length, offset_bytes);
  }

  write(): never {
    throw errno(E.EROFS, `${this.name} is read-only`);
  }

  flush(): void {
    // Nothing was written.
  }

  discard(): never {
    throw errno(E.EROFS, `${this.name} is read-only`);
  }

  close(): MaybePromise<void> {
    return this.disk.close();
  }
}
