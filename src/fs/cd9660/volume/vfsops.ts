import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno, errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Fid, Statvfs } from '../../../kernel/stat.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { VDIR } from '../../../kernel/vfs/vattr.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import type { MountArgs, Vfsops } from '../../../kernel/vfs/vfsops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { iso_bynumber, iso_lookup, iso_onlymoved } from '../dir/directory.js';
import { iso_dot } from '../dir/entry.js';
import { iso_traits } from '../dir/names.js';
import { raw_device } from '../disk/rawsectors.js';
import { IsoNode, VTOISO } from '../file/node.js';
import { iso_vnodeops } from '../vnops.js';
import { IsoMount, VFSTOISO } from './isomount.js';
import { iso_layout } from './layout.js';
import { iso_options } from './options.js';
import type { IsoOptions } from './options.js';
import { volume_set, volume_sets } from './volumes.js';
import type { VolumeSet } from './volumes.js';

/** The volume that is to be mounted. @throws EFTYPE EINVAL */
async function chosen(dev: BlockDevice, options: IsoOptions): Promise<VolumeSet> {
  if (options.sbsector >= 0) {
    const set = await volume_set(dev, options.sbsector);
    if (set === undefined)
      throw errno(E.EINVAL, `${dev.name}: no ISO 9660 session begins at sector ${options.sbsector}`);
    return set;
  }
  const sets = await volume_sets(dev);
  if (sets.length === 0) throw errno(E.EFTYPE, `${dev.name}: no ISO 9660 volume`);
  const set = options.session === 0 ? sets[sets.length - 1] : sets[options.session - 1];
  if (set === undefined)
    throw errno(E.EINVAL, `${dev.name}: there is no session ${options.session}; it has ${sets.length}`);
  return set;
}

async function mount(mp: Mount, args: MountArgs): Promise<void> {
  const device = args.fspec ?? mp.mnt_dev;
  if (device === null) throw errno(E.EINVAL, 'cd9660: no device given');
  const options = iso_options(args.options);
  mp.mnt_flag |= MNT_RDONLY;
  const { dev } = await raw_device(device);
  const layout = await iso_layout(dev, await chosen(dev, options), options);
  const im = new IsoMount(mp, layout, options);
  try {
    im.root = await rootOf(im);
    im.hidden = await movedOf(im);
    im.indexes.forget(im.root);
  } catch (thrown) {
    im.bufcache.purge(im.dev);
    throw thrown;
  }
  mp.mnt_data = im;
  mp.mnt_traits = iso_traits(layout.flavour, options);
}

async function rootOf(im: IsoMount): Promise<IsoNode> {
  const { root_block, root_size } = im.layout;
  const dot = await iso_dot(im, root_block);
  if (dot === null)
    throw errno(E.EFTYPE, `${im.dev.name}: no directory in block ${root_block}, where the root directory should be`);
  const root = new IsoNode(
    im,
    im.root_number,
    '/',
    { ...dot.record, size: root_size > 0 ? root_size : dot.record.size },
    dot.rr,
    true,
  );
  root.parent = root;
  return root;
}

/** Names under which programs keep directories that lay too deep. */
const RR_MOVED: readonly string[] = ['rr_moved', '.rr_moved'];

/** Number of the directory for moved directories, if it is there for nothing else; -1. */
async function movedOf(im: IsoMount): Promise<number> {
  if (!im.rock) return -1;
  for (const name of RR_MOVED) {
    try {
      const number = await iso_lookup(im, im.root, name, null);
      const node = number === undefined ? null : await iso_bynumber(im, number);
      if (node?.type === VDIR && (await iso_onlymoved(im, node))) return node.number;
    } catch (thrown) {
      // The rest of the disc may well be readable.
      if (!(thrown instanceof Errno)) throw thrown;
    }
  }
  return -1;
}

function unmount(mp: Mount): void {
  const im = VFSTOISO(mp);
  im.bufcache.purge(im.dev);
  mp.mnt_data = null;
}

function update(_mp: Mount, flags: number): void {
  if ((flags & MNT_RDONLY) === 0) throw errno(E.EROFS, 'cd9660: ISO 9660 volumes are only read');
}

function statvfs(mp: Mount, sbp: Statvfs): void {
  const { layout, bsize } = VFSTOISO(mp);
  sbp.f_bsize = sbp.f_frsize = sbp.f_iosize = bsize;
  sbp.f_blocks = layout.space_size;
  sbp.f_bfree = sbp.f_bavail = sbp.f_bresvd = 0;
  sbp.f_files = sbp.f_ffree = sbp.f_favail = 0;
  sbp.f_namemax = 255;
}

function loadvnode(mp: Mount, vp: Vnode, fileno: number): MaybePromise<void> {
  const im = VFSTOISO(mp);
  const fill = (node: IsoNode | null): void => {
    if (node === null) throw errno(E.ESTALE);
    vp.v_type = node.type;
    vp.v_isroot = node === im.root;
    vp.v_data = node;
    vp.v_op = iso_vnodeops;
  };
  const found = iso_bynumber(im, fileno);
  return found instanceof Promise ? found.then(fill) : fill(found);
}

function attributes(mp: Mount, fileno: number, vap: Vattr): MaybePromise<boolean> {
  const im = VFSTOISO(mp);
  const fill = (node: IsoNode | null): boolean => {
    if (node !== null) node.attributes(im, vap);
    return node !== null;
  };
  const found = iso_bynumber(im, fileno);
  return found instanceof Promise ? found.then(fill) : fill(found);
}

function vptofh(vp: Vnode): Fid {
  const node = VTOISO(vp);
  return { fid_ino: node.number, fid_gen: node.generation };
}

function fhtovp(mp: Mount, fid: Fid): MaybePromise<Vnode> {
  if (!Number.isSafeInteger(fid.fid_ino) || fid.fid_ino < 0) throw errno(E.ESTALE);
  const vp = mp.mnt_kernel.vcache_get(mp, fid.fid_ino);
  return vp instanceof Promise ? vp.then((v) => fresh(mp, fid, v)) : fresh(mp, fid, vp);
}

/** The record is the one that the handle was made of. */
function fresh(mp: Mount, fid: Fid, vp: Vnode): MaybePromise<Vnode> {
  if (VTOISO(vp).generation === fid.fid_gen) return vp;
  const released = mp.mnt_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw errno(E.ESTALE);
  return released.then(() => {
    throw errno(E.ESTALE);
  });
}

export const iso_vfsops: Vfsops = {
  vfs_name: 'cd9660',
  vfs_survives: 'buffers',
  mount,
  update,
  unmount,
  root: (mp) => mp.mnt_kernel.vcache_get(mp, VFSTOISO(mp).root_number),
  statvfs,
  sync() {},
  loadvnode,
  attributes,
  vptofh,
  fhtovp,
};
