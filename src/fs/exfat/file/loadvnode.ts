import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { VDIR, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Found } from '../dir/lookup.js';
import { dir_readset } from '../dir/lookup.js';
import { ATTR_DIRECTORY } from '../disk/entry.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import { VFSTOEXFAT } from '../volume/exfatmount.js';
import { ROOT_NUMBER } from '../volume/whereabouts.js';
import { ExfatNode, node_of } from './node.js';
import { exfat_vnodeops } from './vnops.js';

function root_node(em: ExfatMount): ExfatNode {
  const node = new ExfatNode(em, ROOT_NUMBER);
  const { root } = em.em_where;
  node.en_attributes = ATTR_DIRECTORY;
  node.en_dir = root;
  node.en_chain = root.chain;
  node.en_size = node.en_valid = root.bytes;
  // The root has no entry that would keep them.
  const { sec, nsec } = em.em_kernel.now();
  node.en_created.set(sec, nsec, em.em_options.zone);
  node.en_modified.set(sec, nsec, em.em_options.zone);
  node.en_accessed.setaccess(sec, em.em_options.zone);
  node.en_ctime = sec;
  return node;
}

/** VFS_LOADVNODE. @throws ESTALE EIO */
export function exfat_loadvnode(mp: Mount, vp: Vnode, key: number): MaybePromise<void> {
  const em = VFSTOEXFAT(mp);
  if (key === ROOT_NUMBER) return loaded(vp, root_node(em));
  const orphan = em.em_order?.orphan(key);
  if (orphan !== undefined) return loaded(vp, orphan);
  const place = em.em_where.locate(key);
  const read = (p: Awaited<typeof place>): MaybePromise<void> => {
    if (p === undefined) throw errno(E.ESTALE);
    const found = dir_readset(p.dir, p.offset);
    const take = (f: Found | undefined): void => {
      if (f === undefined) throw errno(E.ESTALE);
      loaded(vp, node_of(em, key, p.dir, f));
    };
    return found instanceof Promise ? found.then(take) : take(found);
  };
  return place instanceof Promise ? place.then(read) : read(place);
}

function loaded(vp: Vnode, node: ExfatNode): void {
  vp.v_data = node;
  vp.v_type = node.isdir ? VDIR : VREG;
  vp.v_op = exfat_vnodeops;
  vp.v_isroot = node.isroot;
}
