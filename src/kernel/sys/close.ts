/** close, and the end of open files. */
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { mimpl } from '../vfs/mntimpl.js';
import { vimpl } from '../vfs/vnimpl.js';
import type { File } from './file.js';

/**
 * Drops one hold of an open file; the last one closes it.
 * @throws what VOP_CLOSE throws; the file is closed all the same
 */
export function closef(l: Lwp, fp: File): MaybePromise<void> {
  if (--fp.f_count > 0) return undefined;
  const vp = fp.f_vnode;
  if (fp.f_path) return l.kernel.vrele(vp);
  if (fp.f_flockowners !== null) {
    const lockf = vimpl(vp).lockf;
    if (lockf !== null) for (const owner of fp.f_flockowners) l.kernel.locks.release(lockf, false, owner);
  }
  if (fp.f_write) {
    vimpl(vp).writecount--;
    mimpl(vp.v_mount).writers--;
  }
  if (vp.v_op.close === undefined) return l.kernel.vrele(vp);
  return close_vnode(l, fp);
}

async function close_vnode(l: Lwp, fp: File): Promise<void> {
  const vp = fp.f_vnode;
  const wait = vp.v_lock.enter(true);
  if (wait) await wait;
  try {
    await vp.v_op.close?.(vp, fp.f_flag, l);
  } finally {
    vp.v_lock.exit(true);
    await l.kernel.vrele(vp);
  }
}

/** close(2): also ends all record locks of the process on the file, through whatever descriptor they were set. */
export function sys_close(l: Lwp, fd: number): MaybePromise<void> {
  const fp = l.p.p_fd.remove(fd);
  const lockf = vimpl(fp.f_vnode).lockf;
  if (lockf !== null) l.kernel.locks.release(lockf, true, l.p);
  return closef(l, fp);
}

