/** A write that a predecessor had put off, and had no time for. */
export interface LeftWrite {
  readonly bytes: Uint8Array;
  readonly offset_bytes: number;
  /** As the driver named it (a file's number). */
  readonly owner: number;
}

const AT = 0;
const BYTES = 1;
const OFFSET = 2;
const OWNER = 3;
const WORDS = 4;
/** What a note takes of the memory, bytes: these words, and one that says whether they count. */
export const POSTED_BYTES = (WORDS + 1) * 8;

/**
 * The note of the one write to the device that may be put off until the host has its answer, so that a program prepares
 * its next request meanwhile. The data is where the request was read into, in the memory that outlives the kernel, and
 * so is the note: if the process is killed in between, its successor writes it before it does anything else.
 *
 * States: none -> noted (note) -> none (done). To be done twice does no harm: nothing else is done to the device in
 * between.
 */
export class PostedWrite {
  /** Where requests are read into. */
  readonly requests: Uint8Array;
  /** A successor would find the note: set by the keeper of the memory. */
  lasting = false;
  private readonly words: Float64Array;
  private readonly valid: Int32Array;

  /** `note`: {@link POSTED_BYTES} of the memory, aligned to 8; `requests`: another part of it. */
  constructor(note: Uint8Array, requests: Uint8Array) {
    this.words = new Float64Array(note.buffer, note.byteOffset, WORDS);
    this.valid = new Int32Array(note.buffer, note.byteOffset + WORDS * 8, 1);
    this.requests = requests;
  }

  /** Do these bytes, and a note of them, outlive the kernel? */
  holds(from: Uint8Array, from_offset: number, length: number): boolean {
    const { requests } = this;
    const at = from.byteOffset + from_offset - requests.byteOffset;
    return this.lasting && from.buffer === requests.buffer && at >= 0 && at + length <= requests.length;
  }

  note(from: Uint8Array, from_offset: number, length: number, offset_bytes: number, owner: number): void {
    const { words } = this;
    words[AT] = from.byteOffset + from_offset - this.requests.byteOffset;
    words[BYTES] = length;
    words[OFFSET] = offset_bytes;
    words[OWNER] = owner;
    Atomics.store(this.valid, 0, 1);
  }

  /**
   * Of the write that is noted: where its data is in {@link requests}, how long it is in bytes, where on the device,
   * whose.
   */
  get at(): number {
    return this.words[AT]!;
  }

  get length(): number {
    return this.words[BYTES]!;
  }

  get offset_bytes(): number {
    return this.words[OFFSET]!;
  }

  get owner(): number {
    return this.words[OWNER]!;
  }

  done(): void {
    Atomics.store(this.valid, 0, 0);
  }

  /** What a predecessor left to be written. */
  get left(): LeftWrite | undefined {
    if (Atomics.load(this.valid, 0) !== 1) return undefined;
    const { requests, at, length, offset_bytes, owner } = this;
    if (!(at >= 0 && length > 0 && at + length <= requests.length && Number.isInteger(at + length))) return undefined;
    return { bytes: requests.subarray(at, at + length), offset_bytes, owner };
  }
}
