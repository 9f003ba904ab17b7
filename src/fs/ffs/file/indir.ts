import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { UFS_NDADDR, UFS_NIADDR } from '../../ufs/dinode.js';
import { geti64, put64 } from '../../lib/endian.js';
import type { Inode } from '../volume/inode.js';
import { ffs_allocblks, ffs_blkpref } from '../space/alloc.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { BK_INODE, BK_NEW } from '../order/ordering.js';
import { touchmeta } from '../order/changes.js';
import { ORDER, WRITE } from '../volume/writestate.js';
import { badblock } from '../space/subr.js';

/**
 * Rows of block pointers (the inode's direct ones, or one indirect block of the lowest level) and the trees above them.
 */

/** Pointer `i` of the indirect block in `view`. */
function getptr(ump: FfsMount, view: DataView, i: number): number {
  return ump.um_fs.ufs2 ? geti64(view, 8 * i, ump.um_le) : view.getInt32(4 * i, ump.um_le);
}

function putptr(ump: FfsMount, view: DataView, i: number, fsb: number): void {
  if (ump.um_fs.ufs2) put64(view, 8 * i, fsb, ump.um_le);
  else view.setInt32(4 * i, fsb, ump.um_le);
}

/** Pointers i..i+n-1: `fsb` and on in steps of `step`. A write of a megabyte sets some sixty. */
function putptrs(ump: FfsMount, view: DataView, i: number, n: number, fsb: number, step: number): void {
  const le = ump.um_le;
  if (ump.um_fs.ufs2) for (let k = 0; k < n; k++) put64(view, 8 * (i + k), fsb + k * step, le);
  else for (let k = 0; k < n; k++) view.setInt32(4 * (i + k), fsb + k * step, le);
}

/** The row of pointers that names a block of a file. Hold it no longer than needed and {@link Row.release} it. */
export class Row {
  readonly ip: Inode;
  /** Buffer of the indirect block; null: the inode's direct pointers. */
  readonly bp: Buf | null;
  /** The block that pointer 0 names. */
  readonly first: number;
  /** Number of pointers. */
  readonly length: number;

  constructor(ip: Inode, bp: Buf | null, first: number, length: number) {
    this.ip = ip;
    this.bp = bp;
    this.first = first;
    this.length = length;
  }

  get(i: number): number {
    return this.bp === null ? this.ip.i_db[i]! : getptr(this.ip.i_ump, this.bp.b_view, i);
  }

  /** How many pointers from `i` on are holes, up to `most`. */
  holes(i: number, most: number): number {
    const { ip, bp } = this;
    if (bp === null) {
      let n = 0;
      while (n < most && ip.i_db[i + n] === 0) n++;
      return n;
    }
    // Zero is zero in every byte order.
    const words = ip.i_fs.ufs2 ? 2 : 1;
    const view = bp.b_view;
    const first = 4 * words * i;
    const end = words * most;
    let w = 0;
    while (w < end && view.getUint32(first + 4 * w) === 0) w++;
    return Math.floor(w / words);
  }

  /** Checked like {@link get}: the block of `frags` frags lies where file data may lie. @throws EIO */
  block(i: number, frags: number): number {
    const fsb = this.get(i);
    if (fsb === 0) return 0;
    const problem = badblock(this.ip.i_fs, fsb, frags);
    if (problem !== undefined) {
      throw WRITE(this.ip.i_ump).damage(
        `inode ${this.ip.i_number}: block ${this.first + i} is at frag ${fsb}, ${problem}`,
      );
    }
    return fsb;
  }

  /** Pointers i.. become the `n` blocks from `fsb` on; 0 makes them holes. */
  set(i: number, n: number, fsb: number): void {
    const { ip, bp } = this;
    const { fs_frag } = ip.i_fs;
    const order = ORDER(ip.i_ump);
    const step = fsb === 0 ? 0 : fs_frag;
    if (bp === null) for (let k = 0; k < n; k++) ip.i_db[i + k] = fsb + k * step;
    else putptrs(ip.i_ump, bp.b_view, i, n, fsb, step);
    if (bp !== null) order.bdwrite(bp, BK_INODE);
    touchmeta(ip, 0);
  }

  release(): void {
    if (this.bp !== null) this.ip.i_ump.um_bufcache.brelse(this.bp);
  }
}

