import type { MaybePromise } from '../rumpuser/rumpuser.js';

/** What serves requests sees of the memory that outlives the kernel. */

/** An answer to a request, as the host is to get it. */
export interface Answer {
  /** The request's number, two 32-bit words. */
  readonly lo: number;
  readonly hi: number;
  readonly bytes: Uint8Array;
  /** How many of `bytes` belong to it; at most ANSWER_MAX (layout.ts). */
  readonly length: number;
}

/** A file that has lost its last name while somebody had it open. */
export interface Nameless {
  readonly fid_ino: number;
  readonly fid_gen: number;
}

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
