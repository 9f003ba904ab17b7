/** A small generator of random numbers with a seed (mulberry32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** 0..2^32-1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  }

  /** 0..bound-1. */
  below(bound: number): number {
    return Math.floor((this.next() / 2 ** 32) * bound);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

/** Environment: RUMPFUSE_OPS operations in a run, RUMPFUSE_SEED the first seed, RUMPFUSE_RUNS how many seeds. */
export function randomSettings(defaults: { ops: number; runs: number }): { ops: number; seeds: number[] } {
  const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise);
  const first = number('RUMPFUSE_SEED', 1);
  const runs =
    process.env['RUMPFUSE_SEED'] === undefined ? number('RUMPFUSE_RUNS', defaults.runs) : number('RUMPFUSE_RUNS', 1);
  return { ops: number('RUMPFUSE_OPS', defaults.ops), seeds: Array.from({ length: runs }, (_, i) => first + i) };
}

/**
 * Leaves out operations as long as the rest still fails, for `milliseconds` at the most: first everything behind the
 * failure, then smaller and smaller pieces. `failure` runs a sequence on a fresh volume and says where it failed, as an
 * index, or undefined.
 */
export async function shrink<Op>(
  ops: readonly Op[],
  failure: (ops: readonly Op[]) => Promise<number | undefined>,
  milliseconds = 20_000,
): Promise<readonly Op[]> {
  const end = Date.now() + milliseconds;
  let best = ops;
  for (let piece = Math.ceil(best.length / 2); piece >= 1 && Date.now() < end; ) {
    let shorter = false;
    for (let start = 0; start < best.length && Date.now() < end; ) {
      const candidate = [...best.slice(0, start), ...best.slice(start + piece)];
      const at = candidate.length > 0 ? await failure(candidate) : undefined;
      if (at === undefined) {
        start += piece;
      } else {
        best = candidate.slice(0, at + 1);
        shorter = true;
      }
    }
    if (piece === 1 && !shorter) break;
    piece = piece === 1 ? 1 : Math.ceil(piece / 2);
  }
  return best;
}
