import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { put64 } from '../../lib/endian.js';
import { WAPBL_WC_BLOCKS, WAPBL_WC_HEADER, WAPBL_WC_INODES, WAPBL_WC_REVOCATIONS } from './header.js';
import type { WapblPlace } from './header.js';
import type { Piece } from './shadows.js';

/**
 * A journal as it is written: records go into a ring, and a header, written alternately to the two blocks before it,
 * says from where (tail) to where (head) they count. Layout: NetBSD sys/sys/wapbl_replay.h.
 *
 * What the newest header names is never overwritten; the ring is never filled to the last block, since head = tail
 * would read as empty.
 */

/** Unit of wc_daddr; bytes. */
const DEV_BSIZE = 512;
const RECORD_HEADER = 16;
const BLOCK_ENTRY = 16;
const INODE_ENTRY = 8;
const HEADER_VERSION = 1;
/** Bytes of one transfer at most. */
const MAXTRANSFER = 1024 * 1024;
/** An emptied journal whose generation is above this begins again: nobody writes as many headers as are left then. */
const MAXGENERATION = 0x7fffffff;

/** What a transaction says beside its blocks. */
export interface WapblExtra {
  /** Freed blocks whose older copies in the journal must not be replayed: byte offset on the device to bytes. */
  readonly revoked: ReadonlyMap<number, number>;
  /** Inodes without a link that are still in use: number to mode. */
  readonly inodes: ReadonlyMap<number, number>;
}

export class WapblRing {
  readonly dev: BlockDevice;
  readonly place: WapblPlace;
  readonly circ_off: number;
  readonly circ_size: number;
  /** Of the next header. */
  generation: number;
  /** As the newest header has them; 0 and 0: empty. */
  head = 0;
  tail = 0;
  /** Where the list of inodes of the newest committed transaction begins, and that of the one written last. */
  listat = 0;
  nextlistat = 0;
  /** Blocks and inodes that one record describes. */
  readonly #perblocks: number;
  readonly #perinodes: number;
  readonly #staging: Uint8Array;
  /** A record, or a header, as it is put together. */
  readonly #record: Uint8Array;
  readonly #view: DataView;
  #staged = 0;
  /** Ring offset at which the staged bytes begin. */
  #at = 0;

  /**
   * @param generation of the newest header on the disk, -1: there is none
   */
  constructor(dev: BlockDevice, place: WapblPlace, generation: number) {
    this.dev = dev;
    this.place = place;
    this.circ_off = 2 * place.blksize;
    this.circ_size = place.bytes - this.circ_off;
    this.generation = generation + 1;
    this.#perblocks = (place.blksize - RECORD_HEADER) / BLOCK_ENTRY;
    this.#perinodes = (place.blksize - RECORD_HEADER) / INODE_ENTRY;
    this.#staging = new Uint8Array(Math.min(MAXTRANSFER, this.circ_size));
    this.#record = new Uint8Array(place.blksize);
    this.#view = new DataView(this.#record.buffer);
  }

  /** Bytes that the newest header names. */
  get used(): number {
    return this.tail === 0 ? 0 : (this.head - this.tail + this.circ_size) % this.circ_size;
  }

  /** Bytes that may be written. */
  get free(): number {
    return this.circ_size - this.used - this.place.blksize;
  }

