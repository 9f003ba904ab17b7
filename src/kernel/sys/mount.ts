/** mount and unmount. */
import type { BlockDevice } from '../blkdev.js';
import { bytestrToUnicode } from '../bytestr.js';
import { kauth_issuser } from '../cred.js';
import { E, errno } from '../errno.js';
import { AT_FDCWD, MNT_FORCE, MNT_UPDATE } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { VDIR } from '../vfs/vattr.js';
import { MNT_OP_FLAGS, devices, vfs_domount, vfs_dounmount, vfs_doupdate } from '../vfs/vfs_mount.js';
import type { VfsKernel } from '../vfs/vfskernel.js';
import type { MountArgs } from '../vfs/vfsops.js';
import { mimpl } from '../vfs/mntimpl.js';
import type { Vnode } from '../vfs/vnode.js';
import { VS_ACTIVE } from '../vfs/vnode.js';
import { at_namei, copyinpath } from './at.js';
import { vn_getpath } from './cwd.js';
import type { Path } from './rumpsys.js';

type Args = Partial<MountArgs> & { readonly fspec_name?: string };

function device_of(k: VfsKernel, args: Args): BlockDevice | null {
  if (args.fspec !== undefined) return args.fspec;
  if (args.fspec_name === undefined) return null;
  const dev = k.etfs.get(args.fspec_name);
  if (dev === undefined) throw errno(E.ENOENT, `no device is registered as "${args.fspec_name}"`);
  return dev;
}

/** Processes that stand in the covered directory see the new volume, as if they had come later. */
async function checkdirs(k: VfsKernel, covered: Vnode, root: Vnode): Promise<void> {
  for (const p of k.procs) {
    if (p.p_cwd === covered) {
      k.vref(root);
      p.p_cwd = root;
      await k.vrele(covered);
    }
    if (p.p_root === covered) {
      k.vref(root);
      p.p_root = root;
      await k.vrele(covered);
    }
  }
}

/** Mounts a new volume on the directory `vp`, whose reference goes over to the mount if it succeeds. */
async function mount_new(l: Lwp, type: string, vp: Vnode, path: string, flags: number, args: Args): Promise<void> {
  const k = l.kernel;
  if (vp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (vp === k.rootvnode || vp.v_mountedhere !== null) throw errno(E.EBUSY);
  const ops = k.vfs_getopsbyname(type);
  if (ops === undefined) throw errno(E.ENODEV, `the kernel was booted without a driver for "${type}"`);
  const dev = device_of(k, args);
  for (const wanted of [...(dev === null ? [] : [dev]), ...(args.disks?.values() ?? [])]) {
    for (const other of k.mountlist) {
      if (devices(other).some(({ disk }) => disk === wanted)) throw errno(E.EBUSY, `${wanted.name} is mounted already`);
    }
  }
  let onname = path;
  try {
    onname = await vn_getpath(l, vp);
  } catch {
    // Only a label: the path as given will do.
  }
  const fromname = args.fspec_name ?? dev?.name ?? args.endpoint ?? type;
  const { disks, endpoint } = args;
  const full: MountArgs = {
    options: args.options ?? new Map(), ...(dev === null ? {} : { fspec: dev }),
    ...(disks === undefined ? {} : { disks }), ...(endpoint === undefined ? {} : { endpoint }),
  };
  const mp = await vfs_domount(k, ops, flags, dev, bytestrToUnicode(onname), fromname, full);
  // Another mount, or a forced unmount of what is below, may have been faster.
  if (vp.v_mountedhere !== null || vp.v_state !== VS_ACTIVE) {
    await vfs_dounmount(k, mp, true);
    throw errno(vp.v_state === VS_ACTIVE ? E.EBUSY : E.ENOENT);
  }
  mp.mnt_vnodecovered = vp;
  vp.v_mountedhere = mp;
  k.mountlist.insert(mp);
  await checkdirs(k, vp, mimpl(mp).rootvp!);
}

export async function sys_mount(l: Lwp, type: string, path: Path, flags: number, args: Args = {}): Promise<void> {
  if (!kauth_issuser(l.cred)) throw errno(E.EPERM);
  const name = copyinpath(path);
  const vp = await at_namei(l, AT_FDCWD, name, true);
  let taken = false;
  try {
    if ((flags & MNT_UPDATE) !== 0) {
      if (!vp.v_isroot) throw errno(E.EINVAL);
      await vfs_doupdate(l.kernel, vp.v_mount, flags, { options: args.options ?? new Map() });
      return;
    }
    await mount_new(l, type, vp, name, flags & ~MNT_OP_FLAGS, args);
    taken = true;
  } finally {
    if (!taken) await l.kernel.vrele(vp);
  }
}

/** `path` is the root directory of a mount. @throws EINVAL it is not; EBUSY */
export async function sys_unmount(l: Lwp, path: Path, flags: number): Promise<void> {
  if (!kauth_issuser(l.cred)) throw errno(E.EPERM);
  if ((flags & ~MNT_FORCE) !== 0) throw errno(E.EINVAL);
  const k = l.kernel;
  const vp = await at_namei(l, AT_FDCWD, copyinpath(path), true);
  const mp = vp.v_mount;
  const isroot = vp.v_isroot;
  await k.vrele(vp);
  if (!isroot) throw errno(E.EINVAL);
  if (vp === k.rootvnode) throw errno(E.EBUSY, 'the root of the kernel goes with the kernel');
  await vfs_dounmount(k, mp, (flags & MNT_FORCE) !== 0);
}
