import type { BlockDevice } from '../../../../kernel/blkdev.js';
import type { Fs } from '../../disk/fs.js';
import type { BlockMap } from './blockmap.js';
import { rehash } from './rehash.js';
import type { DirTable } from './dirtable.js';
import type { InodeTable } from './inodetable.js';
import { FSCK_EXIT_CHECK_FAILED, FsckStop, MAX_PROBLEMS } from './report.js';
import type { FsckCode, FsckPhase, FsckProblem } from './report.js';

/**
 * `check` answers no to every question and never writes; `preen` mends what needs no judgement and stops at anything
 * else; `repair` answers yes.
 */
export type FsckMode = 'check' | 'preen' | 'repair';

/** A block in memory. Changes go to the disk at once, by {@link FsckContext.bwrite}. */
export class FsckBuf {
  readonly view: DataView;
  constructor(readonly fsb: number, readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** Blocks kept in memory: inode blocks, indirect blocks, directory blocks, group blocks. */
const CACHE_BYTES = 16 << 20;

export interface ProblemWhere {
  inode?: number;
  block?: number;
  group?: number;
}

/** Everything that the phases share. */
export class FsckContext {
  /** Set by the setup. */
  fs!: Fs;
  blocks!: BlockMap;
  inodes!: InodeTable;
  dirs!: DirTable;
  /** Summaries of the groups as the disk has them: cs_ndir, cs_nbfree, cs_nifree, cs_nffree for each. */
  cs!: Int32Array;
  /** Inodes and directory entries of 4.2BSD. */
  oldformat = false;
  appleufs = false;
  dirblksiz = 512;
  freebsd = false;
  /** The journal held work, which is in what we read. */
  journalReplayed = false;
  /** Inodes that no directory names: quota files; and, if they are flagged so, journals inside the file system. */
  readonly hidden = new Set<number>();
  readonly journalInodes = new Set<number>();
  phase: FsckPhase = 0;

  readonly problems: FsckProblem[] = [];
  problemCount = 0;
  readonly notes: string[] = [];
  modified = false;
  /** Something was found that is not mended. */
  unresolved = false;
  /** Blocks of inodes that were cleared are still counted as used: only another run can tell who holds what. */
  rerun = false;
  /** Directory of what nothing names; 0 while it has not been looked for. */
  lostFound = 0;
  lostFoundNames = new Set<string>();
  /** Directory -> offset before which it has no room for entries. */
  readonly roomFrom = new Map<number, number>();
  /** Groups whose maps no longer fit the disk because of our own repairs. */
  readonly touched = new Set<number>();
  /** A copy was used in place of the standard superblock. */
  alternateUsed = false;
  sbdirty = false;
  /** Seconds since 1970, for what repair makes. */
  now = 0;
  files = 0;
  usedFrags = 0;
  freeFrags = 0;

  readonly #cache = new Map<number, FsckBuf>();
  #cached = 0;

  /** @param dev the setup may put a journal over it */
  constructor(public dev: BlockDevice, readonly mode: FsckMode) {}

  note(text: string): void {
    if (this.notes.length < MAX_PROBLEMS) this.notes.push(text);
  }

  /** Records a problem for which there is no cure, or none that may be asked for. */
  report(code: FsckCode, message: string, where: ProblemWhere = {}): void {
    this.#record(code, message, where, undefined);
    this.unresolved = true;
  }

  /** Records that the volume was not left in order; what that means shows in the phases. */
  unclean(code: 'NOT_CLEAN' | 'JOURNAL_DIRTY', message: string): void {
    this.#record(code, message, {}, this.mode === 'check' ? undefined : 'MARK CLEAN');
  }

  /**
   * Records a problem and decides whether it is to be mended.
   * @param action what mending it is called, as fsck_ffs would ask ("CLEAR", "ADJUST"...)
   * @param preen it may be mended without a person to judge
   * @returns true: the caller must mend it now
   */
  ask(code: FsckCode, message: string, action: string, preen: boolean, where: ProblemWhere = {}): boolean {
    const fix = this.mode === 'repair' || (this.mode === 'preen' && preen);
    this.#record(code, message, where, fix ? action : undefined);
    if (fix) return true;
    this.unresolved = true;
    if (this.mode === 'preen') {
      this.note('UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.');
      throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
    }
    return false;
  }

  #record(code: FsckCode, message: string, where: ProblemWhere, fixed: string | undefined): void {
    this.problemCount++;
    if (this.problems.length >= MAX_PROBLEMS) return;
    this.problems.push(
      fixed === undefined
        ? { phase: this.phase, code, message, ...where }
        : { phase: this.phase, code, message, ...where, fixed },
    );
  }

  // ---- device

  /** Reads bytes; what cannot be read is reported and comes as zeros. */
  async readAt(into: Uint8Array, length: number, offset: number): Promise<void> {
    try {
      const inside = Math.max(0, Math.min(length, this.dev.size_bytes - offset));
      if (inside > 0) {
        const r = this.dev.read(into, 0, inside, offset);
        if (r instanceof Promise) await r;
      }
      if (inside === length) return;
      into.fill(0, inside, length);
      this.#unreadable(length, offset, 'behind the end of the device');
    } catch (thrown) {
      if (thrown instanceof FsckStop) throw thrown;
      this.#unreadable(length, offset, thrown instanceof Error ? thrown.message : String(thrown));
      await this.#salvage(into, length, offset);
    }
  }

  /**
   * A check goes on with zeros. Repair must not: what cannot be read would be taken for free, and its names removed.
   */
  #unreadable(length: number, offset: number, why: string): void {
    this.report('CANNOT_READ', `CANNOT READ: ${length} bytes at ${offset}: ${why}`, this.#at(offset));
    if (this.mode === 'check') return;
    this.note('COPY THE VOLUME TO A SOUND DEVICE FIRST, AND REPAIR THE COPY.');
    throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
  }

  /** After a failed transfer: sector by sector, to get what can be had. */
  async #salvage(into: Uint8Array, length: number, offset: number): Promise<void> {
    const sector = Math.max(512, this.dev.sector_bytes);
    const bytes = new Uint8Array(sector);
    for (let at = 0; at < length; at += sector) {
      const n = Math.min(sector, length - at);
      try {
        const r = this.dev.read(bytes, 0, n, offset + at);
        if (r instanceof Promise) await r;
        into.set(bytes.subarray(0, n), at);
      } catch {
        into.fill(0, at, at + n);
      }
    }
  }

