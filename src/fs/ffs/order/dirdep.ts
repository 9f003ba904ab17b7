import type { Buf } from '../../../kernel/vfs/bio.js';
import type { FfsMount } from '../volume/ffsmount.js';

/** Chunks of the largest block. */
const MAXCHUNKS = 65536 / 512;

/**
 * What must be observed when a dirty directory block is written: bp.b_private of its buffer, from the change to the
 * write (also when the block grows or moves to another buffer meanwhile). The unit is the chunk (um_dirblksiz bytes, a
 * sector), which a device writes wholly or not at all.
 *
 * Chunks have ranks. All chunks of rank r are on stable storage before one of rank r + 1 is written. A chunk that
 * loses a name by a rename gets a rank above that of the chunk which holds the new name. A chunk whose rank others
 * rely on (a source) keeps it until the next flush; an operation that would have to raise it flushes instead, so
 * cycles cannot arise.
 */
export class DirDep {
  /** Block of a directory that the disk does not know: nothing leads to it, so it is written before all names. */
  isnew = false;
  /** The block of a known directory has moved: the whole of it appears at once, with the inode's new pointer. */
  moved = false;
  /** First chunk of the block that lies beyond the directory's size on the disk; -1: none. */
  newchunk = -1;
  /** Highest rank of the block's chunks. */
  maxrank = 0;
  #rank: Uint16Array | null = null;
  #source: Uint8Array | null = null;

  static of(bp: Buf): DirDep {
    if (bp.b_private instanceof DirDep) return bp.b_private;
    const dep = new DirDep();
    bp.b_private = dep;
    return dep;
  }

  rank(chunk: number): number {
    return this.#rank === null ? 0 : this.#rank[chunk]!;
  }

  setrank(chunk: number, rank: number): void {
    (this.#rank ??= new Uint16Array(MAXCHUNKS))[chunk] = rank;
    if (rank > this.maxrank) this.maxrank = rank;
  }

  issource(chunk: number): boolean {
    return this.#source !== null && this.#source[chunk] !== 0;
  }

  setsource(chunk: number): void {
    (this.#source ??= new Uint8Array(MAXCHUNKS))[chunk] = 1;
  }

  /** Chunks of the block wait for others, or others for them. */
  get ordered(): boolean {
    return this.maxrank > 0 || this.#source !== null;
  }

  /** Writes the chunks of one rank. */
  async writerank(ump: FfsMount, bp: Buf, rank: number): Promise<void> {
    const size = ump.um_dirblksiz;
    const chunks = Math.floor(bp.b_bcount / size);
    for (let i = 0; i < chunks; ) {
      let n = 0;
      while (i + n < chunks && this.rank(i + n) === rank) n++;
      if (n > 0) await ump.um_dev.write(bp.b_data, i * size, n * size, bp.b_offset + i * size);
      i += n + 1;
    }
  }

  /** Writes chunks without a name where the directory is about to grow: no stale bytes may be taken for names. */
  async writeempty(ump: FfsMount, bp: Buf): Promise<void> {
    const size = ump.um_dirblksiz;
    const at = this.newchunk * size;
    const empty = new Uint8Array(bp.b_bcount - at);
    const view = new DataView(empty.buffer);
    for (let i = 0; i < empty.length; i += size) view.setUint16(i + 4, size, ump.um_le);
    await ump.um_dev.write(empty, 0, empty.length, bp.b_offset + at);
  }
}
