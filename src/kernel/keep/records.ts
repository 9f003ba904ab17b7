/**
 * Records of numbers in shared memory: [type, number of words, words...], each word a 64-bit float, or eight bytes of
 * something else. They are written one behind the other; who commits them says how far they reach.
 */
export class RecordWriter {
  /** Where the next word goes. */
  at = 0;
  /** There was no room for everything. */
  overflow = false;
  /** The memory byte by byte, for code that fills what {@link room} has reserved. */
  readonly view: DataView;
  private readonly words: Float64Array;
  private readonly u8: Uint8Array;
  private start = 0;

  constructor(words: Float64Array) {
    this.words = words;
    this.u8 = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  }

  /** Starts from the front. */
  rewind(): void {
    this.at = 0;
    this.overflow = false;
  }

  begin(type: number): void {
    this.start = this.at;
    this.put(type);
    this.put(0);
  }

  put(word: number): void {
    if (this.at < this.words.length) this.words[this.at++] = word;
    else this.overflow = true;
  }

  putall(words: readonly number[]): void {
    for (let i = 0; i < words.length; i++) this.put(words[i]!);
  }

  /** As many words as `length` bytes take, zeros: where they begin in `view`, bytes; -1 if there is no room. */
  room(length: number): number {
    const { at } = this;
    const end = at + Math.ceil(length / 8);
    if (end > this.words.length) {
      this.overflow = true;
      return -1;
    }
    this.words.fill(0, at, end);
    this.at = end;
    return at * 8;
  }

  /** The first `length` bytes of `from`, in as many words as they take. */
  putbytes(from: Uint8Array, length: number): void {
    const at = this.room(length);
    // One copy by the engine: a loop would be slow until it is compiled.
    if (at >= 0) this.u8.set(from.subarray(0, length), at);
  }

  end(): void {
    if (!this.overflow) this.words[this.start + 1] = this.at - this.start - 2;
  }
}

/** A record as a successor finds it. */
export interface KeptRecord {
  readonly type: number;
  readonly words: Float64Array;
}

/** The records in the first `length` words. undefined: they are no records (the memory has been damaged). */
export function readrecords(words: Float64Array, length: number): KeptRecord[] | undefined {
  const records: KeptRecord[] = [];
  for (let at = 0; at < length; ) {
    const type = words[at]!;
    const count = words[at + 1]!;
    if (!(count >= 0 && count % 1 === 0 && at + 2 + count <= length)) return undefined;
    records.push({ type, words: words.slice(at + 2, at + 2 + count) });
    at += 2 + count;
  }
  return records;
}

/** The bytes that putbytes put, from word `from` of a record on. */
export function recordbytes(record: KeptRecord, from: number, length: number): Uint8Array {
  const { words } = record;
  const room = Math.max(0, (words.length - from) * 8);
  return new Uint8Array(words.buffer, words.byteOffset + from * 8, Math.min(length, room));
}
