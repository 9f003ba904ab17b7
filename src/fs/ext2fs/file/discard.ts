import { FL, I_BLOCK_BYTES } from '../disk/dinode.js';
import { ext2_ifree } from '../space/ialloc.js';
import type { WriteState } from '../volume/writestate.js';
import { removeblocks } from './blocks.js';
import type { Inode } from './inode.js';
import { inode_put } from './store.js';
import { endblock, ext2_cut } from './truncate.js';
import { xattr_free } from './xattrfree.js';

/** Does the file have blocks in its map? */
function hasmap(ip: Inode): boolean {
  if (ip.i_inline !== null) return false;
  const type = ip.i_mode & 0xf000;
  if (type === 0xa000) return ip.i_size >= I_BLOCK_BYTES || ip.has(FL.EXTENTS);
  return type === 0x8000 || type === 0x4000;
}

function deadtime(state: WriteState): number {
  return state.em.em_kernel.now().sec % 2 ** 32;
}

/** Frees an inode without links and users, and its blocks, in as many operations as it takes. @throws EIO */
export async function discard_now(state: WriteState, ip: Inode): Promise<void> {
  if (hasmap(ip)) await ext2_cut(state, ip, 0);
  const wait = state.order.begin();
  if (wait) await wait;
  try {
    await xattr_free(state, ip);
    await state.orphans.remove(ip);
    ip.i_dtime = deadtime(state);
    ip.i_nlink = 0;
    await inode_put(ip);
    await ext2_ifree(state, ip.i_number, (ip.i_mode & 0xf000) === 0x4000);
    ip.i_gone = true;
    state.atimes.delete(ip);
  } finally {
    state.order.end();
  }
}

/** Inside a flush: takes the blocks from an inode whose names the disk has lost, and clears it. @throws EIO */
export async function discard_cleared(state: WriteState, ip: Inode): Promise<void> {
  if (hasmap(ip)) await removeblocks(ip, 0, endblock(ip));
  await xattr_free(state, ip);
  ip.i_size = 0;
  ip.i_dtime = deadtime(state);
  ip.i_nlink = 0;
  await inode_put(ip);
}
