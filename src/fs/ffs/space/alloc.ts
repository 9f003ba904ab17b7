import type { Context } from '../../../kernel/context.js';
import { kauth_issuser } from '../../../kernel/cred.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Inode } from '../volume/inode.js';
import { ffs_blkfree } from './blkfree.js';
import type { Cg } from '../disk/cg.js';
import { cg_account, ffs_cgread } from './cgupdate.js';
import type { Fs } from '../disk/fs.js';
import { FS_OPTSPACE, FS_OPTTIME, UFS_NDADDR } from '../disk/fs_const.js';
import { WRITE } from '../volume/writestate.js';
import type { WriteState } from '../volume/writestate.js';
import type { BlockRun } from './subr.js';
import { blkmap, clusteracct, findrun, fragacct, freerun, mapsearch, rotacct, setfrags } from './subr.js';

/**
 * Allocation of blocks and fragments. Policy after NetBSD's ffs_alloc.c (preferred place, its group, then other groups
 * by quadratic rehash, then all), except that whole blocks are asked for in runs: one pass over the free map of a
 * group gives as many consecutive blocks as it has there, up to what is wanted.
 *
 * Everything is synchronous between the read of a group's buffer and the end of the change to it, so that allocations
 * that interleave never see half of one. Every function adds what it allocates to i_blocks.
 */

/** Consecutive whole blocks. */
export interface Extent {
  /** First frag. */
  fsb: number;
  /** Number of blocks. */
  blks: number;
}

const scratch: BlockRun = { start: 0, length: 0 };

/** The `i`th group to try when `first` is the preferred one; -1 when all have been tried. */
export function hashgroup(fs: Fs, first: number, i: number): number {
  const ncg = fs.fs_ncg;
  if (i === 0) return first;
  let quadratic = 0;
  while (2 ** quadratic < ncg) quadratic++;
  if (i <= quadratic) return (first + 2 ** i - 1) % ncg;
  const j = i - quadratic + 1;
  return j < ncg ? (first + j) % ncg : -1;
}

/**
 * The group in which the search for a place near `pref` begins. A preference is a frag (> 0), a group where the
 * group's rotor says (-1 - group), or 0: the inode's group.
 */
function prefgroup(ip: Inode, pref: number): number {
  if (pref === 0) return ip.i_fs.ino_to_cg(ip.i_number);
  return pref > 0 ? ip.i_fs.dtog(pref) : -1 - pref;
}

/** Of `frags`, how many `cred` may allocate; 0 or less: none. */
function available(state: WriteState, ctx: Context, frags: number): number {
  const { um_fs: fs, um_mountp } = state.ump;
  const free = Math.min(frags, fs.freespace(kauth_issuser(ctx.cred) ? 0 : fs.fs_minfree));
  const { mnt_dev } = um_mountp;
  return mnt_dev === null || free <= 0 ? free : Math.floor(mnt_dev.spare(free * fs.fs_fsize) / fs.fs_fsize);
}

/** Takes blocks b..b+n-1, which are free, out of the maps of a group. */
function takeblks(state: WriteState, bp: Buf, c: number, b: number, n: number): void {
  const fs = state.ump.um_fs;
  const cg = bp.b_private as Cg;
  setfrags(cg, b << fs.fs_fragshift, n << fs.fs_fragshift, false);
  clusteracct(fs, cg, b, n, false);
  rotacct(fs, cg, b, n, -1);
  cg_account(state, bp, c, -n, 0);
}

