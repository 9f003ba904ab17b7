import { E, errno } from '../../../kernel/errno.js';
import { KERNEL_CONTEXT } from '../../../kernel/context.js';
import {
  EXT_ENTRY, EXT_HEADER, EXT_INIT_MAX_LEN, EXT_MAX_DEPTH, ee_block, ee_len, ee_put, ee_start, eh_depth,
  eh_entries, eh_max, eh_put, eh_putentries, eh_room, ei_leaf, ei_put,
} from '../disk/extent.js';
import { BK_NEW } from '../order/ordering.js';
import { SEAL_EXTENTS } from '../order/seals.js';
import { ext2_alloc } from '../space/balloc.js';
import { BLOCK_EXTENT } from '../volume/verified.js';
import { WRITE } from '../volume/transact.js';
import { ext_dirty, ext_nextleaf, ext_path, ext_rekey, ext_release } from './extpath.js';
import type { Step } from './extpath.js';
import type { Inode } from './inode.js';

/** Changes of extent trees, after Linux fs/ext4/extents.c. All inside operations; the caller stores the inode. */

const ROOT_ENTRIES = 4;
/** An unwritten extent has one block less: 32768 means a written one. */
const UNWRITTEN_MAX_LEN = EXT_INIT_MAX_LEN - 1;

/** Consecutive blocks of a file and where they lie. */
export interface Extent {
  readonly lbn: number;
  readonly count: number;
  readonly block: number;
  readonly unwritten: boolean;
}

/** An empty tree. */
export function ext_clear(ip: Inode): void {
  ip.i_block.fill(0);
  eh_put(ip.i_blockview, 0, 0, ROOT_ENTRIES, 0);
}

function entry(view: DataView, i: number): Extent {
  const length = ee_len(view, 0, i);
  const unwritten = length > EXT_INIT_MAX_LEN;
  return {
    lbn: ee_block(view, 0, i), count: unwritten ? length - EXT_INIT_MAX_LEN : length, block: ee_start(view, 0, i),
    unwritten,
  };
}

function put(view: DataView, i: number, { lbn, count, block, unwritten }: Extent): void {
  ee_put(view, 0, i, lbn, unwritten ? count + EXT_INIT_MAX_LEN : count, block);
}

function most(unwritten: boolean): number {
  return unwritten ? UNWRITTEN_MAX_LEN : EXT_INIT_MAX_LEN;
}

/** Moves entries from..end-1 of a node by `by` places. */
function shift(view: DataView, from: number, by: number): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const start = EXT_HEADER + from * EXT_ENTRY;
  const end = EXT_HEADER + eh_entries(view, 0) * EXT_ENTRY;
  bytes.copyWithin(start + by * EXT_ENTRY, start, end);
  eh_putentries(view, 0, eh_entries(view, 0) + by);
  if (by < 0) bytes.fill(0, end + by * EXT_ENTRY, end);
}

/** Does `b` go on where `a` ends, in the file and on the disk, so that both are one extent? */
function joins(a: Extent, b: Extent): boolean {
  return (
    a.unwritten === b.unwritten && a.lbn + a.count === b.lbn && a.block + a.count === b.block &&
    a.count + b.count <= most(a.unwritten)
  );
}

/** Adds blocks where the file has none. @throws ENOSPC for a node; the tree is then as before, but maybe deeper; EIO */
export async function ext_insert(ip: Inode, extent: Extent): Promise<void> {
  for (let rest = extent; rest.count > 0; ) {
    const count = Math.min(rest.count, most(rest.unwritten));
    await insertone(ip, { ...rest, count });
    rest = { ...rest, lbn: rest.lbn + count, block: rest.block + count, count: rest.count - count };
  }
}

async function insertone(ip: Inode, extent: Extent): Promise<void> {
  // Each turn makes the tree deeper or splits a node: a tree has six levels at most.
  for (let turns = 0; turns < 4 * EXT_MAX_DEPTH; turns++) {
    const path = await ext_path(ip, extent.lbn);
    try {
      if (enter(ip, path, extent)) return;
      await makeroom(ip, path);
    } finally {
      ext_release(ip, path);
    }
  }
  throw ip.i_em.em_damage.error(`inode ${ip.i_number}: extent tree: no room for another extent`);
}

/** False: the leaf is full. */
function enter(ip: Inode, path: readonly Step[], extent: Extent): boolean {
  const leaf = path[path.length - 1];
  const { view, i } = leaf;
  const entries = eh_entries(view, 0);
  const before = i >= 0 ? entry(view, i) : null;
  const behind = i + 1 < entries ? entry(view, i + 1) : null;
  if (before !== null && joins(before, extent)) {
    const joined = { ...before, count: before.count + extent.count };
    if (behind !== null && joins(joined, behind)) {
      put(view, i, { ...joined, count: joined.count + behind.count });
      shift(view, i + 2, -1);
    } else put(view, i, joined);
    ext_dirty(ip, leaf);
    return true;
  }
  if (behind !== null && joins(extent, behind)) {
    put(view, i + 1, { ...extent, count: extent.count + behind.count });
  } else {
    if (entries >= eh_max(view, 0)) return false;
    shift(view, i + 1, 1);
    put(view, i + 1, extent);
  }
  ext_dirty(ip, leaf);
  if (i + 1 === 0) ext_rekey(ip, path, path.length - 1);
  return true;
}

