import { LOGS_AT, LOG_BYTES, R_BLOCK, R_CLEAN, SLOTS_AT, W_COMMITTED } from './layout.js';
import { findpredecessor } from './predecessor.js';
import type { Predecessor } from './predecessor.js';
import { RecordWriter } from './records.js';
import type { Requests } from './requests.js';
import { Slots } from './slots.js';
import type { Slot } from './slots.js';
import type { KeptBlock, KeptDriver } from './volume.js';

/** Words by which a log grows before everything is written anew. */
const GROWTH_WORDS = 1 << 16;

/** Brings states into the memory: each counts wholly or not at all. */
export class MemoryCommitter {
  readonly #memory: Uint8Array;
  readonly #header: Int32Array;
  readonly #words: readonly Float64Array[];
  readonly #logs: readonly RecordWriter[];
  #slots!: Slots;
  /** The log that is valid. */
  #active = 0;
  /** It is to be written anew when it has reached this. */
  #rewriteat = 0;
  /** Copies that a predecessor's state lies in: free once the state is one of our own. */
  #inherited: readonly Slot[] = [];
  /** Copies that the last committed state does not need: where, bytes. */
  readonly #old: number[] = [];

  constructor(memory: Uint8Array, header: Int32Array) {
    const { buffer, byteOffset } = memory;
    this.#memory = memory;
    this.#header = header;
    this.#words = [0, 1].map((i) => new Float64Array(buffer, byteOffset + LOGS_AT + i * LOG_BYTES, LOG_BYTES / 8));
    this.#logs = this.#words.map((log) => new RecordWriter(log));
  }

  /** To be called first: what a predecessor has committed. Its copies stay until the first commit. */
  find(): Predecessor | undefined {
    const committed = Atomics.load(this.#header, W_COMMITTED);
    let found: Predecessor | undefined;
    if (committed !== 0) {
      this.#active = committed & 1;
      found = findpredecessor(this.#memory, this.#words[this.#active]!, committed >>> 1);
    }
    this.#inherited = found?.copies ?? [];
    this.#slots = new Slots(SLOTS_AT, this.#memory.length, this.#inherited);
    return found;
  }

  /** The next commit writes everything. */
  anew(): void {
    this.#rewriteat = 0;
  }

  /** Nothing is committed. */
  clear(): void {
    Atomics.store(this.#header, W_COMMITTED, 0);
  }

  /** Nothing is committed, and all copies are free. */
  reset(): void {
    this.clear();
    this.#old.length = 0;
    this.#inherited = [];
    this.#slots = new Slots(SLOTS_AT, this.#memory.length, []);
  }

  /**
   * Commits. What a predecessor has left does not count any more.
   * @param blocks all dirty blocks
   * @param changed those that have changed, or are dirty no more, since the last commit
   * @returns false: there is no room, and the memory holds the state before
   */
  commit(
    driver: KeptDriver,
    blocks: Iterable<KeptBlock>,
    changed: readonly KeptBlock[],
    requests: Requests,
  ): boolean {
    const log = this.#logs[this.#active]!;
    const append = !driver.whole && log.at < this.#rewriteat;
    if (!this.#copies(changed, append ? log : null)) return false;
    if (append) {
      driver.delta(log);
      requests.record(log);
      if (!log.overflow) return this.#store();
    }
    this.#active ^= 1;
    const other = this.#logs[this.#active]!;
    other.rewind();
    for (const bp of blocks) if (bp.kept >= 0) this.#record(other, bp);
    driver.snapshot(other);
    requests.recordlast(other);
    requests.record(other);
    if (other.overflow) return false;
    // To write everything anew costs as much as there is: the more, the more rarely.
    this.#rewriteat = other.at + Math.max(GROWTH_WORDS, other.at);
    this.#store();
    for (const { at, bytes } of this.#inherited) this.#slots.release(at, bytes);
    this.#inherited = [];
    return true;
  }

  /** Copies the blocks that have changed, and records that. False: there is no room. */
  #copies(changed: readonly KeptBlock[], log: RecordWriter | null): boolean {
    const old = this.#old;
    // First what is gone: another block may have come to the same place.
    for (const bp of changed) {
      if (bp.dirty || bp.kept < 0) continue;
      if (log !== null) {
        log.begin(R_CLEAN);
        log.put(bp.b_offset);
        log.end();
      }
      old.push(bp.kept, bp.b_bcount);
      bp.kept = -1;
    }
    for (const bp of changed) {
      bp.keptlisted = false;
      if (!bp.dirty) continue;
      const at = this.#slots.take(bp.b_bcount);
      if (at < 0) return false;
      this.#memory.set(bp.b_data, at);
      if (bp.kept >= 0) old.push(bp.kept, bp.b_bcount);
      bp.kept = at;
      if (log !== null) this.#record(log, bp);
    }
    return true;
  }

  #record(log: RecordWriter, bp: KeptBlock): void {
    log.begin(R_BLOCK);
    log.put(bp.b_offset);
    log.put(bp.b_bcount);
    log.put(bp.kept);
    log.end();
  }

  /** Makes valid what the active log holds now. */
  #store(): true {
    Atomics.store(this.#header, W_COMMITTED, (this.#logs[this.#active]!.at << 1) | this.#active);
    const old = this.#old;
    for (let i = 0; i < old.length; i += 2) this.#slots.release(old[i]!, old[i + 1]!);
    old.length = 0;
    return true;
  }
}
