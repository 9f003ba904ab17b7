import { E, errno } from '../../src/kernel/errno.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';

const PAGE = 16384;
const ZERO = new Uint8Array(PAGE);

/** A block device in memory that keeps only what was written: volumes of many TiB cost what they hold. */
export class SparseDevice implements BlockDevice {
  readonly name = 'sparse';
  readonly sector_bytes = 512;
  readonly pages = new Map<number, Uint8Array>();
  reads = 0;
  writes = 0;
  flushes = 0;

  constructor(public size_bytes: number, public readonly = false) {}

  static from(bytes: Uint8Array): SparseDevice {
    const dev = new SparseDevice(bytes.length);
    for (let at = 0; at < bytes.length; at += PAGE) {
      const page = bytes.subarray(at, at + PAGE);
      if (Buffer.compare(page, ZERO.subarray(0, page.length)) !== 0) dev.write(bytes, at, page.length, at);
    }
    dev.writes = 0;
    return dev;
  }

  /** A copy with these bytes instead, most of which are the same. */
  with(bytes: Uint8Array): SparseDevice {
    const copy = new SparseDevice(bytes.length);
    for (let at = 0; at < bytes.length; at += PAGE) {
      const now = bytes.subarray(at, at + PAGE);
      const page = this.pages.get(at / PAGE) ?? ZERO;
      const same = Buffer.compare(page.subarray(0, now.length), now) === 0;
      if (!same) copy.write(bytes, at, now.length, at);
      else if (page !== ZERO) copy.pages.set(at / PAGE, page.slice());
    }
    copy.writes = 0;
    return copy;
  }

  clone(): SparseDevice {
    const copy = new SparseDevice(this.size_bytes);
    for (const [n, page] of this.pages) copy.pages.set(n, page.slice());
    return copy;
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.size_bytes);
    this.read(all, 0, all.length, 0);
    return all;
  }

  #check(length: number, offset: number): void {
    if (offset < 0 || length < 0 || offset + length > this.size_bytes) {
      throw errno(E.EINVAL, `range ${offset}+${length}`);
    }
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): void {
    this.#check(length, offset_bytes);
    this.reads++;
    while (length > 0) {
      const within = offset_bytes % PAGE;
      const n = Math.min(length, PAGE - within);
      const page = this.pages.get((offset_bytes - within) / PAGE);
      if (page === undefined) into.fill(0, into_offset, into_offset + n);
      else into.set(page.subarray(within, within + n), into_offset);
      into_offset += n;
      offset_bytes += n;
      length -= n;
    }
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): void {
    this.#check(length, offset_bytes);
    if (this.readonly) throw errno(E.EROFS);
    this.writes++;
    while (length > 0) {
      const within = offset_bytes % PAGE;
      const n = Math.min(length, PAGE - within);
      const number = (offset_bytes - within) / PAGE;
      let page = this.pages.get(number);
      if (page === undefined) this.pages.set(number, (page = new Uint8Array(PAGE)));
      page.set(from.subarray(from_offset, from_offset + n), within);
      from_offset += n;
      offset_bytes += n;
      length -= n;
    }
  }

  flush(): void {
    this.flushes++;
  }
  discard(): void {}
  close(): void {}
}
