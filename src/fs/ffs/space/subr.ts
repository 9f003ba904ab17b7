import type { Cg } from '../disk/cg.js';
import type { Fs } from '../disk/fs.js';
import { FS_42POSTBLFMT, FS_FLAGS_UPDATED } from '../disk/fs.js';

/**
 * Bit arithmetic on the maps of a cylinder group, and the counters that mirror them (cg_frsum, cg_clustersum,
 * rotational totals). Nothing here reads, waits or throws; callers check ranges and mark buffers.
 * In a group, `d` is a frag number and `b` a block number; block b is the frags b * fs_frag ... of the free map. Block
 * sizes are 1, 2, 4 or 8 frags, so that a block's bits never cross a byte.
 */

/**
 * For block sizes 1, 2, 4, 8 frags: by the bits of a block, which lengths of maximal free runs it has (bit n: length
 * n).
 */
const RUNS: readonly Uint16Array[] = Array.from({ length: 9 }, (_, frag) => {
  const table = new Uint16Array(1 << frag);
  for (let bits = 0; bits < table.length; bits++) {
    let run = 0;
    for (let i = 0; i <= frag; i++) {
      if (i < frag && (bits & (1 << i)) !== 0) {
        run++;
      } else {
        if (run > 0) table[bits]! |= 1 << run;
        run = 0;
      }
    }
  }
  return table;
});

/** The free bits of the block that begins at frag `d`. */
export function blkmap(fs: Fs, cg: Cg, d: number): number {
  return (cg.bytes[cg.cg_freeoff + (d >>> 3)]! >>> (d & 7)) & ((1 << fs.fs_frag) - 1);
}

/** Block `b` is wholly free. */
function isblock(fs: Fs, cg: Cg, b: number): boolean {
  return blkmap(fs, cg, b << fs.fs_fragshift) === (1 << fs.fs_frag) - 1;
}

/** Block `b` is wholly allocated. */
export function isfreeblock(fs: Fs, cg: Cg, b: number): boolean {
  return blkmap(fs, cg, b << fs.fs_fragshift) === 0;
}

/** Marks frags d..d+n-1 free or used. */
export function setfrags(cg: Cg, d: number, n: number, free: boolean): void {
  const { bytes, cg_freeoff } = cg;
  let i = d;
  const end = d + n;
  while (i < end) {
    const at = cg_freeoff + (i >>> 3);
    if ((i & 7) === 0 && end - i >= 8) {
      bytes[at] = free ? 0xff : 0;
      i += 8;
    } else {
      const bit = 1 << (i & 7);
      if (free) bytes[at]! |= bit;
      else bytes[at]! &= ~bit;
      i++;
    }
  }
}

/** Adds `count` to cg_frsum for every free run in a block whose bits are `bits`; a wholly free block is not counted. */
export function fragacct(fs: Fs, cg: Cg, bits: number, count: number): void {
  const runs = RUNS[fs.fs_frag]![bits]!;
  if (runs === 0) return;
  let run = 0;
  for (let i = 0; i <= fs.fs_frag; i++) {
    if (i < fs.fs_frag && (bits & (1 << i)) !== 0) {
      run++;
    } else {
      if (run > 0 && run < fs.fs_frag) cg.setfrsum(run, cg.frsum(run) + count);
      run = 0;
    }
  }
}

/**
 * The first block at or behind block `start` (then from the beginning) that has a free run of exactly `size` frags.
 * @returns the first frag of that run, or -1.
 */
export function mapsearch(fs: Fs, cg: Cg, start: number, size: number): number {
  const { fs_frag, fs_fragshift } = fs;
  const runs = RUNS[fs_frag]!;
  const nblk = Math.ceil(cg.cg_ndblk / fs_frag);
  const first = start >= nblk ? 0 : start;
  for (let i = 0, b = first; i < nblk; i++, b = b + 1 === nblk ? 0 : b + 1) {
    const d = b << fs_fragshift;
    const bits = blkmap(fs, cg, d);
    if ((runs[bits]! & (1 << size)) === 0) continue;
    let run = 0;
    for (let k = 0; k <= fs_frag; k++) {
      if (k < fs_frag && (bits & (1 << k)) !== 0) {
        run++;
      } else {
        if (run === size) return d + k - run;
        run = 0;
      }
    }
  }
  return -1;
}

/** A run of whole free blocks that {@link findrun} found. */
export interface BlockRun {
  start: number;
  length: number;
}

/**
 * Looks for `want` consecutive whole free blocks, from block `start` and then from the beginning. Fills `into` with the
 * first run that is long enough (length cut to `want`), or else the longest; length 0 if no block is free.
 */
export function findrun(fs: Fs, cg: Cg, start: number, want: number, into: BlockRun): void {
  const nblk = Math.floor(cg.cg_ndblk / fs.fs_frag);
  into.start = 0;
  into.length = 0;
  const first = start >= nblk ? 0 : start;
  let run = 0;
  for (let pass = 0; pass < 2; pass++) {
    // The second pass goes on past `first` while a run that began before it goes on.
    const end = pass === 0 ? nblk : first;
    run = 0;
    for (let b = pass === 0 ? first : 0; b < nblk; b++) {
      if (isblock(fs, cg, b)) {
        run++;
        if (run > into.length) {
          into.start = b + 1 - run;
          into.length = run;
          if (run === want) return;
        }
      } else {
        run = 0;
        if (b >= end) break;
      }
      if (b >= end && run === 0) break;
    }
  }
}

