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
