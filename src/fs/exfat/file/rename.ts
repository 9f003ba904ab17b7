/** VOP_RENAME. */
import { E, errno } from '../../../kernel/errno.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Directory } from '../dir/directory.js';
import { DIRBLOCK_BYTES } from '../dir/directory.js';
import type { FileSet } from '../dir/fileset.js';
import { dir_enter, dir_leave, dir_renamed } from '../dir/modify.js';
import { ENTRY_BYTES } from '../disk/entry.js';
import { rank_after } from '../order/ranks.js';
import {
  directory_of, directory_touched, extra_chains, forget_name, grown, must_be_empty, set_of,
} from './names.js';
import type { ExfatNode } from './node.js';
import { VTOE, node_into } from './node.js';
import { node_must_be_good } from './read.js';
import { set_write } from './store.js';
import { Chain } from '../space/chain.js';
import { node_touch } from './times.js';

/** What a set that goes to another block is like: its turn, in which count of flushes it got that, and its entries. */
interface Turn {
  readonly turn: number;
  readonly epoch: number;
  readonly entries: number;
}

/**
 * The set goes to another block than that of the old name, and gets a turn of its own, once between two flushes: the
 * disk has names of no turn in between.
 */
function turn_on(node: ExfatNode, set: FileSet): Turn {
  const { em_order: order, em_options: options } = node.en_em;
  const { epoch } = order!;
  if (node.en_turned !== epoch) set.setturn(set.turn + 1, options.zone);
  set.sum();
  return { turn: set.turn, epoch, entries: set.count };
}

/** Where a file is from now on. */
async function moved(node: ExfatNode, dir: Directory, offset: number, { turn, epoch, entries }: Turn): Promise<void> {
  const { numbers } = node.en_em.em_where;
  node.en_accessed.setturn(turn, node.en_em.em_options.zone);
  node.en_turned = epoch;
  node.en_parent = dir;
  node.en_offset = offset;
  node.en_entries = entries;
  if (node.en_dir !== null) node.en_dir.parent = dir.number;
  const at = await dir.at(offset);
  numbers.moved(node.en_number, at / ENTRY_BYTES);
  // Notes whose cluster that is.
  node.en_em.em_where.numberOf(dir, offset, at);
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
  const { first } = node.en_chain;
  const twin = target !== null && first !== 0 && (await set_of(target)).firstcluster === first;
  if (target !== null && !twin) node_must_be_good(target);
  const order = em.em_order!;
  const wait = order.begin();
  if (wait) await wait;
  try {
    if (target?.isdir === true && !twin) await must_be_empty(target);
    node_touch(node, false);
    const set = await set_of(node);
    const oldkey = em.em_names.key(set.name());
    node_into(node, set);
    set.setname(units, em.em_names.hash(units));
    set.sum();
    if (target !== null && twin) await finish(node, from, oldkey, to, target, set);
    else if (target !== null) await replace(VTOE(tdvp), node, from, oldkey, to, target, set);
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
  const now = turn_on(node, set);
  const offset = await dir_enter(to, set, near, grown(todir));
  await leave(node, from, oldoffset, oldentries, oldkey, to, offset, now);
}

/** The new name is there: the old one goes, but not from the disk before the new one is on it. */
async function leave(
  node: ExfatNode, from: Directory, oldoffset: number, oldentries: number, oldkey: string, to: Directory,
  offset: number, now: Turn,
): Promise<void> {
  const { en_em: em } = node;
  const order = em.em_order!;
  // What the disk never knew it cannot lose.
  if (node.en_made !== order.epoch && !(await behind(from, oldoffset, to, offset, now.entries))) await order.reopen();
  from.movedout = order.epoch;
  await dir_leave(from, oldoffset, oldentries, oldkey);
  await moved(node, to, offset, now);
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

/**
 * The new name is there already, as a file of its own: a server was killed in the middle of the rename, which is asked
 * for again. What both have stays.
 */
async function finish(
  node: ExfatNode, from: Directory, oldkey: string, to: Directory, target: ExfatNode, set: FileSet,
): Promise<void> {
  const { en_em: em, en_offset: oldoffset, en_entries: oldentries } = node;
  const { en_offset: toffset, en_entries: tentries } = target;
  const now = turn_on(node, set);
  target.en_chain = new Chain(0, 0, false);
  target.en_dir = null;
  target.en_parent = null;
  target.en_removed = true;
  em.em_where.numbers.removed(target.en_number);
  if (now.entries === tentries) {
    const writing = set_write(to, toffset, set);
    if (writing) await writing;
  }
  await leave(node, from, oldoffset, oldentries, oldkey, to, toffset, { ...now, entries: tentries });
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
  const now = turn_on(node, set);
  if (now.entries === tentries && oneblock(toffset, tentries)) {
    const newkey = em.em_names.key(set.name());
    const writing = set_write(to, toffset, set);
    if (writing) await writing;
    dir_renamed(to, toffset, tkey, newkey);
    await forget_name(target, extra);
    await leave(node, from, oldoffset, oldentries, oldkey, to, toffset, now);
  } else {
    const offset = await dir_enter(to, set, -1, grown(todir));
    // The other file's name must not be gone before this one is there.
    await em.em_order!.reopen();
    await dir_leave(to, toffset, tentries, tkey);
    await forget_name(target, extra);
    await leave(node, from, oldoffset, oldentries, oldkey, to, offset, now);
  }
  if (target.isdir && to.index !== null) to.index.subdirs--;
}
