import type { Chain } from './chain.js';

/** Free clusters behind the end of a file that grows. */
interface Window {
  readonly chain: Chain;
  /** The first of them, and the cluster behind the last. */
  first: number;
  readonly end: number;
  /** The file has grown more than once since it was given clusters. */
  grown: boolean;
}

/** Files that are known to grow at a time; those that were given room least recently lose it. */
const WINDOWS_MAX = 8;
/** Of files that have got clusters only once, so many have a window: most files are written at once, and closed. */
const NEW_MAX = 2;
const FIRST_BYTES = 1 << 20;
const MOST_BYTES = 64 << 20;
/** A window has as many times what the file has, and no more than this part of the volume. */
const TIMES = 8;
const PART = 64;

/**
 * Room for files that grow in turn, so that each becomes a few long rows instead of many short ones: clusters behind
 * the end of each, which others are given only when nothing else is free. Known in memory alone: on the disk they are
 * free. (Linux's driver and exfat-fuse have nothing like it: two files that grow in turn have a chain of single
 * clusters each.)
 */
export class Windows {
  private list: Window[] = [];
  private readonly least: number;
  private readonly most: number;

  constructor(clusters: number, clbytes: number) {
    this.most = Math.min(Math.floor(MOST_BYTES / clbytes), Math.floor(clusters / PART));
    this.least = Math.min(Math.floor(FIRST_BYTES / clbytes), this.most);
  }

  /** Does the file have room from that cluster on? */
  has(chain: Chain, cluster: number): boolean {
    return this.list.some((window) => window.chain === chain && window.first <= cluster && cluster < window.end);
  }

  /** Clusters that a file is to have behind its end. */
  wanted({ count }: Chain): number {
    return Math.min(this.most, Math.max(this.least, count * TIMES));
  }

  /** Of `count` free clusters from `cluster` on: how many may be passed over, and how many may then be given away. */
  clip(chain: Chain, cluster: number, count: number): { skip: number; count: number } {
    let most = count;
    for (const window of this.list) {
      if (window.chain === chain || window.end <= cluster || window.first >= cluster + most) continue;
      if (window.first <= cluster) return { skip: Math.min(count, window.end - cluster), count: 0 };
      most = window.first - cluster;
    }
    return { skip: 0, count: most };
  }

  /** The file ends before `cluster` now, which it goes on with. */
  used(chain: Chain, cluster: number): void {
    for (const window of this.list) {
      if (window.chain !== chain) continue;
      window.first = cluster;
      window.grown = true;
    }
  }

  /** Gives a file `count` clusters from `first` on. @returns the first of those that others lose for it, if any */
  give(chain: Chain, first: number, count: number, grown: boolean): number {
    let lost = this.release(chain);
    if (count === 0) return lost;
    this.list.push({ chain, first, end: first + count, grown });
    const fresh = this.list.filter((window) => !window.grown);
    for (const window of fresh.slice(0, Math.max(0, fresh.length - NEW_MAX))) {
      lost = Math.min(lost, this.release(window.chain));
    }
    if (this.list.length > WINDOWS_MAX) lost = Math.min(lost, this.release(this.list[0].chain));
    return lost;
  }

  /** The file does not grow any more. @returns the first cluster of what it had; Infinity: it had nothing */
  release(chain: Chain): number {
    const window = this.list.find((one) => one.chain === chain);
    if (window === undefined) return Infinity;
    this.list = this.list.filter((one) => one !== window);
    return window.first < window.end ? window.first : Infinity;
  }

  /** Room is short: nobody has any left. @returns whether anybody had */
  clear(): boolean {
    const any = this.list.length > 0;
    this.list = [];
    return any;
  }
}
