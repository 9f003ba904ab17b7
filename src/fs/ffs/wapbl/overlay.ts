import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { WapblReplay } from './replay.js';
import { DEV_BSIZE } from './replay.js';

/** A device seen through its replayed journal, for reading only: sectors that the journal holds come from there. */
export class WapblOverlay implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly = true;
  private readonly dev: BlockDevice;
  private readonly sectors: Map<number, number>;

  constructor(dev: BlockDevice, replay: WapblReplay) {
    this.dev = dev;
    this.name = dev.name;
    this.size_bytes = dev.size_bytes;
    this.sector_bytes = dev.sector_bytes;
    this.sectors = replay.sectors;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    const first = Math.floor(offset_bytes / DEV_BSIZE);
    const last = Math.floor((offset_bytes + length - 1) / DEV_BSIZE);
    for (let sector = first; sector <= last; sector++) {
      if (this.sectors.has(sector)) return this.patched(into, into_offset, length, offset_bytes);
    }
    return this.dev.read(into, into_offset, length, offset_bytes);
  }

  private patched(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    const whole = this.dev.read(into, into_offset, length, offset_bytes);
    if (whole instanceof Promise) return whole.then(() => this.patch(into, into_offset, length, offset_bytes));
    return this.patch(into, into_offset, length, offset_bytes);
  }

  /** Reads the sectors that the journal holds over what the disk holds. */
  private patch(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    const end = offset_bytes + length;
    const waits: Promise<void>[] = [];
    for (let at = offset_bytes; at < end; ) {
      const sector = Math.floor(at / DEV_BSIZE);
      const within = at - sector * DEV_BSIZE;
      const bytes = Math.min(DEV_BSIZE - within, end - at);
      const journal = this.sectors.get(sector);
      if (journal !== undefined) {
        const wait = this.dev.read(into, into_offset + at - offset_bytes, bytes, journal + within);
        if (wait instanceof Promise) waits.push(wait);
      }
      at += bytes;
    }
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  write(): never {
    throw errno(E.EROFS);
  }
  flush(): void {}
  discard(): void {}
  close(): MaybePromise<void> {
    return this.dev.close();
  }
}
