import { KERNEL_CONTEXT } from '../../src/kernel/context.js';
import { E, Errno } from '../../src/kernel/errno.js';
import { bytestrFromBytes } from '../../src/kernel/bytestr.js';
import type { Component } from '../../src/kernel/rump.js';
import { Uio } from '../../src/kernel/vfs/uio.js';
import type { Mount } from '../../src/kernel/vfs/mount.js';
import { VREG, Vattr } from '../../src/kernel/vfs/vattr.js';
import type { Vnode } from '../../src/kernel/vfs/vnode.js';
import type { Vnops } from '../../src/kernel/vfs/vnops.js';
import { inner as volume, overTmpfs } from './wrap.js';

/** Where it is written what somebody else does: `put NAME TEXT` or `remove NAME`, in the root directory. */
const ELSEWHERE = '.elsewhere';
const elsewhere = new WeakSet<Vnode>();

async function lookup(inner: Vnops, dvp: Vnode, name: string): Promise<Vnode | null> {
  try {
    return await inner.lookup(dvp, name, KERNEL_CONTEXT);
  } catch (thrown) {
    if (thrown instanceof Errno && thrown.errno === E.ENOENT) return null;
    throw thrown;
  }
}

/** Somebody else at work: past the VFS layer, which hears of it afterwards. */
async function act(inner: Vnops, mp: Mount, order: string): Promise<void> {
  const { mnt_kernel: kernel } = mp;
  const [verb = '', name = '', text = ''] = order.trimEnd().split(' ');
  const root = await volume.root(mp);
  const there = await lookup(inner, root, name);
  if (verb === 'put') {
    const va = new Vattr();
    va.va_type = VREG;
    va.va_mode = 0o644;
    const vp = there ?? (await inner.create(root, name, va, KERNEL_CONTEXT));
    const bytes = new TextEncoder().encode(text);
    const size = new Vattr();
    size.va_size = 0;
    await inner.setattr(vp, size, KERNEL_CONTEXT);
    await inner.write(vp, new Uio(bytes, 0, bytes.length, 0), 0, KERNEL_CONTEXT);
    kernel.vn_changed(vp, { offset: 0, length: 0 });
    if (there === null) kernel.name_changed(root, name);
    await kernel.vrele(vp);
  } else if (verb === 'remove' && there !== null) {
    await inner.remove(root, there, name, KERNEL_CONTEXT);
    kernel.name_changed(root, name);
    await kernel.vrele(there);
  }
  await kernel.vrele(root);
}

export const sharedfs: Component = {
  name: 'sharedfs',
  // It tells of every change, so the host may remember what it likes.
  vfsops: overTmpfs('sharedfs', { shared: true, timeouts: { entry: 600, attr: 600, negative: 600 } }, (inner, mp) => ({
    async create(dvp, name, vap, ctx) {
      const vp = await inner.create(dvp, name, vap, ctx);
      if (name === ELSEWHERE) elsewhere.add(vp);
      return vp;
    },
    async write(vp, uio, ioflag, ctx) {
      if (!elsewhere.has(vp)) return inner.write(vp, uio, ioflag, ctx);
      const order = bytestrFromBytes(uio.uio_buf, uio.uio_bufoff, uio.uio_bufoff + uio.uio_resid);
      uio.advance(uio.uio_resid);
      return act(inner, mp, order);
    },
  })),
};
