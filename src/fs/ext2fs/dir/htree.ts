import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { FL } from '../disk/dinode.js';
import { DIRENT_HEADER, dirent_room, dirent_putlen, dirent_puttail, dirent_reclen } from '../disk/dirent.js';
import { COMPAT, INCOMPAT } from '../disk/features.js';
import { DX_ENTRY, DX_TAIL, NODE_COUNT, ROOT_COUNT, dx_countat } from '../disk/htree.js';
import { FLAGS_UNSIGNED_HASH } from '../disk/superblock.js';
import type { Inode } from '../file/inode.js';
import { BK_DIR } from '../order/ordering.js';
import { SEAL_DXNODE, SEAL_DXROOT } from '../order/seals.js';
import { BLOCK_DIR } from '../volume/verified.js';
import { WRITE } from '../volume/transact.js';
import { dirblock, newdirblock } from './dirblock.js';
import { HASH_LEGACY, dirhash, dirhash_version } from './dirhash.js';
import type { Dirhash } from './dirhash.js';
import { dirhash_bytes } from './dirindex.js';
import { leaf_clear, leaf_dirty, leaf_end, leaf_insert } from './leaf.js';
import type { NewName } from './leaf.js';

/** Insertion into the hash tree of a directory, after Linux fs/ext4/namei.c (ext4_dx_add_entry, do_split). */

const INFO = 0x18;
const INFO_BYTES = 8;
const I_HASH_VERSION = INFO + 4;
const I_INFO_LENGTH = INFO + 5;
const I_LEVELS = INFO + 6;
/** Of a block number in the tree. */
const BLOCK_MASK = 0x0fffffff;
const LEVELS = 2;
const LEVELS_LARGE = 3;
const HASH_MAX = 2;

/** Does Linux find the names of this directory by its tree? */
export function dx_has(ip: Inode): boolean {
  return ip.has(FL.INDEX) && ip.i_fs.compat(COMPAT.dir_index);
}

/** A node on the way from the root to a leaf, referenced, and the entry by which the way goes. */
interface Frame {
  readonly bp: Buf;
  readonly countat: number;
  at: number;
}

function limit({ bp, countat }: Frame): number {
  return bp.b_view.getUint16(countat, true);
}
function count({ bp, countat }: Frame): number {
  return bp.b_view.getUint16(countat + 2, true);
}
function setcount({ bp, countat }: Frame, n: number): void {
  bp.b_view.setUint16(countat + 2, n, true);
}
function hashof({ bp, countat }: Frame, i: number): number {
  return i === 0 ? 0 : bp.b_view.getUint32(countat + DX_ENTRY * i, true);
}
function blockof({ bp, countat }: Frame, i: number): number {
  return bp.b_view.getUint32(countat + DX_ENTRY * i + 4, true) & BLOCK_MASK;
}

/** Entries that a node has room for, of which `countat` bytes are taken. */
function roomof(ip: Inode, countat: number): number {
  return Math.floor((ip.i_fs.bsize - countat - (ip.i_fs.metadata_csum ? DX_TAIL : 0)) / DX_ENTRY);
}

function dx_dirty(ip: Inode, { bp, countat }: Frame): void {
  const state = WRITE(ip.i_em);
  state.order.dirty(bp, BK_DIR);
  state.seals.mark(bp, countat === ROOT_COUNT ? SEAL_DXROOT : SEAL_DXNODE, ip.csum_seed);
  bp.b_private = ip.i_number * 8 + BLOCK_DIR;
}

function release(ip: Inode, frames: readonly Frame[]): void {
  for (const { bp } of frames) ip.i_em.em_bufcache.brelse(bp);
}

/** Puts an entry behind entry `at`, which the way goes by. */
function enter(ip: Inode, frame: Frame, hash: number, block: number): void {
  const { bp, countat, at } = frame;
  const from = countat + DX_ENTRY * (at + 1);
  bp.b_data.copyWithin(from + DX_ENTRY, from, countat + DX_ENTRY * count(frame));
  bp.b_view.setUint32(from, hash, true);
  bp.b_view.setUint32(from + 4, block, true);
  setcount(frame, count(frame) + 1);
  dx_dirty(ip, frame);
}

function bad(ip: Inode, lbn: number, what: string): Error {
  return ip.i_em.em_damage.error(`directory inode ${ip.i_number}, block ${lbn} of its tree: ${what}`);
}

/** How names are hashed; the tree of a directory says it. */
type Hash = (data: Uint8Array, from: number, length: number) => Dirhash;

function hasher(ip: Inode, version: number): Hash {
  const { s_flags, s_hash_seed } = ip.i_fs;
  const as = dirhash_version(version, (s_flags & FLAGS_UNSIGNED_HASH) !== 0);
  return (data, from, length) => dirhash(as, s_hash_seed, data, from, length);
}

