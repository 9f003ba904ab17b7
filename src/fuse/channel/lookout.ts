/** Does the descriptor have something to read now? */
export type Readable = (fd: number) => boolean;

/**
 * How long it looks out, milliseconds: a client that goes on at once has its next request there after 10 to 60 µs.
 * Counted in looks it depends on what a system call costs, which is more in a confined server than in another one.
 */
const WINDOW_MS = 0.06;
/**
 * And longer for each byte that the last request or its reply has carried: the client fills or empties its buffer
 * first, at 5 GB/s.
 */
const WINDOW_MS_PER_BYTE = 0.2e-6;
/** Failures that are put up with: one more with each success, up to this many. */
const PATIENCE_MAX = 8;
/** Reads without a lookout once the patience is used up; a first try after them may fail as often as this. */
const REST = 256;
const PATIENCE_AFTER_REST = 2;

/**
 * Looks out for the next request a moment before the thread goes to sleep in a read. To put a thread to sleep and to
 * wake it on another processor costs the host more than most requests take to serve. Where it does not pay (the client
 * shares this processor, or takes its time), it fails more often than it succeeds, and is left for a while.
 *
 * States: looking (patience > 0) -> resting, when the patience is used up -> looking again after REST reads.
 */
export class Lookout {
  private patience = PATIENCE_AFTER_REST;
  private rest = 0;

  /** `now`: milliseconds of a clock that only goes on. */
  constructor(private readonly readable: Readable, private readonly now: () => number = () => performance.now()) {}

  /** Returns when a request is there, or soon. `bytes`: of the last request or its reply. */
  watch(fd: number, bytes: number): void {
    if (this.patience === 0) {
      if (--this.rest > 0) return;
      this.patience = PATIENCE_AFTER_REST;
    }
    const end = this.now() + WINDOW_MS + bytes * WINDOW_MS_PER_BYTE;
    do {
      if (this.readable(fd)) {
        if (this.patience < PATIENCE_MAX) this.patience++;
        return;
      }
    } while (this.now() < end);
    if (--this.patience === 0) this.rest = REST;
  }
}
