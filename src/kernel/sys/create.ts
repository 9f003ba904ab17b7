import { bytestrDecode } from '../bytestr.js';
import { kauth_ismember, kauth_issuser } from '../cred.js';
import { E, errno } from '../errno.js';
import { MNT_NOGRPID, W_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { S_ISGID } from '../stat.js';
import { genfs_access_va } from '../vfs/genfs.js';
import { VDIR, Vattr } from '../vfs/vattr.js';
import { mnt_check_rw } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';

function checked(l: Lwp, dvp: Vnode, dva: Vattr, va: Vattr): MaybePromise<void> {
  if (dva.va_nlink === 0) throw errno(E.ENOENT); // removed, only descriptors keep it
  let gid = dva.va_gid;
  if ((dvp.v_mount.mnt_flag & MNT_NOGRPID) !== 0) {
    if ((dva.va_mode & S_ISGID) === 0) gid = l.cred.cr_gid;
    else if (va.va_type === VDIR) va.va_mode |= S_ISGID;
    va.va_gid = gid;
  }
  // Who is not of the new file's group may not make it set-gid.
  if ((va.va_mode & S_ISGID) !== 0 && va.va_type !== VDIR && !kauth_issuser(l.cred) && !kauth_ismember(l.cred, gid)) {
    va.va_mode &= ~S_ISGID;
  }
  return genfs_access_va(dvp, dva, W_OK, l);
}

/**
 * Can the volume have an entry of that name? Its length has been looked at.
 * @throws EILSEQ no valid UTF-8 where names are Unicode
 */
export function check_newname(dvp: Vnode, name: string): void {
  if (dvp.v_mount.mnt_traits.unicode && bytestrDecode(name) === undefined) {
    throw errno(E.EILSEQ, 'names on this volume are Unicode; this one is no valid UTF-8');
  }
}

/**
 * May `l` make something with attributes `va` in `dvp`, whose lock is held, under a name that does not exist? Takes
 * away the set-gid bit where it may not be given, and sets group and bit as the mount has it (MNT_NOGRPID). @throws
 * ENOENT a removed directory; EROFS EACCES EPERM ENOTDIR EILSEQ
 */
export function create_checks(l: Lwp, dvp: Vnode, name: string, va: Vattr): MaybePromise<void> {
  if (dvp.v_type !== VDIR) throw errno(E.ENOTDIR);
  mnt_check_rw(dvp.v_mount);
  check_newname(dvp, name);
  const dva = new Vattr();
  const wait = dvp.v_op.getattr(dvp, dva, l);
  if (wait instanceof Promise) return wait.then(() => checked(l, dvp, dva, va));
  return checked(l, dvp, dva, va);
}
