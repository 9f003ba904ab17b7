import type { FfsMount } from './ffsmount.js';
import { ffs_inherit_rest } from './inherit.js';
import type { Inherited } from './inherit.js';
import { Kept } from './kept.js';
import type { WriteState } from './writestate.js';

/**
 * Begins to keep the state of a volume that has just become writable, where the kernel has memory for that.
 * @param from what a predecessor kept; from the end of this call on it is not needed any more
 */
export async function ffs_keep(state: WriteState, from: Inherited | undefined): Promise<void> {
  const { ump } = state;
  const { keep } = ump.um_kernel;
  if (keep === null) return;
  const kept = new Kept(state, keep);
  state.kept = kept;
  if (from !== undefined) await ffs_inherit_rest(state, from);
  const { mnt_dev } = ump.um_mountp;
  if (mnt_dev !== null && mnt_dev === ump.um_dev) {
    mnt_dev.postinto(keep.posted, (ino) => state.lose(ino));
    ump.um_posting = mnt_dev;
  }
  keep.attach(kept, ump.um_bufcache.keep(ump.um_dev, keep));
}

/** Everything is on the disk. */
export function ffs_unkeep(ump: FfsMount): void {
  const { keep } = ump.um_kernel;
  if (keep === null) return;
  ump.um_posting?.postinto(null, () => {});
  ump.um_posting = null;
  ump.um_bufcache.keep(ump.um_dev, null);
  keep.detach();
}