/** The way to a leaf, its block, and for which hash it was sought. */
interface Way {
  readonly frames: Frame[];
  readonly leaf: number;
  readonly hash: Hash;
  readonly value: number;
}

/** The way to the leaf for the hash that `valueof` gives. @throws EIO the tree cannot be */
async function probe(ip: Inode, valueof: (hash: Hash) => number): Promise<Way> {
  const frames: Frame[] = [];
  try {
    const root = await dirblock(ip, 0);
    frames.push({ bp: root, countat: ROOT_COUNT, at: 0 });
    const { bsize } = ip.i_fs;
    if (dx_countat(root.b_view, 0, bsize) === undefined) throw bad(ip, 0, 'it is no root');
    const version = root.b_data[I_HASH_VERSION];
    const levels = root.b_data[I_LEVELS];
    const most = ip.i_fs.incompat(INCOMPAT.large_dir) ? LEVELS_LARGE : LEVELS;
    if (version > HASH_MAX || root.b_data[I_INFO_LENGTH] !== INFO_BYTES || levels >= most)
      throw bad(ip, 0, `hash version ${version}, ${levels} levels`);
    const hash = hasher(ip, version);
    const value = valueof(hash);
    let lbn = 0;
    for (let level = 0; ; level++) {
      const frame = frames[level];
      if (limit(frame) !== roomof(ip, frame.countat) || count(frame) < 1 || count(frame) > limit(frame))
        throw bad(ip, lbn, `${count(frame)} of ${limit(frame)} entries`);
      let low = 1;
      let high = count(frame);
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (hashof(frame, middle) <= value) low = middle + 1;
        else high = middle;
      }
      frame.at = low - 1;
      const next = blockof(frame, frame.at);
      if (next === 0 || next * bsize >= ip.i_size) throw bad(ip, lbn, `entry ${frame.at} leads to block ${next}`);
      if (level === levels) return { frames, leaf: next, hash, value };
      const bp = await dirblock(ip, next);
      frames.push({ bp, countat: NODE_COUNT, at: 0 });
      if (dx_countat(bp.b_view, next, bsize) === undefined) throw bad(ip, next, 'it is no node');
      lbn = next;
    }
  } catch (thrown) {
    release(ip, frames);
    throw thrown;
  }
}

/** A leaf as the tree orders it. */
export interface DxLeaf {
  readonly lbn: number;
  /** Where the next leaf begins, as the tree has it: with bit 0, if that goes on with the same hash; -1: none does. */
  readonly next: number;
  readonly hash: Hash;
}

/** The leaf for a hash, which may have bit 0 as in {@link DxLeaf.next}. @throws EIO */
export async function dx_leaf(ip: Inode, value: number): Promise<DxLeaf> {
  const { frames, leaf, hash } = await probe(ip, () => value);
  try {
    let next = -1;
    for (let level = frames.length - 1; level >= 0 && next < 0; level--) {
      const frame = frames[level];
      if (frame.at + 1 < count(frame)) next = hashof(frame, frame.at + 1);
    }
    return { lbn: leaf, next, hash };
  } finally {
    release(ip, frames);
  }
}

/** Do the hashes of the tree tell names apart well enough to list them in their order? @throws EIO */
export async function dx_ordered(ip: Inode): Promise<boolean> {
  const root = await dirblock(ip, 0);
  ip.i_em.em_bufcache.brelse(root);
  return root.b_data[I_HASH_VERSION] !== HASH_LEGACY;
}

/** Turns of {@link dx_insert}: each makes room in one node of three at most, or splits the leaf. */
const TURNS = 12;

/** Enters a name. @returns the byte offset of its entry, and the block that has it, referenced @throws ENOSPC EIO */
export async function dx_insert(ip: Inode, name: NewName): Promise<{ offset: number; bp: Buf }> {
  const { em_bufcache } = ip.i_em;
  for (let turn = 0; turn < TURNS; turn++) {
    const { frames, leaf, hash, value } = await probe(ip, (h) => h(name.bytes, 0, name.bytes.length).hash);
    let bp: Buf | null = null;
    try {
      bp = await dirblock(ip, leaf);
      const at = leaf_insert(ip, bp, name);
      if (at >= 0) {
        const got = { offset: leaf * ip.i_fs.bsize + at, bp };
        bp = null;
        return got;
      }
      const last = frames[frames.length - 1];
      if (count(last) < limit(last)) await split(ip, last, leaf, bp, hash, { name, value });
      else await makeroom(ip, frames);
    } finally {
      if (bp !== null) em_bufcache.brelse(bp);
      release(ip, frames);
    }
  }
  throw errno(E.ENOSPC, `directory inode ${ip.i_number}: no room in its tree`);
}

