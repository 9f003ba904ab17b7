import { E, errno } from '../../src/kernel/errno.js';
import type { Context } from '../../src/kernel/context.js';
import type { Component } from '../../src/kernel/rump.js';
import type { Vnode } from '../../src/kernel/vfs/vnode.js';
import { overTmpfs } from './wrap.js';

const stuck = new WeakSet<Vnode>();

/** Ends when the caller gives up. @throws EINTR */
function never(ctx: Context): Promise<never> {
  return new Promise((_, reject) => {
    const interrupted = () => reject(errno(E.EINTR));
    if (ctx.signal === undefined) return;
    if (ctx.signal.aborted) interrupted();
    else ctx.signal.addEventListener('abort', interrupted);
  });
}

export const stuckfs: Component = {
  name: 'stuckfs',
  vfsops: overTmpfs('stuckfs', { interruptible: true }, (inner) => ({
    async create(dvp, name, vap, ctx) {
      const vp = await inner.create(dvp, name, vap, ctx);
      if (name === 'stuck') stuck.add(vp);
      return vp;
    },
    read: (vp, uio, ioflag, ctx) => (stuck.has(vp) ? never(ctx) : inner.read(vp, uio, ioflag, ctx)),
    write: (vp, uio, ioflag, ctx) => (stuck.has(vp) ? never(ctx) : inner.write(vp, uio, ioflag, ctx)),
  })),
};
