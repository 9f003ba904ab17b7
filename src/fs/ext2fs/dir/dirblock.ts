import { KERNEL_CONTEXT } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { INCOMPAT } from '../disk/features.js';
import { enterblocks, newblocks } from '../file/blocks.js';
import { ext2_blkatoff } from '../file/bmap.js';
import type { Inode } from '../file/inode.js';
import { BK_NEW } from '../order/ordering.js';
import { leaf_clear, leaf_dirty } from './leaf.js';
import { dirblock_verify } from './piece.js';

/** Without large_dir a directory has 32 bits of size. */
const SIZE_MAX = 2 ** 31 - 1;

/** Block `lbn` of a directory, referenced and verified. @throws EIO */
export function dirblock(ip: Inode, lbn: number): MaybePromise<Buf> {
  const take = (bp: Buf | null): Buf => {
    if (bp === null) throw ip.i_em.em_damage.error(`directory inode ${ip.i_number}: block ${lbn} is a hole`);
    try {
      dirblock_verify(ip, lbn, bp);
    } catch (thrown) {
      ip.i_em.em_bufcache.brelse(bp);
      throw thrown;
    }
    return bp;
  };
  const got = ext2_blkatoff(ip, lbn);
  return got instanceof Promise ? got.then(take) : take(got);
}

/** One more block at the end, an empty leaf, referenced. The caller stores the inode. @throws ENOSPC EIO */
export async function newdirblock(ip: Inode): Promise<{ lbn: number; bp: Buf }> {
  const { i_em: em, i_fs: fs } = ip;
  const lbn = Math.ceil(ip.i_size / fs.bsize);
  if (!fs.incompat(INCOMPAT.large_dir) && (lbn + 1) * fs.bsize > SIZE_MAX) throw errno(E.ENOSPC);
  const got = newblocks(ip, lbn, 1, KERNEL_CONTEXT);
  const blocks = got instanceof Promise ? await got : got;
  await enterblocks(ip, lbn, { block: blocks.block, count: 1 }, false, KERNEL_CONTEXT);
  const bp = em.em_bufcache.getblk(em.em_dev, blocks.block * fs.bsize, fs.bsize);
  leaf_clear(ip, bp);
  leaf_dirty(ip, bp, BK_NEW);
  ip.i_size = (lbn + 1) * fs.bsize;
  return { lbn, bp };
}