/** How many whole blocks from `b` on are free, at most `want`. */
export function freerun(fs: Fs, cg: Cg, b: number, want: number): number {
  const nblk = Math.floor(cg.cg_ndblk / fs.fs_frag);
  const most = Math.min(want, nblk - b);
  let n = 0;
  if (fs.fs_frag === 8) {
    const at = cg.cg_freeoff + b;
    while (n < most && cg.bytes[at + n] === 0xff) n++;
  } else {
    while (n < most && isblock(fs, cg, b + n)) n++;
  }
  return n;
}

/**
 * Updates cluster map and cluster summary for blocks b..b+n-1, which become free (`free`) or used; all of them must
 * have been the opposite before.
 */
export function clusteracct(fs: Fs, cg: Cg, b: number, n: number, free: boolean): void {
  if (cg.cg_clustersumoff === 0) return;
  const max = fs.fs_contigsumsize;
  const { bytes, cg_clusteroff } = cg;
  for (let i = b; i < b + n; i++) {
    if (free) bytes[cg_clusteroff + (i >>> 3)]! |= 1 << (i & 7);
    else bytes[cg_clusteroff + (i >>> 3)]! &= ~(1 << (i & 7));
  }
  const nclusters = cg.cg_nclusterblks;
  let forw = 0;
  while (forw < max && b + n + forw < nclusters && cg.clustersfree(b + n + forw)) forw++;
  let back = 0;
  while (back < max && b - 1 - back >= 0 && cg.clustersfree(b - 1 - back)) back++;
  const sign = free ? 1 : -1;
  const whole = Math.min(back + n + forw, max);
  cg.setclustersum(whole, cg.clustersum(whole) + sign);
  if (back > 0) cg.setclustersum(back, cg.clustersum(back) - sign);
  if (forw > 0) cg.setclustersum(forw, cg.clustersum(forw) - sign);
}

/**
 * Adds `count` to the rotational totals of blocks b..b+n-1, on volumes that keep them. CgBuilder counts the same way
 * for the checker.
 */
export function rotacct(fs: Fs, cg: Cg, b: number, n: number, count: number): void {
  if (cg.cg_old_btotoff === 0 || (fs.fs_old_flags & FS_FLAGS_UPDATED) !== 0) return;
  // One cylinder, one position: all of the group is there, even what the geometry puts behind the end of the cylinder.
  const only = !cg.old && fs.fs_old_cpg === 1 && fs.fs_old_nrpos === 1;
  const spc = fs.fs_old_spc;
  if (!only && (spc <= 0 || fs.fs_old_nsect <= 0)) return;
  const cylinders = cg.old ? 32 : fs.fs_old_cpg;
  for (let i = b; i < b + n; i++) {
    const sector = (i * fs.fs_bsize) / 512;
    const cylno = only ? 0 : Math.floor(sector / spc);
    if (cylno >= cylinders) return;
    cg.setold_blktot(cylno, cg.old_blktot(cylno) + count);
    const rpos = only ? 0 : cbtorpos(fs, sector);
    if (rpos >= 0 && rpos < fs.fs_old_nrpos) cg.setold_blks(fs, cylno, rpos, cg.old_blks(fs, cylno, rpos) + count);
  }
}

/**
 * Rotational position of a sector of a group (old_cbtorpos in NetBSD's fs.h); fs_old_spc and fs_old_nsect are above 0.
 */
function cbtorpos(fs: Fs, sector: number): number {
  const fixed = fs.fs_old_postblformat === FS_42POSTBLFMT;
  const nsect = fs.fs_old_nsect;
  const npsect = fixed ? nsect : fs.fs_old_npsect;
  if (fs.fs_old_nrpos <= 1 || npsect <= 0) return 0;
  const interleave = fixed ? 1 : fs.fs_old_interleave;
  const trackskew = fixed ? 0 : fs.fs_old_trackskew;
  const incyl = sector % fs.fs_old_spc;
  const turned = (Math.floor(incyl / nsect) * trackskew + (incyl % nsect) * interleave) % nsect;
  return Math.floor((turned * fs.fs_old_nrpos) / npsect);
}

/**
 * Why frags fsb..fsb+n-1 can not be data of a file: outside the volume, across a block, or inside the metadata of a
 * group or the summary area. undefined if they can.
 */
export function badblock(fs: Fs, fsb: number, n: number): string | undefined {
  if (!(fsb > 0) || fsb + n > fs.fs_size) return 'outside the volume';
  if (n <= fs.fs_frag && fs.fragnum(fsb) + n > fs.fs_frag) return 'across a block boundary';
  const c = fs.dtog(fsb);
  const dmin = fs.cgdmin(c);
  if (fsb < dmin ? fsb + n > fs.cgsblock(c) : fsb + n > fs.cgbase(c + 1)) {
    return `in the metadata of cylinder group ${c}`;
  }
  if (c === 0 && fsb < dmin) return 'in the boot area';
  const csend = fs.fs_csaddr + Math.ceil(fs.fs_cssize / fs.fs_fsize);
  if (fsb < csend && fsb + n > fs.fs_csaddr) return 'in the summary area';
  return undefined;
}
