/** Operations that make, move and remove names. */
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VDIR, VNOVAL } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Directory } from '../dir/directory.js';
import { DIRBLOCK_BYTES } from '../dir/directory.js';
import { FileSet } from '../dir/fileset.js';
import type { Found } from '../dir/lookup.js';
import { dir_index, dir_readset } from '../dir/lookup.js';
import { cluster_clear, dir_enter, dir_leave, dir_renamed } from '../dir/modify.js';
import { FIRST_CLUSTER } from '../disk/boot.js';
import {
  ALLOCATION_POSSIBLE, ATTR_ARCHIVE, ATTR_DIRECTORY, ATTR_READONLY, ENTRY_BYTES, NO_FAT_CHAIN, S_DATA_LENGTH,
  S_FIRST_CLUSTER, S_FLAGS, get_length, name_entries,
} from '../disk/entry.js';
import { rank_after } from '../order/ranks.js';
import { chain_grow } from '../space/alloc.js';
import { Chain } from '../space/chain.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { ExfatNode } from './node.js';
import { VTOE, node_into, set_new_meta } from './node.js';
import { node_must_be_good } from './read.js';
import { node_store, set_write } from './store.js';
import { node_touch } from './times.js';

/** The directory of a vnode. @throws EIO it is damaged; ENOENT it has been removed */
export function directory_of(node: ExfatNode): Directory {
  node_must_be_good(node);
  if (node.en_removed || node.en_dir === null) throw errno(E.ENOENT);
  return node.en_dir;
}

/** The content of a directory has changed. */
async function directory_touched(node: ExfatNode): Promise<void> {
  if (!node_touch(node, true) || node.isroot) return;
  const stored = node_store(node);
  if (stored) await stored;
}

