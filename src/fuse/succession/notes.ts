/** What a server notes of its work for whoever comes after it (see state.ts), and what it finds of its predecessor. */
import type { Message } from '../protocol/message.js';
import { P, PLACES, PLACES_AT, PLACE_WORDS, STATE_MAGIC, STATE_WORDS, SUSPECTS, SUSPECTS_AT, W } from './state.js';

/** How much a death weighs against a request: the processor was at it, or it only waited for something. */
const AT_IT = 4;
const ASLEEP = 1;
/** Three deaths while the processor was at it; twelve while it waited. */
const TOO_HEAVY = 3 * AT_IT;
const RESENT_BIT = 0x80000000;

/** A request's number, its high word, without the mark of having been sent again. */
export function plainHi(hi: number): number {
  return hi & ~RESENT_BIT;
}

/** Has it been sent to a server before? */
export function isResent(m: Message): boolean {
  return m.uniqueHi >= RESENT_BIT;
}

/** What was agreed with the host at INIT. */
export interface Agreement {
  readonly minor: number;
  readonly max_write: number;
  readonly resend: boolean;
}

export class Notes {
  private readonly words: Uint32Array;
  /** A predecessor had begun to serve. */
  readonly inherited: boolean;
  private suspects = 0;

  /** `memory`: the server's part. */
  constructor(memory: Uint8Array) {
    this.words = new Uint32Array(memory.buffer, memory.byteOffset, STATE_WORDS);
    const { words } = this;
    this.inherited = words[W.magic] === STATE_MAGIC && words[W.agreed] === 1;
    if (!this.inherited) words.fill(0);
    words[W.magic] = STATE_MAGIC;
    for (let i = 0; i < SUSPECTS; i++) if (words[SUSPECTS_AT + i * PLACE_WORDS + P.opcode] !== 0) this.suspects++;
  }

  get agreement(): Agreement | undefined {
    const { words } = this;
    return words[W.agreed] === 1
      ? { minor: words[W.minor]!, max_write: words[W.max_write]!, resend: words[W.resend] === 1 }
      : undefined;
  }
  agreed(agreement: Agreement): void {
    const { words } = this;
    words[W.minor] = agreement.minor;
    words[W.max_write] = agreement.max_write;
    words[W.resend] = agreement.resend ? 1 : 0;
    Atomics.store(words, W.agreed, 1);
  }

  get writing(): boolean {
    return this.words[W.writing] === 1;
  }
  set writing(value: boolean) {
    this.words[W.writing] = value ? 1 : 0;
  }
  get turned_readonly(): boolean {
    return this.words[W.turned_readonly] === 1;
  }
  turnReadonly(): void {
    this.words[W.turned_readonly] = 1;
  }
  get closed(): boolean {
    return this.words[W.closed] === 1;
  }
  setClosed(): void {
    this.words[W.closed] = 1;
  }

  // ---- requests at work

  begin(m: Message): void {
    const { words } = this;
    if (m.place >= PLACES) {
      words[W.current] = 0;
      return;
    }
    const at = PLACES_AT + m.place * PLACE_WORDS;
    words[at + P.lo] = m.uniqueLo;
    words[at + P.hi] = m.uniqueHi;
    words[at + P.nodeLo] = m.nodeLo;
    words[at + P.nodeHi] = m.nodeHi;
    words[at + P.opcode] = m.opcode;
    words[W.current] = m.place + 1;
  }

  /** The request waits; the processor turns to others. */
  asleep(m: Message): void {
    if (this.words[W.current] === m.place + 1) this.words[W.current] = 0;
  }

  /** The host has its answer. */
  end(m: Message): void {
    const { words } = this;
    if (m.place < PLACES) words[PLACES_AT + m.place * PLACE_WORDS + P.opcode] = 0;
    if (words[W.current] === m.place + 1) words[W.current] = 0;
    words[W.progress]!++;
    if (this.suspects > 0 && isResent(m)) this.clear(m);
  }

  // ---- requests that were at work when a server died

  /** The predecessor is dead: what it was at is suspected of having been the reason. */
  suspectPredecessor(): void {
    const { words } = this;
    const current = words[W.current]!;
    for (let place = 0; place < PLACES; place++) {
      const from = PLACES_AT + place * PLACE_WORDS;
      if (words[from + P.opcode] === 0) continue;
      const weight = place + 1 === current ? AT_IT : ASLEEP;
      let at = this.find(words[from + P.lo]!, words[from + P.hi]!);
      if (at < 0) {
        at = SUSPECTS_AT + (words[W.suspect]! % SUSPECTS) * PLACE_WORDS;
        words[W.suspect]!++;
        if (words[at + P.opcode] === 0) this.suspects++;
        words.copyWithin(at, from, from + P.weight);
        words[at + P.weight] = 0;
      }
      words[at + P.weight]! += weight;
      words[from + P.opcode] = 0;
    }
    words[W.current] = 0;
  }

  /** This request was the end of too many servers. */
  isPoison(m: Message): boolean {
    if (this.suspects === 0) return false;
    const at = this.find(m.uniqueLo, m.uniqueHi);
    return at >= 0 && this.words[at + P.weight]! >= TOO_HEAVY;
  }

  private find(lo: number, hi: number): number {
    const { words } = this;
    for (let i = 0; i < SUSPECTS; i++) {
      const at = SUSPECTS_AT + i * PLACE_WORDS;
      if (words[at + P.opcode] !== 0 && words[at + P.lo] === lo && plainHi(words[at + P.hi]!) === plainHi(hi)) {
        return at;
      }
    }
    return -1;
  }

  private clear(m: Message): void {
    const at = this.find(m.uniqueLo, m.uniqueHi);
    if (at < 0) return;
    this.words[at + P.opcode] = 0;
    this.suspects--;
  }
}