/** The lowest full node below one that is not full is split; if all are full the tree gets another level. */
async function makeroom(ip: Inode, frames: readonly Frame[]): Promise<void> {
  let level = frames.length - 1;
  while (level >= 0 && count(frames[level]) >= limit(frames[level])) level--;
  const most = ip.i_fs.incompat(INCOMPAT.large_dir) ? LEVELS_LARGE : LEVELS;
  if (level < 0 && frames.length >= most)
    throw errno(E.ENOSPC, `directory inode ${ip.i_number} has as many entries as its tree can have`);
  const { lbn, bp } = await newdirblock(ip);
  const node: Frame = { bp, countat: NODE_COUNT, at: 0 };
  try {
    bp.b_data.fill(0);
    dirent_putlen(bp.b_view, 0, ip.i_fs.bsize, ip.i_fs.bsize);
    bp.b_view.setUint16(NODE_COUNT, roomof(ip, NODE_COUNT), true);
    const full = frames[level + 1];
    const from = level < 0 ? 0 : count(full) >> 1;
    const moved = count(full) - from;
    const start = full.countat + DX_ENTRY * from;
    const hash = hashof(full, from);
    bp.b_data.set(full.bp.b_data.subarray(start + 4, start + DX_ENTRY * moved), NODE_COUNT + 4);
    setcount(node, moved);
    if (level < 0) {
      full.bp.b_view.setUint32(full.countat + 4, lbn, true);
      setcount(full, 1);
      full.bp.b_data[I_LEVELS]++;
    } else {
      setcount(full, from);
      enter(ip, frames[level], hash, lbn);
    }
    dx_dirty(ip, full);
    dx_dirty(ip, node);
  } finally {
    ip.i_em.em_bufcache.brelse(bp);
  }
}

/** An entry of a leaf. */
interface Mapped {
  readonly at: number;
  readonly bytes: number;
  readonly hash: number;
}

function map(ip: Inode, bp: Buf, hash: Hash): Mapped[] {
  const { b_data, b_view } = bp;
  const end = leaf_end(ip);
  const mapped: Mapped[] = [];
  // leaf_insert has looked at all of them.
  for (let at = 0; at < end; at += dirent_reclen(b_view, at, ip.i_fs.bsize)) {
    if (b_view.getUint32(at, true) === 0) continue;
    const namelen = b_data[at + 6];
    mapped.push({ at, bytes: dirent_room(namelen), hash: hash(b_data, at + DIRENT_HEADER, namelen).hash });
  }
  return mapped.sort((a, b) => a.hash - b.hash || a.at - b.at);
}

/** Moves the upper half of a leaf, by hashes, to a new one. The entries that stay keep their places if that does. */
async function split(
  ip: Inode, parent: Frame, leaf: number, bp: Buf, hash: Hash, coming: { name: NewName; value: number },
): Promise<void> {
  const mapped = map(ip, bp, hash);
  if (mapped.length < 2) throw bad(ip, leaf, `a full leaf with ${mapped.length} entries`);
  let bytes = 0;
  let from = mapped.length;
  while (from > 1 && bytes + mapped[from - 1].bytes / 2 <= ip.i_fs.bsize / 2) bytes += mapped[--from].bytes;
  const hash2 = mapped[from].hash;
  const continued = mapped[from - 1].hash === hash2 ? 1 : 0;
  const fresh = await newdirblock(ip);
  try {
    leaf_clear(ip, fresh.bp);
    const moved = mapped.slice(from).sort((a, b) => a.at - b.at);
    move(ip, bp, leaf, fresh.bp, fresh.lbn, moved);
    const stays = coming.value < hash2;
    if (stays && !roomy(ip, bp, coming.name)) pack(ip, bp, leaf);
    leaf_dirty(ip, fresh.bp);
    leaf_dirty(ip, bp);
    enter(ip, parent, (hash2 + continued) >>> 0, fresh.lbn);
  } finally {
    ip.i_em.em_bufcache.brelse(fresh.bp);
  }
}

/** Moves entries, in the order of their places, to an empty leaf; what they leave goes to those before them. */
function move(ip: Inode, from: Buf, fromlbn: number, to: Buf, tolbn: number, moved: readonly Mapped[]): void {
  const { bsize } = ip.i_fs;
  const end = leaf_end(ip);
  let at = 0;
  let last = 0;
  for (const entry of moved) {
    to.b_data.set(from.b_data.subarray(entry.at, entry.at + entry.bytes), at);
    dirent_putlen(to.b_view, at, entry.bytes, bsize);
    reindex(ip, from.b_data, entry.at, fromlbn * bsize + entry.at, tolbn * bsize + at);
    last = at;
    at += entry.bytes;
    from.b_view.setUint32(entry.at, 0, true);
  }
  dirent_putlen(to.b_view, last, end - last, bsize);
  // Entries without a name in a row become one; those behind a name become its slack.
  for (let i = 0; i < end; ) {
    let length = dirent_reclen(from.b_view, i, bsize);
    while (i + length < end && from.b_view.getUint32(i + length, true) === 0)
      length += dirent_reclen(from.b_view, i + length, bsize);
    dirent_putlen(from.b_view, i, length, bsize);
    i += length;
  }
}

