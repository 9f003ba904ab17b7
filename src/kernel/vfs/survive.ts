/**
 * Survival for drivers that have nothing to say about it (Vfsops.vfs_survives "buffers"): before the driver mounts,
 * what a predecessor left goes to the disk, without an order, as FFS does it; while the volume can be written, its
 * dirty blocks and the driver's rows are kept for a successor.
 */
import { MNT_RDONLY } from '../fcntl.js';
import { KeptState } from '../keep/state.js';
import { mimpl } from './mntimpl.js';
import type { Mount } from './mount.js';
import type { VfsKernel } from './vfskernel.js';

/** Before VFS_MOUNT. @throws EIO what a predecessor had not yet written cannot be written */
export async function survive_inherit(k: VfsKernel, mp: Mount): Promise<void> {
  const { keep } = k;
  const dev = mp.mnt_dev;
  if (keep === null || dev === null || mp.mnt_op.vfs_survives !== 'buffers') return;
  const { trans } = mimpl(mp);
  const from = keep.inherit();
  mp.mnt_kept = new KeptState(from, () => !trans.shared, () => dev.settle());
  if (from === undefined || dev.readonly) return;
  const { left } = keep.posted;
  if (left !== undefined) {
    await dev.write(left.bytes, 0, left.bytes.length, left.offset_bytes);
    keep.posted.done();
  }
  for (const { offset_bytes, bytes } of from.blocks) await dev.write(bytes, 0, bytes.length, offset_bytes);
}

/** The volume is mounted, or can be written from now on. */
export function survive_attach(k: VfsKernel, mp: Mount): void {
  const impl = mimpl(mp);
  if (mp.mnt_kept === null || impl.keeping || (mp.mnt_flag & MNT_RDONLY) !== 0) return;
  const keep = k.keep!;
  const dev = mp.mnt_dev!;
  impl.keeping = true;
  const { lostwrite } = mp.mnt_op;
  if (lostwrite !== undefined) dev.postinto(keep.posted, (owner) => lostwrite(mp, owner));
  keep.attach(mp.mnt_kept, k.bufcache.keep(dev, keep));
}

/** Everything is on the disk, and nothing will be changed any more. */
export function survive_detach(k: VfsKernel, mp: Mount): void {
  const impl = mimpl(mp);
  if (!impl.keeping) return;
  impl.keeping = false;
  mp.mnt_dev!.postinto(null, () => {});
  k.bufcache.keep(mp.mnt_dev!, null);
  k.keep!.detach();
}
