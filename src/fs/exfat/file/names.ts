/** Operations that make and remove names. */
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VDIR, VNOVAL } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Directory } from '../dir/directory.js';
import { FileSet } from '../dir/fileset.js';
import type { Found } from '../dir/lookup.js';
import { dir_index, dir_readset } from '../dir/lookup.js';
import { cluster_clear, dir_enter, dir_leave } from '../dir/modify.js';
import { FIRST_CLUSTER } from '../disk/boot.js';
import {
  ALLOCATION_POSSIBLE, ATTR_ARCHIVE, ATTR_DIRECTORY, ATTR_READONLY, ENTRY_BYTES, NO_FAT_CHAIN, S_DATA_LENGTH,
  S_FIRST_CLUSTER, S_FLAGS, get_length, name_entries,
} from '../disk/entry.js';
import { chain_grow } from '../space/alloc.js';
import { Chain } from '../space/chain.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { ExfatNode } from './node.js';
import { VTOE, set_new_meta } from './node.js';
import { node_must_be_good } from './read.js';
import { node_store } from './store.js';
import { node_touch } from './times.js';

/** The directory of a vnode. @throws EIO it is damaged; ENOENT it has been removed */
export function directory_of(node: ExfatNode): Directory {
  node_must_be_good(node);
  if (node.en_removed || node.en_dir === null) throw errno(E.ENOENT);
  return node.en_dir;
}

/** The content of a directory has changed. */
export async function directory_touched(node: ExfatNode): Promise<void> {
  if (!node_touch(node, true) || node.isroot) return;
  const stored = node_store(node);
  if (stored) await stored;
}

/** What is to be done when the directory has become longer. */
export function grown(node: ExfatNode): () => MaybePromise<void> {
  return () => {
    node.en_size = node.en_valid = node.en_dir!.bytes;
    return node.isroot ? undefined : node_store(node);
  };
}

async function place_at(dir: Directory, offset: number): Promise<number> {
  const at = dir.at(offset);
  return at instanceof Promise ? await at : at;
}

/** VOP_CREATE and VOP_MKDIR. @throws EINVAL EILSEQ ENAMETOOLONG by the name; ENOSPC EIO */
export async function make_file(dvp: Vnode, name: string, vap: Vattr, isdir: boolean): Promise<Vnode> {
  const parent = VTOE(dvp);
  const { en_em: em } = parent;
  const order = em.em_order!;
  const dir = directory_of(parent);
  const units = em.em_names.newname(name);
  const wait = order.begin();
  if (wait) await wait;
  try {
    const chain = new Chain(0, 0, false);
    const set = newset(em, units, isdir, vap);
    if (isdir) {
      await chain_grow(em, { chain, cut: -1 }, 1);
      await cluster_clear(em, chain.first);
      set.setstream(ALLOCATION_POSSIBLE | NO_FAT_CHAIN, chain.first, em.em_clbytes, em.em_clbytes);
    }
    set.sum();
    let offset: number;
    try {
      offset = await dir_enter(dir, set, -1, grown(parent));
    } catch (thrown) {
      if (isdir) await order.giveback(chain.first, chain.count);
      throw thrown;
    }
    if (isdir && dir.index !== null) dir.index.subdirs++;
    const at = await place_at(dir, offset);
    await directory_touched(parent);
    const vp = await em.em_kernel.vcache_get(em.em_mountp, em.em_where.numberOf(dir, offset, at));
    const node = VTOE(vp);
    node.en_made = order.epoch;
    if (node.en_dir !== null) node.en_dir.grown = order.epoch;
    return vp;
  } finally {
    order.end();
  }
}

function newset(em: ExfatMount, units: string, isdir: boolean, vap: Vattr): FileSet {
  const set = new FileSet();
  set.clear();
  set.setname(units, em.em_names.hash(units));
  const { fmask, zone } = em.em_options;
  const { sec, nsec } = em.em_kernel.now();
  const readonly = !isdir && vap.va_mode !== VNOVAL && (vap.va_mode & 0o222) === 0 && (fmask & 0o222) !== 0o222;
  set_new_meta(set, isdir ? ATTR_DIRECTORY : ATTR_ARCHIVE | (readonly ? ATTR_READONLY : 0), sec, nsec, zone);
  set.setstream(ALLOCATION_POSSIBLE, 0, 0, 0);
  return set;
}

