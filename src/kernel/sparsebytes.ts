const CHUNK_BYTES = 65536;

/**
 * A long row of bytes of which only the parts that were written take memory; the rest reads as zeros. Holds the files
 * of the in-memory host and the memory disk. The caller checks ranges.
 */
export class SparseBytes {
  private readonly chunks = new Map<number, Uint8Array>();

  /** Bytes of memory that the content takes. */
  get resident_bytes(): number {
    return this.chunks.size * CHUNK_BYTES;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): void {
    const end = offset_bytes + length;
    for (let at = offset_bytes; at < end; ) {
      const start = at % CHUNK_BYTES;
      const part = Math.min(CHUNK_BYTES - start, end - at);
      const chunk = this.chunks.get((at - start) / CHUNK_BYTES);
      if (chunk === undefined) into.fill(0, into_offset, into_offset + part);
      else into.set(chunk.subarray(start, start + part), into_offset);
      at += part;
      into_offset += part;
    }
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): void {
    const end = offset_bytes + length;
    for (let at = offset_bytes; at < end; ) {
      const start = at % CHUNK_BYTES;
      const part = Math.min(CHUNK_BYTES - start, end - at);
      const number = (at - start) / CHUNK_BYTES;
      let chunk = this.chunks.get(number);
      if (chunk === undefined) this.chunks.set(number, (chunk = new Uint8Array(CHUNK_BYTES)));
      chunk.set(from.subarray(from_offset, from_offset + part), start);
      at += part;
      from_offset += part;
    }
  }

  /** The range reads as zeros afterwards; whole chunks of it are given back. */
  zero(offset_bytes: number, length: number): void {
    const end = offset_bytes + length;
    // A range may span many times what is there: walk whichever is shorter.
    if (length / CHUNK_BYTES > this.chunks.size) {
      for (const number of [...this.chunks.keys()]) this.zeroChunk(number, offset_bytes, end);
    } else {
      for (let number = Math.floor(offset_bytes / CHUNK_BYTES); number * CHUNK_BYTES < end; number++) {
        this.zeroChunk(number, offset_bytes, end);
      }
    }
  }

  private zeroChunk(number: number, start: number, end: number): void {
    const base = number * CHUNK_BYTES;
    const from = Math.max(start - base, 0);
    const to = Math.min(end - base, CHUNK_BYTES);
    if (from >= to) return;
    if (from === 0 && to === CHUNK_BYTES) this.chunks.delete(number);
    else this.chunks.get(number)?.fill(0, from, to);
  }

  /** An independent copy. */
  clone(): SparseBytes {
    const copy = new SparseBytes();
    for (const [number, chunk] of this.chunks) copy.chunks.set(number, chunk.slice());
    return copy;
  }
}
