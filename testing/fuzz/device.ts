import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, errno } from '../../src/kernel/errno.js';
import type { Mutation } from './mutant.js';

const PAGE = 4096;

/**
 * A disk over a shared image: what is written lies in pages of its own, the image is never changed. Making one costs
 * next to nothing, however large the image is. Behind the end of the image there are zeros.
 */
export class MutantDevice implements BlockDevice {
  readonly name = 'mutant';
  readonly sector_bytes = 512;
  readonly size_bytes: number;
  readonly readonly: boolean;
  reads = 0;
  writes = 0;
  /** Bytes asked for so far. */
  bytes_read = 0;
  private readonly image: Uint8Array;
  private readonly pages = new Map<number, Uint8Array>();

  constructor(image: Uint8Array, mutations: readonly Mutation[] = [], options: { readonly readonly?: boolean } = {}) {
    this.image = image;
    let size = image.length;
    for (const m of mutations) {
      if (m.size !== undefined) size = m.size;
      for (const { at, bytes } of m.patches) this.put(bytes, 0, bytes.length, at);
    }
    this.size_bytes = size;
    this.readonly = options.readonly ?? false;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): void {
    this.check(length, offset_bytes);
    this.reads++;
    this.bytes_read += length;
    this.get(into, into_offset, length, offset_bytes);
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): void {
    this.check(length, offset_bytes);
    if (this.readonly) throw errno(E.EROFS);
    this.writes++;
    this.put(from, from_offset, length, offset_bytes);
  }

  flush(): void {
    // Memory is as stable as it gets.
  }

  discard(offset_bytes: number, length: number): void {
    this.check(length, offset_bytes);
  }

  close(): void {
    // Looked at again afterwards.
  }

  /** An independent disk with the same content. */
  clone(options: { readonly readonly?: boolean } = {}): MutantDevice {
    const copy = new MutantDevice(this.image, [{ label: '', patches: [], size: this.size_bytes }], options);
    for (const [number, page] of this.pages) copy.pages.set(number, page.slice());
    return copy;
  }

  /** Writes it to a new file: sparse, since a mutant may claim to be large. */
  save(file: string): void {
    const fd = openSync(file, 'w');
    try {
      writeSync(fd, this.image, 0, Math.min(this.image.length, this.size_bytes));
      for (const [number, page] of this.pages) {
        const at = number * PAGE;
        if (at < this.size_bytes) writeSync(fd, page, 0, Math.min(PAGE, this.size_bytes - at), at);
      }
      ftruncateSync(fd, this.size_bytes);
    } finally {
      closeSync(fd);
    }
  }

  /** Reads without being counted or checked; behind the end are zeros. */
  get(into: Uint8Array, into_offset: number, length: number, offset: number): void {
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const within = at % PAGE;
      const n = Math.min(PAGE - within, end - at);
      const page = this.pages.get((at - within) / PAGE);
      if (page !== undefined) into.set(page.subarray(within, within + n), into_offset);
      else this.original(into, into_offset, n, at);
      into_offset += n;
      at += n;
    }
  }

  /** Writes without being counted or checked. */
  put(from: Uint8Array, from_offset: number, length: number, offset: number): void {
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const within = at % PAGE;
      const n = Math.min(PAGE - within, end - at);
      const number = (at - within) / PAGE;
      let page = this.pages.get(number);
      if (page === undefined) {
        page = new Uint8Array(PAGE);
        this.original(page, 0, PAGE, at - within);
        this.pages.set(number, page);
      }
      page.set(from.subarray(from_offset, from_offset + n), within);
      from_offset += n;
      at += n;
    }
  }

  private original(into: Uint8Array, into_offset: number, length: number, at: number): void {
    const n = Math.max(0, Math.min(length, this.image.length - at));
    if (n > 0) into.set(this.image.subarray(at, at + n), into_offset);
    if (n < length) into.fill(0, into_offset + n, into_offset + length);
  }

  private check(length: number, offset: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size_bytes) return;
    throw errno(E.EINVAL, `${length} bytes at ${offset} lie outside the device's ${this.size_bytes} bytes`);
  }
}