/** Where block `lbn` is in the trees: level 0..2, blocks that the tree maps, and its place in it. */
function place(ip: Inode, lbn: number): { level: number; span: number; rel: number } {
  let rel = lbn - UFS_NDADDR;
  let span = 1;
  for (let level = 0; level < UFS_NIADDR; level++) {
    span *= ip.i_fs.fs_nindir;
    if (rel < span) return { level, span, rel };
    rel -= span;
  }
  throw errno(E.EFBIG);
}

/** A new indirect block, all zero, on no disk yet. Referenced. */
async function newindir(ip: Inode, lbn: number, ctx: Context): Promise<{ bp: Buf; fsb: number }> {
  const { i_ump: ump, i_fs: fs } = ip;
  const { fsb } = await ffs_allocblks(ip, ffs_blkpref(ip, lbn, 0, 0), 1, ctx);
  const bp = ump.um_bufcache.getblk(ump.um_dev, fs.fsbtob(fsb), fs.fs_bsize);
  bp.b_data.fill(0);
  ORDER(ump).bdwrite(bp, BK_NEW);
  return { bp, fsb };
}

/** Reads the indirect block at `addr` of a file; null: one that is removed. @throws EIO */
function readindir(ump: FfsMount, addr: number, owner: Inode | null): MaybePromise<Buf> {
  const fs = ump.um_fs;
  const problem = badblock(fs, addr, fs.fs_frag);
  if (problem !== undefined) {
    throw WRITE(ump).damage(
      `${owner === null ? 'a file that is removed' : `inode ${owner.i_number}`}: indirect block at frag ${addr}, ` +
        `${problem}`,
    );
  }
  return ump.um_bufcache.bread(ump.um_dev, fs.fsbtob(addr), fs.fs_bsize);
}

/**
 * The row that names block `lbn`. With `cred`, missing indirect blocks are allocated for it (and stay if a later step
 * fails: who extends a file cuts it back then). Without, null if an indirect block is missing: all its blocks are
 * holes.
 * @throws ENOSPC EFBIG EIO
 */
export function ffs_row(ip: Inode, lbn: number, ctx: Context | null): MaybePromise<Row | null> {
  if (lbn < UFS_NDADDR) return new Row(ip, null, 0, UFS_NDADDR);
  const { i_ump: ump, i_fs: fs } = ip;
  // The first tree has one indirect block, which is in memory but for the first time.
  const rel = lbn - UFS_NDADDR;
  if (rel >= fs.fs_nindir || ip.i_ib[0] === 0) return deeprow(ip, lbn, ctx);
  const bp = readindir(ump, ip.i_ib[0]!, ip);
  return bp instanceof Promise
    ? bp.then((got) => new Row(ip, got, UFS_NDADDR, fs.fs_nindir))
    : new Row(ip, bp, UFS_NDADDR, fs.fs_nindir);
}

async function deeprow(ip: Inode, lbn: number, ctx: Context | null): Promise<Row | null> {
  const { i_ump: ump, i_fs: fs } = ip;
  const { level, span, rel } = place(ip, lbn);
  const order = ORDER(ump);
  let bp: Buf;
  if (ip.i_ib[level] === 0) {
    if (ctx === null) return null;
    const made = await newindir(ip, lbn, ctx);
    ip.i_ib[level] = made.fsb;
    touchmeta(ip, 0);
    bp = made.bp;
  } else {
    const got = readindir(ump, ip.i_ib[level]!, ip);
    bp = got instanceof Promise ? await got : got;
  }
  let left = rel;
  for (let child = span / fs.fs_nindir; child > 1; child /= fs.fs_nindir) {
    const i = Math.floor(left / child);
    left -= i * child;
    let next: Buf;
    try {
      const addr = getptr(ump, bp.b_view, i);
      if (addr === 0) {
        if (ctx === null) return null;
        const made = await newindir(ip, lbn, ctx);
        putptr(ump, bp.b_view, i, made.fsb);
        order.bdwrite(bp, BK_INODE);
        next = made.bp;
      } else {
        const got = readindir(ump, addr, ip);
        next = got instanceof Promise ? await got : got;
      }
    } finally {
      ump.um_bufcache.brelse(bp);
    }
    bp = next;
  }
  return new Row(ip, bp, lbn - left, fs.fs_nindir);
}

/** Takes frags that nobody uses any more. */
export type FreeFrags = (fsb: number, n: number) => MaybePromise<void>;

/**
 * Frees a whole tree of indirect blocks: what it names, and its own blocks. `span` is the number of blocks that it
 * maps. Calls itself once a level, at most three deep.
 * @param metadata what the tree names are buffers (a directory), to be forgotten
 * @param seen indirect blocks of the tree that were met. A tree that leads to one again is damaged, and three levels of
 *   that would be walked without end.
 * @returns number of frags freed
 */
