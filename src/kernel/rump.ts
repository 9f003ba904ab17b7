import type { BlockDevice } from './blkdev.js';
import type { Kernel } from './kernel.js';
import type { Rumpuser } from './rumpuser/rumpuser.js';
import type { RumpSys } from './sys/rumpsys.js';
import type { Vfsops } from './vfs/vfsops.js';

/** A driver component: what a kernel is booted with. */
export interface Component {
  readonly name: string;
  readonly vfsops?: Vfsops;
}

export interface BootOptions {
  readonly rumpuser: Rumpuser;
  readonly components: readonly Component[];
  /** Limit of the buffer cache; bytes, default 64 MiB. */
  readonly bufcache_bytes?: number;
  /** Limit of unreferenced vnodes kept; default 8192. */
  readonly vnode_limit?: number;
}

/**
 * A booted rump kernel. Its root directory is a tmpfs (as rumpfs is NetBSD's), always there; volumes are mounted in it.
 * To be implemented: `RumpKernel.boot(options)`, `sys` (process 1, superuser), `newproc()`, `etfs_register`, `halt()`.
 */
export interface RumpKernelShape extends Kernel {
  readonly sys: RumpSys;
  /** A new process (own descriptors, current directory, umask 022) with the credential given; superuser by default. */
  newproc(uid?: number, gid?: number, groups?: readonly number[]): RumpSys;
  /** Makes a device known to mount(2) by name. */
  etfs_register(name: string, dev: BlockDevice): void;
  /** Unmounts everything (syncing) and ends the kernel. */
  halt(): Promise<void>;
}
