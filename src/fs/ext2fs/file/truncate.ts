import type { WriteState } from '../volume/writestate.js';
import { WRITE, transact } from '../volume/transact.js';
import { checksize, maxfilesize, removable, removeblocks } from './blocks.js';
import type { Inode } from './inode.js';
import { outline } from './outline.js';
import { mustbeplain } from './plain.js';
import { T_CHANGE, T_UPDATE, inode_put, inode_touch } from './store.js';
import { zerotail } from './zero.js';

/** Blocks behind the last one that a file can have. */
export function endblock(ip: Inode): number {
  return Math.ceil(maxfilesize(ip) / ip.i_fs.bsize);
}

/** Outside of operations. Cuts a file, in as many operations as it takes, or makes it longer. @throws EFBIG EIO */
export async function ext2_truncate(ip: Inode, size: number): Promise<void> {
  mustbeplain(ip);
  checksize(ip, size);
  const state = WRITE(ip.i_em);
  if (ip.i_inline !== null) await transact(state, () => outline(ip));
  if (size > ip.i_size) {
    return transact(state, async () => {
      const zeroed = zerotail(ip, ip.i_size, size);
      if (zeroed) await zeroed;
      ip.i_size = size;
      inode_touch(ip, T_UPDATE | T_CHANGE);
      await inode_put(ip);
    });
  }
  await ext2_cut(state, ip, size);
}

/** Outside of operations. @throws EIO */
export async function ext2_cut(state: WriteState, ip: Inode, size: number): Promise<void> {
  const { bsize } = ip.i_fs;
  const keep = Math.ceil(size / bsize);
  for (let done = false; !done; ) {
    const top = ip.i_blocks === 0 ? keep : endblock(ip);
    const from = top > keep ? await removable(ip, keep, Math.max(keep, Math.ceil(ip.i_size / bsize))) : keep;
    await transact(state, async () => {
      done = from === keep;
      if (done) {
        const zeroed = zerotail(ip, size, Infinity);
        if (zeroed) await zeroed;
      }
      if (top > keep) await removeblocks(ip, from, top);
      ip.i_size = done ? size : Math.min(ip.i_size, from * bsize);
      if (size === 0) state.lost.delete(ip.i_number);
      inode_touch(ip, T_UPDATE | T_CHANGE);
      await inode_put(ip);
    });
  }
}
