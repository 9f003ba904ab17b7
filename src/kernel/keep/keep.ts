/**
 * Memory that outlives the kernel: what a successor needs to go on where a killed kernel stopped.
 *
 * The host gives a kernel some shared memory (BootOptions.keep). After each operation that changed something, `commit`
 * brings into it what has changed: dirty metadata blocks, and what the driver of the mounted volume has only in its own
 * memory. A commit counts wholly or not at all, whenever the process is killed. The next kernel that is booted with the
 * same memory finds it (`inherited`), and the mount of the same volume takes it up.
 *
 * It protects against the death of the process, not of the machine: what must survive a power cut is on the disk, in
 * order, as without it. No block is written to the disk before the state that it belongs to has been committed, so
 * the disk is never ahead of the memory.
 *
 * The memory: SERVER_BYTES of the server; a header; REQUESTS_BYTES that requests are read into; two logs of records
 * (records.ts), of which one is valid; copies of dirty blocks. A commit appends to the valid log, or, when that has
 * become long, writes everything anew into the other. What counts is one word of the header, stored last: which log,
 * and how far.
 */
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { BlockDevice } from '../blkdev.js';
import { LastAnswers } from './answers.js';
import { POSTED_BYTES, PostedWrite } from './posted.js';
import { RecordWriter, readrecords, recordbytes } from './records.js';
import type { KeptRecord } from './records.js';
import { Slots } from './slots.js';
import type { Slot } from './slots.js';

/** An answer to a request, as the host is to get it. */
export interface Answer {
  /** The request's number, two 32-bit words. */
  readonly lo: number;
  readonly hi: number;
  readonly bytes: Uint8Array;
  /** How many of `bytes` belong to it; at most {@link ANSWER_MAX}. */
  readonly length: number;
}

/** A file that has lost its last name while somebody had it open. */
export interface Nameless {
  readonly fid_ino: number;
  readonly fid_gen: number;
}

/** Longest answer that can be kept, bytes. */
export const ANSWER_MAX = 512;

/** At the start of the memory, bytes that belong to whoever serves requests (the kernel does not touch them). */
export const SERVER_BYTES = 65536;

/** Of the memory, bytes for requests that may be large: two of a mebibyte with what comes before its data. */
export const REQUESTS_BYTES = 2 * ((1 << 20) + 4096);

/** What serves requests sees of the memory. Made before the kernel is booted with it (BootOptions.keep). */
export interface KeepForServer {
  /** The first SERVER_BYTES of the memory. */
  readonly server: Uint8Array;
  /**
   * REQUESTS_BYTES of it. A write whose data lies here may be put off until `settle`. A predecessor's may lie here
   * until its volume is mounted.
   */
  readonly requests: Uint8Array;
  /**
   * A predecessor's state lies in the memory and the mount has taken it up, or will. False after a first start, and
   * where a predecessor had nothing to keep (a volume mounted read-only).
   */
  readonly inherited: boolean;
  /** A request that may change something begins; it ends with `commit` or `forget`. */
  begin(lo: number, hi: number): void;
  /** It has ended without an answer that must be kept. */
  forget(lo: number, hi: number): void;
  /**
   * Brings everything that has changed since the last commit into the memory, with the answer to the request that has
   * just been served. To be called before the host gets the answer, which must wait for the promise, if there is one.
   * Cheap if nothing has changed.
   */
  commit(answer?: Answer): MaybePromise<void>;
  /**
   * To be called when the host has an answer, before anything is read into `requests` again: does the write that was
   * put off.
   */
  settle(): void;
  /** The answer of a predecessor to this request, which the host may or may not have got. */
  answered(lo: number, hi: number): Uint8Array | undefined;
  /**
   * The request was at work when the predecessor committed something, and was not finished: a part of it may have been
   * done. To be done again such that what is done already is no error.
   */
  halfdone(lo: number, hi: number): boolean;
  /**
   * Files without a name that users of the predecessor had open: each can be opened by fhopen until `adopted` is
   * called.
   */
  readonly nameless: readonly Nameless[];
  /** The files of `nameless` are open, those that are to stay. */
  adopted(): Promise<void>;
}

