import type { Cred } from '../../kernel/cred.js';
import { E, errno } from '../../kernel/errno.js';
import type { Inode } from '../ufs/inode.js';
import { ffs_fallocate, ffs_punch, ffs_truncate } from './truncate.js';
import { ORDER } from './writestate.js';

/** Operations on ranges of files of any size, in transactions that a journal can hold. */

/** @throws EIO */
export async function ffs_punch_pieces(ip: Inode, offset: number, length: number): Promise<void> {
  const order = ORDER(ip.i_ump);
  const end = Math.min(offset + length, ip.i_size);
  for (let at = offset; at < end; ) {
    const got = order.punchreach(ip, at, end);
    const to = got instanceof Promise ? await got : got;
    await order.run(() => ffs_punch(ip, at, to - at));
    at = to;
  }
}

/** @throws EFBIG ENOSPC EIO; the size is then as before, though holes of the range may have been filled */
export async function ffs_fallocate_pieces(ip: Inode, offset: number, length: number, cred: Cred): Promise<void> {
  const order = ORDER(ip.i_ump);
  const osize = ip.i_size;
  const end = offset + length;
  if (end > ip.i_ump.um_maxfilesize) throw errno(E.EFBIG);
  try {
    for (let at = offset; at < end; ) {
      const to = Math.min(end, at + order.mostalloc);
      await order.run(() => ffs_fallocate(ip, at, to - at, cred));
      at = to;
    }
  } catch (error) {
    if (ip.i_size > osize) {
      await order.reduce(ip, osize);
      await order.run(() => ffs_truncate(ip, osize, cred));
    }
    throw error;
  }
}
