import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { WapblReplay } from './replay.js';
import { DEV_BSIZE } from './replay.js';
import { wapbl_replay_write } from './todisk.js';

/**
 * A device seen through its journal: sectors that the journal holds come from there, and nothing may be written. Once
 * the journal has been replayed to the disk ({@link settle}) it is the device itself.
 */
export class WapblOverlay implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  private readonly dev: BlockDevice;
  private readonly replay: WapblReplay;
  private readonly sectors: Map<number, number>;
  private settled = false;

  constructor(dev: BlockDevice, replay: WapblReplay) {
    this.dev = dev;
    this.name = dev.name;
    this.size_bytes = dev.size_bytes;
    this.sector_bytes = dev.sector_bytes;
    this.replay = replay;
    this.sectors = replay.sectors;
  }

  get readonly(): boolean {
    return !this.settled || this.dev.readonly;
  }

  /** What the journal holds, for a person. */
  describe(): string {
    return `${this.replay.records} records, ${this.replay.sectors.size} sectors, ${this.replay.inodes.length} inodes ` +
      'to free';
  }

  /** Replays the journal to the disk, once; undefined: that has been done. @throws EIO EROFS */
  async settle(): Promise<WapblReplay | undefined> {
    if (this.settled) return undefined;
    await wapbl_replay_write(this.dev, this.replay);
    this.settled = true;
    this.sectors.clear();
    return this.replay;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    if (this.settled) return this.dev.read(into, into_offset, length, offset_bytes);
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

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    if (!this.settled) throw errno(E.EROFS);
    return this.dev.write(from, from_offset, length, offset_bytes);
  }

  flush(): MaybePromise<void> {
    return this.settled ? this.dev.flush() : undefined;
  }

  discard(offset_bytes: number, length: number): MaybePromise<void> {
    return this.settled ? this.dev.discard(offset_bytes, length) : undefined;
  }

  close(): MaybePromise<void> {
    return this.dev.close();
  }
}
