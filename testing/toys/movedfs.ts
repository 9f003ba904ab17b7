import { E, errno } from '../../src/kernel/errno.js';
import type { TmpfsNode } from '../../src/fs/tmpfs/node.js';
import type { Component } from '../../src/kernel/rump.js';
import type { Mount } from '../../src/kernel/vfs/mount.js';
import type { Vnode } from '../../src/kernel/vfs/vnode.js';
import type { MaybePromise } from '../../src/kernel/rumpuser/rumpuser.js';
import { overTmpfs } from './wrap.js';

/** Where the entries of files lie that have been renamed: places that no file was called by before. */
const FIRST_PLACE = 2 ** 33;
let place = FIRST_PLACE;
/** File number by place, and the other way round. */
const files = new Map<number, number>();
const places = new Map<number, number>();

/** The vnode of a file of the memory file system, by the place of its entry. */
function at(mp: Mount, fileno: number): MaybePromise<Vnode> {
  return mp.mnt_kernel.vcache_get(mp, places.get(fileno) ?? fileno);
}

export const movedfs: Component = {
  name: 'movedfs',
  vfsops: overTmpfs('movedfs', {}, (inner, mp) => ({
    lookup(dvp, name): MaybePromise<Vnode | null> {
      const dir = dvp.v_data as TmpfsNode;
      const node = name === '..' ? dir.tn_parent : dir.tn_dir?.get(name)?.node;
      return node === null || node === undefined ? null : at(mp, node.tn_id);
    },
    async rename(fdvp, fvp, fname, tdvp, tvp, tname, ctx) {
      await inner.rename(fdvp, fvp, fname, tdvp, tvp, tname, ctx);
      const fileno = (fvp.v_data as TmpfsNode).tn_id;
      files.delete(fvp.v_key);
      mp.mnt_kernel.vcache_rekey(fvp, ++place);
      files.set(place, fileno);
      places.set(fileno, place);
    },
  }), {
    async fhtovp(mp, fid) {
      const vp = await at(mp, fid.fid_ino);
      if ((vp.v_data as TmpfsNode).tn_gen === fid.fid_gen) return vp;
      await mp.mnt_kernel.vrele(vp);
      throw errno(E.ESTALE);
    },
  }, (key) => files.get(key) ?? key),
};
