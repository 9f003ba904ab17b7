/** Random numbers that are the same on every machine for the same seed (splitmix32). */
export class Random {
  private state: number;

  /** @param seeds numbers that are mixed to one seed; integers */
  constructor(...seeds: readonly number[]) {
    this.state = 0x243f6a88;
    for (const seed of seeds) {
      this.state = (this.state ^ seed) | 0;
      this.u32();
      this.state = (this.state ^ Math.floor(seed / 2 ** 32)) | 0;
      this.u32();
    }
  }

  /** 0..2^32-1 */
  u32(): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** 0..n-1 */
  below(n: number): number {
    return Math.floor((this.u32() / 2 ** 32) * n);
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(of: readonly T[]): T {
    if (of.length === 0) throw new Error('nothing to pick from');
    return of[this.below(of.length)]!;
  }

  /** Picks by weight. */
  weighted<T>(of: readonly (readonly [weight: number, value: T])[]): T {
    let at = this.below(of.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of of) {
      if (at < weight) return value;
      at -= weight;
    }
    throw new Error('unreachable');
  }
}
