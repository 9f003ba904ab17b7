import type { BlockDevice } from '../blkdev.js';
import type { Kernel } from '../kernel.js';
import type { Proc } from '../proc.js';
import type { ChangeListener } from './changes.js';
import type { LockManager } from './lockf.js';
import type { Mountlist } from './mountlist.js';
import type { Namecache } from './namecache.js';
import type { Syncer } from './syncer.js';
import type { Vcache } from './vcache.js';
import type { Vfsops } from './vfsops.js';
import type { Vnode } from './vnode.js';

/** What the VFS layer and the system calls see of the kernel beyond what drivers see. The class is RumpKernel. */
export interface VfsKernel extends Kernel {
  readonly vcache: Vcache;
  readonly namecache: Namecache;
  readonly mountlist: Mountlist;
  readonly syncer: Syncer;
  readonly locks: LockManager;
  /** The root directory of the kernel. */
  readonly rootvnode: Vnode;
  readonly procs: Set<Proc>;
  /** Who hears of what changed elsewhere. */
  readonly changelisteners: Set<ChangeListener>;
  /** Devices by the name that mount(2) knows them by. */
  readonly etfs: ReadonlyMap<string, BlockDevice>;
  vfs_getopsbyname(name: string): Vfsops | undefined;
  vref(vp: Vnode): void;
}