/** A block of the buffer cache, as far as this module knows it (CachedBuf is one). */
export interface KeptBlock {
  readonly b_offset: number;
  readonly b_bcount: number;
  readonly b_data: Uint8Array;
  readonly dirty: boolean;
  /** Where its copy lies; -1: there is none. */
  kept: number;
  /** Changed since the last commit. */
  keptlisted: boolean;
}

/** The driver's part of the state, beyond its dirty blocks. Types of its records begin with {@link DRIVER_RECORDS}. */
export interface KeptDriver {
  /** No operation is in the middle of a change: what is in memory now is a state to go on from. */
  readonly quiet: boolean;
  /** There is something to be recorded. */
  readonly changed: boolean;
  /** Changes are not known one by one: a snapshot is wanted. */
  readonly whole: boolean;
  /** Records what has changed since it was asked last. */
  delta(out: RecordWriter): void;
  /** Records everything. */
  snapshot(out: RecordWriter): void;
  /**
   * Nothing of it is being recorded: a snapshot will be asked for, and what would be in a delta need not be remembered.
   */
  forget(): void;
  /** Does the write that was put off (posted.ts). */
  settle(): void;
}

/** What a predecessor has left for the driver. */
export interface Inheritance {
  readonly blocks: readonly { readonly offset_bytes: number; readonly bytes: Uint8Array }[];
  readonly records: readonly KeptRecord[];
}

export const DRIVER_RECORDS = 16;
/** [offset, bytes, slot]: a dirty block and its copy. */
const BUF = 1;
/** [offset]: the block is dirty no more. */
const DROP = 2;
/** [low, high, bytes, answer...] */
const ANSWER = 3;
/** [low, high, ...]: requests at work; replaces the list before. */
const ATWORK = 4;

const MAGIC = 0x72_66_6b_31;
const HEADER_BYTES = 4096;
const W_MAGIC = 0;
const W_COMMITTED = 1;
const LOG_BYTES = 16 << 20;
/** In the header, behind its words. */
const POSTED_AT = SERVER_BYTES + 64;
const REQUESTS_AT = SERVER_BYTES + HEADER_BYTES;
const LOGS_AT = REQUESTS_AT + REQUESTS_BYTES;
const SLOTS_AT = LOGS_AT + 2 * LOG_BYTES;
/** Words by which a log grows before everything is written anew. */
const GROWTH_WORDS = 1 << 16;
/** What the memory must have at least, bytes; more is room for more dirty blocks. */
export const KEEP_BYTES_MIN = SLOTS_AT + (16 << 20);
const WORD = 2 ** 32;

const number = (lo: number, hi: number): number => (lo >>> 0) + (hi >>> 0) * WORD;

/**
 * States: waiting (nothing attached; what was inherited is intact) -> attached (a driver's volume is being kept) ->
 * waiting again, with nothing kept, when it has been unmounted. attached -> lost when there was no room: nothing is
 * kept, and the death of the process ends the mount as it would without this. -> attached again (takeup) when there is.
 */
export class Keep implements KeepForServer {
  readonly server: Uint8Array;
  readonly posted: PostedWrite;
  nameless: readonly Nameless[] = [];
  /** Called when there is no room any more (false), and when there is again (true). */
  onroom: (there: boolean) => void = () => {};
  private readonly memory: Uint8Array;
  private readonly header: Int32Array;
  private readonly logs: readonly RecordWriter[];
  private slots: Slots;
  private active = 0;
  /** The active log is to be written anew when it has reached this. */
  private rewriteat = 0;
  private inheritance: Inheritance | undefined;
  /** Pieces that the inheritance lies in: free once the state is one of our own. */
  private theirs: readonly Slot[] = [];
  private readonly answers = new Map<number, Uint8Array>();
  private readonly last = new LastAnswers(ANSWER_MAX);
  private readonly half = new Set<number>();
  private driver: KeptDriver | null = null;
  private blocks: Iterable<KeptBlock> = [];
  private changed: KeptBlock[] = [];
  /** Copies that the last committed state does not need. */
  private readonly old: number[] = [];
  private atwork: number[] = [];
  private atworkkept = false;
  private later: { answer: Answer | undefined; go: () => void }[] = [];
  private lost = false;
  private letgo: (() => Promise<void>) | undefined;

