import type { InBuf, OutBuf } from '../protocol/message.js';

/** What a read answers in place of a length. */
export const CLOSED = 0;
export const INTERRUPTED = -1;

/**
 * The two-way pipe to the host: one request a read, one reply a write. dev-fuse.ts is the real one; tests have another.
 */
export interface Transport {
  /**
   * Waits for a request with the thread blocked. Returns its length in bytes, CLOSED when the mount is gone,
   * INTERRUPTED when a signal came (its handler wants the event loop).
   */
  readSync(into: InBuf): number;
  /** The same with the thread free. */
  read(into: InBuf, done: (length: number) => void): void;
  /** Sends the first `length` bytes. False when the host no longer waits for this reply. */
  write(from: OutBuf, length: number): boolean;
  /**
   * The same with the thread free, for messages whose fate nobody asks about. `from` belongs to the transport from now
   * on.
   */
  writeLater(from: OutBuf, length: number): void;
}
