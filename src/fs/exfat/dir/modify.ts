import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { ENTRY_BYTES, IN_USE, T_END, T_NAME } from '../disk/entry.js';
import { rank_after } from '../order/ranks.js';
import { chain_grow } from '../space/alloc.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { DirIndex } from './dirindex.js';
import { name_key_hash, unused_row } from './dirindex.js';
import type { Directory } from './directory.js';
import { DIRBLOCK_BYTES, DIRBLOCK_ENTRIES } from './directory.js';
import type { FileSet } from './fileset.js';
import { dir_index } from './lookup.js';

/** An entry that is not in use and does not end the directory. */
const UNUSED = T_NAME & ~IN_USE;
const ZEROS_BYTES = 1 << 20;
let zeros: Uint8Array | undefined;

/** Makes a cluster of a directory read as zeros, and forgets what was cached of it. */
export async function cluster_clear(em: ExfatMount, cluster: number): Promise<void> {
  const from = (zeros ??= new Uint8Array(ZEROS_BYTES));
  const at = em.clusterat(cluster);
  em.em_bufcache.binval(em.em_dev, at, em.em_clbytes);
  em.em_order!.wrote();
  for (let done = 0; done < em.em_clbytes; done += from.length) {
    await em.em_dev.write(from, 0, Math.min(from.length, em.em_clbytes - done), at + done);
  }
}

/** Stores the set of a directory that has become longer. */
export type Grown = () => MaybePromise<void>;

/**
 * Writes a set where there is room for it: in one block if it fits in one, so that a disk has all of it or nothing.
 * @param near byte offset of a block that is to be preferred; -1: none
 * @param grown called when the directory has become longer
 * @returns the byte offset of its first entry
 * @throws ENOSPC the volume is full, or the directory as large as one can be; EIO
 */
export async function dir_enter(dir: Directory, set: FileSet, near: number, grown: Grown): Promise<number> {
  const { em } = dir;
  const got = dir_index(dir);
  const index = got instanceof Promise ? await got : got;
  // The set is the caller's scratch memory: nothing else is asked for before it is copied.
  const bytes = set.bytes.slice(0, set.count * ENTRY_BYTES);
  const hash = name_key_hash(em.em_names.key(set.name()));
  const offset = (await inside(dir, index, bytes, near)) ?? (await atend(dir, index, bytes, grown));
  index.add(hash, offset);
  return offset;
}

/** Where entries that are not in use make room. */
async function inside(dir: Directory, index: DirIndex, bytes: Uint8Array, near: number): Promise<number | undefined> {
  const n = bytes.length / ENTRY_BYTES;
  if (n > DIRBLOCK_ENTRIES) return undefined;
  if (near >= 0) {
    const offset = await intoblock(dir, index, bytes, near);
    if (offset !== undefined) return offset;
  }
  const base = index.roomy(n);
  return base < 0 ? undefined : intoblock(dir, index, bytes, base);
}

async function intoblock(
  dir: Directory, index: DirIndex, bytes: Uint8Array, base: number,
): Promise<number | undefined> {
  const got = dir.block(base);
  const bp = got instanceof Promise ? await got : got;
  try {
    const into = unused_row(bp.b_data, bytes.length / ENTRY_BYTES, Math.min(DIRBLOCK_BYTES, index.end - base));
    if (into < 0) {
      index.look(bp.b_data, base);
      return undefined;
    }
    bp.b_data.set(bytes, into);
    dir.em.em_order!.entries(bp);
    index.look(bp.b_data, base);
    return base + into;
  } finally {
    dir.em.em_bufcache.brelse(bp);
  }
}

