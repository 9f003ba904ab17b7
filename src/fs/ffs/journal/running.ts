import type { Buf } from '../../../kernel/vfs/bio.js';
import type { WriteState } from '../volume/writestate.js';
import type { WapblRing } from './ring.js';

/** A part of a block, in one number: bytes from..to-1, of a block of at most 64 KiB. */
function part(from: number, to: number): number {
  return from * 0x20000 + to;
}
/** First byte of a part. */
export function partfrom(value: number): number {
  return Math.floor(value / 0x20000);
}
/** The byte behind a part. */
export function partto(value: number): number {
  return value % 0x20000;
}

/** The running transaction: what has changed since the last commit, and what the journal holds already. */
export class RunningTransaction {
  readonly #state: WriteState;
  readonly #ring: WapblRing;
  /** Buffers that differ from what the journal and the disk together hold, and which part of each has changed. */
  #blocks = new Map<Buf, number>();
  /** Sum of their sizes. */
  bytes = 0;
  /** Blocks that are in the journal, by byte offset: bytes. */
  readonly logged = new Map<number, number>();
  /** Those among them that the transaction frees. */
  readonly revoked = new Map<number, number>();
  /** Open files without links: inode number to mode. */
  readonly orphaned = new Map<number, number>();
  /** Inode blocks (frags) and groups that the commit will change. */
  readonly inodeblocks = new Set<number>();
  readonly groups = new Set<number>();
  /** So many operations may begin without another look at the transaction's length. */
  credit = 0;

  constructor(state: WriteState, ring: WapblRing) {
    this.#state = state;
    this.#ring = ring;
  }

  /** The changed buffers, each with the part that has changed (partfrom, partto). */
  get blocks(): ReadonlyMap<Buf, number> {
    return this.#blocks;
  }

  /** Nothing but inodes and summaries has changed. */
  get empty(): boolean {
    return this.#blocks.size === 0 && this.revoked.size === 0;
  }

  /** Bytes from..to-1 of a buffer have changed. */
  bdwrite(bp: Buf, from: number, to: number): void {
    this.#state.ump.um_bufcache.bdwrite(bp);
    // A block that grows in place was forgotten with its old size.
    if (this.revoked.size > 0) this.revoked.delete(bp.b_offset);
    const old = this.#blocks.get(bp);
    if (old === undefined) {
      this.#blocks.set(bp, part(from, to));
      this.bytes += bp.b_bcount;
    } else if (partfrom(old) > from || partto(old) < to) {
      this.#blocks.set(bp, part(Math.min(partfrom(old), from), Math.max(partto(old), to)));
    }
  }

  /** The block at byte `offset` of the device is freed: a copy of it in the journal must not be replayed. */
  revoke(offset: number): void {
    const bytes = this.logged.get(offset);
    if (bytes !== undefined) this.revoked.set(offset, bytes);
  }

  /** The buffer does not exist any more. */
  forget(bp: Buf): void {
    if (this.#blocks.delete(bp)) this.bytes -= bp.b_bcount;
  }

  /** The commit that had taken the buffer has failed: all of it is to be logged. */
  again(bp: Buf): void {
    if (!this.#blocks.has(bp)) this.bytes += bp.b_bcount;
    this.#blocks.set(bp, part(0, bp.b_bcount));
  }

  /** The changed buffers, for a commit; what changes from now on belongs to the next transaction. */
  take(): ReadonlyMap<Buf, number> {
    const taken = this.#blocks;
    this.#blocks = new Map();
    this.bytes = 0;
    return taken;
  }

  /** Bytes that the transaction takes in the journal, at most, with all that its commit adds. */
  length(): number {
    const { um_fs: fs } = this.#state.ump;
    const { blksize } = this.#ring.place;
    const inodes = this.inodeblocks.size;
    const groups = this.groups.size;
    const sums = Math.min(Math.ceil(fs.fs_cssize / fs.fs_bsize), this.#state.dirtycs.size + groups);
    const bytes = this.bytes + inodes * fs.fs_bsize + groups * fs.cgbytes + sums * fs.fs_bsize + 8192;
    // Every block that the journal holds may come to be revoked.
    const blocks = this.#blocks.size + inodes + groups + sums + 1;
    return this.#ring.length(blocks, bytes, this.logged.size, this.orphaned.size) + 2 * blksize;
  }
}
