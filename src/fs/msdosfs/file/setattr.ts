import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { VDIR, VNOTIME, VNOVAL, VREG, Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { ATTR_READONLY } from '../disk/direntry.js';
import { dayof, fillattr, modeof } from './attributes.js';
import { VTODE, entry_store } from './denode.js';
import type { Denode } from './denode.js';
import { truncate } from './resize.js';

const S_IWUGO = 0o222;
const S_IRXUGO = 0o555;

export async function msdosfs_setattr(vp: Vnode, vap: Vattr, ctx: Context): Promise<void> {
  const dep = VTODE(vp);
  const { pmp } = dep;
  const order = pmp.writable();
  const { pm_options: options } = pmp;
  const uid = vap.va_uid !== VNOVAL && vap.va_uid !== options.uid;
  const gid = vap.va_gid !== VNOVAL && vap.va_gid !== options.gid;
  if ((uid || gid) && !options.quiet) {
    throw errno(E.EPERM, 'FAT keeps no owners: they are those of the mount (-o uid, gid)');
  }
  if (vap.va_flags !== VNOVAL) checkflags(dep, vap.va_flags);
  if (vap.va_size !== VNOVAL) {
    if (vp.v_type !== VREG) throw errno(vp.v_type === VDIR ? E.EISDIR : E.EINVAL);
    await truncate(dep, vap.va_size, ctx);
  }
  const times = vap.va_atimensec !== VNOTIME || vap.va_mtimensec !== VNOTIME;
  if (vap.va_size === VNOVAL && vap.va_mode === VNOVAL && !times) return;
  await order.run(() => {
    if (vap.va_mode !== VNOVAL) setmode(dep, vap.va_mode);
    if (vap.va_atimensec !== VNOTIME) dep.atime = dayof(pmp, clamp(vap.va_atime));
    if (vap.va_mtimensec !== VNOTIME) dep.mtime = even(clamp(vap.va_mtime));
    return entry_store(dep);
  });
}

/** 1980 to 2107, seconds since 1970 with a day to spare for zones. */
const FIRST = Date.UTC(1980, 0, 1) / 1000;
const LAST = Date.UTC(2107, 11, 31, 23, 59, 58) / 1000;

function clamp(sec: number): number {
  return Math.min(Math.max(sec, FIRST), LAST);
}

function even(sec: number): number {
  return Math.floor(sec / 2) * 2;
}

/**
 * Of all the bits of a mode the format can keep one: nobody may write. What else is asked for is passed over in
 * silence, as Linux does: programs that set modes on every file could not be used otherwise.
 */
function setmode(dep: Denode, mode: number): void {
  const { pm_options: options } = dep.pmp;
  if (dep.isroot) return;
  const now = modeof(dep);
  const mask = dep.isdir ? options.dmask : options.fmask;
  const write = mode & S_IWUGO;
  const all = S_IWUGO & ~mask;
  if ((mode & S_IRXUGO) !== (now & S_IRXUGO)) return;
  if (dep.isdir && !options.rodir) return;
  if (write !== 0 && write !== all) return;
  if (write === 0) dep.attr |= ATTR_READONLY;
  else dep.attr &= ~ATTR_READONLY;
}

/** @throws EOPNOTSUPP flags that differ from those that the file has */
function checkflags(dep: Denode, flags: number): void {
  const now = new Vattr();
  fillattr(dep, now);
  if (flags !== now.va_flags) throw errno(E.EOPNOTSUPP);
}
