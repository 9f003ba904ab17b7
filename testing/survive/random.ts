/** Reproducible random numbers (mulberry32). */
export class Random {
  constructor(private state: number) {}

  /** 0 <= x < 1 */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  /** 0..n-1 */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  bytes(length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    let x = this.below(2 ** 31) | 1;
    for (let i = 0; i < length; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) | 0;
      buffer[i] = x >>> 24;
    }
    return buffer;
  }
}
