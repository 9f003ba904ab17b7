import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { Cg } from '../disk/cg.js';
import { CK_CYLGRP, cg_ckhash_update } from '../disk/ckhash.js';
import { csum_store } from '../disk/csum.js';
import type { FfsMount } from '../volume/ffsmount.js';
import type { Fs } from '../disk/fs.js';
import { CSUM_SIZE, FS_DOWAPBL, FS_WASCLEAN } from '../disk/fs_const.js';
import { BK_CG } from '../order/ordering.js';
import { WRITE } from '../volume/writestate.js';
import type { WriteState } from '../volume/writestate.js';

/** Reading and writing back what counts free space: cylinder groups, summary area, superblock. */

/**
 * The buffer of group `c`, referenced, with its checked {@link Cg} as b_private.
 * @throws EIO for a damaged group
 */
export function ffs_cgread(ump: FfsMount, c: number): MaybePromise<Buf> {
  const bp = ump.um_bufcache.bread(ump.um_dev, ump.um_fs.fsbtob(ump.um_fs.cgtod(c)), ump.um_fs.cgbytes);
  if (bp instanceof Promise) return bp.then((got) => cgcheck(ump, c, got));
  return bp.b_private instanceof Cg ? bp : cgcheck(ump, c, bp);
}

function cgcheck(ump: FfsMount, c: number, bp: Buf): Buf {
  if (bp.b_private instanceof Cg) return bp;
  const { um_fs, um_cs, um_bufcache } = ump;
  const problem = Cg.check(um_fs, bp.b_view, bp.b_bcount, c);
  if (problem !== undefined) {
    um_bufcache.brelse(bp);
    throw WRITE(ump).damage(`cylinder group ${c} at byte ${bp.b_offset}: ${problem}`);
  }
  const cg = Cg.adopt(um_fs, bp.b_data, bp.b_view);
  if (
    cg.cs_ndir !== um_cs[4 * c] ||
    cg.cs_nbfree !== um_cs[4 * c + 1] ||
    cg.cs_nifree !== um_cs[4 * c + 2] ||
    cg.cs_nffree !== um_cs[4 * c + 3]
  ) {
    um_bufcache.brelse(bp);
    throw WRITE(ump).damage(`cylinder group ${c} at byte ${bp.b_offset}: its counts differ from the summary area's`);
  }
  bp.b_private = cg;
  return bp;
}

/**
 * Adds to the counts of free blocks and frags of group `c` everywhere where they are kept, and marks the group dirty.
 */
export function cg_account(state: WriteState, bp: Buf, c: number, nbfree: number, nffree: number): void {
  const { um_fs, um_cs } = state.ump;
  const cg = bp.b_private as Cg;
  cg.cs_nbfree += nbfree;
  cg.cs_nffree += nffree;
  um_cs[4 * c + 1]! += nbfree;
  um_cs[4 * c + 3]! += nffree;
  um_fs.fs_cstotal.cs_nbfree += nbfree;
  um_fs.fs_cstotal.cs_nffree += nffree;
  cg_dirty(state, bp, c);
}

/** The same for inodes and directories. */
export function cg_account_inodes(state: WriteState, bp: Buf, c: number, nifree: number, ndir: number): void {
  const { um_fs, um_cs } = state.ump;
  const cg = bp.b_private as Cg;
  cg.cs_nifree += nifree;
  cg.cs_ndir += ndir;
  um_cs[4 * c + 2]! += nifree;
  um_cs[4 * c]! += ndir;
  um_fs.fs_cstotal.cs_nifree += nifree;
  um_fs.fs_cstotal.cs_ndir += ndir;
  cg_dirty(state, bp, c);
}

function cg_dirty(state: WriteState, bp: Buf, c: number): void {
  state.ump.um_fs.fs_fmod = 1;
  state.recount(c);
  state.order.bdwrite(bp, BK_CG);
}

/** Stamps the dirty groups; the caller writes them. */
export function ffs_cgstamp(ump: FfsMount, dirty: ReadonlySet<Buf> | ReadonlyMap<Buf, unknown>): void {
  const { um_fs, um_kernel } = ump;
  const { sec } = um_kernel.now();
  for (const bp of dirty.keys()) {
    if (bp.b_private instanceof Cg) bp.b_private.settime(um_fs, sec);
    ffs_cgrehash(um_fs, bp);
  }
}

/** Makes the check hash of a group right that is about to be written. */
export function ffs_cgrehash(fs: Fs, bp: Buf): void {
  if ((fs.ckhashes & CK_CYLGRP) !== 0) cg_ckhash_update(bp.b_view, fs.fs_cgsize, fs.le);
}

/** Writes the summaries of the groups that changed. */
export async function ffs_cswriteback(state: WriteState): Promise<void> {
  const { um_fs: fs, um_cs, um_dev } = state.ump;
  if (state.dirtycs.size === 0) return;
  const per = fs.fs_fsize / CSUM_SIZE;
  const frags = new Map<number, number[]>();
  for (const c of state.dirtycs) {
    const frag = Math.floor(c / per);
    const list = frags.get(frag);
    if (list === undefined) frags.set(frag, [c]);
    else list.push(c);
  }
  const bytes = new Uint8Array(fs.fs_fsize);
  const view = new DataView(bytes.buffer);
  state.unflushed = true;
  for (const [frag, groups] of frags) {
    const at = fs.fsbtob(fs.fs_csaddr + frag);
    await um_dev.read(bytes, 0, bytes.length, at);
    for (const c of groups) csum_store(fs, um_cs, c, view, (c % per) * CSUM_SIZE);
    await um_dev.write(bytes, 0, bytes.length, at);
  }
  state.dirtycs.clear();
}

/** Writes the standard superblock (its copies hold what never changes). No barrier. */
export async function ffs_sbwriteback(state: WriteState): Promise<void> {
  const { um_fs: fs, um_dev, um_kernel } = state.ump;
  fs.fs_time = um_kernel.now().sec;
  fs.fs_fmod = 0;
  if (!fs.ufs2 && fs.wide) oldfields(fs);
  state.unflushed = true;
  try {
    await um_dev.write(encodeinuse(state.ump), 0, fs.fs_sbsize, fs.fs_sblockloc);
  } catch (error) {
    fs.fs_fmod = 1;
    throw error;
  }
}

/**
 * The superblock as the disk is to have it. What NetBSD marks FS_WASCLEAN while a volume is mounted for writing is
 * written as 0, which means the same to it: FreeBSD and OpenBSD take everything but 0 for clean. NetBSD needs the mark
 * only where a journal is in use.
 */
function encodeinuse(ump: FfsMount): Uint8Array {
  const { um_dialect, um_fs: fs } = ump;
  const { fs_clean } = fs;
  if (fs_clean !== FS_WASCLEAN || (um_dialect === 'netbsd' && (fs.fs_flags & FS_DOWAPBL) !== 0)) return fs.encode();
  fs.fs_clean = 0;
  const bytes = fs.encode();
  fs.fs_clean = fs_clean;
  return bytes;
}

/** UFS1: time and totals also where systems without the wide fields look for them (as FreeBSD and OpenBSD do). */
function oldfields(fs: Fs): void {
  const { cs_ndir, cs_nbfree, cs_nifree, cs_nffree } = fs.fs_cstotal;
  fs.fs_old_time = fs.fs_time | 0;
  fs.fs_old_cs_ndir = cs_ndir;
  fs.fs_old_cs_nbfree = cs_nbfree;
  fs.fs_old_cs_nifree = cs_nifree;
  fs.fs_old_cs_nffree = cs_nffree;
}
