import { ufs_dirindex_drop } from '../../ufs/lookup.js';
import { ffs_shrink } from '../file/truncate.js';
import type { Inode } from '../volume/inode.js';
import { ffs_update } from './update.js';

/**
 * Removed directories that are still open are cut to nothing, as NetBSD does: a checker then finds nothing in them
 * to bring back.
 */

/**
 * Frees the blocks of a removed directory, whose only entries are "." and "..". In a transaction or a flush.
 * @throws EIO
 */
export async function ffs_emptyremoved(ip: Inode): Promise<void> {
  ufs_dirindex_drop(ip);
  await ffs_shrink(ip, 0);
}

/**
 * The disk has lost the names of these directories: they may be cut to nothing there, too. For a flush; a directory
 * that an operation has locked is left for the next flush. @throws EIO
 */
export async function ffs_emptyall(which: Set<Inode>): Promise<void> {
  for (const ip of which) {
    const { v_lock } = ip.i_vnode;
    if (ip.i_mode === 0 || ip.i_nlink > 0) {
      which.delete(ip);
    } else if (v_lock.tryenter(true)) {
      try {
        which.delete(ip);
        await ffs_emptyremoved(ip);
        await ffs_update(ip);
      } finally {
        v_lock.exit(true);
      }
    }
  }
}
