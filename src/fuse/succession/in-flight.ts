import { writeSync } from 'node:fs';
import { E } from '../../kernel/errno.js';
import { hostErrno } from '../protocol/errno.js';
import { fuse_out_header } from '../protocol/fuse_kernel.js';
import type { MemoryFile } from './memory-file.js';

/**
 * For hosts that do not send requests again: what a dead server was at is answered with EIO. Left alone it would end with
 * ECONNABORTED as soon as `fd`, through which the server had read it, is closed, and no program expects that of a file.
 */
export function endInFlight(memory: MemoryFile, fd: number): void {
  const reply = new DataView(new ArrayBuffer(fuse_out_header.SIZEOF));
  reply.setUint32(fuse_out_header.len, fuse_out_header.SIZEOF, true);
  reply.setInt32(fuse_out_header.error, -hostErrno(E.EIO), true);
  for (const { lo, hi } of memory.unanswered()) {
    reply.setUint32(fuse_out_header.unique, lo, true);
    reply.setUint32(fuse_out_header.unique + 4, hi, true);
    try {
      writeSync(fd, reply);
    } catch {
      // ENOENT: it had its answer already, or wants none.
    }
  }
}
