import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnops } from '../../../kernel/vfs/vnops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { msdosfs_create, msdosfs_mkdir } from '../dir/create.js';
import { msdosfs_lookup, msdosfs_readdir, msdosfs_spelling } from '../dir/lookup.js';
import { msdosfs_remove, msdosfs_rmdir } from '../dir/remove.js';
import { msdosfs_rename } from '../dir/rename.js';
import { LFN_MAX } from '../disk/direntry.js';
import { msdosfs_getattr } from './attributes.js';
import { VTODE } from './denode.js';
import { msdosfs_close, msdosfs_fsync, msdosfs_inactive, msdosfs_reclaim } from './lifecycle.js';
import { msdosfs_read } from './read.js';
import { extend, zerorange } from './resize.js';
import { msdosfs_setattr } from './setattr.js';
import { msdosfs_write } from './write.js';
import { msdosfs_deleteextattr, msdosfs_getextattr, msdosfs_listextattr, msdosfs_setextattr } from './xattr.js';

/** Names of pathconf(2); values of NetBSD sys/sys/unistd.h. */
const PC = {
  LINK_MAX: 1,
  NAME_MAX: 4,
  PATH_MAX: 5,
  CHOWN_RESTRICTED: 7,
  NO_TRUNC: 8,
  SYNC_IO: 10,
  FILESIZEBITS: 11,
} as const;

/** The format has no such files. */
function cannot(): never {
  throw errno(E.EPERM);
}

export const msdosfs_vnodeops: Vnops = {
  lookup: msdosfs_lookup,
  spelling: msdosfs_spelling,
  create: msdosfs_create,
  mkdir: msdosfs_mkdir,
  mknod: cannot,
  symlink: cannot,
  link: cannot,
  remove: msdosfs_remove,
  rmdir: msdosfs_rmdir,
  rename: msdosfs_rename,
  getattr: msdosfs_getattr,
  setattr: msdosfs_setattr,
  read: msdosfs_read,
  write: msdosfs_write,
  readdir: msdosfs_readdir,
  readlink: () => {
    throw errno(E.EINVAL);
  },
  fsync: msdosfs_fsync,
  close: msdosfs_close,
  inactive: msdosfs_inactive,
  reclaim: msdosfs_reclaim,
  /** There are no holes, so what is reserved is zeros; within the file everything is reserved already. */
  fallocate(vp: Vnode, offset: number, length: number, ctx: Context, mode: number): MaybePromise<void> {
    if (vp.v_type !== VREG) throw errno(E.EOPNOTSUPP);
    if (!(offset >= 0 && length > 0)) throw errno(E.EINVAL);
    const dep = VTODE(vp);
    dep.pmp.writable();
    const end = offset + length;
    if (end > dep.size && (mode & FALLOC_KEEP_SIZE) !== 0) throw errno(E.EOPNOTSUPP);
    if ((mode & FALLOC_ZERO_RANGE) !== 0) return zerorange(dep, offset, end, ctx);
    if (end > dep.size) return extend(dep, end, ctx);
  },
  getextattr: msdosfs_getextattr,
  setextattr: msdosfs_setextattr,
  deleteextattr: msdosfs_deleteextattr,
  listextattr: msdosfs_listextattr,
  pathconf(_vp: Vnode, name: number): number | undefined {
    switch (name) {
      case PC.LINK_MAX: return 1;
      case PC.NAME_MAX: return LFN_MAX;
      case PC.CHOWN_RESTRICTED: return 1;
      case PC.NO_TRUNC: return 1;
      case PC.SYNC_IO: return 1;
      case PC.FILESIZEBITS: return 33;
      default: return undefined;
    }
  },
};
