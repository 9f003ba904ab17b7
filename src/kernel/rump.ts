import type { BlockDevice } from './blkdev.js';
import { makeCred } from './cred.js';
import { E, errno } from './errno.js';
import type { Keep } from './keep/keep.js';
import type { Kernel } from './kernel.js';
import { Proc } from './proc.js';
import type { LogLevel, MaybePromise, Rumpuser, Timespec } from './rumpuser/rumpuser.js';
import { RUMPUSER_VERSION } from './rumpuser/rumpuser.js';
import type { RumpSys } from './sys/rumpsys.js';
import { Syscalls } from './sys/syscalls.js';
import type { Change, ChangeListener } from './vfs/changes.js';
import { BufCache } from './vfs/bio.js';
import type { BufferCache } from './vfs/bio.js';
import { LockManager } from './vfs/lockf.js';
import type { Mount } from './vfs/mount.js';
import { Mountlist } from './vfs/mountlist.js';
import { Namecache } from './vfs/namecache.js';
import { Syncer } from './vfs/syncer.js';
import { Vcache } from './vfs/vcache.js';
import { devices, vfs_domount, vfs_dounmount } from './vfs/vfs_mount.js';
import type { VfsKernel } from './vfs/vfskernel.js';
import type { Vfsops } from './vfs/vfsops.js';
import { mimpl } from './vfs/mntimpl.js';
import type { Vnode } from './vfs/vnode.js';

/** A driver component: what a kernel is booted with. */
export interface Component {
  readonly name: string;
  readonly vfsops?: Vfsops;
}

export interface BootOptions {
  readonly rumpuser: Rumpuser;
  readonly components: readonly Component[];
  /**
   * The file system of the root directory: one of the components, mounted without device or options; default "tmpfs".
   */
  readonly rootfs?: string;
  /** Limit of the buffer cache; bytes, default 64 MiB. */
  readonly bufcache_bytes?: number;
  /**
   * Memory that outlives the kernel: what it needs to go on is kept there (keep/keep.ts), for the first volume that is
   * mounted for writing.
   */
  readonly keep?: Keep;
  /** Limit of unreferenced vnodes kept; default 8192. */
  readonly vnode_limit?: number;
}

/** What users of a kernel see; {@link RumpKernel} is it. */
export interface RumpKernelShape extends Kernel {
  /** The system calls of process 1, as the superuser. */
  readonly sys: RumpSys;
  newproc(uid?: number, gid?: number, groups?: readonly number[]): RumpSys;
  etfs_register(name: string, dev: BlockDevice): void;
  halt(): Promise<void>;
}

const VNODE_LIMIT = 8192;
/** Name cache entries for each vnode that may be kept: room for names that do not exist and for "..". */
const NAMES_PER_VNODE = 4;

/**
 * A booted rump kernel. Its root directory is a tmpfs (as rumpfs is NetBSD's), always there; volumes are mounted in it.
 * Any number of kernels run side by side. States: booting (inside boot) -> running -> halted (halt has been called;
 * every system call then fails).
 */
export class RumpKernel implements RumpKernelShape, VfsKernel {
  readonly rumpuser: Rumpuser;
  readonly bufcache: BufferCache;
  readonly keep: Keep | null;
  readonly namecache: Namecache;
  readonly vcache: Vcache;
  readonly mountlist = new Mountlist();
  readonly syncer: Syncer;
  readonly locks = new LockManager();
  readonly procs = new Set<Proc>();
  readonly changelisteners = new Set<ChangeListener>();
  readonly etfs = new Map<string, BlockDevice>();
  /** Set by boot before anybody sees the kernel. */
  rootvnode!: Vnode;
  /** The system calls of process 1, as the superuser. */
  sys!: RumpSys;
  private readonly filesystems = new Map<string, Vfsops>();
  private readonly clock: Timespec = { sec: 0, nsec: 0 };
  private nextpid = 1;
  private halted: Promise<void> | null = null;

  private constructor(options: BootOptions) {
    const vnodes = options.vnode_limit ?? VNODE_LIMIT;
    this.rumpuser = options.rumpuser;
    this.keep = options.keep ?? null;
    const log = this.log.bind(this);
    this.bufcache = new BufCache(
      options.bufcache_bytes === undefined ? { log } : { log, limit_bytes: options.bufcache_bytes },
    );
    this.namecache = new Namecache(vnodes * NAMES_PER_VNODE);
    this.vcache = new Vcache(vnodes, this.namecache, log, (mp) => this.syncer.dirtied(mp));
    this.syncer = new Syncer(this, this.rumpuser);
    for (const component of options.components) {
      if (component.vfsops !== undefined) this.filesystems.set(component.vfsops.vfs_name, component.vfsops);
    }
  }

