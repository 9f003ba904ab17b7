/** Calls of our own, for whoever serves a mount to others: what is particular to it, and what changed elsewhere. */
import { E, errno } from '../errno.js';
import { MNT_RDONLY } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { privileged } from '../vfs/genfs.js';
import { cache_vop_lookup, vn_spelling } from '../vfs/lookup.js';
import type { ChangeListener } from '../vfs/changes.js';
import { VDIR } from '../vfs/vattr.js';
import { vn_locked } from '../vfs/vnlock.js';
import { copyinpath } from './at.js';
import type { MountFacts, Path } from './rumpsys.js';
import { closef } from './close.js';

/** The traits of the mount that holds the file which `fd` stands for, as plain data. */
export function sys_fmounttraits(l: Lwp, fd: number): MountFacts {
  const { v_mount: mp } = l.p.p_fd.get(fd).f_vnode;
  const { foldname, namelength: _, ...facts } = mp.mnt_traits;
  return {
    ...facts,
    folds: foldname !== null,
    survives: mp.mnt_op.vfs_survives ?? 'no',
    readonly: (mp.mnt_flag & MNT_RDONLY) !== 0,
  };
}

/** Is the entry that `name` finds in the directory `fd` spelled just so? @throws ENOENT ENOTDIR */
export async function sys_isspelled(l: Lwp, fd: number, path: Path): Promise<boolean> {
  const name = copyinpath(path);
  const fp = l.p.p_fd.get(fd);
  const dvp = fp.f_vnode;
  if (dvp.v_type !== VDIR) throw errno(E.ENOTDIR);
  if (dvp.v_mount.mnt_traits.foldname === null) return true;
  fp.f_count++;
  try {
    return await vn_locked(dvp, false, async (): Promise<boolean> => {
      const vp = await cache_vop_lookup(l.kernel, dvp, name, l);
      try {
        return (await vn_spelling(l.kernel, dvp, name, vp, l)) === name;
      } finally {
        await l.kernel.vrele(vp);
      }
    });
  } finally {
    await closef(l, fp);
  }
}

/**
 * `listener` hears of each change from now on; at once, from within whatever the driver is doing: it may make no system
 * calls.
 * @throws EPERM
 */
export function sys_onchange(l: Lwp, listener: ChangeListener): void {
  if (!privileged(l)) throw errno(E.EPERM);
  l.kernel.changelisteners.add(listener);
}
