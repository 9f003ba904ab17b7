/** getdents. */
import { E, Errno, errno } from '../errno.js';
import type { Lwp } from '../proc.js';
import type { Dirent } from '../stat.js';
import { VDIR } from '../vfs/vattr.js';
import { closef } from './close.js';

const DEFAULT_MAX = 128;

/** The next entries of a directory. The position moves behind the last one returned; lseek to a d_off goes on behind that entry. */
export async function sys_getdents(l: Lwp, fd: number, max = DEFAULT_MAX): Promise<Dirent[]> {
  const fp = l.p.p_fd.get(fd);
  if (!fp.f_read) throw errno(E.EBADF);
  const vp = fp.f_vnode;
  if (!(max > 0)) throw errno(E.EINVAL);
  const entries: Dirent[] = [];
  const emit = (fileno: number | bigint, d_type: number, d_name: string, d_off: number): boolean => {
    if (entries.length >= max) return false;
    entries.push({ d_fileno: typeof fileno === 'bigint' ? fileno : BigInt(fileno), d_type, d_name, d_off });
    return true;
  };
  fp.f_count++;
  try {
    let wait = fp.f_lock.enter(true);
    if (wait) await wait;
    try {
      wait = vp.v_lock.enter(false);
      if (wait) await wait;
      try {
        if (vp.v_type !== VDIR) throw errno(E.EINVAL);
        const read = vp.v_op.readdir(vp, fp.f_offset, l.cred, emit);
        if (read instanceof Promise) await read;
      } catch (thrown) {
        // Entries that came before the damage are returned first; the next call meets the error again.
        if (entries.length === 0 || !(thrown instanceof Errno)) throw thrown;
      } finally {
        vp.v_lock.exit(false);
      }
      if (entries.length > 0) fp.f_offset = entries[entries.length - 1]!.d_off;
      return entries;
    } finally {
      fp.f_lock.exit(true);
    }
  } finally {
    await closef(l, fp);
  }
}