/** Behind everything else. */
async function atend(dir: Directory, index: DirIndex, bytes: Uint8Array, grown: Grown): Promise<number> {
  const short = bytes.length <= DIRBLOCK_BYTES;
  const used = index.end % DIRBLOCK_BYTES;
  const offset = short && used + bytes.length > DIRBLOCK_BYTES ? index.end - used + DIRBLOCK_BYTES : index.end;
  if (offset + bytes.length > dir.bytes) {
    await grow(dir, grown);
    return atend(dir, index, bytes, grown);
  }
  const behind = offset + bytes.length;
  // What follows must end the directory; in old directories there may be anything.
  if (behind < dir.bytes) {
    await put(dir, behind, (bp, into) => bp.b_data[into] !== T_END && (bp.b_data[into] = T_END) === T_END);
  }
  const blocks: Buf[] = [];
  try {
    for (let at = offset - (offset % DIRBLOCK_BYTES); at < behind; at += DIRBLOCK_BYTES) {
      const got = dir.block(at);
      blocks.push(got instanceof Promise ? await got : got);
    }
    // The first entry must not be on the disk before the others.
    for (let i = blocks.length - 1; i > 0; i--) {
      if (!rank_after(blocks[i], blocks[i - 1])) await dir.em.em_order!.reopen();
    }
    for (let done = 0, i = 0; done < bytes.length; i++) {
      const into = (offset + done) % DIRBLOCK_BYTES;
      const n = Math.min(bytes.length - done, DIRBLOCK_BYTES - into);
      blocks[i].b_data.set(bytes.subarray(done, done + n), into);
      dir.em.em_order!.entries(blocks[i]);
      done += n;
    }
    const from = index.end;
    index.end = behind;
    for (let i = 0; i < blocks.length; i++) {
      index.look(blocks[i].b_data, offset - (offset % DIRBLOCK_BYTES) + i * DIRBLOCK_BYTES);
    }
    if (from < offset) await skip(dir, index, from);
  } finally {
    for (const bp of blocks) dir.em.em_bufcache.brelse(bp);
  }
  return offset;
}

/** Entries from byte `from` to the end of their block end the directory no more. */
async function skip(dir: Directory, index: DirIndex, from: number): Promise<void> {
  await put(dir, from, (bp, into) => {
    for (let at = into; at < DIRBLOCK_BYTES; at += ENTRY_BYTES) {
      bp.b_data.fill(0, at, at + ENTRY_BYTES);
      bp.b_data[at] = UNUSED;
    }
    index.look(bp.b_data, from - into);
    return true;
  });
}

/** Changes the block with byte `offset`; `change` says whether it has. */
async function put(dir: Directory, offset: number, change: (bp: Buf, into: number) => boolean): Promise<void> {
  const got = dir.block(offset);
  const bp = got instanceof Promise ? await got : got;
  if (change(bp, offset % DIRBLOCK_BYTES)) dir.em.em_order!.entries(bp);
  dir.em.em_bufcache.brelse(bp);
}

/** One cluster more. */
async function grow(dir: Directory, grown: Grown): Promise<void> {
  const { em, chain } = dir;
  const order = em.em_order!;
  if (chain.count >= em.em_dirclusters) {
    throw errno(E.ENOSPC, `directory ${dir.number} has ${dir.bytes} bytes: no directory can be larger`);
  }
  await chain_grow(em, { chain, cut: -1 }, 1);
  const run = await chain.run(em, chain.count - 1, 1);
  await cluster_clear(em, run.cluster);
  if (dir === em.em_where.root) {
    em.em_system.add(run.cluster);
    // The root is as long as its chain: what the chain leads to must be there before.
    await em.em_dev.flush();
  }
  dir.bytes = chain.count * em.em_clbytes;
  dir.grown = order.epoch;
  const stored = grown();
  if (stored) await stored;
}

/**
 * Takes a set out of its directory: its entries are in use no more.
 * @param key of its name
 */
export async function dir_leave(dir: Directory, offset: number, count: number, key: string): Promise<void> {
  const order = dir.em.em_order!;
  let before: Buf | undefined;
  const end = offset + count * ENTRY_BYTES;
  for (let at = offset; at < end; ) {
    const got = dir.block(at);
    const bp = got instanceof Promise ? await got : got;
    // The first entry goes first.
    if (before !== undefined && !rank_after(before, bp)) await order.reopen();
    const base = at - (at % DIRBLOCK_BYTES);
    for (; at < end && at < base + DIRBLOCK_BYTES; at += ENTRY_BYTES) bp.b_data[at - base] &= ~IN_USE;
    order.entries(bp);
    dir.index?.look(bp.b_data, base);
    before = bp;
    dir.em.em_bufcache.brelse(bp);
  }
  dir.index?.remove(name_key_hash(key), offset);
}

/** Gives the file at `offset` another name in the index; its set has been written over. */
export function dir_renamed(dir: Directory, offset: number, oldkey: string, newkey: string): void {
  if (oldkey === newkey || dir.index === null) return;
  dir.index.remove(name_key_hash(oldkey), offset);
  dir.index.add(name_key_hash(newkey), offset);
}
