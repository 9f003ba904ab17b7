import { E, errno } from '../errno.js';
import type { Vnops } from './vnops.js';

function badf(): never {
  throw errno(E.EBADF);
}
function io(): never {
  throw errno(E.EIO);
}
function noent(): never {
  throw errno(E.ENOENT);
}

/**
 * The operations of a reclaimed vnode: what descriptors see whose volume was unmounted by force. Reading and writing
 * fail with EIO, names with ENOENT, the rest with EBADF; closing succeeds.
 */
export const dead_vnodeops: Vnops = {
  lookup: noent,
  create: noent,
  mknod: noent,
  mkdir: noent,
  symlink: noent,
  link: noent,
  remove: noent,
  rmdir: noent,
  rename: noent,
  getattr: badf,
  setattr: badf,
  read: io,
  write: io,
  readdir: io,
  readlink: io,
  fsync: badf,
  inactive: () => false,
  reclaim: () => undefined,
  access: badf,
  open: () => {
    throw errno(E.ENXIO);
  },
  close: () => undefined,
  seek: io,
};
