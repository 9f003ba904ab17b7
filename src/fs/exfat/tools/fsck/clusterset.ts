import { bits_free_run, bits_set, bits_used_run } from '../../../lib/bits.js';

const PAGE_BYTES = 4096;
const PAGE_BITS = PAGE_BYTES * 8;
/** Stands for every page of which all bits are set. */
const FULL = new Uint8Array(PAGE_BYTES).fill(0xff);
const NONE = new Uint8Array(PAGE_BYTES);

/** A set of numbers of clusters, in pages of bits: what has none, and what has all, takes no memory. */
export class ClusterSet {
  private readonly pages = new Map<number, Uint8Array>();
  count = 0;

  private page(number: number): Uint8Array {
    return this.pages.get(Math.floor(number / PAGE_BITS)) ?? NONE;
  }

  has(number: number): boolean {
    const bit = number % PAGE_BITS;
    return ((this.page(number)[bit >>> 3] >>> (bit & 7)) & 1) === 1;
  }

  /** How many of at most `max` numbers from `from` on are in the set (or not), in a row. */
  row(from: number, max: number, inside: boolean): number {
    let found = 0;
    while (found < max) {
      const bit = (from + found) % PAGE_BITS;
      const room = Math.min(PAGE_BITS - bit, max - found);
      const bits = this.page(from + found);
      const n = inside ? bits_used_run(bits, bit, bit + room) : bits_free_run(bits, bit, bit + room);
      found += n;
      if (n < room) break;
    }
    return found;
  }

  /** Adds numbers in a row. */
  add(from: number, count: number): void {
    for (let done = 0; done < count; ) {
      const number = from + done;
      const key = Math.floor(number / PAGE_BITS);
      const bit = number % PAGE_BITS;
      const n = Math.min(PAGE_BITS - bit, count - done);
      done += n;
      if (n === PAGE_BITS) {
        this.count += n - this.row(number, n, true);
        this.pages.set(key, FULL);
        continue;
      }
      let page = this.pages.get(key);
      if (page === FULL) continue;
      if (page === undefined) this.pages.set(key, (page = new Uint8Array(PAGE_BYTES)));
      this.count += bits_set(page, bit, bit + n);
    }
  }
}