/** ffs_alloccgblk for a run. `pref` is a frag of the group, or -1. */
function alloccgblks(state: WriteState, bp: Buf, c: number, pref: number, want: number, into: BlockRun): void {
  const fs = state.ump.um_fs;
  const cg = bp.b_private as Cg;
  if (pref >= 0) {
    into.start = pref >> fs.fs_fragshift;
    into.length = freerun(fs, cg, into.start, want);
  }
  if (pref < 0 || into.length === 0) {
    findrun(fs, cg, (pref < 0 ? cg.cg_rotor : pref) >>> fs.fs_fragshift, want, into);
    if (into.length === 0) {
      throw state.damage(`cylinder group ${c}: cs_nbfree is ${cg.cs_nbfree} but the map has no free block`);
    }
    cg.cg_rotor = into.start << fs.fs_fragshift;
  }
  takeblks(state, bp, c, into.start, into.length);
}

/**
 * Allocates up to `want` consecutive blocks, as near behind `pref` (see ffs_blkpref) as can be; at least one.
 * @throws ENOSPC
 */
export function ffs_allocblks(ip: Inode, pref: number, want: number, ctx: Context): MaybePromise<Extent> {
  const { i_fs: fs } = ip;
  const room = available(WRITE(ip.i_ump), ctx, want * fs.fs_frag);
  if (fs.fs_cstotal.cs_nbfree <= 0 || room <= 0) throw errno(E.ENOSPC);
  return allocblksfrom(ip, pref, Math.max(1, Math.min(want, Math.floor(room / fs.fs_frag))), 0);
}

/** From the `i`th group to try on. */
function allocblksfrom(ip: Inode, pref: number, want: number, i: number): MaybePromise<Extent> {
  const { i_ump: ump, i_fs: fs } = ip;
  const first = prefgroup(ip, pref);
  for (let c = hashgroup(fs, first, i); c >= 0; c = hashgroup(fs, first, ++i)) {
    if (ump.um_cs[4 * c + 1]! <= 0) continue;
    const bp = ffs_cgread(ump, c);
    const near = pref > 0 && i === 0 ? fs.dtogd(pref) : -1;
    if (bp instanceof Promise) {
      const next = i + 1;
      return bp.then((b) => blksin(ip, b, c, near, want) ?? allocblksfrom(ip, pref, want, next));
    }
    const got = blksin(ip, bp, c, near, want);
    if (got !== null) return got;
  }
  throw errno(E.ENOSPC);
}

/** Takes the reference to `bp`. null: group `c` has no free block. */
function blksin(ip: Inode, bp: Buf, c: number, near: number, want: number): Extent | null {
  const { i_ump: ump, i_fs: fs } = ip;
  try {
    if ((bp.b_private as Cg).cs_nbfree <= 0) return null; // taken while we waited
    alloccgblks(WRITE(ump), bp, c, near, want, scratch);
    ip.i_blocks += (scratch.length * fs.fs_bsize) / 512;
    return { fsb: fs.cgbase(c) + (scratch.start << fs.fs_fragshift), blks: scratch.length };
  } finally {
    ump.um_bufcache.brelse(bp);
  }
}

/**
 * Allocates `frags` (below a block) in group `c`: from the smallest free run that fits, or from a whole block. -1: no
 * room.
 */
function alloccgfrags(state: WriteState, bp: Buf, c: number, pref: number, frags: number): number {
  const fs = state.ump.um_fs;
  const cg = bp.b_private as Cg;
  let size = frags;
  while (size < fs.fs_frag && cg.frsum(size) <= 0) size++;
  if (size === fs.fs_frag) {
    if (cg.cs_nbfree <= 0) return -1;
    alloccgblks(state, bp, c, pref, 1, scratch);
    const d = scratch.start << fs.fs_fragshift;
    const rest = fs.fs_frag - frags;
    setfrags(cg, d + frags, rest, true);
    cg.setfrsum(rest, cg.frsum(rest) + 1);
    cg_account(state, bp, c, 0, rest);
    return d;
  }
  const d = mapsearch(fs, cg, (pref < 0 ? cg.cg_frotor : pref) >>> fs.fs_fragshift, size);
  if (d < 0) {
    throw state.damage(`cylinder group ${c}: cg_frsum[${size}] is ${cg.frsum(size)} but the map has no such run`);
  }
  cg.cg_frotor = d - (d & 7);
  setfrags(cg, d, frags, false);
  cg.setfrsum(size, cg.frsum(size) - 1);
  if (size > frags) cg.setfrsum(size - frags, cg.frsum(size - frags) + 1);
  cg_account(state, bp, c, 0, -frags);
  return d;
}