/** The entry has got another place. */
function reindex(ip: Inode, data: Uint8Array, at: number, before: number, now: number): void {
  if (ip.i_dirindex === null || before === now) return;
  const hash = dirhash_bytes(data, at + DIRENT_HEADER, data[at + 6]);
  ip.i_dirindex.remove(hash, before);
  ip.i_dirindex.add(hash, now);
}

function roomy(ip: Inode, bp: Buf, name: NewName): boolean {
  const need = dirent_room(name.bytes.length);
  for (let at = 0; at < leaf_end(ip); ) {
    const length = dirent_reclen(bp.b_view, at, ip.i_fs.bsize);
    const used = bp.b_view.getUint32(at, true) === 0 ? 0 : dirent_room(bp.b_data[at + 6]);
    if (length - used >= need) return true;
    at += length;
  }
  return false;
}

/** Pushes the entries of a leaf together. */
function pack(ip: Inode, bp: Buf, lbn: number): void {
  const { bsize } = ip.i_fs;
  const end = leaf_end(ip);
  let to = 0;
  let last = 0;
  for (let at = 0; at < end; ) {
    const length = dirent_reclen(bp.b_view, at, bsize);
    if (bp.b_view.getUint32(at, true) !== 0) {
      const used = dirent_room(bp.b_data[at + 6]);
      reindex(ip, bp.b_data, at, lbn * bsize + at, lbn * bsize + to);
      bp.b_data.copyWithin(to, at, at + used);
      dirent_putlen(bp.b_view, to, used, bsize);
      last = to;
      to += used;
    }
    at += length;
  }
  dirent_putlen(bp.b_view, last, end - last, bsize);
}

/**
 * A directory of one block gets a tree: its names move to a second block. @returns false: it cannot have one; nothing
 * has changed @throws ENOSPC EIO
 */
export async function dx_make(ip: Inode): Promise<boolean> {
  const { i_fs: fs } = ip;
  const { bsize } = fs;
  if (!fs.compat(COMPAT.dir_index) || fs.s_def_hash_version > HASH_MAX || ip.has(FL.CASEFOLD)) return false;
  const root = await dirblock(ip, 0);
  const { b_data, b_view } = root;
  try {
    const dotdot = dirent_reclen(b_view, 0, bsize);
    const usual = dotdot === dirent_room(1) && b_data[6] === 1 && b_data[8] === 0x2e && b_data[dotdot + 6] === 2 &&
      b_data[dotdot + 8] === 0x2e && b_data[dotdot + 9] === 0x2e;
    if (!usual) return false;
    const start = dotdot + dirent_reclen(b_view, dotdot, bsize);
    const end = leaf_end(ip);
    if (start >= end) return false;
    const { lbn, bp } = await newdirblock(ip);
    try {
      leaf_clear(ip, bp);
      bp.b_data.set(b_data.subarray(start, end), 0);
      let last = 0;
      for (let at = 0; at < end - start; at += dirent_reclen(bp.b_view, at, bsize)) last = at;
      dirent_putlen(bp.b_view, last, end - last, bsize);
      if (fs.metadata_csum) dirent_puttail(bp.b_data, bp.b_view);
      leaf_dirty(ip, bp);
    } finally {
      ip.i_em.em_bufcache.brelse(bp);
    }
    dirent_putlen(b_view, dotdot, bsize - dotdot, bsize);
    b_data.fill(0, INFO, bsize);
    b_data[I_HASH_VERSION] = fs.s_def_hash_version;
    b_data[I_INFO_LENGTH] = INFO_BYTES;
    const frame: Frame = { bp: root, countat: ROOT_COUNT, at: 0 };
    b_view.setUint16(ROOT_COUNT, roomof(ip, ROOT_COUNT), true);
    setcount(frame, 1);
    b_view.setUint32(ROOT_COUNT + 4, lbn, true);
    dx_dirty(ip, frame);
    ip.i_flags |= FL.INDEX;
    if (ip.i_dirindex !== null) ip.i_em.em_indexes.remove(ip.i_dirindex);
    ip.i_dirindex = null;
    return true;
  } finally {
    ip.i_em.em_bufcache.brelse(root);
  }
}