export async function freetree(
  ump: FfsMount,
  addr: number,
  span: number,
  metadata: boolean,
  free: FreeFrags,
  seen = new Set<number>(),
): Promise<number> {
  const fs = ump.um_fs;
  const state = WRITE(ump);
  const { order } = state;
  let frags = 0;
  let bp: Buf;
  try {
    if (seen.has(addr)) throw state.damage(`a file that is removed: its indirect block at frag ${addr} is met twice`);
    seen.add(addr);
    const got = readindir(ump, addr, null);
    bp = got instanceof Promise ? await got : got;
  } catch {
    return 0; // Logged; the blocks below stay allocated.
  }
  try {
    frags += await freepart(ump, bp, 0, span, metadata, free, seen);
  } finally {
    ump.um_bufcache.brelse(bp);
  }
  order.binval(addr, fs.fs_frag);
  const wait = free(addr, fs.fs_frag);
  if (wait) await wait;
  return frags + fs.fs_frag;
}

/**
 * Frees what pointers from..end of an indirect block name, without changing the block.
 * @returns number of frags freed
 */
async function freepart(
  ump: FfsMount,
  bp: Buf,
  from: number,
  span: number,
  metadata: boolean,
  free: FreeFrags,
  seen: Set<number>,
): Promise<number> {
  const fs = ump.um_fs;
  const state = WRITE(ump);
  const { order } = state;
  const child = span / fs.fs_nindir;
  let frags = 0;
  let run = 0;
  let runfrags = 0;
  for (let i = from; i < fs.fs_nindir; i++) {
    const fsb = getptr(ump, bp.b_view, i);
    if (fsb === 0) continue;
    // After damage nothing reaches the disk any more.
    if (state.broken) break;
    if (child > 1) {
      frags += await freetree(ump, fsb, child, metadata, free, seen);
      continue;
    }
    if (metadata) order.binval(fsb, fs.fs_frag);
    if (runfrags > 0 && run + runfrags === fsb) {
      runfrags += fs.fs_frag;
      continue;
    }
    if (runfrags > 0) {
      const wait = free(run, runfrags);
      if (wait) await wait;
      frags += runfrags;
    }
    run = fsb;
    runfrags = fs.fs_frag;
  }
  if (runfrags > 0) {
    const wait = free(run, runfrags);
    if (wait) await wait;
    frags += runfrags;
  }
  return frags;
}

/** Copies of the pointers that are about to be cleared, so that the block can be changed first. */
function snapshot(bp: Buf): Buf {
  const data = bp.b_data.slice();
  return {
    b_dev: bp.b_dev,
    b_offset: bp.b_offset,
    b_bcount: bp.b_bcount,
    b_data: data,
    b_view: new DataView(data.buffer),
    b_flags: 0,
    b_refs: 1,
    b_private: null,
  };
}

/**
 * Cuts a tree: of the `span` blocks that the tree at `addr` maps, those from `keep` on (1..span-1) are freed.
 * @returns number of frags freed
 */
export async function cuttree(
  ip: Inode,
  addr: number,
  span: number,
  keep: number,
  metadata: boolean,
  free: FreeFrags,
  seen = new Set<number>(),
): Promise<number> {
  const { i_ump: ump, i_fs: fs } = ip;
  const child = span / fs.fs_nindir;
  const i = Math.floor(keep / child);
  if (seen.has(addr)) throw WRITE(ump).damage(`inode ${ip.i_number}: its indirect block at frag ${addr} is met twice`);
  seen.add(addr);
  const got = readindir(ump, addr, ip);
  const bp = got instanceof Promise ? await got : got;
  let frags = 0;
  try {
    const partial = keep - i * child;
    const from = partial > 0 ? i + 1 : i;
    const old = snapshot(bp);
    let changed = false;
    for (let k = from; k < fs.fs_nindir; k++) {
      if (getptr(ump, bp.b_view, k) === 0) continue;
      putptr(ump, bp.b_view, k, 0);
      changed = true;
    }
    if (changed) {
      ORDER(ump).bdwrite(bp, BK_INODE);
      frags += await freepart(ump, old, from, span, metadata, free, seen);
    }
    if (partial > 0) {
      const next = getptr(ump, bp.b_view, i);
      if (next !== 0) frags += await cuttree(ip, next, child, partial, metadata, free, seen);
    }
  } finally {
    ump.um_bufcache.brelse(bp);
  }
  return frags;
}
