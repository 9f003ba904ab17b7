import { writeSync } from 'node:fs';
import { E } from '../../kernel/errno.js';
import { hostErrno } from '../protocol/errno.js';
import { fuse_out_header } from '../protocol/fuse_kernel.js';
import type { MemoryFile } from './memory-file.js';

/** The host counts its requests in steps of two (the odd numbers are those of interrupts). */
const STEP = 2n;
/**
 * So many numbers are tried before the latest that was noted, and behind it; a write in vain costs about a microsecond.
 */
const BEFORE = 2048n;
const BEHIND = 1024n;

/**
 * For hosts that do not send requests again: what a dead server was at is answered with EIO. Left alone it would end
 * with ECONNABORTED as soon as `fd`, through which the server had read it, is closed, and no program expects that of a
 * file.
 *
 * Not only what the server has noted: it may have died with one in its hands. An answer through `fd` reaches only what
 * has been read through `fd`, so all numbers that come into question can be tried.
 */
export function endInFlight(memory: MemoryFile, fd: number): void {
  const noted = memory.noted();
  if (noted.length === 0) return;
  const latest = noted.reduce((a, b) => (a > b ? a : b));
  const even = latest - (latest % STEP);
  const first = even > STEP * BEFORE ? even - STEP * BEFORE : STEP;
  const reply = new DataView(new ArrayBuffer(fuse_out_header.SIZEOF));
  reply.setUint32(fuse_out_header.len, fuse_out_header.SIZEOF, true);
  reply.setInt32(fuse_out_header.error, -hostErrno(E.EIO), true);
  /** False: nothing has been read through `fd`, or the mount has ended. */
  const end = (unique: bigint): boolean => {
    reply.setBigUint64(fuse_out_header.unique, unique, true);
    try {
      writeSync(fd, reply);
    } catch (error) {
      // ENOENT: there is none of this number.
      return (error as NodeJS.ErrnoException).code === 'ENOENT';
    }
    return true;
  };
  // One that has waited for long may lie far behind.
  for (const unique of noted) if (unique < first && !end(unique)) return;
  for (let unique = first; unique <= even + STEP * BEHIND; unique += STEP) if (!end(unique)) return;
}