  /** Bytes of a transaction's records; `blocks` is the number of pieces of blocks. */
  length(blocks: number, bytes: number, revoked: number, inodes: number): number {
    const heads =
      Math.ceil(blocks / this.#perblocks) +
      Math.ceil(revoked / this.#perblocks) +
      Math.max(1, Math.ceil(inodes / this.#perinodes));
    return bytes + heads * this.place.blksize;
  }

  /**
   * Writes the records of a transaction behind the head: (parts of) blocks, revocations, inodes. Without a barrier, and
   * of no effect before {@link commit}. The caller has seen to it that they fit.
   * @returns the new head
   */
  async append(pieces: readonly Piece[], extra: WapblExtra): Promise<number> {
    const { blksize, le } = this.place;
    const record = this.#record;
    const view = this.#view;
    this.#staged = 0;
    this.#at = this.head === 0 ? this.circ_off : this.head;

    for (let from = 0; from < pieces.length; from += this.#perblocks) {
      const to = Math.min(from + this.#perblocks, pieces.length);
      record.fill(0);
      let length = blksize;
      for (let i = from; i < to; i++) {
        const piece = pieces[i]!;
        const at = RECORD_HEADER + (i - from) * BLOCK_ENTRY;
        put64(view, at, (piece.bp.b_offset + piece.from) / DEV_BSIZE, le);
        view.setInt32(at + 12, piece.length, le);
        length += piece.length;
      }
      this.#recordheader(view, WAPBL_WC_BLOCKS, length, to - from);
      let wait = this.#put(record, 0, blksize);
      if (wait) await wait;
      for (let i = from; i < to; i++) {
        const { bp, from: start, length: bytes } = pieces[i]!;
        wait = this.#put(bp.b_data, start, bytes);
        if (wait) await wait;
      }
    }

    let n = 0;
    record.fill(0);
    for (const [offset, bytes] of extra.revoked) {
      const at = RECORD_HEADER + n * BLOCK_ENTRY;
      put64(view, at, offset / DEV_BSIZE, le);
      view.setInt32(at + 12, bytes, le);
      if (++n < this.#perblocks) continue;
      await this.#putrecord(WAPBL_WC_REVOCATIONS, n, 0);
      n = 0;
    }
    if (n > 0) await this.#putrecord(WAPBL_WC_REVOCATIONS, n, 0);

    this.nextlistat = this.#position();
    n = 0;
    let first = true;
    for (const [ino, mode] of extra.inodes) {
      view.setUint32(RECORD_HEADER + n * INODE_ENTRY, ino, le);
      view.setUint32(RECORD_HEADER + n * INODE_ENTRY + 4, mode, le);
      if (++n < this.#perinodes) continue;
      await this.#putrecord(WAPBL_WC_INODES, n, first ? 1 : 0);
      first = false;
      n = 0;
    }
    if (n > 0 || first) await this.#putrecord(WAPBL_WC_INODES, n, first ? 1 : 0);
    const head = this.#position();
    const wait = this.#out();
    if (wait) await wait;
    return head;
  }

  /**
   * Writes a header. The records that it names must be on stable storage; the header itself counts when a barrier has
   * passed ({@link committed}). If that fails, the disk may have this header or the one before ({@link uncertain}).
   */
  async writeheader(head: number, tail: number, now: { sec: number; nsec: number }): Promise<void> {
    const { blksize, le, start } = this.place;
    const header = this.#record;
    const view = this.#view;
    header.fill(0);
    const shift = 31 - Math.clz32(blksize);
    view.setUint32(0, WAPBL_WC_HEADER, le);
    view.setInt32(4, blksize, le);
    view.setUint32(12, this.generation, le);
    put64(view, 24, now.sec, le);
    view.setUint32(32, now.nsec, le);
    view.setUint32(36, HEADER_VERSION, le);
    view.setUint32(40, shift, le);
    view.setUint32(44, shift, le);
    put64(view, 48, head, le);
    put64(view, 56, tail, le);
    put64(view, 64, this.circ_off, le);
    put64(view, 72, this.circ_size, le);
    const slot = this.generation % 2;
    this.generation++;
    try {
      await this.dev.write(header, 0, blksize, start + slot * blksize);
    } catch (error) {
      this.uncertain(head, tail);
      throw error;
    }
  }

  committed(head: number, tail: number): void {
    this.head = head;
    this.tail = tail;
    this.listat = this.nextlistat;
  }

  /** What either of the two headers names must stay. */
  uncertain(head: number, tail: number): void {
    if (head === 0) return;
    this.head = head;
    if (this.tail === 0) this.tail = tail;
  }

  /** Writes a header, and a barrier behind it. */
  async commit(head: number, tail: number, now: { sec: number; nsec: number }): Promise<void> {
    await this.writeheader(head, tail, now);
    try {
      await this.dev.flush();
    } catch (error) {
      this.uncertain(head, tail);
      throw error;
    }
    this.committed(head, tail);
  }

  /** Makes the journal empty, in both headers, whatever they held: first in the older one. */
  async clear(now: { sec: number; nsec: number }): Promise<void> {
    if (this.generation > MAXGENERATION) this.generation %= 2;
    await this.commit(0, 0, now);
    await this.commit(0, 0, now);
  }

  #recordheader(view: DataView, type: number, length: number, count: number): void {
    const { le } = this.place;
    view.setUint32(0, type, le);
    view.setInt32(4, length, le);
    view.setInt32(8, count, le);
  }

  /** Puts a record without blocks, and clears it. */
  #putrecord(type: number, count: number, clear: number): MaybePromise<void> {
    const record = this.#record;
    this.#recordheader(this.#view, type, record.length, count);
    this.#view.setInt32(12, clear, this.place.le);
    const wait = this.#put(record, 0, record.length);
    if (wait) return wait.then(() => void record.fill(0));
    record.fill(0);
    return undefined;
  }

  /** Ring offset behind everything put so far. */
  #position(): number {
    const at = this.#at + this.#staged;
    return at >= this.circ_off + this.circ_size ? at - this.circ_size : at;
  }

  /** Stages bytes at..at+length-1 of `from`; what is full goes to the device. */
  #put(from: Uint8Array, at: number, length: number): MaybePromise<void> {
    while (length > 0) {
      const room = Math.min(
        this.#staging.length - this.#staged,
        this.circ_off + this.circ_size - this.#at - this.#staged,
      );
      const n = Math.min(room, length);
      this.#staging.set(at === 0 && n === from.length ? from : from.subarray(at, at + n), this.#staged);
      this.#staged += n;
      at += n;
      length -= n;
      if (n < room) return undefined;
      const wait = this.#out();
      if (wait) {
        // What is not yet staged must not change under us.
        const rest = from.slice(at, at + length);
        return wait.then(() => this.#put(rest, 0, rest.length));
      }
    }
    return undefined;
  }

  /** Writes what is staged. */
  #out(): MaybePromise<void> {
    const n = this.#staged;
    const at = this.#at;
    this.#at = this.#position();
    this.#staged = 0;
    return n === 0 ? undefined : this.dev.write(this.#staging, 0, n, this.place.start + at);
  }
}