  /** `memory`: at least {@link KEEP_BYTES_MIN}, at the start of its buffer; zeros, or a predecessor's. */
  constructor(memory: Uint8Array) {
    const { buffer, byteOffset } = memory;
    this.memory = memory;
    this.server = memory.subarray(0, SERVER_BYTES);
    this.header = new Int32Array(buffer, byteOffset + SERVER_BYTES, HEADER_BYTES / 4);
    const words = [0, 1].map((i) => new Float64Array(buffer, byteOffset + LOGS_AT + i * LOG_BYTES, LOG_BYTES / 8));
    this.logs = words.map((log) => new RecordWriter(log));
    this.posted = new PostedWrite(
      memory.subarray(POSTED_AT, POSTED_AT + POSTED_BYTES),
      memory.subarray(REQUESTS_AT, LOGS_AT),
    );
    if (this.header[W_MAGIC] === MAGIC) this.find(words);
    else this.header[W_COMMITTED] = 0;
    if (this.inheritance === undefined) this.posted.done();
    this.header[W_MAGIC] = MAGIC;
    this.slots = new Slots(SLOTS_AT, memory.length, this.theirs);
  }

  get requests(): Uint8Array {
    return this.posted.requests;
  }

  get inherited(): boolean {
    return this.inheritance !== undefined;
  }

  // ---- the predecessor's state

  private find(words: readonly Float64Array[]): void {
    const committed = Atomics.load(this.header, W_COMMITTED);
    if (committed === 0) return;
    this.active = committed & 1;
    const log = words[this.active]!;
    const all = readrecords(log, Math.min(committed >>> 1, log.length));
    if (all === undefined) return;
    const found = new Map<number, Slot>();
    const records: KeptRecord[] = [];
    for (const record of all) {
      const [a, b, c] = record.words;
      if (record.type >= DRIVER_RECORDS) {
        records.push(record);
      } else if (record.type === BUF && this.inside(c!, b!)) {
        found.set(a!, { at: c!, bytes: b! });
      } else if (record.type === DROP) {
        found.delete(a!);
      } else if (record.type === ANSWER) {
        const bytes = recordbytes(record, 3, Math.min(c!, ANSWER_MAX));
        this.answers.set(number(a!, b!), bytes);
        this.last.add(a!, b!, bytes, bytes.length);
      } else if (record.type === ATWORK) {
        this.half.clear();
        // Half done they stay until they are done, however many servers it takes.
        this.atwork = [...record.words];
        for (let i = 0; i + 1 < record.words.length; i += 2) {
          this.half.add(number(record.words[i]!, record.words[i + 1]!));
        }
      }
    }
    this.atworkkept = this.atwork.length > 0;
    this.theirs = [...found.values()];
    const blocks = [...found].map(([offset_bytes, { at, bytes }]) => ({
      offset_bytes,
      bytes: this.memory.subarray(at, at + bytes),
    }));
    this.inheritance = { blocks, records };
  }

  private inside(at: number, bytes: number): boolean {
    return at >= SLOTS_AT && bytes > 0 && at + bytes <= this.memory.length;
  }

  /**
   * For the driver that mounts the volume: what its predecessor left. It stays valid until the driver has attached and
   * committed.
   */
  inherit(): Inheritance | undefined {
    return this.inheritance;
  }

  answered(lo: number, hi: number): Uint8Array | undefined {
    return this.answers.get(number(lo, hi));
  }

