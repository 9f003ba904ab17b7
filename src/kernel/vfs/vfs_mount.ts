/** Mounting and unmounting, below the system calls: what boot and halt use too. */
import type { BlockDevice } from '../blkdev.js';
import { KERNEL_CONTEXT } from '../context.js';
import { E, errno, errnoName, errnoOf } from '../errno.js';
import { MNT_FORCE, MNT_LOG, MNT_RDONLY, MNT_RELOAD, MNT_UPDATE } from '../fcntl.js';
import { Mount } from './mount.js';
import { MountedDevice } from './mntdev.js';
import { mount_settled } from './mountlist.js';
import { Vattr } from './vattr.js';
import type { VfsKernel } from './vfskernel.js';
import type { MountArgs, Vfsops } from './vfsops.js';
import { MNT_GONE, MNT_LIVE, MNT_UNMOUNTING, MountImpl, mimpl } from './mntimpl.js';
import { survive_attach, survive_detach, survive_inherit } from './survive.js';
import { vimpl } from './vnimpl.js';
import type { Vnode } from './vnode.js';
import { VS_ACTIVE } from './vnode.js';

/** Flags of mount(2) that say what to do, not how the mount is to be. */
export const MNT_OP_FLAGS = MNT_UPDATE | MNT_RELOAD | MNT_FORCE;

/**
 * Makes a mount and its root vnode; it is not yet in the mount list and covers nothing.
 * @throws what the driver throws; the device stays open then
 */
export async function vfs_domount(
  k: VfsKernel, ops: Vfsops, flags: number, disk: BlockDevice | null, onname: string, fromname: string, args: MountArgs,
): Promise<Mount> {
  const device = (of: BlockDevice) => new MountedDevice(of, (level, message) => k.log(level, message));
  const dev = disk === null ? null : device(disk);
  const disks = new Map([...(args.disks ?? [])].map(([role, further]) => [role, device(further)]));
  const mp = new Mount(k, ops, flags & ~MNT_OP_FLAGS, k.mountlist.newFsid(onname), dev, onname, fromname, disks);
  const impl = new MountImpl();
  mp.mnt_private = impl;
  try {
    await survive_inherit(k, mp);
    await ops.mount(mp, dev === null ? args : { ...args, fspec: dev, disks });
    survive_attach(k, mp);
    // What a predecessor has left waits to be written.
    if (k.keep?.inherited === true && (mp.mnt_flag & MNT_RDONLY) === 0 && dev !== null) k.syncer.dirtied(mp);
    try {
      const root = await ops.root(mp);
      root.v_isroot = true;
      impl.rootvp = root;
    } catch (thrown) {
      await k.vcache.flush(mp, null, true);
      await ops.unmount(mp);
      throw thrown;
    }
  } catch (thrown) {
    await k.vcache.flush(mp, null, true);
    impl.state = MNT_GONE;
    k.syncer.forget(mp);
    for (const used of devices(mp)) k.bufcache.purge(used);
    throw thrown;
  }
  return mp;
}

/** All devices of a mount. */
export function devices(mp: Mount): MountedDevice[] {
  return [...(mp.mnt_dev === null ? [] : [mp.mnt_dev]), ...mp.mnt_disks.values()];
}

/** Mounts that cover a directory of `mp`. */
function has_submounts(k: VfsKernel, mp: Mount): boolean {
  for (const other of k.mountlist) if (other.mnt_vnodecovered?.v_mount === mp) return true;
  return false;
}

/**
 * Takes a volume away: writes what is dirty, drops all vnodes, lets the driver finish and closes the device. Without
 * `force` it changes nothing if a file is in use (EBUSY) or the volume cannot be written (what sync throws); with it,
 * users of files see dead ones, and the mount goes whatever happens. @throws EBUSY; an error of the driver's unmount,
 * but then the mount is gone all the same.
 */
export async function vfs_dounmount(k: VfsKernel, mp: Mount, force: boolean): Promise<void> {
  const impl = mimpl(mp);
  if (impl.state !== MNT_LIVE) {
    await mount_settled(mp);
    if (impl.state !== MNT_LIVE) throw errno(E.EINVAL);
  }
  if (has_submounts(k, mp)) throw errno(E.EBUSY);
  let ended!: () => void;
  impl.ended = new Promise((resolve) => (ended = resolve));
  impl.state = MNT_UNMOUNTING;
  let failure: { thrown: unknown } | undefined;
  const wait = impl.trans.enter(true);
  if (wait) await wait;
  try {
    await sync_before_unmount(k, mp, force);
    if (!(await k.vcache.flush(mp, impl.rootvp, force))) throw errno(E.EBUSY);
    failure = await finish_unmount(k, mp, impl, force);
  } finally {
    if (impl.state === MNT_UNMOUNTING) impl.state = MNT_LIVE;
    impl.ended = null;
    impl.trans.exit(true);
    ended();
  }
  if (failure !== undefined) throw failure.thrown;
}

