import type { Component } from '../../src/kernel/rump.js';
import type { MaybePromise } from '../../src/kernel/rumpuser/rumpuser.js';
import type { Vfsops } from '../../src/kernel/vfs/vfsops.js';
import type { Vnode } from '../../src/kernel/vfs/vnode.js';
import type { Vnops } from '../../src/kernel/vfs/vnops.js';

/** Called before every operation of the driver; what it returns is awaited. */
export type Pause = (operation: string) => Promise<void>;

/**
 * A driver whose every operation sleeps before it does what another driver does: shows locks that are missing, held too
 * long, or not given back, and states that only an asynchronous driver can be seen in.
 */
export function slowfs(component: Component, pause: Pause): Component {
  const inner = component.vfsops!;
  const wrapped = new Map<Vnops, Vnops>();

  function slow<A extends unknown[], R>(
    name: string,
    call: (...args: A) => MaybePromise<R>,
  ): (...args: A) => Promise<R> {
    return async (...args) => {
      await pause(name);
      return call(...args);
    };
  }

  function vnops(op: Vnops): Vnops {
    let made = wrapped.get(op);
    if (made === undefined) {
      const calls: Record<string, unknown> = {};
      for (const [name, call] of Object.entries(op)) calls[name] = slow(name, call as (...args: unknown[]) => unknown);
      made = calls as unknown as Vnops;
      wrapped.set(op, made);
    }
    return made;
  }

  const vfsops: Vfsops = {
    vfs_name: inner.vfs_name,
    mount: slow('mount', (mp, args) => inner.mount(mp, args)),
    update: slow('update', (mp, flags, args) => inner.update(mp, flags, args)),
    unmount: slow('unmount', (mp) => inner.unmount(mp)),
    root: slow('root', (mp) => inner.root(mp)),
    statvfs: slow('statvfs', (mp, sbp) => inner.statvfs(mp, sbp)),
    sync: slow('sync', (mp) => inner.sync(mp)),
    async loadvnode(mp, vp: Vnode, key) {
      await pause('loadvnode');
      await inner.loadvnode(mp, vp, key);
      vp.v_op = vnops(vp.v_op);
    },
    vptofh: (vp) => inner.vptofh(vp),
    fhtovp: slow('fhtovp', (mp, fid) => inner.fhtovp(mp, fid)),
  };
  return { name: component.name, vfsops };
}

/** A pause of a few microtasks, sometimes a turn of the event loop; the same sequence for the same seed. */
export function randomPause(seed: number): Pause {
  let state = seed >>> 0 || 1;
  return async () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    if (state % 13 === 0) await new Promise((resolve) => setImmediate(resolve));
    for (let i = state % 4; i > 0; i--) await null;
  };
}
