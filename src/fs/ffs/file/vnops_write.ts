import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE } from '../../../kernel/fcntl.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Vnops } from '../../../kernel/vfs/vnops.js';
import { VTOI } from '../volume/inode.js';
import { ffs_create, ffs_link, ffs_mkdir, ffs_mknod, ffs_symlink, ffs_tmpfile } from '../dir/create.js';
import { ffs_exchange } from '../dir/exchange.js';
import { ffs_deleteextattr, ffs_setextattr } from './extattr_write.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { ffs_fsync, ffs_inactive, ffs_reclaim } from './lifecycle.js';
import { ORDER, writestate } from '../volume/writestate.js';
import { ffs_remove, ffs_rename, ffs_renamewhiteout, ffs_rmdir } from '../dir/remove.js';
import { ffs_setattr } from './setattr.js';
import { ffs_fallocate_pieces, ffs_punch_pieces, ffs_zero_pieces } from './pieces.js';
import { ffs_write } from './write.js';
export { ffs_write_start, ffs_write_stop } from '../volume/writemount.js';

/** Operations that change a file, and what vnops.ts does not do: inactive, reclaim, fsync. */
export type FfsWriteOps = Pick<
  Vnops,
  | 'create'
  | 'mknod'
  | 'mkdir'
  | 'symlink'
  | 'link'
  | 'remove'
  | 'rmdir'
  | 'rename'
  | 'setattr'
  | 'write'
  | 'fsync'
  | 'inactive'
  | 'reclaim'
> &
  Partial<
    Pick<
      Vnops,
      | 'open'
      | 'close'
      | 'renamewhiteout'
      | 'exchange'
      | 'tmpfile'
      | 'fallocate'
      | 'fdiscard'
      | 'setextattr'
      | 'deleteextattr'
    >
  >;

function range(vp: Vnode, offset: number, length: number): void {
  if (vp.v_type !== VREG) throw errno(E.EOPNOTSUPP);
  if (!(offset >= 0 && length > 0)) throw errno(E.EINVAL);
}

export const ffs_writeops: FfsWriteOps = {
  create: ffs_create,
  mknod: ffs_mknod,
  mkdir: ffs_mkdir,
  symlink: ffs_symlink,
  link: ffs_link,
  remove: ffs_remove,
  rmdir: ffs_rmdir,
  rename: ffs_rename,
  renamewhiteout: ffs_renamewhiteout,
  exchange: ffs_exchange,
  tmpfile: ffs_tmpfile,
  setattr: ffs_setattr,
  write: ffs_write,
  fsync: ffs_fsync,
  inactive: ffs_inactive,
  reclaim: ffs_reclaim,
  async fallocate(vp: Vnode, offset: number, length: number, ctx: Context, mode: number) {
    range(vp, offset, length);
    const ip = VTOI(vp);
    const osize = ip.i_size;
    if ((mode & FALLOC_KEEP_SIZE) !== 0 && offset + length > osize) {
      throw errno(E.EOPNOTSUPP, 'FFS keeps no blocks behind the end of a file');
    }
    await ffs_fallocate_pieces(ip, offset, length, ctx);
    if ((mode & FALLOC_ZERO_RANGE) !== 0 && offset < osize) {
      await ffs_zero_pieces(ip, offset, Math.min(offset + length, osize), ctx);
    }
  },
  fdiscard(vp: Vnode, offset: number, length: number, ctx: Context) {
    range(vp, offset, length);
    const ip = VTOI(vp);
    if (offset >= ip.i_size) return undefined;
    return ffs_punch_pieces(ip, offset, length, ctx);
  },
  setextattr: ffs_setextattr,
  deleteextattr: ffs_deleteextattr,
};

/** Everything dirty goes to the device, with a barrier. Never called for a read-only volume. */
export function ffs_write_sync(ump: FfsMount): Promise<void> {
  return ORDER(ump).flush(true);
}

/** What the next sync will free: counts as free already. */
export function ffs_write_pending(ump: FfsMount): { frags: number; inodes: number } {
  const state = writestate(ump);
  return state === null
    ? { frags: 0, inodes: 0 }
    : { frags: state.pending.frags(ump.um_fs.fs_fsize), inodes: state.pending.inodes };
}
