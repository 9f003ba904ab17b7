import { E, errno } from '../../kernel/errno.js';
import type { Component } from '../../kernel/rump.js';
import type { Mount } from '../../kernel/vfs/mount.js';
import type { Vfsops } from '../../kernel/vfs/vfsops.js';
import type { ZeroNode } from './node.js';
import { ZeroMount, parseOptions } from './volume.js';
import { attributesOf, zerofs_vnodeops } from './vnops.js';

const BLOCK_BYTES = 4096;
/** What statvfs claims; there is no limit. Blocks. */
const BLOCKS = 2 ** 30;

function volumeOf(mp: Mount): ZeroMount {
  return mp.mnt_data as ZeroMount;
}

const zerofs_vfsops: Vfsops = {
  vfs_name: 'zerofs',

  mount(mp, args) {
    mp.mnt_data = new ZeroMount(mp, parseOptions(args.options));
  },
  update() {},
  unmount(mp) {
    mp.mnt_data = null;
  },
  root: (mp) => mp.mnt_kernel.vcache_get(mp, volumeOf(mp).root.id),

  statvfs(mp, sbp) {
    sbp.f_bsize = BLOCK_BYTES;
    sbp.f_frsize = BLOCK_BYTES;
    sbp.f_iosize = BLOCK_BYTES;
    sbp.f_blocks = sbp.f_bfree = sbp.f_bavail = BLOCKS;
    sbp.f_bresvd = 0;
    sbp.f_ffree = sbp.f_favail = BLOCKS;
    sbp.f_files = BLOCKS + volumeOf(mp).nodes.size;
  },
  sync() {},

  loadvnode(mp, vp, key) {
    const node = volumeOf(mp).nodes.get(key);
    if (node === undefined) throw errno(E.ESTALE);
    vp.v_type = node.type;
    vp.v_op = zerofs_vnodeops;
    vp.v_data = node;
    vp.v_isroot = node === volumeOf(mp).root;
  },
  attributes(mp, fileno, vap) {
    const node = volumeOf(mp).nodes.get(fileno);
    if (node !== undefined) attributesOf(mp, node, vap);
    return node !== undefined;
  },
  vptofh: (vp) => ({ fid_ino: (vp.v_data as ZeroNode).id, fid_gen: 1 }),
  fhtovp(mp, fid) {
    if (!volumeOf(mp).nodes.has(fid.fid_ino)) throw errno(E.ESTALE);
    return mp.mnt_kernel.vcache_get(mp, fid.fid_ino);
  },
};

/** The null file system, for measuring everything but a file system. */
export const zerofs: Component = { name: 'zerofs', vfsops: zerofs_vfsops };
