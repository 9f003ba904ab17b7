import { LastAnswers } from './answers.js';
import { ANSWER_MAX, R_ANSWER, R_ATWORK } from './layout.js';
import type { Predecessor } from './predecessor.js';
import type { RecordWriter } from './records.js';
import type { Answer } from './service.js';

const WORD = 2 ** 32;
const number = (lo: number, hi: number): number => (lo >>> 0) + (hi >>> 0) * WORD;

/**
 * The requests that are at work or were answered, as a successor must know them, and as a predecessor has left them.
 */
export class Requests {
  /** Answers of a predecessor, which the host may or may not have got. */
  readonly #answers = new Map<number, Uint8Array>();
  /** Requests that a predecessor had begun. */
  readonly #half = new Set<number>();
  readonly #last = new LastAnswers(ANSWER_MAX);
  /** Two words each. Those half done stay here until they are done, however many servers it takes. */
  #atwork: number[];
  /** Answers that are about to be given, and that no commit has recorded yet. */
  readonly #giving: Answer[] = [];
  /** The list that was recorded last is not empty. */
  #recorded: boolean;

  constructor(found: Predecessor | undefined) {
    for (const { lo, hi, bytes } of found?.answers ?? []) {
      this.#answers.set(number(lo, hi), bytes);
      this.#last.add(lo, hi, bytes, bytes.length);
    }
    this.#atwork = [...(found?.atwork ?? [])];
    for (let i = 0; i + 1 < this.#atwork.length; i += 2) this.#half.add(number(this.#atwork[i]!, this.#atwork[i + 1]!));
    this.#recorded = this.#atwork.length > 0;
  }

  answered(lo: number, hi: number): Uint8Array | undefined {
    return this.#answers.get(number(lo, hi));
  }

  halfdone(lo: number, hi: number): boolean {
    return this.#half.has(number(lo, hi));
  }

  begin(lo: number, hi: number): void {
    if (!this.halfdone(lo, hi)) this.#atwork.push(lo >>> 0, hi >>> 0);
  }

  /** The request has ended. */
  end(lo: number, hi: number): void {
    const atwork = this.#atwork;
    for (let i = 0; i < atwork.length; i += 2) {
      if (atwork[i] !== lo >>> 0 || atwork[i + 1] !== hi >>> 0) continue;
      atwork.splice(i, 2);
      return;
    }
  }

  /** The recorded list names requests: it must be recorded anew even if nothing else has changed. */
  get listed(): boolean {
    return this.#recorded;
  }

  /** The next commit is to keep this answer. */
  give(answer: Answer): void {
    this.#giving.push(answer);
  }

  /** Records the answers that are about to be given, and which requests are at work. */
  record(log: RecordWriter): void {
    for (const answer of this.#giving) this.#recordanswer(log, answer);
    this.#recordatwork(log);
  }

  /** What was recorded is committed. */
  committed(): void {
    this.#giving.length = 0;
  }

  #recordanswer(log: RecordWriter, answer: Answer): void {
    const length = Math.min(answer.length, ANSWER_MAX);
    log.begin(R_ANSWER);
    log.put(answer.lo >>> 0);
    log.put(answer.hi >>> 0);
    log.put(length);
    log.putbytes(answer.bytes, length);
    log.end();
    this.#last.add(answer.lo, answer.hi, answer.bytes, length);
  }

  #recordatwork(log: RecordWriter): void {
    if (this.#atwork.length === 0 && !this.#recorded) return;
    this.#recorded = this.#atwork.length > 0;
    log.begin(R_ATWORK);
    log.putall(this.#atwork);
    log.end();
  }

  /** Records the last answers, where a log is written anew. */
  recordlast(log: RecordWriter): void {
    this.#last.record(log, R_ANSWER);
  }
}