/** A block for a node, filled with zeros, referenced. @throws ENOSPC EIO */
async function newnode(ip: Inode, path: readonly Step[]): Promise<Step & { readonly block: number }> {
  const { i_em: em, i_fs: fs } = ip;
  const state = WRITE(em);
  const near = path[path.length - 1].bp;
  const goal = near === null ? em.groupgoal(ip.i_number) : near.b_offset / fs.bsize + 1;
  const got = ext2_alloc(state, goal, 1, KERNEL_CONTEXT);
  const { block, count } = got instanceof Promise ? await got : got;
  ip.i_blocks += (count * fs.bsize) / 512;
  const bp = em.em_bufcache.getblk(em.em_dev, block * fs.bsize, fs.bsize);
  bp.b_data.fill(0);
  bp.b_private = ip.i_number * 8 + BLOCK_EXTENT;
  state.order.dirty(bp, BK_NEW);
  state.seals.mark(bp, SEAL_EXTENTS, ip.csum_seed);
  return { bp, view: bp.b_view, i: 0, block };
}

/** Splits the highest full node above the leaf, or makes the tree deeper. */
async function makeroom(ip: Inode, path: readonly Step[]): Promise<void> {
  let level = path.length - 1;
  while (level >= 0 && eh_entries(path[level].view, 0) >= eh_max(path[level].view, 0)) level--;
  if (level < 0) return deepen(ip, path);
  if (level + 1 < path.length) return split(ip, path, level);
}

/** Splits the node below the one at `level`, which has room. */
async function split(ip: Inode, path: readonly Step[], level: number): Promise<void> {
  const above = path[level];
  const full = path[level + 1];
  const entries = eh_entries(full.view, 0);
  const node = await newnode(ip, path);
  // What grows at its end leaves full nodes behind.
  const from = full.i === entries - 1 ? entries - 1 : entries >> 1;
  const moved = entries - from;
  eh_put(node.view, 0, moved, eh_room(ip.i_fs.bsize), eh_depth(full.view, 0));
  const bytes = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const start = EXT_HEADER + from * EXT_ENTRY;
  bytes(node.view).set(bytes(full.view).subarray(start, start + moved * EXT_ENTRY), EXT_HEADER);
  bytes(full.view).fill(0, start, start + moved * EXT_ENTRY);
  eh_putentries(full.view, 0, from);
  shift(above.view, above.i + 1, 1);
  ei_put(above.view, 0, above.i + 1, ee_block(node.view, 0, 0), node.block);
  ext_dirty(ip, full);
  ext_dirty(ip, above);
  ext_release(ip, [node]);
}

/** What the root has moves into a block of its own. */
async function deepen(ip: Inode, path: readonly Step[]): Promise<void> {
  const root = ip.i_blockview;
  const depth = eh_depth(root, 0);
  if (depth >= EXT_MAX_DEPTH) throw errno(E.EFBIG, `inode ${ip.i_number}: too many extents`);
  const node = await newnode(ip, path);
  const entries = eh_entries(root, 0);
  eh_put(node.view, 0, entries, eh_room(ip.i_fs.bsize), depth);
  const to = new Uint8Array(node.view.buffer, node.view.byteOffset, node.view.byteLength);
  to.set(ip.i_block.subarray(EXT_HEADER, EXT_HEADER + entries * EXT_ENTRY), EXT_HEADER);
  ip.i_block.fill(0);
  eh_put(root, 0, 1, ROOT_ENTRIES, depth + 1);
  ei_put(root, 0, 0, ee_block(node.view, 0, 0), node.block);
  ext_release(ip, [node]);
}

/** Takes what is taken away. */
export type Taken = (extent: Extent) => void;
export type FreeNode = (block: number) => void;

/**
 * Takes blocks from..to-1 away from the file. `node`: a node that is not needed any more.
 * @throws ENOSPC where an extent falls into two and the second has no room; nothing more has been taken then; EIO
 */
