import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { VDIR, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { validCluster } from '../disk/bpb.js';
import { ATTR_DIRECTORY } from '../disk/direntry.js';
import { isdot } from '../dir/parse.js';
import { ROOT_NUMBER, VFSTOMSDOSFS } from '../volume/msdosmount.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { isfile } from '../disk/isfile.js';
import { Denode, entry_block, entry_load } from './denode.js';
import { msdosfs_vnodeops } from './vnops.js';

/** VFS_LOADVNODE. @throws ESTALE no such file; EIO */
export function msdosfs_loadvnode(mp: Mount, vp: Vnode, key: number): MaybePromise<void> {
  const pmp = VFSTOMSDOSFS(mp);
  if (key === ROOT_NUMBER) return loaded(vp, rootnode(pmp));
  const orphan = pmp.pm_adopting.get(key);
  if (orphan !== undefined) {
    pmp.pm_adopting.delete(key);
    return loaded(vp, adopted(pmp, key, orphan));
  }
  const place = pmp.pm_numbers.placeOf(key);
  const got = place === undefined ? undefined : entry_block(pmp, place);
  if (place === undefined || got === undefined) throw errno(E.ESTALE);
  return got instanceof Promise
    ? got.then((bp) => fromblock(pmp, vp, key, place, bp))
    : fromblock(pmp, vp, key, place, got);
}

function rootnode(pmp: MsdosMount): Denode {
  const dep = new Denode(pmp, ROOT_NUMBER, true);
  dep.attr = ATTR_DIRECTORY;
  dep.start = pmp.pm_geometry.rootCluster;
  dep.parentStart = 0;
  dep.mtime = dep.atime = Date.UTC(1980, 0, 1) / 1000;
  return dep;
}

/** A file without an entry, as a predecessor recorded it (order/rows.ts). */
function adopted(
  pmp: MsdosMount,
  key: number,
  [start = 0, size = 0, attr = 0, mtime = 0, atime = 0, crtime = 0]: readonly number[],
): Denode {
  const dep = new Denode(pmp, key, false);
  Object.assign(dep, { start, size, attr, mtime, atime, crtime, nlink: 0 });
  return dep;
}

/** Takes the reference to `bp`. */
function fromblock(pmp: MsdosMount, vp: Vnode, key: number, place: number, bp: Buf): void {
  const { at } = pmp.entryPlace(place)!;
  const dep = new Denode(pmp, key, false);
  const there = isfile(bp, at) && !isdot(bp.b_data, at) && pmp.pm_order?.removals.has(place) !== true;
  if (there) entry_load(dep, bp, at);
  pmp.pm_bufcache.brelse(bp);
  if (!there) throw errno(E.ESTALE);
  loaded(vp, dep);
}

function loaded(vp: Vnode, dep: Denode): void {
  const { pmp } = dep;
  if (dep.isdir && (!dep.isroot || pmp.fat32)) checkdir(dep);
  if (dep.isdir) pmp.pm_dirs.set(dep.isroot ? 0 : dep.start, dep);
  dep.vnode = vp;
  vp.v_type = dep.isdir ? VDIR : VREG;
  vp.v_op = msdosfs_vnodeops;
  vp.v_data = dep;
}

/** Each directory has clusters, and no other has them: a walk would never end otherwise. @throws EIO */
function checkdir(dep: Denode): void {
  const { pmp } = dep;
  if (!validCluster(pmp.pm_geometry, dep.start)) {
    throw pmp.pm_damage.error(`${dep.what}: a directory that begins with cluster ${dep.start}`);
  }
  if (dep.isroot) return;
  const other = pmp.dirStart(dep.start) === 0 ? ROOT_NUMBER : pmp.pm_dirs.get(dep.start)?.number;
  if (other !== undefined && other !== dep.number) {
    throw pmp.pm_damage.error(`${dep.what}: cluster ${dep.start} begins another directory, too`);
  }
}
