import type { Buf } from '../../../kernel/vfs/bio.js';

/**
 * What journal and disk together hold of the blocks logged last, so that of a block that is logged again only the
 * sectors go that differ. A transaction that fsync asks for changes a few hundred bytes of five or six blocks.
 *
 * The first sector of a block always goes along: NetBSD's kernel, when it reads a volume through its journal, looks for
 * that one alone to see whether the journal has something for the block (wapbl_replay_can_read in kern/vfs_wapbl.c).
 *
 * A shadow is right from the moment in which its block was put into a transaction. If that transaction fails, or the
 * block is freed, it must be dropped. Blocks without one are logged whole.
 */

/** Memory for all of a volume's; bytes. */
export const SHADOW_BYTES = 4 * 1024 * 1024;

interface Shadow {
  readonly words: Int32Array;
  /** The buffer's own memory. */
  readonly now: Int32Array;
}

/** A part of a block as it is logged. */
export interface Piece {
  readonly bp: Buf;
  /** Bytes from the block's beginning, and number of bytes: whole sectors. */
  readonly from: number;
  readonly length: number;
}

export class Shadows {
  /** By age: the first has been unused for longest. */
  readonly #shadows = new Map<Buf, Shadow>();
  #bytes = 0;
  /** 32-bit words of a sector. */
  readonly #sector: number;

  /** @param sector_bytes a multiple of 32: the unit in which blocks are cut */
  constructor(sector_bytes: number) {
    this.#sector = sector_bytes / 4;
  }

  /**
   * Adds what is to be logged of a block to `pieces`. From now on the block's shadow is what it holds now.
   * @param first nothing outside of bytes first..last-1 has been changed
   * @param keep make a shadow if it has none
   */
  changed(bp: Buf, first: number, last: number, keep: boolean, pieces: Piece[]): void {
    const shadow = this.#shadows.get(bp);
    if (shadow === undefined) {
      pieces.push({ bp, from: 0, length: bp.b_bcount });
      if (keep) this.#make(bp);
      return;
    }
    this.#shadows.delete(bp);
    this.#shadows.set(bp, shadow);
    const { words, now } = shadow;
    const before = pieces.length;
    const sector = this.#sector;
    let start = -1;
    const stop = Math.min(words.length, Math.ceil(last / (4 * sector)) * sector);
    for (let at = Math.floor(first / (4 * sector)) * sector; at < stop; at += sector) {
      const end = at + sector;
      let differ = 0;
      for (let i = at; i < end && differ === 0; i += 8) {
        differ =
          (words[i]! ^ now[i]!) |
          (words[i + 1]! ^ now[i + 1]!) |
          (words[i + 2]! ^ now[i + 2]!) |
          (words[i + 3]! ^ now[i + 3]!) |
          (words[i + 4]! ^ now[i + 4]!) |
          (words[i + 5]! ^ now[i + 5]!) |
          (words[i + 6]! ^ now[i + 6]!) |
          (words[i + 7]! ^ now[i + 7]!);
      }
      if (differ === 0) {
        if (start >= 0) this.#piece(bp, start, at, pieces);
        start = -1;
        continue;
      }
      for (let i = at; i < end; i++) words[i] = now[i]!;
      if (start < 0) start = at;
    }
    if (start >= 0) this.#piece(bp, start, stop, pieces);
    if (pieces.length > before && pieces[before]!.from !== 0) this.#piece(bp, 0, sector, pieces);
  }

  drop(bp: Buf): void {
    if (this.#shadows.delete(bp)) this.#bytes -= bp.b_bcount;
  }

  /** Words start..end-1 of a block. */
  #piece(bp: Buf, start: number, end: number, pieces: Piece[]): void {
    pieces.push({ bp, from: 4 * start, length: 4 * (end - start) });
  }

  #make(bp: Buf): void {
    const { b_data } = bp;
    if (b_data.byteOffset % 4 !== 0 || bp.b_bcount % (4 * this.#sector) !== 0) return;
    const now = new Int32Array(b_data.buffer, b_data.byteOffset, bp.b_bcount / 4);
    this.#shadows.set(bp, { words: now.slice(), now });
    this.#bytes += bp.b_bcount;
    for (const oldest of this.#shadows.keys()) {
      if (this.#bytes <= SHADOW_BYTES) break;
      this.drop(oldest);
    }
  }
}
