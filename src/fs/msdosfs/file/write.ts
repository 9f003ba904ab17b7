import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { IO_APPEND } from '../../../kernel/vfs/uio.js';
import { device_failed } from '../../../kernel/vfs/mntdev.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { clusterOffset } from '../disk/bpb.js';
import { ATTR_ARCHIVE } from '../disk/direntry.js';
import { FILE_MAX } from '../volume/limits.js';
import { VTODE, denode_update, entry_store } from './denode.js';
import type { Denode } from './denode.js';
import { allocate, extend, settlecut, shrink } from './resize.js';

export async function msdosfs_write(vp: Vnode, uio: Uio, ioflag: number, ctx: Context): Promise<void> {
  if (vp.v_type !== VREG) throw errno(E.EINVAL);
  const dep = VTODE(vp);
  dep.pmp.writable();
  if ((ioflag & IO_APPEND) !== 0) uio.uio_offset = dep.size;
  if (!(uio.uio_offset >= 0)) throw errno(E.EINVAL);
  if (uio.uio_resid === 0) return;
  const tooMuch = Math.max(0, uio.uio_offset + uio.uio_resid - FILE_MAX);
  if (tooMuch >= uio.uio_resid) throw errno(E.EFBIG, `a file on FAT has at most ${FILE_MAX} bytes`);
  const osize = dep.size;
  const from = uio.uio_offset;
  uio.uio_resid -= tooMuch;
  try {
    if (from > osize) await extend(dep, from, ctx);
    await writeall(dep, uio);
  } catch (error) {
    if (device_failed(error)) dep.pmp.order.lose(dep.number);
    // A gap that was filled for nothing.
    if (uio.uio_offset === from && dep.size > osize) await dep.pmp.order.run(() => shrink(dep, osize));
    throw error;
  } finally {
    uio.uio_resid += tooMuch;
  }
  if (tooMuch > 0) throw errno(E.EFBIG, `a file on FAT has at most ${FILE_MAX} bytes`);
}

async function writeall(dep: Denode, uio: Uio): Promise<void> {
  const { pmp } = dep;
  const end = uio.uio_offset + uio.uio_resid;
  const settled = settlecut(dep, end);
  if (settled) await settled;
  const order = pmp.writable();
  const wrote = order.run(() => piece(dep, uio));
  if (wrote instanceof Promise) await wrote;
  if (uio.uio_resid === 0) return;
  // The volume is full; what waits to be freed may be enough.
  if (order.frees.size > 0) {
    await order.flush(true);
    const more = order.run(() => piece(dep, uio));
    if (more instanceof Promise) await more;
  }
  if (uio.uio_resid > 0) throw errno(E.ENOSPC);
}

/** Writes what the file has or gets clusters for. */
function piece(dep: Denode, uio: Uio): MaybePromise<void> {
  const clusters = allocate(dep, uio.uio_offset + uio.uio_resid);
  return clusters instanceof Promise ? clusters.then((n) => transfer(dep, uio, n)) : transfer(dep, uio, clusters);
}

function transfer(dep: Denode, uio: Uio, clusters: number): MaybePromise<void> {
  const room = clusters * dep.pmp.pm_geometry.clusterBytes - uio.uio_offset;
  const left = Math.max(0, uio.uio_resid - Math.max(0, room));
  if (left === uio.uio_resid) return shrink(dep, dep.size);
  uio.uio_resid -= left;
  const from = uio.uio_offset;
  const done = (): MaybePromise<void> => {
    uio.uio_resid += left;
    return uio.uio_offset > from ? written(dep, uio.uio_offset) : undefined;
  };
  let wait: MaybePromise<void>;
  try {
    wait = runs(dep, uio);
  } catch (error) {
    return failed(done(), error);
  }
  return wait instanceof Promise ? wait.then(done, (error: unknown) => failed(done(), error)) : done();
}

async function failed(done: MaybePromise<void>, error: unknown): Promise<never> {
  await done;
  throw error;
}

function runs(dep: Denode, uio: Uio): MaybePromise<void> {
  const { pmp, chain } = dep;
  const { clusterBytes } = pmp.pm_geometry;
  const { order } = pmp;
  while (uio.uio_resid > 0) {
    const fc = Math.floor(uio.uio_offset / clusterBytes);
    const within = uio.uio_offset - fc * clusterBytes;
    const bytes = Math.min(uio.uio_resid, chain.count(fc) * clusterBytes - within);
    const at = clusterOffset(pmp.pm_geometry, chain.at(fc)) + within;
    order.newdata = order.unflushed = true;
    const wait =
      pmp.pm_posting !== null
        ? pmp.pm_posting.post(uio.uio_buf, uio.uio_bufoff, bytes, at, dep.number)
        : pmp.pm_dev.write(uio.uio_buf, uio.uio_bufoff, bytes, at);
    if (wait instanceof Promise) {
      return wait.then(() => {
        uio.advance(bytes);
        return runs(dep, uio);
      });
    }
    uio.advance(bytes);
  }
}

function written(dep: Denode, end: number): MaybePromise<void> {
  if (end > dep.size) dep.size = end;
  dep.attr |= ATTR_ARCHIVE;
  denode_update(dep);
  return entry_store(dep);
}
