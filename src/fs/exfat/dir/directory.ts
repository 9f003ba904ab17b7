import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { B_VALID } from '../../../kernel/vfs/bio.js';
import { ENTRY_BYTES } from '../disk/entry.js';
import type { Chain, Run } from '../space/chain.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { DirIndex } from './dirindex.js';

/**
 * Directories are cached in pieces of this size, which a disk writes wholly or not at all: the unit in which their
 * changes are
 * put in order (order/order.ts). Sectors may be larger, but never smaller.
 */
export const DIRBLOCK_BYTES = 512;
export const DIRBLOCK_ENTRIES = DIRBLOCK_BYTES / ENTRY_BYTES;
/** What is not cached is read in pieces of this size. */
const READ_BYTES = 32768;

/**
 * A directory's content: where it lies, and what is known of it. It outlives the vnode, for files in it are found by
 * way of it.
 */
export class Directory {
  readonly em: ExfatMount;
  readonly number: number;
  /** Number of the directory that this one is in; its own for the root. */
  parent: number;
  readonly chain: Chain;
  /** DataLength; a multiple of a cluster. */
  bytes: number;
  /** Null until it has been looked through. */
  index: DirIndex | null = null;
  /** Clusters of it that volume/whereabouts.ts knows. */
  readonly noted: number[] = [];
  /** Removed: nothing is in it any more. */
  dead = false;
  /** In the count of flushes: when something was moved out of it, and when it was made or grew, last. */
  movedout = -1;
  grown = -1;

  constructor(em: ExfatMount, number: number, parent: number, chain: Chain, bytes: number) {
    this.em = em;
    this.number = number;
    this.parent = parent;
    this.chain = chain;
    this.bytes = bytes;
  }

  /** Byte offset on the device of byte `offset` of the directory. @throws EIO */
  at(offset: number): MaybePromise<number> {
    const { em, chain } = this;
    const into = offset % em.em_clbytes;
    const run = chain.run(em, (offset - into) / em.em_clbytes, 1);
    return run instanceof Promise ? run.then((r) => em.clusterat(r.cluster) + into) : em.clusterat(run.cluster) + into;
  }

  /** The block with byte `offset` of the directory, referenced. @throws EIO */
  block(offset: number): MaybePromise<Buf> {
    const { em, chain } = this;
    const into = offset % em.em_clbytes;
    const run = chain.run(em, (offset - into) / em.em_clbytes, 1);
    if (run instanceof Promise) return run.then((r) => this.read(r, into));
    return this.read(run, into);
  }

  private read(run: Run, into: number): MaybePromise<Buf> {
    const { em } = this;
    const start = em.clusterat(run.cluster) + into - (into % DIRBLOCK_BYTES);
    const cached = em.em_bufcache.incore(em.em_dev, start);
    if (cached !== undefined) return cached;
    const most = Math.min(READ_BYTES, em.em_clbytes);
    const length = most - ((into - (into % DIRBLOCK_BYTES)) % most);
    if (length <= DIRBLOCK_BYTES) return em.em_bufcache.bread(em.em_dev, start, DIRBLOCK_BYTES);
    return this.readahead(start, length);
  }

  /** Reads several blocks at once, and returns the first. */
  private readahead(start: number, length: number): MaybePromise<Buf> {
    const { em } = this;
    const piece = new Uint8Array(length);
    const reading = em.em_dev.read(piece, 0, length, start);
    return reading instanceof Promise ? reading.then(() => this.fill(piece, start)) : this.fill(piece, start);
  }

  private fill(piece: Uint8Array, start: number): Buf {
    const { em_bufcache: cache, em_dev: dev } = this.em;
    let first: Buf | undefined;
    for (let at = 0; at < piece.length; at += DIRBLOCK_BYTES) {
      let bp = cache.incore(dev, start + at);
      if (bp === undefined) {
        bp = cache.getblk(dev, start + at, DIRBLOCK_BYTES);
        bp.b_data.set(piece.subarray(at, at + DIRBLOCK_BYTES));
        bp.b_flags |= B_VALID;
      }
      if (at === 0) first = bp;
      else cache.brelse(bp);
    }
    return first!;
  }
}