  #at(offset: number): ProblemWhere {
    return (this.fs as Fs | undefined) === undefined ? {} : { block: Math.floor(offset / this.fs.fs_fsize) };
  }

  async writeAt(bytes: Uint8Array, length: number, offset: number): Promise<void> {
    if (this.mode === 'check') throw new Error('fsck: a check must not write');
    this.modified = true;
    // The first write may come before there is a superblock to go by: a journal, of a system without check hashes.
    const fs = this.fs as Fs | undefined;
    if (fs !== undefined && fs.ckhashes !== 0) rehash(fs, bytes, length, offset);
    try {
      const r = this.dev.write(bytes, 0, length, offset);
      if (r instanceof Promise) await r;
    } catch (thrown) {
      this.report(
        'CANNOT_WRITE',
        `CANNOT WRITE: ${length} bytes at ${offset}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
        this.#at(offset),
      );
      throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
    }
  }

  // ---- blocks

  /**
   * The block of `size` bytes at fragment `fsb`, from memory if it is there. The same fragment is always asked for with
   * the same size.
   */
  getblk(fsb: number, size: number): FsckBuf | Promise<FsckBuf> {
    const cached = this.#cache.get(fsb);
    if (cached !== undefined && cached.bytes.length >= size) return cached;
    return this.#fetch(fsb, size);
  }

  async #fetch(fsb: number, size: number): Promise<FsckBuf> {
    const buf = new FsckBuf(fsb, new Uint8Array(size));
    await this.readAt(buf.bytes, size, fsb * this.fs.fs_fsize);
    const old = this.#cache.get(fsb);
    if (old !== undefined) this.#cached -= old.bytes.length;
    this.#cache.delete(fsb);
    this.#cache.set(fsb, buf);
    this.#cached += size;
    for (const [key, oldest] of this.#cache) {
      if (this.#cached <= CACHE_BYTES || oldest === buf) break;
      this.#cache.delete(key);
      this.#cached -= oldest.bytes.length;
    }
    return buf;
  }

  bwrite(buf: FsckBuf): Promise<void> {
    return this.writeAt(buf.bytes, buf.bytes.length, buf.fsb * this.fs.fs_fsize);
  }

  /** A fragment that now holds something else. */
  forget(fsb: number): void {
    const buf = this.#cache.get(fsb);
    if (buf === undefined) return;
    this.#cache.delete(fsb);
    this.#cached -= buf.bytes.length;
  }
}
