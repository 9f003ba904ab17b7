import { MNT_NOATIME, MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { Context } from '../../../kernel/context.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { SF_IMMUTABLE } from '../../../kernel/stat.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VDIR, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { ATTR_READONLY, ATTR_SYSTEM } from '../disk/direntry.js';
import { isfile } from '../disk/isfile.js';
import { dir_clusters } from '../dir/build.js';
import { VFSTOMSDOSFS } from '../volume/msdosmount.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { Denode, VTODE, entry_block, entry_load, entry_store } from './denode.js';

export const S_IWUSR = 0o200;
/** Permission to write, for everybody; and to execute. */
const S_IWUGO = 0o222;
const S_IXUGO = 0o111;
const DAY_SECONDS = 86400;
/** What Linux's showexec takes for programs. */
const PROGRAMS = new Set(['EXE', 'COM', 'BAT']);

/** The permission bits of a file: everybody's, less the mask, less what its attributes forbid. */
export function modeof(dep: Denode): number {
  const { pm_options: options } = dep.pmp;
  if (dep.isdir) return 0o777 & ~options.dmask & (options.rodir && (dep.attr & ATTR_READONLY) !== 0 ? ~S_IWUGO : ~0);
  let mode = 0o777 & ~options.fmask;
  if ((dep.attr & ATTR_READONLY) !== 0) mode &= ~S_IWUGO;
  if (options.showexec && !PROGRAMS.has(dep.extension)) mode &= ~S_IXUGO;
  return mode;
}

/** Fills all attributes; the clusters of a directory are known. */
export function fillattr(dep: Denode, vap: Vattr): void {
  const { pmp } = dep;
  const { pm_geometry: g, pm_options: options } = pmp;
  const size = !dep.isdir
    ? dep.size
    : dep.isroot && g.rootBytes > 0
      ? pmp.rootRegion
      : dep.chain.length * g.clusterBytes;
  vap.va_type = dep.isdir ? VDIR : VREG;
  vap.va_mode = modeof(dep);
  vap.va_nlink = dep.nlink;
  vap.va_uid = options.uid;
  vap.va_gid = options.gid;
  vap.va_fileid = BigInt(dep.number);
  vap.va_size = size;
  vap.va_blocksize = g.clusterBytes;
  vap.va_atime = dep.atime;
  vap.va_mtime = vap.va_ctime = dep.mtime;
  vap.va_atimensec = vap.va_mtimensec = vap.va_ctimensec = 0;
  vap.va_birthtime = dep.crtime;
  vap.va_birthtimensec = dep.crtimensec;
  vap.va_gen = pmp.pm_numbers.generation(dep.number);
  vap.va_flags = options.sysImmutable && (dep.attr & ATTR_SYSTEM) !== 0 ? SF_IMMUTABLE : 0;
  vap.va_rdev = 0n;
  vap.va_bytes = pmp.clustersOf(size) * g.clusterBytes;
  vap.va_fsid = pmp.pm_mountp.mnt_fsid;
}

export function msdosfs_getattr(vp: Vnode, vap: Vattr, _ctx: Context): MaybePromise<void> {
  const dep = VTODE(vp);
  const known = dep.isdir ? dir_clusters(dep) : undefined;
  if (known instanceof Promise) return known.then(() => fillattr(dep, vap));
  fillattr(dep, vap);
}

/** VFS_ATTRIBUTES: those of a file that has no vnode. */
export function msdosfs_attributes(mp: Mount, fileno: number, vap: Vattr): MaybePromise<boolean> {
  const pmp = VFSTOMSDOSFS(mp);
  const place = pmp.pm_numbers.placeOf(fileno);
  const got = place === undefined ? undefined : entry_block(pmp, place);
  if (place === undefined || got === undefined) return false;
  return got instanceof Promise
    ? got.then((bp) => fromblock(pmp, fileno, place, bp, vap))
    : fromblock(pmp, fileno, place, got, vap);
}

/** Takes the reference to `bp`. */
function fromblock(pmp: MsdosMount, fileno: number, place: number, bp: Buf, vap: Vattr): MaybePromise<boolean> {
  const { at } = pmp.entryPlace(place)!;
  const dep = new Denode(pmp, fileno, false);
  const there = isfile(bp, at);
  if (there) entry_load(dep, bp, at);
  pmp.pm_bufcache.brelse(bp);
  if (!there) return false;
  const known = dep.isdir ? dir_clusters(dep) : undefined;
  const filled = (): boolean => {
    fillattr(dep, vap);
    return true;
  };
  return known instanceof Promise ? known.then(filled) : filled();
}

/**
 * A file was read: notes the day, as noatime and read-only say. The format keeps no more than the day, so once a day is
 * enough.
 */
export function accessed(dep: Denode): MaybePromise<void> {
  const { pmp } = dep;
  if (
    (pmp.pm_mountp.mnt_flag & (MNT_NOATIME | MNT_RDONLY)) !== 0 ||
    pmp.pm_order === null ||
    pmp.pm_stopped ||
    dep.nlink === 0 ||
    dep.isroot
  ) {
    return undefined;
  }
  const today = dayof(pmp, pmp.pm_kernel.now().sec);
  if (dep.atime >= today) return undefined;
  dep.atime = today;
  const { dirty } = dep;
  const stored = pmp.pm_order.run(() => entry_store(dep));
  dep.dirty = dirty;
  return stored;
}

/** The first second of a day in the zone of the volume. */
export function dayof(pmp: MsdosMount, sec: number): number {
  const offset = pmp.pm_options.zone.offset_s(sec);
  return Math.floor((sec + offset) / DAY_SECONDS) * DAY_SECONDS - offset;
}
