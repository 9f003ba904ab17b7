import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { O_ACCMODE, O_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { clusterOffset } from '../disk/bpb.js';
import { dir_clusters } from '../dir/build.js';
import { VTODE } from './denode.js';
import type { Denode } from './denode.js';

/** VOP_FSYNC, VOP_CLOSE, VOP_INACTIVE, VOP_RECLAIM. */

export async function msdosfs_fsync(vp: Vnode, _ctx: Context, _datasync: boolean): Promise<void> {
  const dep = VTODE(vp);
  const order = dep.pmp.pm_order;
  if (order === null) return;
  order.pmp.pm_posting?.settle();
  if (order.lost.has(dep.number)) throw errno(E.EIO, 'an earlier write to the file has failed');
  await order.flush(false);
}

/** -o flush: what was written to a file is on its way when it is closed. */
export function msdosfs_close(vp: Vnode, flags: number, _ctx: Context): MaybePromise<void> {
  const { pmp, dirty } = VTODE(vp);
  if (!pmp.pm_options.flush || pmp.pm_order === null || (flags & O_ACCMODE) === O_RDONLY || !dirty) return undefined;
  VTODE(vp).dirty = false;
  return pmp.pm_order.flush(true);
}

/** The last user has gone: the clusters of a file without an entry are free, once the disk has forgotten the entry. */
export function msdosfs_inactive(vp: Vnode): MaybePromise<boolean> {
  const dep = VTODE(vp);
  if (dep.nlink > 0) return false;
  const order = dep.pmp.pm_order;
  if (order === null) return true;
  return order.run(() => release(dep));
}

function release(dep: Denode): MaybePromise<boolean> {
  if (dep.isdir) {
    const known = dir_clusters(dep);
    // What cannot be read of the chain is freed all the same, cell by cell.
    if (known instanceof Promise) return known.catch(() => undefined).then(() => freeclusters(dep));
  }
  return freeclusters(dep);
}

function freeclusters(dep: Denode): boolean {
  const { pmp, chain } = dep;
  const { order, pm_geometry: g } = pmp;
  if (dep.isdir) {
    for (let fc = 0; fc < chain.length; fc += chain.count(fc)) {
      pmp.pm_bufcache.binval(pmp.pm_dev, clusterOffset(g, chain.at(fc)), chain.count(fc) * g.clusterBytes);
    }
  }
  if (dep.start !== 0) order.free(dep.start, Math.max(1, dep.isdir ? chain.length : pmp.clustersOf(dep.size)));
  if (dep.isdir && pmp.pm_dirs.get(dep.start) === dep) pmp.pm_dirs.delete(dep.start);
  dep.start = 0;
  order.orphans--;
  order.rows.orphan(dep.number, null);
  pmp.pm_numbers.gone(dep.number);
  order.lost.delete(dep.number);
  return true;
}

export function msdosfs_reclaim(vp: Vnode): void {
  const dep = VTODE(vp);
  const { pmp } = dep;
  pmp.pm_tables.remove(dep);
  const start = dep.isroot ? 0 : dep.start;
  if (dep.isdir && pmp.pm_dirs.get(start) === dep) pmp.pm_dirs.delete(start);
  dep.vnode = null;
  vp.v_data = null;
}
