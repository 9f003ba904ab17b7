import { E, errno } from '../../kernel/errno.js';
import type { Fid, Statvfs } from '../../kernel/stat.js';
import type { Mount } from '../../kernel/vfs/mount.js';
import type { Vfsops } from '../../kernel/vfs/vfsops.js';
import type { Vnode } from '../../kernel/vfs/vnode.js';
import type { TmpfsNode } from './node.js';
import { parseOptions, withDefaults } from './options.js';
import { GRAIN_BYTES, PAGE_BYTES } from './pages.js';
import { tmpfs_vnodeops } from './vnops.js';
import { TmpfsMount } from './volume.js';

function volumeOf(mp: Mount): TmpfsMount {
  return mp.mnt_data as TmpfsMount;
}

export const tmpfs_vfsops: Vfsops = {
  vfs_name: 'tmpfs',

  mount(mp, args) {
    mp.mnt_data = new TmpfsMount(mp, withDefaults(parseOptions(args.options)));
  },

  /** Limits may change while mounted, to what is in use at the least. The root directory's mode and owner stay. */
  update(mp, _flags, args) {
    const volume = volumeOf(mp);
    const options = parseOptions(args.options);
    const size_bytes = options.size_bytes ?? volume.size_bytes;
    const nodes = options.nodes ?? volume.nodes_max;
    if (size_bytes < volume.used_bytes || nodes < volume.nodes.size) {
      throw errno(
        E.EBUSY,
        `tmpfs: ${volume.used_bytes} bytes and ${volume.nodes.size} files are in use, the limits cannot be lower`,
      );
    }
    volume.size_bytes = size_bytes;
    volume.nodes_max = nodes;
  },

  unmount(mp) {
    mp.mnt_data = null;
  },

  root(mp) {
    return mp.mnt_kernel.vcache_get(mp, volumeOf(mp).root.tn_id);
  },

  statvfs(mp: Mount, sbp: Statvfs) {
    const volume = volumeOf(mp);
    sbp.f_bsize = GRAIN_BYTES;
    sbp.f_frsize = GRAIN_BYTES;
    sbp.f_iosize = PAGE_BYTES;
    sbp.f_blocks = Math.floor(volume.size_bytes / GRAIN_BYTES);
    sbp.f_bfree = Math.floor(volume.available_bytes / GRAIN_BYTES);
    sbp.f_bavail = sbp.f_bfree;
    sbp.f_bresvd = 0;
    sbp.f_files = volume.nodes_max;
    sbp.f_ffree = Math.max(0, volume.nodes_max - volume.nodes.size);
    sbp.f_favail = sbp.f_ffree;
  },

  /** Memory is all there is. */
  sync() {},

  loadvnode(mp: Mount, vp: Vnode, key: number) {
    const volume = volumeOf(mp);
    const node = volume.nodes.get(key);
    if (node === undefined) throw errno(E.ESTALE);
    vp.v_type = node.tn_type;
    vp.v_op = tmpfs_vnodeops;
    vp.v_data = node;
    vp.v_isroot = node === volume.root;
  },

  vptofh(vp: Vnode): Fid {
    const node = vp.v_data as TmpfsNode;
    return { fid_ino: node.tn_id, fid_gen: node.tn_gen };
  },

  fhtovp(mp: Mount, fid: Fid) {
    const node = volumeOf(mp).nodes.get(fid.fid_ino);
    if (node === undefined || node.tn_gen !== fid.fid_gen) throw errno(E.ESTALE);
    return mp.mnt_kernel.vcache_get(mp, node.tn_id);
  },
};
