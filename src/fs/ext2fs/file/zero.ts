import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { WRITE } from '../volume/transact.js';
import { ext2_bmaprun } from './bmap.js';
import type { Inode } from './inode.js';
import type { Run } from './run.js';

const ZEROS = new Uint8Array(65536);

/** Writes zeros to the device. @throws EIO */
export async function zeroat(ip: Inode, at: number, length: number): Promise<void> {
  const { em_dev } = ip.i_em;
  WRITE(ip.i_em).unflushed = true;
  while (length > 0) {
    const n = Math.min(length, ZEROS.length);
    const wait = em_dev.write(ZEROS, 0, n, at);
    if (wait) await wait;
    at += n;
    length -= n;
  }
}

/**
 * Makes what the block with byte `from` holds from there on zero, up to byte `to` at most: blocks of the file may hold
 * anything behind its end. Nothing where it has no block. @throws EIO
 */
export function zerotail(ip: Inode, from: number, to: number): MaybePromise<void> {
  const { bsize } = ip.i_fs;
  const lbn = Math.floor(from / bsize);
  const end = Math.min((lbn + 1) * bsize, to);
  const within = from - lbn * bsize;
  if (within === 0 || end <= from) return undefined;
  const zero = (r: Run): MaybePromise<void> =>
    r.block === 0 ? undefined : zeroat(ip, r.block * bsize + within, end - from);
  const run = ext2_bmaprun(ip, lbn, 1);
  return run instanceof Promise ? run.then(zero) : zero(run);
}

/** Makes bytes from..to-1, all within the file, zero where it has blocks that were written. @throws EIO */
export async function zerorange(ip: Inode, from: number, to: number): Promise<void> {
  const { bsize } = ip.i_fs;
  for (let at = from; at < to; ) {
    const lbn = Math.floor(at / bsize);
    const got = ext2_bmaprun(ip, lbn, Math.ceil(to / bsize) - lbn);
    const run = got instanceof Promise ? await got : got;
    const end = Math.min(to, (lbn + run.blocks) * bsize);
    if (run.block !== 0) await zeroat(ip, run.block * bsize + (at - lbn * bsize), end - at);
    at = end;
  }
}
