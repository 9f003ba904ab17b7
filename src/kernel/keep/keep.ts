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
 * This file is what others see. Its parts: layout.ts (the memory), predecessor.ts (finds what a killed kernel left),
 * requests.ts (requests and their answers), committer.ts (commits).
 */
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { MemoryCommitter } from './committer.js';
import {
  HEADER_BYTES, LOGS_AT, MAGIC, POSTED_AT, REQUESTS_AT, SERVER_BYTES, SLOTS_AT, W_COMMITTED, W_MAGIC,
} from './layout.js';
import { POSTED_BYTES, PostedWrite } from './posted.js';
import { Requests } from './requests.js';
import type { Answer, KeepForServer, Nameless } from './service.js';
import type { Inheritance, KeptBlock, KeptDriver } from './volume.js';

export { ANSWER_MAX, DRIVER_RECORDS, KEEP_BYTES_MIN, REQUESTS_BYTES, SERVER_BYTES } from './layout.js';
export type { Answer, KeepForServer, Nameless } from './service.js';
export type { Inheritance, KeptBlock, KeptDriver } from './volume.js';

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
  private readonly committer: MemoryCommitter;
  private readonly served: Requests;
  private inheritance: Inheritance | undefined;
  private driver: KeptDriver | null = null;
  private blocks: Iterable<KeptBlock> = [];
  /** Dirty blocks that have changed since the last commit, and blocks that are dirty no more. */
  private changed: KeptBlock[] = [];
  /** What goes on after commits for which the driver was not quiet. */
  private later: (() => void)[] = [];
  private lost = false;
  /** Gives up the files of `nameless` that the driver holds. */
  private release: (() => Promise<void>) | undefined;

  /** `memory`: at least KEEP_BYTES_MIN, at the start of its buffer; zeros, or a predecessor's. */
  constructor(memory: Uint8Array) {
    this.memory = memory;
    this.server = memory.subarray(0, SERVER_BYTES);
    const header = new Int32Array(memory.buffer, memory.byteOffset + SERVER_BYTES, HEADER_BYTES / 4);
    this.committer = new MemoryCommitter(memory, header);
    this.posted = new PostedWrite(
      memory.subarray(POSTED_AT, POSTED_AT + POSTED_BYTES),
      memory.subarray(REQUESTS_AT, LOGS_AT),
    );
    if (header[W_MAGIC] !== MAGIC) header[W_COMMITTED] = 0;
    const found = this.committer.find();
    this.inheritance = found?.inheritance;
    this.served = new Requests(found);
    if (found === undefined) this.posted.done();
    header[W_MAGIC] = MAGIC;
  }

  get requests(): Uint8Array {
    return this.posted.requests;
  }

  // ---- the predecessor's state

  get inherited(): boolean {
    return this.inheritance !== undefined;
  }

  /**
   * For the driver that mounts the volume: what its predecessor left. It stays valid until the driver has attached and
   * committed.
   */
  inherit(): Inheritance | undefined {
    return this.inheritance;
  }

  /** Nothing of it counts any more. */
  private takenup(): void {
    this.inheritance &&= { blocks: [], records: [] };
  }

  answered(lo: number, hi: number): Uint8Array | undefined {
    return this.served.answered(lo, hi);
  }

  halfdone(lo: number, hi: number): boolean {
    return this.served.halfdone(lo, hi);
  }

  /** The driver holds the files of `nameless`, until `release` is called. */
  holds(nameless: readonly Nameless[], release: () => Promise<void>): void {
    this.nameless = nameless;
    this.release = release;
  }

  async adopted(): Promise<void> {
    const { release } = this;
    this.release = undefined;
    this.nameless = [];
    await release?.();
  }

  // ---- the volume at work

  /** Begins to keep a volume; `blocks` are the dirty ones at any time. What there is now is the first state. */
  attach(driver: KeptDriver, blocks: Iterable<KeptBlock>): void {
    this.driver = driver;
    this.blocks = blocks;
    for (const bp of blocks) this.note(bp);
    this.committer.anew();
    this.posted.lasting = true;
    void this.commit();
  }

  /** The volume is on the disk and will be changed no more: there is nothing to be kept. */
  detach(): void {
    this.driver = null;
    this.blocks = [];
    this.changed = [];
    this.posted.lasting = false;
    this.committer.clear();
    this.quieted();
  }

  /** A dirty block has changed, or is dirty no more. */
  note(bp: KeptBlock): void {
    if (bp.keptlisted || this.lost) return;
    bp.keptlisted = true;
    this.changed.push(bp);
  }

  begin(lo: number, hi: number): void {
    this.served.begin(lo, hi);
  }

  forget(lo: number, hi: number): void {
    this.served.end(lo, hi);
  }

  commit(answer?: Answer): MaybePromise<void> {
    if (answer !== undefined) this.forget(answer.lo, answer.hi);
    const { driver } = this;
    if (driver === null || this.lost) return undefined;
    // Nothing has changed: done again, the request gets the same answer.
    const { changed, later, served } = this;
    if (changed.length === 0 && !driver.changed && !served.listed && later.length === 0) return undefined;
    if (answer !== undefined) served.give(answer);
    if (!driver.quiet) return new Promise((go) => this.later.push(go));
    this.write(driver);
    return undefined;
  }

  settle(): void {
    this.driver?.settle();
  }

  /** Blocks are about to be written: the disk must not get ahead of what has been committed. */
  ahead(): void {
    if (this.driver !== null && this.changed.length > 0 && !this.lost) this.write(this.driver);
  }

  /** The driver is quiet again: commits for whom that was not possible before. */
  quieted(): void {
    if (this.later.length === 0) return;
    const { driver, later } = this;
    if (driver !== null && !driver.quiet) return;
    if (driver !== null && !this.lost) this.write(driver);
    this.later = [];
    for (const go of later) go();
  }

  private write(driver: KeptDriver): void {
    if (!this.committer.commit(driver, this.blocks, this.changed, this.served)) return this.giveup();
    this.changed.length = 0;
    this.served.committed();
    this.takenup();
  }

  /** There is no room: nothing is kept. */
  private giveup(): void {
    this.lost = true;
    this.posted.lasting = false;
    this.committer.reset();
    for (const bp of this.blocks) bp.kept = -1;
    for (const bp of this.changed) {
      bp.keptlisted = false;
      bp.kept = -1;
    }
    this.changed = [];
    this.takenup();
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
    this.committer.anew();
    this.write(driver);
    if (this.lost) return;
    this.posted.lasting = true;
    this.onroom(true);
  }
}
