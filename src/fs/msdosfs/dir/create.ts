import type { Context } from '../../../kernel/context.js';
import { E, errno, errnoOf } from '../../../kernel/errno.js';
import { S_IWUSR } from '../file/attributes.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { DIRENT_BYTES } from '../disk/bpb.js';
import {
  ATTR_ARCHIVE,
  ATTR_DIRECTORY,
  ATTR_READONLY,
  D,
  setAtime,
  setCrtime,
  setMtime,
  setStart,
} from '../disk/direntry.js';
import { VTODE, denode_update, entry_store } from '../file/denode.js';
import type { Denode } from '../file/denode.js';
import type { Order } from '../order/order.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { dir_table } from './build.js';
import { enter_name, newcluster, newname, uncluster } from './enter.js';
import type { FillEntry } from './enter.js';

/**
 * Runs a change in a transaction. Where there is no room but clusters or entries wait to be freed, these are freed and
 * it is tried once more.
 */
export async function withroom<T>(order: Order, body: () => Promise<T>): Promise<T> {
  try {
    return await order.run(body);
  } catch (error) {
    if (errnoOf(error) !== E.ENOSPC || (order.frees.size === 0 && order.removals.size === 0)) throw error;
    await order.flush(true);
    return order.run(body);
  }
}

/** A new file's entry: everything but its name. */
function fillnew(pmp: MsdosMount, attr: number, start: number): FillEntry {
  const { zone } = pmp.pm_options;
  const { sec, nsec } = pmp.pm_kernel.now();
  return (bytes, view, at) => {
    bytes[at + D.attr] = attr;
    setCrtime(view, at, zone, sec, nsec);
    setMtime(view, at, zone, sec);
    setAtime(view, at, zone, sec);
    setStart(view, at, pmp.fat32, start);
  };
}

/** A directory in which something can be made. @throws ENOENT EROFS */
function parent(dvp: Vnode): { dir: Denode; order: Order } {
  const dir = VTODE(dvp);
  const order = dir.pmp.writable();
  if (dir.nlink === 0) throw errno(E.ENOENT);
  return { dir, order };
}

/** The entry is there: its vnode, and the directory has changed. */
async function made(dvp: Vnode, dir: Denode, place: number): Promise<Vnode> {
  const { pmp } = dir;
  denode_update(dir);
  const wait = entry_store(dir);
  if (wait) await wait;
  const vp = await pmp.pm_kernel.vcache_get(dvp.v_mount, pmp.pm_numbers.numberAt(place));
  const dep = VTODE(vp);
  dep.parentStart = dir.isroot ? 0 : dir.start;
  dep.dirty = true;
  return vp;
}

export async function msdosfs_create(dvp: Vnode, name: string, vap: Vattr, _ctx: Context): Promise<Vnode> {
  if (vap.va_type !== VREG) throw errno(E.EPERM);
  const { dir, order } = parent(dvp);
  const attr = (vap.va_mode & S_IWUSR) === 0 ? ATTR_ARCHIVE | ATTR_READONLY : ATTR_ARCHIVE;
  return withroom(order, async () => {
    const entry = await enter_name(dir, newname(dir.pmp, await dir_table(dir), name), fillnew(dir.pmp, attr, 0));
    return made(dvp, dir, entry.place);
  });
}

export async function msdosfs_mkdir(dvp: Vnode, name: string, _vap: Vattr, _ctx: Context): Promise<Vnode> {
  const { dir, order } = parent(dvp);
  return withroom(order, async () => {
    const { pmp } = dir;
    const wanted = newname(pmp, await dir_table(dir), name);
    const cluster = await newcluster(pmp, pmp.pm_space.next, (start) => dots(dir, start));
    let place: number;
    try {
      ({ place } = await enter_name(dir, wanted, fillnew(pmp, ATTR_DIRECTORY, cluster)));
    } catch (error) {
      await uncluster(pmp, cluster);
      throw error;
    }
    return made(dvp, dir, place);
  });
}

/** What a new directory with this first cluster holds: itself and the one above it, which is 0 for the root. */
function dots(above: Denode, start: number): Uint8Array {
  const { pmp } = above;
  const bytes = new Uint8Array(pmp.pm_geometry.clusterBytes);
  const view = new DataView(bytes.buffer);
  bytes.fill(32, 0, 11);
  bytes.fill(32, DIRENT_BYTES, DIRENT_BYTES + 11);
  bytes[0] = bytes[DIRENT_BYTES] = bytes[DIRENT_BYTES + 1] = 46;
  fillnew(pmp, ATTR_DIRECTORY, start)(bytes, view, 0);
  fillnew(pmp, ATTR_DIRECTORY, above.isroot ? 0 : above.start)(bytes, view, DIRENT_BYTES);
  return bytes;
}