  halfdone(lo: number, hi: number): boolean {
    return this.half.has(number(lo, hi));
  }

  /** The driver holds the files of `nameless`, until `letgo` is called. */
  holds(nameless: readonly Nameless[], letgo: () => Promise<void>): void {
    this.nameless = nameless;
    this.letgo = letgo;
  }

  async adopted(): Promise<void> {
    const { letgo } = this;
    this.letgo = undefined;
    this.nameless = [];
    await letgo?.();
  }

  // ---- the volume at work

  /** Begins to keep a volume; `blocks` are the dirty ones at any time. What there is now is the first state. */
  attach(driver: KeptDriver, blocks: Iterable<KeptBlock>): void {
    this.driver = driver;
    this.blocks = blocks;
    for (const bp of blocks) this.note(bp);
    this.rewriteat = 0;
    this.posted.lasting = true;
    void this.commit();
  }

  /** The volume is on the disk and will be changed no more: there is nothing to be kept. */
  detach(): void {
    this.driver = null;
    this.blocks = [];
    this.changed = [];
    this.nothing();
    this.quieted();
  }

  /** A dirty block has changed, or is dirty no more. */
  note(bp: KeptBlock): void {
    if (bp.keptlisted || this.lost) return;
    bp.keptlisted = true;
    this.changed.push(bp);
  }

  begin(lo: number, hi: number): void {
    if (!this.halfdone(lo, hi)) this.atwork.push(lo >>> 0, hi >>> 0);
  }

  forget(lo: number, hi: number): void {
    const { atwork } = this;
    for (let i = 0; i < atwork.length; i += 2) {
      if (atwork[i] !== lo >>> 0 || atwork[i + 1] !== hi >>> 0) continue;
      atwork.splice(i, 2);
      return;
    }
  }

  commit(answer?: Answer): MaybePromise<void> {
    if (answer !== undefined) this.forget(answer.lo, answer.hi);
    const { driver } = this;
    if (driver === null || this.lost) return undefined;
    // Nothing has changed: done again, the request gets the same answer.
    if (this.changed.length === 0 && !driver.changed && !this.atworkkept && this.later.length === 0) return undefined;
    if (!driver.quiet) return new Promise((go) => this.later.push({ answer, go }));
    this.write(driver, answer);
    return undefined;
  }

  settle(): void {
    this.driver?.settle();
  }

  /** Blocks are about to be written: the disk must not get ahead of what has been committed. */
  ahead(): void {
    if (this.driver !== null && this.changed.length > 0 && !this.lost) this.write(this.driver, undefined);
  }

  /** The driver is quiet again: commits for whom that was not possible before. */
  quieted(): void {
    if (this.later.length === 0) return;
    const { driver, later } = this;
    if (driver !== null && !driver.quiet) return;
    if (driver !== null && !this.lost) this.write(driver, undefined);
    this.later = [];
    for (const { go } of later) go();
  }

  private write(driver: KeptDriver, answer: Answer | undefined): void {
    const log = this.logs[this.active]!;
    const append = !driver.whole && log.at < this.rewriteat;
    if (!this.copies(append ? log : null)) return this.givenup();
    if (append) {
      driver.delta(log);
      this.requestrecords(log, answer);
      if (!log.overflow) return this.store();
    }
    this.active ^= 1;
    const other = this.logs[this.active]!;
    other.rewind();
    for (const bp of this.blocks) if (bp.kept >= 0) this.record(other, bp);
    driver.snapshot(other);
    this.last.record(other, ANSWER);
    this.requestrecords(other, answer);
    if (other.overflow) return this.givenup();
    // To write everything anew costs as much as there is: the more, the more rarely.
    this.rewriteat = other.at + Math.max(GROWTH_WORDS, other.at);
    this.store();
    for (const { at, bytes } of this.theirs) this.slots.release(at, bytes);
    this.theirs = [];
    this.inheritance &&= { blocks: [], records: [] };
  }

