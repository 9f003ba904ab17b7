import type { Keep } from './keep/keep.js';
import type { Rumpuser, LogLevel } from './rumpuser/rumpuser.js';
import type { BufferCache } from './vfs/bio.js';
import type { Mount } from './vfs/mount.js';
import type { Vnode } from './vfs/vnode.js';

/** What drivers see of the kernel that they run in. The class that implements it is rump.ts. */
export interface Kernel {
  readonly rumpuser: Rumpuser;
  readonly bufcache: BufferCache;
  /** Memory that outlives this kernel, for the one volume that it serves; null: there is none. */
  readonly keep: Keep | null;
  /** A line for a person: what happened, where, what to do. */
  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void;
  /** Seconds and nanoseconds now, into one shared object that the next call overwrites. */
  now(): { sec: number; nsec: number };
  /** The vnode of `key` in `mp`, referenced; loads it with the mount's loadvnode if it is not cached. */
  vcache_get(mp: Mount, key: number): Vnode | Promise<Vnode>;
  /** The vnode only if it is cached and active, referenced. */
  vcache_lookup(mp: Mount, key: number): Vnode | undefined;
  /**
   * The key of a living vnode changes (what it was made from lies elsewhere now); under its exclusive lock. Its file
   * handle stays what it is. @throws EEXIST there is a vnode of that key
   */
  vcache_rekey(vp: Vnode, key: number): void;
  vref(vp: Vnode): void;
  vrele(vp: Vnode): void | Promise<void>;
  /** Somebody else changed something: see changes.ts. */
  vn_changed(vp: Vnode, data?: { readonly offset: number; readonly length: number }): void;
  name_changed(dvp: Vnode, name: string): void;
  mount_changed(mp: Mount): void;
  /** What `name` in `dvp` is from now on, where a driver has made it by itself; under the exclusive lock of `dvp`. */
  cache_enter(dvp: Vnode, name: string, vp: Vnode): void;
}