/**
 * Allocates `frags` consecutive frags inside one block (1..fs_frag).
 * @returns the first frag
 * @throws ENOSPC
 */
export function ffs_allocfrags(ip: Inode, pref: number, frags: number, ctx: Context): MaybePromise<number> {
  if (frags === ip.i_fs.fs_frag) {
    const got = ffs_allocblks(ip, pref, 1, ctx);
    return got instanceof Promise ? got.then(({ fsb }) => fsb) : got.fsb;
  }
  if (available(WRITE(ip.i_ump), ctx, frags) <= 0) throw errno(E.ENOSPC);
  return allocfragsfrom(ip, pref, frags, 0);
}

/** From the `i`th group to try on. */
function allocfragsfrom(ip: Inode, pref: number, frags: number, i: number): MaybePromise<number> {
  const { i_ump: ump, i_fs: fs } = ip;
  const first = prefgroup(ip, pref);
  for (let c = hashgroup(fs, first, i); c >= 0; c = hashgroup(fs, first, ++i)) {
    if (ump.um_cs[4 * c + 1]! <= 0 && ump.um_cs[4 * c + 3]! < frags) continue;
    const bp = ffs_cgread(ump, c);
    const near = pref > 0 && i === 0 ? fs.dtogd(pref) : -1;
    if (bp instanceof Promise) {
      const next = i + 1;
      return bp.then((b) => {
        const fsb = fragsin(ip, b, c, near, frags);
        return fsb >= 0 ? fsb : allocfragsfrom(ip, pref, frags, next);
      });
    }
    const fsb = fragsin(ip, bp, c, near, frags);
    if (fsb >= 0) return fsb;
  }
  throw errno(E.ENOSPC);
}

/** Takes the reference to `bp`. -1: group `c` has no room. */
function fragsin(ip: Inode, bp: Buf, c: number, near: number, frags: number): number {
  const { i_ump: ump, i_fs: fs } = ip;
  try {
    const d = alloccgfrags(WRITE(ump), bp, c, near, frags);
    if (d < 0) return -1;
    ip.i_blocks += (frags * fs.fs_fsize) / 512;
    return fs.cgbase(c) + d;
  } finally {
    ump.um_bufcache.brelse(bp);
  }
}

/** ffs_fragextend: grows `ofrags` at `fsb` to `nfrags` in place, if what follows is free. */
async function fragextend(ip: Inode, fsb: number, ofrags: number, nfrags: number): Promise<boolean> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  const c = fs.dtog(fsb);
  const off = fs.fragnum(fsb);
  if (off + nfrags > fs.fs_frag || ump.um_cs[4 * c + 3]! < nfrags - ofrags) return false;
  const got = ffs_cgread(ump, c);
  const bp = got instanceof Promise ? await got : got;
  try {
    const cg = bp.b_private as Cg;
    const d = fs.dtogd(fsb);
    const bits = blkmap(fs, cg, d - off);
    const wanted = ((1 << (nfrags - ofrags)) - 1) << (off + ofrags);
    if ((bits & wanted) !== wanted) return false;
    fragacct(fs, cg, bits, -1);
    setfrags(cg, d + ofrags, nfrags - ofrags, false);
    fragacct(fs, cg, bits & ~wanted, 1);
    cg_account(state, bp, c, 0, ofrags - nfrags);
    return true;
  } finally {
    ump.um_bufcache.brelse(bp);
  }
}

