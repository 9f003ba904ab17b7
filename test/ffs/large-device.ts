import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, errno } from '../../src/kernel/errno.js';

const PAGE = 4096;

/**
 * A disk of any size in memory. Pages that were never written cost nothing, and all pages that hold one and the same
 * byte throughout are one: maps of free space and the data of these tests. Counts what is transferred.
 */
export class LargeDevice implements BlockDevice {
  readonly name = 'large disk';
  readonly sector_bytes = 512;
  readonly readonly = false;
  readonly pages = new Map<number, Uint8Array>();
  readonly #constant = new Map<number, Uint8Array>();
  read_bytes = 0;
  written_bytes = 0;

  constructor(readonly size_bytes: number) {}

  /** Bytes of memory that the content takes. */
  get held_bytes(): number {
    return (new Set(this.pages.values()).size) * PAGE;
  }

  #check(length: number, offset: number): void {
    if (offset < 0 || length < 0 || offset + length > this.size_bytes) {
      throw errno(E.EINVAL, `range ${offset}+${length}`);
    }
  }

  read(into: Uint8Array, into_offset: number, length: number, offset: number): void {
    this.#check(length, offset);
    this.read_bytes += length;
    for (let at = 0; at < length; ) {
      const within = (offset + at) % PAGE;
      const n = Math.min(length - at, PAGE - within);
      const page = this.pages.get((offset + at - within) / PAGE);
      if (page === undefined) into.fill(0, into_offset + at, into_offset + at + n);
      else into.set(page.subarray(within, within + n), into_offset + at);
      at += n;
    }
  }

  write(from: Uint8Array, from_offset: number, length: number, offset: number): void {
    this.#check(length, offset);
    this.written_bytes += length;
    for (let at = 0; at < length; ) {
      const within = (offset + at) % PAGE;
      const n = Math.min(length - at, PAGE - within);
      const number = (offset + at - within) / PAGE;
      const part = from.subarray(from_offset + at, from_offset + at + n);
      if (n === PAGE) {
        this.pages.set(number, this.#shared(part) ?? part.slice());
      } else {
        const old = this.pages.get(number);
        const page = old === undefined ? new Uint8Array(PAGE) : this.#constant.get(old[0]!) === old ? old.slice() : old;
        page.set(part, within);
        this.pages.set(number, page);
      }
      at += n;
    }
  }

  /** The page that all pages of this content are, if it is one byte throughout. */
  #shared(page: Uint8Array): Uint8Array | undefined {
    const byte = page[0]!;
    for (let i = 1; i < PAGE; i++) if (page[i] !== byte) return undefined;
    let shared = this.#constant.get(byte);
    if (shared === undefined) this.#constant.set(byte, (shared = page.slice()));
    return shared;
  }

  flush(): void {}
  discard(): void {}
  close(): void {}
}
