/**
 * File handles: getfh, fhopen, fhstat, fhstatvfs. Handles go around path permissions, so they are for the superuser and
 * for whom the host has checked.
 */
import { E, errno } from '../errno.js';
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_PATH } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import type { Fhandle } from '../stat.js';
import { Stat, Statvfs } from '../stat.js';
import { privileged } from '../vfs/genfs.js';
import { MNT_GONE, mimpl } from '../vfs/mntimpl.js';
import type { Mount } from '../vfs/mount.js';
import { VDIR } from '../vfs/vattr.js';
import { mnt_done_write, mnt_start_write } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { VS_ACTIVE } from '../vfs/vnode.js';
import { at_namei, copyinpath } from './at.js';
import { File } from './file.js';
import { fd_install, open_check_flags, open_referenced } from './open.js';
import type { Path } from './rumpsys.js';
import { stat_referenced } from './stat.js';
import { vfs_statvfs } from './sync.js';

/** The handle of a vnode; the caller holds a reference. */
function vn_fh(vp: Vnode): Fhandle {
  if (vp.v_state !== VS_ACTIVE) throw errno(E.EBADF);
  return { fh_fsid: vp.v_mount.mnt_fsid, fh_fid: vp.v_mount.mnt_op.vptofh(vp) };
}

/** The vnode of a handle, referenced. @throws ESTALE EPERM */
function fhtovp(l: Lwp, fh: Fhandle): MaybePromise<Vnode> {
  if (!privileged(l)) throw errno(E.EPERM);
  const mp = l.kernel.mountlist.peekByFsid(fh.fh_fsid);
  if (mp === undefined) return fhtovp_wait(l, fh);
  // While the driver looks for the file nobody holds anything of the volume.
  const wait = mnt_start_write(mp);
  if (wait) return wait.then(() => fhtovp_entered(mp, fh));
  return fhtovp_entered(mp, fh);
}

async function fhtovp_wait(l: Lwp, fh: Fhandle): Promise<Vnode> {
  const mp = await l.kernel.mountlist.getByFsid(fh.fh_fsid);
  const wait = mnt_start_write(mp);
  if (wait) await wait;
  return fhtovp_entered(mp, fh);
}

/** Ends what mnt_start_write began. */
function fhtovp_entered(mp: Mount, fh: Fhandle): MaybePromise<Vnode> {
  let found: MaybePromise<Vnode>;
  try {
    if (mimpl(mp).state === MNT_GONE) throw errno(E.ESTALE);
    found = mp.mnt_op.fhtovp(mp, fh.fh_fid);
  } catch (thrown) {
    mnt_done_write(mp);
    throw thrown;
  }
  if (found instanceof Promise) return found.finally(() => mnt_done_write(mp));
  mnt_done_write(mp);
  return found;
}

/** Symlinks are not followed: a handle of the link itself is what a caller with O_PATH wants. */
export async function sys_getfh(l: Lwp, path: Path): Promise<Fhandle> {
  if (!privileged(l)) throw errno(E.EPERM);
  const vp = await at_namei(l, AT_FDCWD, copyinpath(path), false);
  try {
    return vn_fh(vp);
  } finally {
    await l.kernel.vrele(vp);
  }
}

export async function sys_fhopen(l: Lwp, fh: Fhandle, flags: number): Promise<number> {
  open_check_flags(flags);
  if ((flags & O_CREAT) !== 0) throw errno(E.EINVAL);
  const found = fhtovp(l, fh);
  const vp = found instanceof Promise ? await found : found;
  if ((flags & O_PATH) === 0) return fd_install(l, await open_referenced(l, vp, flags), flags);
  if ((flags & O_DIRECTORY) !== 0 && vp.v_type !== VDIR) {
    await l.kernel.vrele(vp);
    throw errno(E.ENOTDIR);
  }
  try {
    return l.p.p_fd.alloc(new File(vp, flags), 0, (flags & O_CLOEXEC) !== 0);
  } catch (thrown) {
    await l.kernel.vrele(vp);
    throw thrown;
  }
}

export async function sys_fhstat(l: Lwp, fh: Fhandle, into: Stat | undefined): Promise<Stat> {
  const found = fhtovp(l, fh);
  return stat_referenced(l, found instanceof Promise ? await found : found, into ?? new Stat());
}

export async function sys_fhstatvfs(l: Lwp, fh: Fhandle, into: Statvfs | undefined): Promise<Statvfs> {
  const vp = await fhtovp(l, fh);
  try {
    return await vfs_statvfs(vp.v_mount, into ?? new Statvfs());
  } finally {
    await l.kernel.vrele(vp);
  }
}