/** How many frags to ask for when a fragment has to move, and whether the volume now saves time or space (fs_optim). */
function request(fs: Fs, nfrags: number): number {
  const nffree = fs.fs_cstotal.cs_nffree;
  if (fs.fs_optim === FS_OPTSPACE) {
    // Fragmentation below half of the reserve: enough room to be generous again.
    if (fs.fs_minfree >= 5 && nffree <= (fs.fs_dsize * fs.fs_minfree) / 200) fs.fs_optim = FS_OPTTIME;
    return nfrags;
  }
  // A whole block, of which the rest is given back: if the file grows on, the fragment grows in place.
  if (nffree >= (fs.fs_dsize * (fs.fs_minfree - 2)) / 100) fs.fs_optim = FS_OPTSPACE;
  return fs.fs_frag;
}

/** Takes back a {@link ffs_realloccg}, whose result was `to`. */
export async function ffs_unrealloc(ip: Inode, fsb: number, ofrags: number, to: number, nfrags: number): Promise<void> {
  ip.i_blocks -= ((nfrags - ofrags) * ip.i_fs.fs_fsize) / 512;
  if (to === fsb) await ffs_blkfree(ip.i_ump, fsb + ofrags, nfrags - ofrags);
  else await ffs_blkfree(ip.i_ump, to, nfrags);
}

/**
 * ffs_realloccg: gives the last block of a small file, `ofrags` at `fsb`, `nfrags` instead: in place, or elsewhere.
 * The content is not copied and the old place is not freed: when the result is not `fsb`, the caller does both
 * (release in order/changes.ts).
 * @returns the first frag
 * @throws ENOSPC
 */
export async function ffs_realloccg(
  ip: Inode,
  fsb: number,
  ofrags: number,
  nfrags: number,
  pref: number,
  ctx: Context,
): Promise<number> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  if (available(state, ctx, nfrags - ofrags) <= 0) throw errno(E.ENOSPC);
  if (await fragextend(ip, fsb, ofrags, nfrags)) {
    ip.i_blocks += ((nfrags - ofrags) * fs.fs_fsize) / 512;
    return fsb;
  }
  let want = request(fs, nfrags);
  if (fs.fs_cstotal.cs_nbfree <= 0) want = nfrags;
  const to = await ffs_allocfrags(ip, pref > 0 ? pref : fsb, want, ctx);
  if (want > nfrags) {
    await ffs_blkfree(ump, to + nfrags, want - nfrags);
    ip.i_blocks -= ((want - nfrags) * fs.fs_fsize) / 512;
  }
  // The old place leaves the file, whenever it is freed.
  ip.i_blocks -= (ofrags * fs.fs_fsize) / 512;
  return to;
}

/**
 * ffs_blkpref: where block `lbn` of a file should go. `indx` is its place in the row of pointers that holds it (the
 * inode's direct ones, or an indirect block's) and `prev` the pointer before it there (0: none).
 * @returns a frag; or 0: the inode's group; or -1 - c: group c
 */
export function ffs_blkpref(ip: Inode, lbn: number, indx: number, prev: number): number {
  const { i_fs: fs, i_ump: ump } = ip;
  if (prev > 0 && (fs.fs_maxbpg <= 0 || indx % fs.fs_maxbpg !== 0)) {
    return prev + fs.fs_frag < fs.fs_size ? prev + fs.fs_frag : 0;
  }
  if (lbn < UFS_NDADDR + fs.fs_nindir) return 0;
  const own = fs.ino_to_cg(ip.i_number);
  const start = prev > 0 ? fs.dtog(prev) + 1 : own + (fs.fs_maxbpg > 0 ? Math.floor(lbn / fs.fs_maxbpg) : 0);
  const average = Math.floor(fs.fs_cstotal.cs_nbfree / fs.fs_ncg);
  for (let i = 0; i < fs.fs_ncg; i++) {
    const c = (start + i) % fs.fs_ncg;
    if (ump.um_cs[4 * c + 1]! >= average) return -1 - c;
  }
  return 0;
}
