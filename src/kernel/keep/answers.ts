import type { RecordWriter } from './records.js';

/** More requests than a host has under way at a time are never without their answers. */
const COUNT = 256;

/**
 * The last answers that were kept: they go along when a log is written anew, for it is not known which of them the host
 * has got.
 */
export class LastAnswers {
  private readonly words = new Uint32Array(COUNT * 3);
  private readonly bytes: Uint8Array;
  private count = 0;

  /** `most`: bytes of the longest answer. */
  constructor(private readonly most: number) {
    this.bytes = new Uint8Array(COUNT * most);
  }

  add(lo: number, hi: number, bytes: Uint8Array, length: number): void {
    const place = this.count++ % COUNT;
    this.words[place * 3] = lo;
    this.words[place * 3 + 1] = hi;
    this.words[place * 3 + 2] = length;
    this.bytes.set(bytes.subarray(0, length), place * this.most);
  }

  /** As records of that type: [low, high, bytes, answer...]. */
  record(log: RecordWriter, type: number): void {
    const first = Math.max(0, this.count - COUNT);
    for (let i = first; i < this.count; i++) {
      const place = i % COUNT;
      const length = this.words[place * 3 + 2]!;
      log.begin(type);
      log.put(this.words[place * 3]!);
      log.put(this.words[place * 3 + 1]!);
      log.put(length);
      log.putbytes(this.bytes.subarray(place * this.most, place * this.most + length), length);
      log.end();
    }
  }
}
