import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { genfs_clear_setid } from '../../../kernel/vfs/genfs.js';
import { device_failed } from '../../../kernel/vfs/mntdev.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import { IO_APPEND, IO_DSYNC, IO_SYNC } from '../../../kernel/vfs/uio.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { WRITE, transact } from '../volume/transact.js';
import { checksize } from './blocks.js';
import { VTOI } from './inode.js';
import { outline } from './outline.js';
import { T_CHANGE, T_UPDATE, inode_put, inode_touch } from './store.js';
import { mustbeplain } from './plain.js';
import { writestep } from './writerun.js';

/** VOP_WRITE. After every step (and error) the file is whole: see writerun.ts. */

/** Steps of an operation: enough not to feel it, few enough not to keep a flush waiting. */
const STEPS = 8;

export async function ext2_write(vp: Vnode, uio: Uio, ioflag: number, ctx: Context): Promise<void> {
  const ip = VTOI(vp);
  if (vp.v_type !== VREG) throw errno(E.EISDIR);
  mustbeplain(ip);
  if ((ioflag & IO_APPEND) !== 0) uio.uio_offset = ip.i_size;
  if (uio.uio_resid === 0) return;
  checksize(ip, uio.uio_offset + uio.uio_resid);
  const state = WRITE(ip.i_em);
  if (ip.i_inline !== null) await transact(state, () => outline(ip));
  const resid = uio.uio_resid;
  for (let flushed = false; uio.uio_resid > 0; ) {
    const wait = state.order.begin();
    if (wait) await wait;
    const before = uio.uio_resid;
    try {
      for (let steps = 0; steps < STEPS && uio.uio_resid > 0 && !(steps > 0 && state.order.crowded); steps++) {
        const wait = writestep(ip, uio, ctx);
        if (wait) await wait;
      }
      flushed = false;
    } catch (error) {
      if (device_failed(error)) state.lost.add(ip.i_number);
      if (uio.uio_resid < before) flushed = false;
      if (flushed || !state.roomcoming(error)) throw error;
      flushed = true;
    } finally {
      if (uio.uio_resid < resid) {
        inode_touch(ip, T_UPDATE | T_CHANGE);
        ip.i_mode = genfs_clear_setid(vp.v_type, ip.i_mode, ctx);
      }
      const put = inode_put(ip);
      if (put) await put;
      state.order.end();
    }
    if (flushed) await state.order.flush(true);
  }
  if ((ioflag & (IO_SYNC | IO_DSYNC)) !== 0) await state.order.flush(false);
}