/** What is to be done when the directory has become longer. */
function grown(node: ExfatNode): () => MaybePromise<void> {
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
function extra_chains(em: ExfatMount, set: FileSet): Chain[] {
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
async function set_of(node: ExfatNode): Promise<FileSet> {
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
async function forgetName(node: ExfatNode, extra: readonly Chain[]): Promise<void> {
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
async function must_be_empty(node: ExfatNode): Promise<void> {
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
    await forgetName(node, extra_chains(em, set));
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

/** Where a file is from now on. */
async function moved(node: ExfatNode, dir: Directory, offset: number, entries: number): Promise<void> {
  const { numbers } = node.en_em.em_where;
  node.en_parent = dir;
  node.en_offset = offset;
  node.en_entries = entries;
  if (node.en_dir !== null) node.en_dir.parent = dir.number;
  const at = await dir.at(offset);
  node.en_em.em_where.numberOf(dir, offset, at);
  numbers.moved(node.en_number, at / ENTRY_BYTES);
}

/** Are both byte offsets in one block, which the disk writes as one? */
function oneblock(offset: number, entries: number): boolean {
  return (offset % DIRBLOCK_BYTES) + entries * ENTRY_BYTES <= DIRBLOCK_BYTES;
}

/**
 * VOP_RENAME. In place where the new set fits where the old one is, or where that of the replaced file is; else the new
 * name is on
 * the disk before the old one goes.
 * @throws ENOTEMPTY EINVAL EILSEQ ENAMETOOLONG ENOSPC EIO
 */
export async function rename_file(
  fdvp: Vnode, fvp: Vnode, tdvp: Vnode, tvp: Vnode | null, tname: string,
): Promise<void> {
  const node = VTOE(fvp);
  const { en_em: em } = node;
  const from = directory_of(VTOE(fdvp));
  const to = directory_of(VTOE(tdvp));
  const target = tvp === null || tvp === fvp ? null : VTOE(tvp);
  if (node.en_parent !== from || (target !== null && target.en_parent !== to)) throw errno(E.ENOENT);
  const units = em.em_names.newname(tname);
  node_must_be_good(node);
  if (target !== null) node_must_be_good(target);
  const order = em.em_order!;
  const wait = order.begin();
  if (wait) await wait;
  try {
    if (target?.isdir === true) await must_be_empty(target);
    node_touch(node, false);
    const set = await set_of(node);
    const oldkey = em.em_names.key(set.name());
    node_into(node, set);
    set.setname(units, em.em_names.hash(units));
    set.sum();
    if (target !== null) await replace(VTOE(tdvp), node, from, oldkey, to, target, set);
    else await move(VTOE(tdvp), node, from, oldkey, to, set);
    if (node.isdir && from !== to) {
      if (from.index !== null) from.index.subdirs--;
      if (to.index !== null) to.index.subdirs++;
    }
    await directory_touched(VTOE(fdvp));
    if (fdvp !== tdvp) await directory_touched(VTOE(tdvp));
  } finally {
    order.end();
  }
}

async function move(
  todir: ExfatNode, node: ExfatNode, from: Directory, oldkey: string, to: Directory, set: FileSet,
): Promise<void> {
  const { en_em: em, en_offset: oldoffset, en_entries: oldentries } = node;
  if (from === to && set.count === oldentries && oneblock(oldoffset, oldentries)) {
    const newkey = em.em_names.key(set.name());
    const writing = set_write(from, oldoffset, set);
    if (writing) await writing;
    dir_renamed(from, oldoffset, oldkey, newkey);
    return;
  }
  const near = from === to && oneblock(oldoffset, oldentries) ? oldoffset - (oldoffset % DIRBLOCK_BYTES) : -1;
  const { count } = set;
  const offset = await dir_enter(to, set, near, grown(todir));
  await leave(node, from, oldoffset, oldentries, oldkey, to, offset, count);
}

/** The new name is there: the old one goes, but not from the disk before the new one is on it. */
async function leave(
  node: ExfatNode, from: Directory, oldoffset: number, oldentries: number, oldkey: string, to: Directory,
  offset: number, count: number,
): Promise<void> {
  const { en_em: em } = node;
  const order = em.em_order!;
  // What the disk never knew it cannot lose.
  if (node.en_made !== order.epoch && !(await behind(from, oldoffset, to, offset, count))) await order.reopen();
  from.movedout = order.epoch;
  await dir_leave(from, oldoffset, oldentries, oldkey);
  await moved(node, to, offset, count);
}

/** Arranges for the blocks with the new set to be written before the block with the first entry of the old one. */
async function behind(
  from: Directory, oldoffset: number, to: Directory, offset: number, count: number,
): Promise<boolean> {
  // A directory that has grown is not known by its parent yet.
  if (to.grown === to.em.em_order!.epoch) return false;
  const { em_bufcache: cache } = to.em;
  const old = await from.block(oldoffset);
  try {
    for (let at = offset - (offset % DIRBLOCK_BYTES); at < offset + count * ENTRY_BYTES; at += DIRBLOCK_BYTES) {
      const bp = await to.block(at);
      const arranged = rank_after(bp, old);
      cache.brelse(bp);
      if (!arranged) return false;
    }
    return true;
  } finally {
    cache.brelse(old);
  }
}

/** The file takes the place of another one. */
async function replace(
  todir: ExfatNode, node: ExfatNode, from: Directory, oldkey: string, to: Directory, target: ExfatNode, set: FileSet,
): Promise<void> {
  const { en_em: em, en_offset: oldoffset, en_entries: oldentries } = node;
  const { en_offset: toffset, en_entries: tentries } = target;
  const told = await set_of(target);
  const tkey = em.em_names.key(told.name());
  const extra = extra_chains(em, told);
  const { count } = set;
  if (count === tentries && oneblock(toffset, tentries)) {
    const newkey = em.em_names.key(set.name());
    const writing = set_write(to, toffset, set);
    if (writing) await writing;
    dir_renamed(to, toffset, tkey, newkey);
    await forgetName(target, extra);
    await leave(node, from, oldoffset, oldentries, oldkey, to, toffset, count);
  } else {
    const offset = await dir_enter(to, set, -1, grown(todir));
    // The other file's name must not be gone before this one is there.
    await em.em_order!.reopen();
    await dir_leave(to, toffset, tentries, tkey);
    await forgetName(target, extra);
    await leave(node, from, oldoffset, oldentries, oldkey, to, offset, count);
  }
  if (target.isdir && to.index !== null) to.index.subdirs--;
}
