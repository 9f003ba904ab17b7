import { vimpl } from './vnimpl.js';
import type { Vnode } from './vnode.js';

const MIN_BUCKETS = 64;

/**
 * The vnodes of a mount by key. Not a Map: there, deleting and setting one key again and again (a file number that is
 * freed and used anew) leaves dead links in its chain until the next rehash, so that each step costs as much as the
 * table is long. Chains go through VnodeImpl.hash_next; memory does not depend on the number of operations.
 */
export class VnodeTable {
  private buckets: (Vnode | null)[] = new Array<Vnode | null>(MIN_BUCKETS).fill(null);
  size = 0;

  get(key: number): Vnode | undefined {
    let vp = this.buckets[this.bucketOf(key)]!;
    while (vp !== null) {
      if (vp.v_key === key) return vp;
      vp = vimpl(vp).hash_next!;
    }
    return undefined;
  }

  /** No vnode with that key may be in the table. */
  insert(vp: Vnode): void {
    if (this.size >= this.buckets.length) this.grow();
    this.link(vp);
    this.size++;
  }

  remove(vp: Vnode): void {
    const at = this.bucketOf(vp.v_key);
    let before: Vnode | null = null;
    for (let other = this.buckets[at]!; other !== null; other = vimpl(other).hash_next!) {
      if (other === vp) {
        const next = vimpl(vp).hash_next;
        if (before === null) this.buckets[at] = next;
        else vimpl(before).hash_next = next;
        vimpl(vp).hash_next = null;
        this.size--;
        return;
      }
      before = other;
    }
  }

  /** All vnodes as they are now. */
  all(): Vnode[] {
    const vnodes: Vnode[] = [];
    for (const first of this.buckets) {
      for (let vp = first; vp !== null; vp = vimpl(vp).hash_next) vnodes.push(vp);
    }
    return vnodes;
  }

  private bucketOf(key: number): number {
    // Keys are up to 53 bits; consecutive ones, the usual case, go to consecutive buckets.
    return ((key | 0) ^ ((key / 0x1_0000_0000) | 0)) & (this.buckets.length - 1);
  }

  private link(vp: Vnode): void {
    const at = this.bucketOf(vp.v_key);
    vimpl(vp).hash_next = this.buckets[at]!;
    this.buckets[at] = vp;
  }

  private grow(): void {
    const vnodes = this.all();
    this.buckets = new Array<Vnode | null>(this.buckets.length * 2).fill(null);
    for (const vp of vnodes) this.link(vp);
  }
}
