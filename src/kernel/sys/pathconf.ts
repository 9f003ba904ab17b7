/** pathconf. Source of the numbers: NetBSD sys/sys/unistd.h. */
import { E, errno } from '../errno.js';
import { AT_FDCWD, LINK_MAX, NAME_MAX, PATH_MAX } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { vn_alive, vn_locked } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { at_namei, copyinpath } from './at.js';
import { closef } from './close.js';
import type { Path } from './rumpsys.js';

export const _PC_LINK_MAX = 1;
export const _PC_NAME_MAX = 4;
export const _PC_PATH_MAX = 5;
export const _PC_PIPE_BUF = 6;
export const _PC_CHOWN_RESTRICTED = 7;
export const _PC_NO_TRUNC = 8;
export const _PC_SYNC_IO = 10;
export const _PC_FILESIZEBITS = 11;
export const _PC_SYMLINK_MAX = 12;
export const _PC_2_SYMLINKS = 13;
export const _PC_ACL_EXTENDED = 14;

/** Where the driver says nothing. Sizes and offsets are numbers exact to 2^53, sign not counted. */
const DEFAULTS = new Map<number, number>([
  [_PC_LINK_MAX, LINK_MAX],
  [_PC_NAME_MAX, NAME_MAX],
  [_PC_PATH_MAX, PATH_MAX],
  [_PC_PIPE_BUF, 512],
  [_PC_CHOWN_RESTRICTED, 1],
  [_PC_NO_TRUNC, 1],
  [_PC_SYNC_IO, 1],
  [_PC_FILESIZEBITS, 54],
  [_PC_SYMLINK_MAX, PATH_MAX - 1],
  [_PC_2_SYMLINKS, 1],
  [_PC_ACL_EXTENDED, 0],
]);

async function vn_pathconf(vp: Vnode, name: number): Promise<number> {
  const answer = await vn_locked(vp, false, () => {
    vn_alive(vp);
    return vp.v_op.pathconf?.(vp, name);
  });
  if (answer !== undefined) return answer;
  const usual = DEFAULTS.get(name);
  if (usual === undefined) throw errno(E.EINVAL);
  return usual;
}

export async function sys_pathconf(l: Lwp, path: Path, name: number): Promise<number> {
  const vp = await at_namei(l, AT_FDCWD, copyinpath(path), true);
  try {
    return await vn_pathconf(vp, name);
  } finally {
    await l.kernel.vrele(vp);
  }
}

export async function sys_fpathconf(l: Lwp, fd: number, name: number): Promise<number> {
  const fp = l.p.p_fd.get(fd);
  fp.f_count++;
  try {
    return await vn_pathconf(fp.f_vnode, name);
  } finally {
    await closef(l, fp);
  }
}
