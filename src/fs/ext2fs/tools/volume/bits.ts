/**
 * A set of numbers, as bits in pieces of `size` numbers each (a group's clusters or inodes). A piece in which nothing
 * is set takes no memory.
 */
export class Bits {
  readonly size: number;
  private readonly pieces = new Map<number, Uint8Array>();
  /** How many are in the set. */
  count = 0;

  constructor(size: number) {
    this.size = size;
  }

  has(n: number): boolean {
    const piece = this.pieces.get(Math.floor(n / this.size));
    const i = n % this.size;
    return piece !== undefined && (piece[i >>> 3]! & (1 << (i & 7))) !== 0;
  }

  /** @returns false: it was there already */
  add(n: number): boolean {
    const p = Math.floor(n / this.size);
    let piece = this.pieces.get(p);
    if (piece === undefined) this.pieces.set(p, (piece = new Uint8Array(Math.ceil(this.size / 8))));
    const i = n % this.size;
    const bit = 1 << (i & 7);
    if ((piece[i >>> 3]! & bit) !== 0) return false;
    piece[i >>> 3]! |= bit;
    this.count++;
    return true;
  }

  addrun(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.add(first + i);
  }

  remove(n: number): void {
    if (!this.has(n)) return;
    const i = n % this.size;
    this.pieces.get(Math.floor(n / this.size))![i >>> 3]! &= ~(1 << (i & 7));
    this.count--;
  }

  /** The bytes of piece `p`; undefined: nothing is set there. */
  piece(p: number): Uint8Array | undefined {
    return this.pieces.get(p);
  }

  /** How many of a piece are set. */
  inpiece(p: number): number {
    const piece = this.pieces.get(p);
    if (piece === undefined) return 0;
    let count = 0;
    for (let byte of piece) for (; byte !== 0; byte &= byte - 1) count++;
    return count;
  }

  /** The first number in `from`..`to`-1 that is not set; -1: there is none. */
  nextclear(from: number, to: number): number {
    for (let n = from; n < to; ) {
      const piece = this.pieces.get(Math.floor(n / this.size));
      const i = n % this.size;
      if (piece === undefined) return n;
      if ((i & 7) === 0 && piece[i >>> 3] === 0xff) n += Math.min(8, this.size - i);
      else if ((piece[i >>> 3]! & (1 << (i & 7))) === 0) return n;
      else n++;
    }
    return -1;
  }

  /** The first in `from`..`to`-1 that is set; `to`: there is none. */
  nextset(from: number, to: number): number {
    for (let n = from; n < to; ) {
      const p = Math.floor(n / this.size);
      const piece = this.pieces.get(p);
      const i = n % this.size;
      if (piece === undefined) n = (p + 1) * this.size;
      else if ((i & 7) === 0 && piece[i >>> 3] === 0) n += Math.min(8, this.size - i);
      else if ((piece[i >>> 3]! & (1 << (i & 7))) !== 0) return n;
      else n++;
    }
    return to;
  }

  /** The first of `want` numbers in a row in `from`..`to`-1 that are not set; -1: there are none. */
  findclear(from: number, to: number, want: number): number {
    for (let n = from; ; ) {
      n = this.nextclear(n, to);
      if (n < 0 || n + want > to) return -1;
      const end = this.nextset(n, n + want);
      if (end === n + want) return n;
      n = end;
    }
  }
}