/** What other entries of a set have allocated (vendors' extensions). */
export function extra_chains(em: ExfatMount, set: FileSet): Chain[] {
  const chains: Chain[] = [];
  for (let i = 2 + name_entries(set.namelength); i < set.count; i++) {
    const at = i * ENTRY_BYTES;
    const flags = set.bytes[at + S_FLAGS];
    const first = set.view.getUint32(at + S_FIRST_CLUSTER, true);
    const count = em.clustersof(get_length(set.view, at + S_DATA_LENGTH));
    const contiguous = (flags & NO_FAT_CHAIN) !== 0;
    if ((flags & ALLOCATION_POSSIBLE) === 0 || count === 0 || !em.iscluster(first)) continue;
    if (!(count <= em.em_clend - FIRST_CLUSTER)) continue;
    if (!contiguous || first + count <= em.em_clend) chains.push(new Chain(first, count, contiguous));
  }
  return chains;
}

/** The set of a file, in memory of its own. @throws EIO */
export async function set_of(node: ExfatNode): Promise<FileSet> {
  const reading = dir_readset(node.en_parent!, node.en_offset);
  // What it answers at once is memory that the next one who reads a set uses again.
  const found: Found | undefined = reading instanceof Promise ? await reading : reading;
  if (found === undefined) {
    throw node.en_em.em_damage.error(
      `directory ${node.en_parent!.number}, entry at ${node.en_offset}: not what it was`,
    );
  }
  const set = new FileSet();
  set.bytes.set(found.set.bytes);
  set.count = found.set.count;
  return set;
}

/** The file has no name any more: what it has is freed when nobody uses it. */
export async function forget_name(node: ExfatNode, extra: readonly Chain[]): Promise<void> {
  const { en_em: em, en_dir: dir } = node;
  const order = em.em_order!;
  node.en_parent = null;
  node.en_removed = true;
  node_touch(node, false);
  em.em_where.numbers.removed(node.en_number);
  if (dir !== null) {
    dir.dead = true;
    if (dir.index !== null) em.em_indexes.remove(dir.index);
    dir.index = null;
    em.em_where.forget(dir);
  }
  order.orphaned(node);
  for (const chain of extra) await order.freechain(chain, 0);
}

/** @throws ENOTEMPTY */
export async function must_be_empty(node: ExfatNode): Promise<void> {
  const index = await dir_index(directory_of(node));
  if (index.live > 0) throw errno(E.ENOTEMPTY);
  // Where files have been moved to must be on the disk before the directory is gone from it.
  if (node.en_dir!.movedout === node.en_em.em_order!.epoch) await node.en_em.em_order!.reopen();
}

/** VOP_REMOVE and VOP_RMDIR. @throws ENOTEMPTY EIO */
export async function remove_file(dvp: Vnode, vp: Vnode): Promise<void> {
  const parent = VTOE(dvp);
  const node = VTOE(vp);
  const { en_em: em } = parent;
  const dir = directory_of(parent);
  if (node.en_parent !== dir) throw errno(E.ENOENT);
  // What it has cannot be freed, or would be somebody else's.
  node_must_be_good(node);
  const order = em.em_order!;
  const wait = order.begin();
  if (wait) await wait;
  try {
    if (vp.v_type === VDIR) await must_be_empty(node);
    const set = await set_of(node);
    await dir_leave(dir, node.en_offset, node.en_entries, em.em_names.key(set.name()));
    if (vp.v_type === VDIR && dir.index !== null) dir.index.subdirs--;
    await forget_name(node, extra_chains(em, set));
    await directory_touched(parent);
  } finally {
    order.end();
  }
}

/** The last reference to a file without a name has gone: what it had becomes free. */
export async function file_gone(node: ExfatNode): Promise<void> {
  const { en_em: em } = node;
  const order = em.em_order;
  if (order === null || order.orphan(node.en_number) !== node) return;
  const wait = order.begin();
  try {
    if (wait) await wait;
  } catch {
    return; // nothing is changed any more
  }
  try {
    if (node.isdir) for (let at = 0; at < node.en_chain.count; at++) {
      const run = await node.en_chain.run(em, at, node.en_chain.count - at);
      em.em_bufcache.binval(em.em_dev, em.clusterat(run.cluster), run.count * em.em_clbytes);
      at += run.count - 1;
    }
    await order.freechain(node.en_chain, 0);
  } finally {
    order.unorphaned(node);
    order.end();
  }
}
