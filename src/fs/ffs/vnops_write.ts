import { E, errno } from '../../kernel/errno.js';
import type { Vnops } from '../../kernel/vfs/vnops.js';
import type { FfsMount } from './ffsmount.js';

/** Operations that change a file, and what vnops.ts does not do: inactive, reclaim, fsync. */
export type FfsWriteOps = Pick<Vnops, 'create' | 'mknod' | 'mkdir' | 'symlink' | 'link' | 'remove' | 'rmdir' | 'rename' | 'setattr' | 'write' | 'fsync' | 'inactive' | 'reclaim'> &
  Partial<Pick<Vnops, 'open' | 'close' | 'fallocate' | 'fdiscard' | 'setextattr' | 'deleteextattr'>>;

const rofs = (): never => {
  throw errno(E.EROFS);
};

export const ffs_writeops: FfsWriteOps = {
  create: rofs,
  mknod: rofs,
  mkdir: rofs,
  symlink: rofs,
  link: rofs,
  remove: rofs,
  rmdir: rofs,
  rename: rofs,
  setattr: rofs,
  write: rofs,
  fsync: () => undefined,
  inactive: () => false,
  reclaim(vp) {
    vp.v_data = null;
  },
};

/** The volume becomes writable: called at the end of a read-write mount or update, with a superblock that is fit for it. */
export function ffs_write_start(_ump: FfsMount): void {
  throw errno(E.EROFS, 'writing is not built in');
}

/** The volume stops being writable (unmount, update to read-only): everything goes to the device and it is marked clean. */
export function ffs_write_stop(_ump: FfsMount): void {}

/** Everything dirty goes to the device, with a barrier. Never called for a read-only volume. */
export function ffs_write_sync(_ump: FfsMount): void {}
