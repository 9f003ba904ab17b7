import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import { VDIR, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { clusterOffset } from '../disk/bpb.js';
import { accessed } from './attributes.js';
import { chain_learn } from './chain.js';
import { VTODE } from './denode.js';
import type { Denode } from './denode.js';

/** Largest transfer from the device, bytes. */
const MAXPHYS = 1024 * 1024;

export function msdosfs_read(vp: Vnode, uio: Uio, _ioflag: number, _ctx: Context): MaybePromise<void> {
  if (vp.v_type !== VREG) throw errno(vp.v_type === VDIR ? E.EISDIR : E.EINVAL);
  if (!(uio.uio_offset >= 0)) throw errno(E.EINVAL);
  const dep = VTODE(vp);
  const noted = uio.uio_resid > 0 ? accessed(dep) : undefined;
  return noted instanceof Promise ? noted.then(() => readruns(dep, uio)) : readruns(dep, uio);
}

/** Run by run from the device into the caller's buffer. Stays synchronous as long as the device does. */
function readruns(dep: Denode, uio: Uio): MaybePromise<void> {
  const { pmp, chain } = dep;
  const { clusterBytes } = pmp.pm_geometry;
  while (uio.uio_resid > 0 && uio.uio_offset < dep.size) {
    const fc = Math.floor(uio.uio_offset / clusterBytes);
    const end = Math.min(uio.uio_offset + uio.uio_resid, dep.size, uio.uio_offset + MAXPHYS);
    const learned = chain_learn(dep, Math.ceil(end / clusterBytes));
    if (learned instanceof Promise) return learned.then(() => readruns(dep, uio));
    if (fc >= chain.length) {
      throw pmp.pm_damage.error(
        `${dep.what}: it has ${dep.size} bytes, but clusters for ${chain.length * clusterBytes} only`,
      );
    }
    const within = uio.uio_offset - fc * clusterBytes;
    const bytes = Math.min(end - uio.uio_offset, chain.count(fc) * clusterBytes - within);
    const at = clusterOffset(pmp.pm_geometry, chain.at(fc)) + within;
    if (at + bytes > pmp.pm_dev.size_bytes) {
      throw errno(E.EIO, `${dep.what}: cluster ${chain.at(fc)} lies beyond the end of the device`);
    }
    const reading = pmp.pm_dev.read(uio.uio_buf, uio.uio_bufoff, bytes, at);
    if (reading instanceof Promise) {
      return reading.then(() => {
        uio.advance(bytes);
        return readruns(dep, uio);
      });
    }
    uio.advance(bytes);
  }
}
