import { E, errno } from '../../kernel/errno.js';
import type { Uio } from '../../kernel/vfs/uio.js';

/** Bytes of a page: the unit of holes. */
export const PAGE_BYTES = 65536;
/** A page is never smaller than this, and the unit in which the volume counts its room. */
export const GRAIN_BYTES = 4096;

/** Where pages take their room from. */
export interface Room {
  /** @throws ENOSPC */
  take(bytes: number): void;
  give(bytes: number): void;
}

/**
 * The content of a regular file: a sparse map of pages. A page that is not there is a hole. A page may be shorter than
 * PAGE_BYTES (a power of two, at least GRAIN_BYTES): what lies behind its end reads as zeros, so a small file costs
 * little. Bytes behind the end of the file are always zero, so that growing a file shows zeros.
 */
export class Pages {
  private readonly pages = new Map<number, Uint8Array>();
  private readonly room: Room;
  /** Bytes of memory taken. */
  bytes = 0;

  constructor(room: Room) {
    this.room = room;
  }

  /** Copies up to `end` (the size of the file) to the caller. */
  read(uio: Uio, end: number): void {
    while (uio.uio_resid > 0 && uio.uio_offset < end) {
      const index = Math.floor(uio.uio_offset / PAGE_BYTES);
      const start = uio.uio_offset - index * PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - start, uio.uio_resid, end - uio.uio_offset);
      const page = this.pages.get(index);
      if (page === undefined || start >= page.length) {
        uio.zero(length);
        continue;
      }
      const stored = Math.min(length, page.length - start);
      uio.uio_buf.set(page.subarray(start, start + stored), uio.uio_bufoff);
      uio.advance(stored);
      if (stored < length) uio.zero(length - stored);
    }
  }

  /** Takes everything that is left in `uio`. @throws ENOSPC what was stored before stays */
  write(uio: Uio): void {
    while (uio.uio_resid > 0) {
      const index = Math.floor(uio.uio_offset / PAGE_BYTES);
      const start = uio.uio_offset - index * PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - start, uio.uio_resid);
      const page = this.ensure(index, start + length);
      page.set(uio.uio_buf.subarray(uio.uio_bufoff, uio.uio_bufoff + length), start);
      uio.advance(length);
    }
  }

  /** The page with at least `need` bytes, made or made longer. */
  private ensure(index: number, need: number): Uint8Array {
    const old = this.pages.get(index);
    if (old !== undefined && old.length >= need) return old;
    // Only the first page starts small: a file that has a second one is large anyway.
    let size = index === 0 ? GRAIN_BYTES : PAGE_BYTES;
    while (size < need) size *= 2;
    const more = size - (old?.length ?? 0);
    this.room.take(more);
    this.bytes += more;
    const page = new Uint8Array(size);
    if (old !== undefined) page.set(old);
    this.pages.set(index, page);
    return page;
  }

  private drop(index: number): void {
    const page = this.pages.get(index);
    if (page === undefined) return;
    this.pages.delete(index);
    this.bytes -= page.length;
    this.room.give(page.length);
  }

  /** Makes [start, end) a hole as far as whole pages lie in it, and zeros in the rest. */
  punch(start: number, end: number): void {
    const first = Math.ceil(start / PAGE_BYTES);
    const last = Math.floor(end / PAGE_BYTES);
    if (first > last) {
      this.clear(last, start - last * PAGE_BYTES, end - last * PAGE_BYTES);
      return;
    }
    this.clear(first - 1, start - (first - 1) * PAGE_BYTES, PAGE_BYTES);
    this.clear(last, 0, end - last * PAGE_BYTES);
    if (last - first <= this.pages.size) {
      for (let index = first; index < last; index++) this.drop(index);
    } else {
      for (const index of [...this.pages.keys()]) if (index >= first && index < last) this.drop(index);
    }
  }

  /** What is there in [start, end) becomes zeros, and stays there. */
  zero(start: number, end: number): void {
    for (let index = Math.floor(start / PAGE_BYTES); index * PAGE_BYTES < end; index++) {
      this.clear(index, Math.max(0, start - index * PAGE_BYTES), Math.min(PAGE_BYTES, end - index * PAGE_BYTES));
    }
  }

  private clear(index: number, from: number, to: number): void {
    if (from < to) this.pages.get(index)?.fill(0, from, to);
  }

  /** Frees everything from `size` on. */
  truncate(size: number): void {
    const keep = Math.ceil(size / PAGE_BYTES);
    for (const index of [...this.pages.keys()]) if (index >= keep) this.drop(index);
    const last = Math.floor(size / PAGE_BYTES);
    this.clear(last, size - last * PAGE_BYTES, PAGE_BYTES);
  }

  /** Makes room for [start, end). @throws ENOSPC nothing was changed then */
  reserve(start: number, end: number, available: number): void {
    const first = Math.floor(start / PAGE_BYTES);
    const last = Math.ceil(end / PAGE_BYTES);
    if (last - first - this.pages.size > available / PAGE_BYTES) throw errno(E.ENOSPC);
    let need = 0;
    for (let index = first; index < last; index++) need += PAGE_BYTES - (this.pages.get(index)?.length ?? 0);
    if (need > available) throw errno(E.ENOSPC);
    for (let index = first; index < last; index++) this.ensure(index, PAGE_BYTES);
  }

  /** The first page at or behind `index` that is there; Infinity if there is none. */
  nextData(index: number): number {
    // Near ones are found by probing; only a long hole costs a look at every page.
    for (let probe = index; probe < index + 64; probe++) if (this.pages.has(probe)) return probe;
    let next = Infinity;
    for (const key of this.pages.keys()) if (key >= index && key < next) next = key;
    return next;
  }

  nextHole(index: number): number {
    while (this.pages.has(index)) index++;
    return index;
  }
}
