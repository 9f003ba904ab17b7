import type { TmpfsNode } from './node.js';

/** An entry; `cookie` is its place in the order of readdir, and `node` null once it has been removed. */
export interface TmpfsDirent {
  readonly name: string;
  readonly cookie: number;
  node: TmpfsNode | null;
}

/** Cookies 0 and 1 belong to "." and "..". */
export const FIRST_COOKIE = 2;

/**
 * The entries of a directory, by name and in the order of their creation. Each entry has a cookie of its own that
 * nothing changes while it lives, and new ones get higher cookies: whoever reads the directory in pieces sees every
 * entry that was there all the time exactly once, whatever comes and goes.
 */
export class TmpfsDirectory {
  private readonly byName = new Map<string, TmpfsDirent>();
  /** Ascending by cookie; removed entries stay until they are the greater part. */
  private order: TmpfsDirent[] = [];
  private nextCookie = FIRST_COOKIE;

  get size(): number {
    return this.byName.size;
  }

  get(name: string): TmpfsDirent | undefined {
    return this.byName.get(name);
  }

  add(name: string, node: TmpfsNode): void {
    const entry: TmpfsDirent = { name, cookie: this.nextCookie++, node };
    this.byName.set(name, entry);
    this.order.push(entry);
  }

  remove(name: string): void {
    const entry = this.byName.get(name);
    if (entry === undefined) return;
    this.byName.delete(name);
    entry.node = null;
    if (this.order.length > 16 && this.order.length > 2 * this.byName.size) {
      this.order = this.order.filter((other) => other.node !== null);
    }
  }

  /** Index in {@link at} of the first entry whose cookie is `cookie` or higher. */
  find(cookie: number): number {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.order[middle]!.cookie < cookie) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  at(index: number): TmpfsDirent | undefined {
    return this.order[index];
  }
}