  /** @throws EPROGMISMATCH another version of the hypercall table; ENODEV no component for the root file system */
  static async boot(options: BootOptions): Promise<RumpKernel> {
    if (options.rumpuser.version !== RUMPUSER_VERSION) {
      throw errno(
        E.EPROGMISMATCH,
        `the host offers hypercalls of version ${options.rumpuser.version}, the kernel needs ${RUMPUSER_VERSION}`,
      );
    }
    const kernel = new RumpKernel(options);
    const rootfs = options.rootfs ?? 'tmpfs';
    const ops = kernel.vfs_getopsbyname(rootfs);
    if (ops === undefined) throw errno(E.ENODEV, `the root directory needs the component "${rootfs}"`);
    const mp = await vfs_domount(kernel, ops, 0, null, '/', rootfs, { options: new Map() });
    kernel.mountlist.insert(mp);
    kernel.rootvnode = mimpl(mp).rootvp!;
    kernel.sys = kernel.newproc();
    return kernel;
  }

  /**
   * A new process (own descriptors, current directory, umask 022) with the credential given; superuser by default. End
   * it with exit().
   */
  newproc(uid = 0, gid = 0, groups: readonly number[] = []): RumpSys {
    const root = this.rootvnode;
    this.vref(root);
    this.vref(root);
    const p = new Proc(this, this.nextpid++, root, root);
    this.procs.add(p);
    return new Syscalls(p, makeCred(uid, gid, groups));
  }

  /** Makes a device known to mount(2) by name. @throws EEXIST */
  etfs_register(name: string, dev: BlockDevice): void {
    if (this.etfs.has(name)) throw errno(E.EEXIST, `a device is registered as "${name}" already`);
    this.etfs.set(name, dev);
  }

  /** Forgets the name; the device itself is not touched. @throws ENOENT EBUSY */
  etfs_remove(name: string): void {
    const dev = this.etfs.get(name);
    if (dev === undefined) throw errno(E.ENOENT);
    for (const mp of this.mountlist) if (devices(mp).some(({ disk }) => disk === dev)) throw errno(E.EBUSY);
    this.etfs.delete(name);
  }

  /**
   * Ends the kernel: ends all processes, writes everything back and unmounts everything, the last mounted first.
   * @throws the first error met; the kernel is halted all the same
   */
  halt(): Promise<void> {
    return (this.halted ??= this.shutdown());
  }

  private async shutdown(): Promise<void> {
    await this.syncer.stop();
    for (const p of [...this.procs]) await new Syscalls(p, makeCred(0, 0)).exit();
    let failure: { thrown: unknown } | undefined;
    for (const mp of [...this.mountlist].reverse()) {
      try {
        await vfs_dounmount(this, mp, true);
      } catch (thrown) {
        failure ??= { thrown };
      }
    }
    if (failure !== undefined) throw failure.thrown;
  }

  vfs_getopsbyname(name: string): Vfsops | undefined {
    return this.filesystems.get(name);
  }

  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void {
    this.rumpuser.rumpuser_dprintf(level, message, fields);
  }

  now(): { sec: number; nsec: number } {
    this.rumpuser.rumpuser_clock_gettime('realtime', this.clock);
    return this.clock;
  }

  vcache_get(mp: Mount, key: number): MaybePromise<Vnode> {
    return this.vcache.get(mp, key);
  }

  vcache_lookup(mp: Mount, key: number): Vnode | undefined {
    return this.vcache.lookup(mp, key);
  }

  vcache_rekey(vp: Vnode, key: number): void {
    this.vcache.rekey(vp, key);
  }

  vref(vp: Vnode): void {
    this.vcache.ref(vp);
  }

  vrele(vp: Vnode): MaybePromise<void> {
    return this.vcache.rele(vp);
  }

  vn_changed(vp: Vnode, data?: { readonly offset: number; readonly length: number }): void {
    const { mnt_fsid: fsid, mnt_op } = vp.v_mount;
    this.changed({ kind: 'file', fsid, fid: mnt_op.vptofh(vp), ...(data !== undefined ? { data } : {}) });
  }

  name_changed(dvp: Vnode, name: string): void {
    const { mnt_fsid: fsid, mnt_op } = dvp.v_mount;
    this.namecache.remove(dvp, name);
    this.changed({ kind: 'name', fsid, fid: mnt_op.vptofh(dvp), name });
  }

  mount_changed(mp: Mount): void {
    this.changed({ kind: 'mount', fsid: mp.mnt_fsid });
  }

  private changed(change: Change): void {
    for (const listener of this.changelisteners) listener(change);
  }

  cache_enter(dvp: Vnode, name: string, vp: Vnode): void {
    this.namecache.enter(dvp, name, vp);
  }
}