async function sync_before_unmount(k: VfsKernel, mp: Mount, force: boolean): Promise<void> {
  if ((mp.mnt_flag & MNT_RDONLY) !== 0) return;
  try {
    await k.syncer.sync(mp);
  } catch (thrown) {
    if (!force) throw thrown;
    k.log('error', 'unmounting by force although changes could not be written; they are lost', {
      volume: mp.mnt_mntfromname,
      error: errnoName(errnoOf(thrown)),
      reason: String(thrown),
    });
  }
}

/** The point of no return: nobody but the mount itself holds a vnode, or `force`. */
async function finish_unmount(
  k: VfsKernel,
  mp: Mount,
  impl: MountImpl,
  force: boolean,
): Promise<{ thrown: unknown } | undefined> {
  const root = impl.rootvp!;
  impl.rootvp = null;
  await k.vcache.rele(root);
  if (force && root.v_usecount > 0) await k.vcache.gone(root);
  await k.vcache.drain(mp);
  impl.state = MNT_GONE;
  k.mountlist.remove(mp);
  const covered = mp.mnt_vnodecovered;
  if (covered !== null) {
    covered.v_mountedhere = null;
    mp.mnt_vnodecovered = null;
    await k.vcache.rele(covered);
  }
  let failure: { thrown: unknown } | undefined;
  try {
    await mp.mnt_op.unmount(mp);
  } catch (thrown) {
    failure = { thrown };
  }
  if (failure === undefined) survive_detach(k, mp);
  k.syncer.forget(mp);
  for (const dev of devices(mp)) {
    try {
      k.bufcache.purge(dev);
      await dev.close();
    } catch (thrown) {
      failure ??= { thrown };
    }
  }
  return failure;
}

/**
 * mount -u. Going read-only needs that nobody writes: with `force`, files open for writing are taken away from their
 * users.
 * @throws EBUSY EROFS
 */
export async function vfs_doupdate(k: VfsKernel, mp: Mount, flags: number, args: MountArgs): Promise<void> {
  const impl = mimpl(mp);
  const newflags = flags & ~MNT_OP_FLAGS;
  const wait = impl.trans.enter(true);
  if (wait) await wait;
  try {
    if (impl.state === MNT_GONE) throw errno(E.EINVAL);
    const was_ro = (mp.mnt_flag & MNT_RDONLY) !== 0;
    const be_ro = (newflags & MNT_RDONLY) !== 0;
    if (was_ro && !be_ro && devices(mp).some((dev) => dev.readonly)) throw errno(E.EROFS);
    if (!was_ro && be_ro) {
      const busy = await writers_of(mp);
      if (busy.length > 0 && (flags & MNT_FORCE) === 0) throw errno(E.EBUSY);
      for (const vp of busy) await k.vcache.gone(vp);
      await k.syncer.sync(mp);
    }
    await mp.mnt_op.update(mp, newflags, args);
    // Whether it logs, the driver has said.
    mp.mnt_flag = (newflags & ~MNT_LOG) | (mp.mnt_flag & MNT_LOG);
    if (be_ro) {
      k.syncer.forget(mp);
      survive_detach(k, mp);
    } else {
      survive_attach(k, mp);
    }
  } finally {
    impl.trans.exit(true);
  }
}

/** Vnodes in use whose files are open for writing, or have no name left: their blocks are freed at the last close. */
async function writers_of(mp: Mount): Promise<Vnode[]> {
  const writers: Vnode[] = [];
  const impl = mimpl(mp);
  for (const vp of impl.vnodes.all()) {
    if (vp.v_usecount === 0 || vp.v_state !== VS_ACTIVE || vp === impl.rootvp) continue;
    const writing = vimpl(vp).writecount > 0;
    if (writing || (await is_unlinked(vp))) writers.push(vp);
  }
  return writers;
}

async function is_unlinked(vp: Vnode): Promise<boolean> {
  const wait = vp.v_lock.enter(false);
  if (wait) await wait;
  try {
    if (vp.v_state !== VS_ACTIVE) return false;
    const va = new Vattr();
    await vp.v_op.getattr(vp, va, KERNEL_CONTEXT);
    return va.va_nlink === 0;
  } finally {
    vp.v_lock.exit(false);
  }
}
