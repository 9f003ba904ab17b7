import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { ExfatMount } from '../volume/exfatmount.js';

/** Clusters of a file that lie in a row. */
export class Run {
  constructor(
    /** The first of them. */
    readonly cluster: number,
    /** At least 1. */
    readonly count: number,
  ) {}
}

/**
 * Runs that are remembered of one file; of more, every other one is forgotten and found again by way of its neighbour.
 */
const RUNS_MAX = 16384;

/**
 * Where the clusters of a file lie. Either in one row from `first` on (NoFatChain), or as the FAT chains them: then
 * runs are
 * remembered as they are met. `count` comes from the length of the file: a chain is never followed further, so that one
 * that
 * leads in a circle ends.
 */
export class Chain {
  /** 0: the file has no cluster. */
  first: number;
  /** Clusters that the file has. */
  count: number;
  /** NoFatChain. */
  contiguous: boolean;
  /** Of the root directory, the bitmap or the up-case table: nobody else's chain may lead there. */
  system = false;
  /**
   * Index in the file, cluster and length of each run known, ascending by index. Gaps are where runs were forgotten.
   */
  private index: number[] = [];
  private cluster: number[] = [];
  private length: number[] = [];

  constructor(first: number, count: number, contiguous: boolean) {
    this.first = first;
    this.count = count;
    this.contiguous = contiguous;
  }

  /**
   * The run from cluster `at` (0..count-1) of the file on, at most `max` clusters of it.
   * @throws EIO the chain ends early or leads out of the volume
   */
  run(em: ExfatMount, at: number, max: number): MaybePromise<Run> {
    if (this.contiguous) return new Run(this.first + at, Math.min(max, this.count - at));
    const i = this.find(at);
    if (i >= 0 && at < this.index[i] + this.length[i]) {
      const into = at - this.index[i];
      const left = this.length[i] - into;
      // What lies behind a run that is whole is another run; the last one known may go on.
      if (left >= max || i < this.index.length - 1 || this.index[i] + this.length[i] >= this.count) {
        return new Run(this.cluster[i] + into, Math.min(left, max));
      }
    }
    return this.walk(em, i, at, Math.min(max, this.count - at));
  }

  /** Index of the last known run that begins at or before cluster `at` of the file; -1: none is known. */
  private find(at: number): number {
    const { index } = this;
    let low = 0;
    let high = index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (index[middle] <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /**
   * Follows the FAT from known run `i` (-1: from the start) until it has cluster `at` and `max` clusters behind it in a
   * row, or the row ends.
   */
  private walk(em: ExfatMount, i: number, at: number, max: number): MaybePromise<Run> {
    // A new run never lies between known ones: what was forgotten is walked again without being remembered.
    const remember = i === this.index.length - 1;
    let position = 0;
    let start = this.first;
    let length = 1;
    if (i >= 0) {
      position = this.index[i];
      start = this.cluster[i];
      length = this.length[i];
    }
    const step = (): MaybePromise<Run> => {
      while (position + length < this.count && position + length < at + max) {
        const last = start + length - 1;
        const next = em.em_fat.get(last);
        if (next instanceof Promise) {
          return next.then((n) => {
            const run = took(last, n);
            return run ?? step();
          });
        }
        const run = took(last, next);
        if (run !== undefined) return run;
      }
      return ended();
    };
    const took = (last: number, next: number): Run | undefined => {
      if (!em.iscluster(next) || (!this.system && em.em_system.has(next))) {
        throw em.em_damage.error(`FAT: cluster ${last} of a file that has ${this.count} leads to ${next}`);
      }
      if (next === last + 1) {
        length++;
        return undefined;
      }
      if (remember) this.remember(position, start, length);
      if (at < position + length) return new Run(start + at - position, position + length - at);
      position += length;
      start = next;
      length = 1;
      return undefined;
    };
    const ended = (): Run => {
      if (remember) this.remember(position, start, length);
      return new Run(start + at - position, Math.min(max, position + length - at));
    };
    return step();
  }

  private remember(position: number, start: number, length: number): void {
    const { index } = this;
    const last = index.length - 1;
    if (last >= 0 && index[last] === position) {
      this.length[last] = length;
      return;
    }
    if (last >= 0 && index[last] > position) return; // another reader was faster
    if (last + 1 >= RUNS_MAX) this.thin();
    this.index.push(position);
    this.cluster.push(start);
    this.length.push(length);
  }

  private thin(): void {
    const last = this.index.length - 1;
    const kept = (_: number, i: number): boolean => i % 2 === 0 || i === last;
    this.index = this.index.filter(kept);
    this.cluster = this.cluster.filter(kept);
    this.length = this.length.filter(kept);
  }

  /** The file has got `n` clusters from `cluster` on behind its last one, and the FAT says so if it must. */
  grew(cluster: number, n: number): void {
    if (this.count === 0) {
      this.first = cluster;
      this.forget();
    } else if (!this.contiguous) {
      const i = this.index.length - 1;
      // Only what is whole up to the end can be gone on with.
      if (i >= 0 && this.index[i] + this.length[i] === this.count) {
        if (this.cluster[i] + this.length[i] === cluster) this.length[i] += n;
        else this.remember(this.count, cluster, n);
      }
    }
    this.count += n;
  }

  /** The file has been cut to `count` clusters. */
  cut(count: number): void {
    this.count = count;
    if (count === 0) {
      this.first = 0;
      this.contiguous = false;
      this.forget();
      return;
    }
    while (this.index.length > 0 && this.index[this.index.length - 1] >= count) {
      this.index.pop();
      this.cluster.pop();
      this.length.pop();
    }
    const i = this.index.length - 1;
    if (i >= 0) this.length[i] = Math.min(this.length[i], count - this.index[i]);
  }

  /** The row has become a chain; the FAT says so. */
  chained(): void {
    this.contiguous = false;
    this.forget();
    if (this.count > 0) this.remember(0, this.first, this.count);
  }

  private forget(): void {
    this.index.length = this.cluster.length = this.length.length = 0;
  }
}
