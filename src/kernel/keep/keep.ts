/**
 * Memory that outlives the kernel: what a successor needs to go on where a killed kernel stopped.
 *
 * The host gives a kernel some shared memory (RumpOptions.keep). After each operation that changed something,
 * `commit` brings into it what has changed: dirty metadata blocks, and what the driver of the mounted volume has only in
 * its own memory. A commit counts wholly or not at all, whenever the process is killed. The next kernel that is booted
 * with the same memory finds it (`inherited`), and the mount of the same volume takes it up.
 *
 * It protects against the death of the process, not of the machine: what must survive a power cut is on the disk, in
 * order, as without it.
 */

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

/** What serves requests sees of the memory. Made before the kernel is booted with it (BootOptions.keep). */
export interface KeepForServer {
  /** The first SERVER_BYTES of the memory. */
  readonly server: Uint8Array;
  /**
   * A predecessor's state lies in the memory and the mount has taken it up, or will. False after a first start, and where a
   * predecessor had nothing to keep (a volume mounted read-only).
   */
  readonly inherited: boolean;
  /** A request that may change something begins; it ends with `commit` or `forget`. */
  begin(lo: number, hi: number): void;
  /** It has ended without an answer that must be kept. */
  forget(lo: number, hi: number): void;
  /**
   * Brings everything that has changed since the last commit into the memory, with the answer to the request that has just
   * been served. To be called before the host gets the answer. Cheap if nothing has changed.
   */
  commit(answer?: Answer): void;
  /** The answer of a predecessor to this request, which the host may or may not have got. */
  answered(lo: number, hi: number): Uint8Array | undefined;
  /**
   * The request was at work when the predecessor committed something, and was not finished: a part of it may have been done.
   * To be done again such that what is done already is no error.
   */
  halfdone(lo: number, hi: number): boolean;
  /** Files without a name that users of the predecessor had open: each can be opened by fhopen until `adopted` is called. */
  readonly nameless: readonly Nameless[];
  /** The files of `nameless` are open, those that are to stay. */
  adopted(): Promise<void>;
}