export async function ext_remove(ip: Inode, from: number, to: number, taken: Taken, node: FreeNode): Promise<void> {
  for (let lbn = from; lbn < to; ) {
    const path = await ext_path(ip, lbn);
    try {
      const leaf = path[path.length - 1];
      const { view, i } = leaf;
      const e = i >= 0 ? entry(view, i) : null;
      if (e === null || e.lbn + e.count <= lbn) {
        lbn = i + 1 < eh_entries(view, 0) ? ee_block(view, 0, i + 1) : ext_nextleaf(path);
        continue;
      }
      const end = e.lbn + e.count;
      const stop = Math.min(end, to);
      if (lbn > e.lbn && stop < end && eh_entries(view, 0) >= eh_max(view, 0)) {
        await makeroom(ip, path);
        continue;
      }
      cut(ip, path, e, lbn, stop, node);
      taken({ lbn, count: stop - lbn, block: e.block + lbn - e.lbn, unwritten: e.unwritten });
      lbn = stop;
    } finally {
      ext_release(ip, path);
    }
  }
  await flatten(ip, node);
}

/** Takes blocks lbn..stop-1 out of the extent `e`, to which the path leads. */
function cut(ip: Inode, path: Step[], e: Extent, lbn: number, stop: number, node: FreeNode): void {
  const leaf = path[path.length - 1];
  const { view, i } = leaf;
  const end = e.lbn + e.count;
  const tail = { ...e, lbn: stop, count: end - stop, block: e.block + stop - e.lbn };
  if (lbn > e.lbn) {
    put(view, i, { ...e, count: lbn - e.lbn });
    if (tail.count > 0) {
      shift(view, i + 1, 1);
      put(view, i + 1, tail);
    }
    ext_dirty(ip, leaf);
    return;
  }
  if (tail.count > 0) put(view, i, tail);
  else shift(view, i + 1, -1);
  ext_dirty(ip, leaf);
  if (eh_entries(view, 0) === 0) prune(ip, path, node);
  else if (i === 0) ext_rekey(ip, path, path.length - 1);
}

/** The leaf at the end of the path is empty: it goes, and what becomes empty above it. */
function prune(ip: Inode, path: Step[], node: FreeNode): void {
  for (let level = path.length - 1; level > 0; level--) {
    if (eh_entries(path[level].view, 0) > 0) return;
    const above = path[level - 1];
    const block = ei_leaf(above.view, 0, above.i);
    shift(above.view, above.i + 1, -1);
    ext_dirty(ip, above);
    freenode(ip, block, node);
    if (eh_entries(above.view, 0) > 0) {
      if (above.i === 0) ext_rekey(ip, path, level - 1);
      return;
    }
  }
  eh_put(ip.i_blockview, 0, 0, ROOT_ENTRIES, 0);
}

function freenode(ip: Inode, block: number, node: FreeNode): void {
  ip.i_blocks = Math.max(0, ip.i_blocks - (ip.i_fs.clusterblocks * ip.i_fs.bsize) / 512);
  node(block);
}

/** A tree whose only child of the root has no more entries than fit into the root becomes less deep. */
async function flatten(ip: Inode, node: FreeNode): Promise<void> {
  const root = ip.i_blockview;
  while (eh_depth(root, 0) > 0 && eh_entries(root, 0) === 1) {
    const path = await ext_path(ip, 0);
    try {
      const child = path[1];
      const entries = eh_entries(child.view, 0);
      if (entries > ROOT_ENTRIES) return;
      const block = ei_leaf(root, 0, 0);
      const bytes = new Uint8Array(child.view.buffer, child.view.byteOffset, child.view.byteLength);
      ip.i_block.fill(0);
      ip.i_block.set(bytes.subarray(0, EXT_HEADER + entries * EXT_ENTRY));
      eh_put(root, 0, entries, ROOT_ENTRIES, eh_depth(child.view, 0));
      freenode(ip, block, node);
    } finally {
      ext_release(ip, path);
    }
  }
}

/**
 * Blocks lbn..lbn+count-1, of one unwritten extent, have been written. @throws ENOSPC for a node: nothing has changed
 * then; EIO
 */
export async function ext_written(ip: Inode, lbn: number, count: number, block: number): Promise<void> {
  // The extent may fall into three: room for that is made first.
  for (let turns = 0; turns < 4 * EXT_MAX_DEPTH; turns++) {
    const path = await ext_path(ip, lbn);
    try {
      const { view } = path[path.length - 1];
      if (eh_entries(view, 0) + 2 <= eh_max(view, 0)) break;
      await widen(ip, path);
    } finally {
      ext_release(ip, path);
    }
  }
  const none = (): void => {};
  await ext_remove(ip, lbn, lbn + count, none, (b) => WRITE(ip.i_em).freenode(ip, b));
  await ext_insert(ip, { lbn, count, block, unwritten: false });
}

/** Splits the leaf although there is room for one entry in it. */
async function widen(ip: Inode, path: readonly Step[]): Promise<void> {
  if (path.length === 1) return deepen(ip, path);
  const parent = path[path.length - 2];
  if (eh_entries(parent.view, 0) >= eh_max(parent.view, 0)) return makeroom(ip, path.slice(0, -1));
  return split(ip, path, path.length - 2);
}
