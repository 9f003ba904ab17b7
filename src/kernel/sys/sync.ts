/** sync, fsync family, statvfs family. */
import { E, errno } from '../errno.js';
import {
  AT_FDCWD,
  FDATASYNC,
  FDISKSYNC,
  FFILESYNC,
  MNT_LOG,
  MNT_NODEV,
  MNT_NOEXEC,
  MNT_NOSUID,
  MNT_RDONLY,
} from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { Statvfs } from '../stat.js';
import type { Mount } from '../vfs/mount.js';
import { MNT_GONE, mimpl } from '../vfs/mntimpl.js';
import { mnt_done_write, mnt_start_write, vn_alive, vn_locked } from '../vfs/vnlock.js';
import { at_namei, check_offset, copyinpath, fd_getopen } from './at.js';
import { closef } from './close.js';
import type { Path } from './rumpsys.js';

/** Flags that statvfs shows; ST_* have the values of MNT_*. */
const ST_VISIBLE = MNT_RDONLY | MNT_NOEXEC | MNT_NOSUID | MNT_NODEV | MNT_LOG;

export async function vfs_statvfs(mp: Mount, sbp: Statvfs): Promise<Statvfs> {
  if (mimpl(mp).state === MNT_GONE) throw errno(E.EBADF);
  sbp.f_namemax = 255;
  await mp.mnt_op.statvfs(mp, sbp);
  sbp.f_flag = mp.mnt_flag & ST_VISIBLE;
  sbp.f_fsid = mp.mnt_fsid;
  sbp.f_fstypename = mp.mnt_op.vfs_name;
  sbp.f_mntonname = mp.mnt_mntonname;
  sbp.f_mntfromname = mp.mnt_mntfromname;
  return sbp;
}

export async function sys_statvfs(l: Lwp, path: Path, into: Statvfs | undefined): Promise<Statvfs> {
  const vp = await at_namei(l, AT_FDCWD, copyinpath(path), true);
  try {
    return await vfs_statvfs(vp.v_mount, into ?? new Statvfs());
  } finally {
    await l.kernel.vrele(vp);
  }
}

export async function sys_fstatvfs(l: Lwp, fd: number, into: Statvfs | undefined): Promise<Statvfs> {
  const fp = l.p.p_fd.get(fd);
  fp.f_count++;
  try {
    return await vfs_statvfs(fp.f_vnode.v_mount, into ?? new Statvfs());
  } finally {
    await closef(l, fp);
  }
}

export async function sys_getvfsstat(l: Lwp): Promise<Statvfs[]> {
  const all: Statvfs[] = [];
  for (const mp of [...l.kernel.mountlist]) {
    // Nobody holds a file of the volume for us: keep it from being unmounted meanwhile.
    const wait = mnt_start_write(mp);
    if (wait) await wait;
    try {
      if (mimpl(mp).state !== MNT_GONE) all.push(await vfs_statvfs(mp, new Statvfs()));
    } finally {
      mnt_done_write(mp);
    }
  }
  return all;
}

/** sync(2) cannot fail: what goes wrong is logged, and fsync or unmount will tell. */
export async function sys_sync(l: Lwp): Promise<void> {
  for (const mp of [...l.kernel.mountlist]) await l.kernel.syncer.trysync(mp);
}

export async function sys_fsync(l: Lwp, fd: number, datasync: boolean): Promise<void> {
  const fp = fd_getopen(l, fd);
  fp.f_count++;
  try {
    const vp = fp.f_vnode;
    await vn_locked(vp, true, () => {
      vn_alive(vp);
      return vp.v_op.fsync(vp, l, datasync);
    });
  } finally {
    await closef(l, fp);
  }
}

/** The range is a hint that no driver uses: the whole file is written. @throws EBADF not open for writing */
export async function sys_fsync_range(l: Lwp, fd: number, how: number, start: number, length: number): Promise<void> {
  const fp = fd_getopen(l, fd);
  if (!fp.f_write) throw errno(E.EBADF);
  const kind = how & (FDATASYNC | FFILESYNC);
  if ((how & ~(FDATASYNC | FFILESYNC | FDISKSYNC)) !== 0 || (kind !== FDATASYNC && kind !== FFILESYNC)) {
    throw errno(E.EINVAL);
  }
  check_offset(start);
  check_offset(length);
  return sys_fsync(l, fd, kind === FDATASYNC);
}
