import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { validCluster } from '../disk/bpb.js';

/**
 * The clusters of a file, as far as they are known: runs of clusters in a row, found by file cluster without a walk.
 * The FAT is read the first time that a part is needed.
 */
export class Chain {
  /** By run: its first cluster counted from the start of the file, and on the disk. */
  private readonly files: number[] = [];
  private readonly disks: number[] = [];
  /** Clusters known. */
  length = 0;
  /** There are no more than those. */
  whole = false;
  /** The end is no proper one: a cell that says neither a cluster nor the end. */
  broken = false;
  private hit = 0;

  /** The last cluster known; 0: none. */
  get last(): number {
    const n = this.files.length - 1;
    return n < 0 ? 0 : this.disks[n]! + this.length - 1 - this.files[n]!;
  }

  get runs(): number {
    return this.files.length;
  }

  push(cluster: number): void {
    if (this.length === 0 || cluster !== this.last + 1) {
      this.files.push(this.length);
      this.disks.push(cluster);
    }
    this.length++;
  }

  /** Forgets all clusters from `length` on, which the file has no more. */
  cut(length: number): void {
    if (length >= this.length) return;
    while (this.files.length > 0 && this.files[this.files.length - 1]! >= length) {
      this.files.pop();
      this.disks.pop();
    }
    this.length = length;
    this.whole = true;
    this.hit = 0;
  }

  /** Forgets everything. */
  clear(): void {
    this.files.length = this.disks.length = 0;
    this.length = this.hit = 0;
    this.whole = this.broken = false;
  }

  private find(fc: number): number {
    const { files } = this;
    const h = this.hit;
    if (fc >= files[h]!) {
      if (h + 1 === files.length || fc < files[h + 1]!) return h;
      if (h + 2 === files.length || fc < files[h + 2]!) return (this.hit = h + 1);
    }
    let lo = 0;
    let hi = files.length - 1;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (files[mid]! <= fc) lo = mid;
      else hi = mid - 1;
    }
    return (this.hit = lo);
  }

  /** The disk cluster of file cluster `fc`, which is known. */
  at(fc: number): number {
    const i = this.find(fc);
    return this.disks[i]! + fc - this.files[i]!;
  }

  /** How many clusters from `fc` on, which is known, lie in a row. */
  count(fc: number): number {
    const i = this.find(fc);
    return (i + 1 < this.files.length ? this.files[i + 1]! : this.length) - fc;
  }
}

/** Whose chain it is: for walks and reports. */
export interface Chained {
  readonly pmp: MsdosMount;
  readonly chain: Chain;
  /** First cluster; 0: none. */
  start: number;
  readonly what: string;
}

/** Learns the chain up to `length` clusters, or to its end. @throws EIO for a loop, or what cannot be read */
export function chain_learn(owner: Chained, length: number): MaybePromise<void> {
  const { chain, pmp } = owner;
  const fat = pmp.pm_fat;
  while (chain.length < length && !chain.whole) {
    if (chain.length === 0) {
      if (owner.start === 0) {
        chain.whole = true;
        return;
      }
      if (!validCluster(pmp.pm_geometry, owner.start)) {
        breakchain(owner, `${owner.what}: its first cluster is ${owner.start}`);
        return;
      }
      chain.push(owner.start);
      continue;
    }
    const { last } = chain;
    const wait = fat.pin(last);
    if (wait) return wait.then(() => chain_learn(owner, length));
    const next = fat.next(last);
    if (next > 0) {
      if (chain.length > pmp.pm_geometry.clusters) {
        throw pmp.pm_damage.error(`${owner.what}: the clusters from ${owner.start} on form a loop`);
      }
      chain.push(next);
    } else if (next === 0) {
      chain.whole = true;
    } else {
      breakchain(owner, `${owner.what}: ${fat.describe(last, fat.cell(last))} in its chain`);
    }
  }
}

function breakchain({ chain, pmp }: Chained, what: string): void {
  chain.whole = chain.broken = true;
  pmp.pm_damage.note(what);
}