  /** Copies the blocks that have changed, and records that. False: there is no room. */
  private copies(log: RecordWriter | null): boolean {
    const { changed, old } = this;
    // First what is gone: another block may have come to the same place.
    for (const bp of changed) {
      if (bp.dirty || bp.kept < 0) continue;
      if (log !== null) {
        log.begin(DROP);
        log.put(bp.b_offset);
        log.end();
      }
      old.push(bp.kept, bp.b_bcount);
      bp.kept = -1;
    }
    for (const bp of changed) {
      bp.keptlisted = false;
      if (!bp.dirty) continue;
      const at = this.slots.take(bp.b_bcount);
      if (at < 0) return false;
      this.memory.set(bp.b_data, at);
      if (bp.kept >= 0) old.push(bp.kept, bp.b_bcount);
      bp.kept = at;
      if (log !== null) this.record(log, bp);
    }
    changed.length = 0;
    return true;
  }

  private record(log: RecordWriter, bp: KeptBlock): void {
    log.begin(BUF);
    log.put(bp.b_offset);
    log.put(bp.b_bcount);
    log.put(bp.kept);
    log.end();
  }

  private requestrecords(log: RecordWriter, answer: Answer | undefined): void {
    if (answer !== undefined) this.answer(log, answer);
    for (const waiting of this.later) if (waiting.answer !== undefined) this.answer(log, waiting.answer);
    if (this.atwork.length === 0 && !this.atworkkept) return;
    this.atworkkept = this.atwork.length > 0;
    log.begin(ATWORK);
    log.putall(this.atwork);
    log.end();
  }

  private answer(log: RecordWriter, answer: Answer): void {
    const length = Math.min(answer.length, ANSWER_MAX);
    log.begin(ANSWER);
    log.put(answer.lo >>> 0);
    log.put(answer.hi >>> 0);
    log.put(length);
    log.putbytes(answer.bytes, length);
    log.end();
    this.last.add(answer.lo, answer.hi, answer.bytes, length);
  }

  /** Makes valid what the active log holds now. */
  private store(): void {
    Atomics.store(this.header, W_COMMITTED, (this.logs[this.active]!.at << 1) | this.active);
    const { old } = this;
    for (let i = 0; i < old.length; i += 2) this.slots.release(old[i]!, old[i + 1]!);
    old.length = 0;
  }

  /** There is no room. */
  private givenup(): void {
    this.lost = true;
    this.nothing();
    for (const bp of this.blocks) bp.kept = -1;
    for (const bp of this.changed) {
      bp.keptlisted = false;
      bp.kept = -1;
    }
    this.changed = [];
    this.old.length = 0;
    this.theirs = [];
    this.inheritance &&= { blocks: [], records: [] };
    this.slots = new Slots(SLOTS_AT, this.memory.length, []);
    this.driver?.forget();
    this.onroom(false);
  }

  /**
   * The driver has brought to the disk what it could: if there was no room for its changes, there may be now. Quiet.
   */
  takeup(): void {
    const { driver } = this;
    if (!this.lost || driver === null) return;
    let bytes = 0;
    for (const bp of this.blocks) bytes += bp.b_bcount;
    // Room to spare: else it would be given up again at once.
    if (bytes > (this.memory.length - SLOTS_AT) / 4) return driver.forget();
    this.lost = false;
    for (const bp of this.blocks) this.note(bp);
    this.rewriteat = 0;
    this.write(driver, undefined);
    if (this.lost) return;
    this.posted.lasting = true;
    this.onroom(true);
  }

  private nothing(): void {
    this.posted.lasting = false;
    Atomics.store(this.header, W_COMMITTED, 0);
  }
}

/** A buffer cache that tells of the dirty blocks of one device. */
export interface KeepsBlocks {
  /** From now on. @returns the device's dirty blocks, whenever they are looked at */
  keep(dev: BlockDevice, keeper: Keep | null): Iterable<KeptBlock>;
}
