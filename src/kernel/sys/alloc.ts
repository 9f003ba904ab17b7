/** posix_fallocate, fallocate and fdiscard. */
import { E, errno } from '../errno.js';
import { FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE, MNT_SYNCHRONOUS } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { genfs_clear_setid } from '../vfs/genfs.js';
import { VDIR, VREG, Vattr } from '../vfs/vattr.js';
import { mnt_dirtied, vn_alive, vn_locked, vn_syncmount } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { check_offset } from './at.js';
import { closef } from './close.js';

/** As after a write: set-id bits do not outlive a change by others than the superuser. */
async function clear_setid(l: Lwp, vp: Vnode): Promise<void> {
  const va = new Vattr();
  await vp.v_op.getattr(vp, va, l);
  const mode = genfs_clear_setid(vp.v_type, va.va_mode, l);
  if (mode === va.va_mode) return;
  const change = new Vattr();
  change.va_mode = mode;
  await vp.v_op.setattr(vp, change, l);
}

/** Runs `vop` on the regular file that `fd` is open for writing on, under its exclusive lock. */
async function change_blocks(
  l: Lwp,
  fd: number,
  position: number,
  length: number,
  vop: (vp: Vnode) => MaybePromise<void>,
): Promise<void> {
  check_offset(position);
  check_offset(length);
  if (length === 0) throw errno(E.EINVAL);
  const fp = l.p.p_fd.get(fd);
  if (!fp.f_write) throw errno(E.EBADF);
  if (!Number.isSafeInteger(position + length)) throw errno(E.EFBIG);
  const vp = fp.f_vnode;
  if (vp.v_type === VDIR) throw errno(E.EISDIR);
  if (vp.v_type !== VREG) throw errno(E.ENODEV);
  fp.f_count++;
  try {
    await vn_locked(vp, true, async () => {
      vn_alive(vp);
      try {
        await vop(vp);
        await clear_setid(l, vp);
      } finally {
        mnt_dirtied(l.kernel, vp.v_mount);
      }
      if ((vp.v_mount.mnt_flag & MNT_SYNCHRONOUS) !== 0) await vn_syncmount(vp);
    });
  } finally {
    await closef(l, fp);
  }
}

export async function sys_posix_fallocate(l: Lwp, fd: number, position: number, length: number): Promise<void> {
  return sys_fallocate(l, fd, 0, position, length);
}

/** `mode` is FALLOC_*. @throws EOPNOTSUPP for combinations that mean nothing, or that the driver cannot do */
export async function sys_fallocate(l: Lwp, fd: number, mode: number, position: number, length: number): Promise<void> {
  if (mode === (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE)) return sys_fdiscard(l, fd, position, length);
  if ((mode & ~(FALLOC_KEEP_SIZE | FALLOC_ZERO_RANGE)) !== 0) throw errno(E.EOPNOTSUPP);
  return change_blocks(l, fd, position, length, (vp) => {
    if (vp.v_op.fallocate === undefined) throw errno(E.EOPNOTSUPP);
    return vp.v_op.fallocate(vp, position, length, l, mode);
  });
}

export async function sys_fdiscard(l: Lwp, fd: number, position: number, length: number): Promise<void> {
  return change_blocks(l, fd, position, length, (vp) => {
    if (vp.v_op.fdiscard === undefined) throw errno(E.EOPNOTSUPP);
    return vp.v_op.fdiscard(vp, position, length, l);
  });
}
