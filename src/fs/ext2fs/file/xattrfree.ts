import { BK_LEAF } from '../order/ordering.js';
import { SEAL_XATTR } from '../order/seals.js';
import { XATTR_MAGIC } from '../disk/xattr.js';
import type { WriteState } from '../volume/writestate.js';
import type { Inode } from './inode.js';

/** How many files have the block. */
export const H_REFCOUNT = 4;

/** The file lets go of its block of attributes, which others may share. The caller stores the inode. @throws EIO */
export async function xattr_free(state: WriteState, ip: Inode): Promise<void> {
  const { i_em: em, i_fs: fs } = ip;
  const block = ip.i_file_acl;
  if (block === 0) return;
  const got = em.bread(block, `inode ${ip.i_number}: block of extended attributes`);
  const bp = got instanceof Promise ? await got : got;
  try {
    if (bp.b_view.getUint32(0, true) !== XATTR_MAGIC)
      throw em.em_damage.error(`inode ${ip.i_number}: block of extended attributes ${block}: wrong magic number`);
    const refs = bp.b_view.getUint32(H_REFCOUNT, true);
    if (refs > 1) {
      bp.b_view.setUint32(H_REFCOUNT, refs - 1, true);
      state.order.dirty(bp, BK_LEAF);
      state.seals.mark(bp, SEAL_XATTR, 0);
    } else state.freenode(ip, block);
  } finally {
    em.em_bufcache.brelse(bp);
  }
  ip.i_file_acl = 0;
  ip.i_blocks = Math.max(0, ip.i_blocks - (fs.bsize * fs.clusterblocks) / 512);
}
