import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { JBD2_MAGIC } from '../disk/journal.js';
import type { Log } from './find.js';
import type { Copy } from './recover.js';

/**
 * A device as its journal, replayed, would leave it: blocks that the log has copies of come from there. Nothing may be
 * written through it.
 */
export class JournalOverlay implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly = true;
  readonly dev: BlockDevice;
  private readonly log: Log;
  private readonly copies: ReadonlyMap<number, Copy>;

  constructor(dev: BlockDevice, log: Log, copies: ReadonlyMap<number, Copy>) {
    this.dev = dev;
    this.log = log;
    this.copies = copies;
    this.name = dev.name;
    this.size_bytes = dev.size_bytes;
    this.sector_bytes = dev.sector_bytes;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    const { bsize } = this.log;
    const reading = this.dev.read(into, into_offset, length, offset_bytes);
    const end = offset_bytes + length;
    const hits: number[] = [];
    for (let block = Math.floor(offset_bytes / bsize); block * bsize < end; block++)
      if (this.copies.has(block)) hits.push(block);
    if (hits.length === 0) return reading;
    const patched = async (): Promise<void> => {
      await reading;
      for (const block of hits) await this.patch(into, into_offset - offset_bytes, offset_bytes, end, block);
    };
    return patched();
  }

  /**
   * Puts the copy of `block` over the part of bytes `from`..`end`-1 of the device that it covers; those lie at `shift`
   * more in `into`.
   */
  private async patch(into: Uint8Array, shift: number, from: number, end: number, block: number): Promise<void> {
    const { bsize } = this.log;
    const copy = this.copies.get(block)!;
    const bytes = await this.log.read(copy.block);
    if (copy.escaped) new DataView(bytes.buffer).setUint32(0, JBD2_MAGIC);
    const start = Math.max(from, block * bsize);
    const stop = Math.min(end, (block + 1) * bsize);
    into.set(bytes.subarray(start - block * bsize, stop - block * bsize), shift + start);
  }

  /**
   * Brings the copies to their places on the device, with a barrier. May be repeated; the log stays as it is. @throws
   * EIO
   */
  async settle(): Promise<void> {
    const { bsize } = this.log;
    for (const block of [...this.copies.keys()].sort((a, b) => a - b)) {
      const bytes = new Uint8Array(bsize);
      await this.patch(bytes, -block * bsize, block * bsize, (block + 1) * bsize, block);
      await this.dev.write(bytes, 0, bsize, block * bsize);
    }
    await this.dev.flush();
  }

  write(): never {
    throw errno(E.EROFS);
  }
  flush(): void {
    // Nothing is ever written.
  }
  discard(): void {
    // As above.
  }
  close(): MaybePromise<void> {
    return this.dev.close();
  }
}
