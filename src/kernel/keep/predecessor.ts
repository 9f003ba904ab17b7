import { ANSWER_MAX, DRIVER_RECORDS, R_ANSWER, R_ATWORK, R_BLOCK, R_CLEAN, SLOTS_AT } from './layout.js';
import { readrecords, recordbytes } from './records.js';
import type { KeptRecord } from './records.js';
import type { Slot } from './slots.js';
import type { Inheritance } from './volume.js';

/** A request and its answer, or the part of it that is kept. */
export interface KeptAnswer {
  readonly lo: number;
  readonly hi: number;
  readonly bytes: Uint8Array;
}

/** What a killed kernel has left in the memory. */
export interface Predecessor {
  /** For the driver that mounts the volume. Its blocks lie in the memory, in `copies`. */
  readonly inheritance: Inheritance;
  readonly copies: readonly Slot[];
  /** In the order in which they were given. */
  readonly answers: readonly KeptAnswer[];
  /** Requests at work, two words each: they may be half done. */
  readonly atwork: readonly number[];
}

/** Reads the log of a predecessor, of which `length` words count. undefined: they are no records. */
export function findpredecessor(memory: Uint8Array, log: Float64Array, length: number): Predecessor | undefined {
  const all = readrecords(log, Math.min(length, log.length));
  if (all === undefined) return undefined;
  const found = new Map<number, Slot>();
  const records: KeptRecord[] = [];
  const answers: KeptAnswer[] = [];
  let atwork: readonly number[] = [];
  for (const record of all) {
    const [a = 0, b = 0, c = 0] = record.words;
    if (record.type >= DRIVER_RECORDS) {
      records.push(record);
    } else if (record.type === R_BLOCK && inside(memory, c, b)) {
      found.set(a, { at: c, bytes: b });
    } else if (record.type === R_CLEAN) {
      found.delete(a);
    } else if (record.type === R_ANSWER) {
      answers.push({ lo: a, hi: b, bytes: recordbytes(record, 3, Math.min(c, ANSWER_MAX)) });
    } else if (record.type === R_ATWORK) {
      atwork = [...record.words];
    }
  }
  const blocks = [...found].map(([offset_bytes, { at, bytes }]) => ({
    offset_bytes,
    bytes: memory.subarray(at, at + bytes),
  }));
  return { inheritance: { blocks, records }, copies: [...found.values()], answers, atwork };
}

function inside(memory: Uint8Array, at: number, bytes: number): boolean {
  return at >= SLOTS_AT && bytes > 0 && at + bytes <= memory.length;
}
