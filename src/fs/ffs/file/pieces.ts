import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Inode } from '../volume/inode.js';
import { ffs_fallocate, ffs_overwrite, ffs_punch, ffs_truncate } from './truncate.js';
import { transact } from '../order/changes.js';
import { ORDER } from '../volume/writestate.js';

/**
 * Operations on ranges of files of any size, piece by piece: in transactions that a journal can hold, and with a pause
 * after each in which others get on and the caller may give up.
 */

/** A piece is not larger, bytes: they are written. */
const ALLOC_BYTES = 16 << 20;
/** A piece is not longer, in ranges of one indirect block: those that are holes already cost a step each. */
const PUNCH_ROWS = 8192;

/** The end of a piece that begins at `at`: whole blocks, up to `end`. */
function pieceend(ip: Inode, at: number, end: number, bytes: number): number {
  const { fs_bsize } = ip.i_fs;
  return Math.min(end, Math.floor((at + bytes) / fs_bsize) * fs_bsize);
}

async function pause(ip: Inode, signal: AbortSignal | undefined): Promise<void> {
  await ip.i_ump.um_kernel.rumpuser.rumpuser_clock_sleep(0);
  if (signal?.aborted === true) throw errno(E.EINTR);
}

/** @throws EIO; EINTR: what lies before is a hole */
export async function ffs_punch_pieces(ip: Inode, offset: number, length: number, ctx: Context): Promise<void> {
  const order = ORDER(ip.i_ump);
  const { fs_nindir, fs_bsize } = ip.i_fs;
  const end = Math.min(offset + length, ip.i_size);
  for (let at = offset; at < end; ) {
    if (at > offset) await pause(ip, ctx.signal);
    const got = order.punchreach(ip, at, pieceend(ip, at, end, PUNCH_ROWS * fs_nindir * fs_bsize));
    const to = got instanceof Promise ? await got : got;
    await transact(ip.i_ump, () => ffs_punch(ip, at, to - at));
    at = to;
  }
}

/**
 * Zeros in the place of what the blocks in offset..end-1 hold; they stay, and so do holes.
 * @throws EIO; EINTR: what lies before is zeros
 */
export async function ffs_zero_pieces(ip: Inode, offset: number, end: number, ctx: Context): Promise<void> {
  for (let at = offset; at < end; ) {
    if (at > offset) await pause(ip, ctx.signal);
    const to = pieceend(ip, at, end, ALLOC_BYTES);
    await transact(ip.i_ump, () => ffs_overwrite(ip, at, to));
    at = to;
  }
}

/** @throws EFBIG ENOSPC EIO EINTR; the size is then as before, though holes of the range may have been filled */
export async function ffs_fallocate_pieces(ip: Inode, offset: number, length: number, ctx: Context): Promise<void> {
  const order = ORDER(ip.i_ump);
  const osize = ip.i_size;
  const end = offset + length;
  if (end > ip.i_ump.um_maxfilesize) throw errno(E.EFBIG);
  try {
    for (let at = offset; at < end; ) {
      if (at > offset) await pause(ip, ctx.signal);
      const to = pieceend(ip, at, end, Math.min(order.mostalloc, ALLOC_BYTES));
      await transact(ip.i_ump, () => ffs_fallocate(ip, at, to - at, ctx));
      at = to;
    }
  } catch (error) {
    if (ip.i_size > osize) {
      await order.reduce(ip, osize);
      await transact(ip.i_ump, () => ffs_truncate(ip, osize, ctx));
    }
    throw error;
  }
}
