import { MAX_EXACT } from '../../lib/endian.js';
import type { Fs } from './fs.js';
import {
  CSUM_SIZE,
  DINODE1_SIZE,
  DINODE2_SIZE,
  FS_42POSTBLFMT,
  FS_MAXCONTIG,
  FS_STRUCT_SIZE,
  MAXBSIZE,
  MAXFRAG,
  MINBSIZE,
  SBLOCKSIZE,
} from './fs_const.js';

export interface ValidateLimits {
  /** Size of the device, bytes; undefined leaves the comparison out (a checker that looks at a damaged copy). */
  readonly device_bytes?: number;
}

/** Cylinder groups that we accept: a 16 TiB volume of the smallest groups has about a million. */
const MAX_NCG = 1 << 22;
/** `struct cg` without its maps. */
const CG_FIXED = 168;
/** `struct ocg` up to its free map. */
const OCG_FIXED = 984;

function powerof2(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

/** Inodes of a group of 4.2BSD: its map has 256 bytes. */
const OCG_INODES = 2048;

/** The groups are those of 4.2BSD, with fixed places for the maps. */
function oldgroups(fs: Fs): boolean {
  return !fs.ufs2 && fs.fs_old_postblformat === FS_42POSTBLFMT;
}

/** Does the superblock claim the groups of 4.2BSD, which would not hold its maps? No system has made such a volume. */
export function ffs_oldgroups_wrong(fs: Fs): boolean {
  return oldgroups(fs) && (fs.fs_ipg > OCG_INODES || fs.fs_cgsize < OCG_FIXED + Math.ceil(fs.fs_fpg / 8));
}

/**
 * Do frags fsb..fsb+n-1 touch the metadata of a group, or reach into the next one? Not asked of areas that no group
 * could hold.
 */
function meetsmetadata(fs: Fs, fsb: number, n: number): boolean {
  if (n > fs.fs_fpg - fs.fs_dblkno) return false;
  const c = fs.dtog(fsb);
  return fsb < fs.cgdmin(c) ? fsb + n > fs.cgsblock(c) : fsb + n > fs.cgbase(c + 1);
}

/** Bytes of a group block with its maps, at least: rotational tables and the order of the maps are left out. */
function cgneeds(fs: Fs): number {
  if (oldgroups(fs)) return OCG_FIXED + Math.ceil(fs.fs_fpg / 8);
  const clusters =
    fs.fs_contigsumsize > 0 ? 4 * fs.fs_contigsumsize + Math.ceil(Math.floor(fs.fs_fpg / fs.fs_frag) / 8) : 0;
  return CG_FIXED + Math.ceil(fs.fs_ipg / 8) + Math.ceil(fs.fs_fpg / 8) + clusters;
}

/** Largest (c & ~cgmask) for the groups that exist, in steps of the pattern; bounded work. */
function largest_shift(fs: Fs): number {
  let largest = 0;
  const groups = Math.min(fs.fs_ncg, 1 << 16);
  for (let c = 0; c < groups; c++) {
    const shift = (c & ~fs.fs_old_cgmask) >>> 0;
    if (shift > largest) largest = shift;
  }
  return largest;
}

/**
 * Is the superblock one that can be worked with? As strict as NetBSD's check of the same name, and further: every
 * field that we divide, shift, allocate or address with, and that the areas of a group follow each other, fit the
 * group, and that the groups fit the device. Counters of free space are not judged here (they may be stale, and are a
 * matter for the checker).
 *
 * @returns the field and its value with the rule that it breaks, or undefined if all is well.
 */
export function ffs_superblock_validate(fs: Fs, limits: ValidateLimits): string | undefined {
  const bad = (name: keyof Fs, rule: string): string => `${name} ${String(fs[name])} ${rule}`;
  const dinode = fs.ufs2 ? DINODE2_SIZE : DINODE1_SIZE;

  if (fs.fs_sbsize < FS_STRUCT_SIZE || fs.fs_sbsize > SBLOCKSIZE) {
    return bad('fs_sbsize', `is not ${FS_STRUCT_SIZE}..${SBLOCKSIZE}`);
  }
  if (fs.fs_bsize < MINBSIZE || fs.fs_bsize > MAXBSIZE || !powerof2(fs.fs_bsize)) {
    return bad('fs_bsize', `is no power of two in ${MINBSIZE}..${MAXBSIZE}`);
  }
  if (!powerof2(fs.fs_fsize) || fs.fs_fsize < 512 || fs.fs_fsize > fs.fs_bsize) {
    return bad('fs_fsize', `is no power of two in 512..${fs.fs_bsize}`);
  }
  if (fs.fs_frag !== fs.fs_bsize / fs.fs_fsize || fs.fs_frag > MAXFRAG) {
    return bad('fs_frag', `is not ${fs.fs_bsize}/${fs.fs_fsize} or above ${MAXFRAG}`);
  }
  if (1 << fs.fs_bshift !== fs.fs_bsize || fs.fs_bshift > 16 || fs.fs_bshift < 0) {
    return bad('fs_bshift', `does not fit fs_bsize ${fs.fs_bsize}`);
  }
  if (1 << fs.fs_fshift !== fs.fs_fsize || fs.fs_fshift > 16 || fs.fs_fshift < 0) {
    return bad('fs_fshift', `does not fit fs_fsize ${fs.fs_fsize}`);
  }
  if (1 << fs.fs_fragshift !== fs.fs_frag || fs.fs_fragshift > 3 || fs.fs_fragshift < 0) {
    return bad('fs_fragshift', `does not fit fs_frag ${fs.fs_frag}`);
  }
  if (fs.fs_bmask !== ~(fs.fs_bsize - 1)) return bad('fs_bmask', `does not fit fs_bsize ${fs.fs_bsize}`);
  if (fs.fs_fmask !== ~(fs.fs_fsize - 1)) return bad('fs_fmask', `does not fit fs_fsize ${fs.fs_fsize}`);
  if (fs.fs_inopb !== fs.fs_bsize / dinode) return bad('fs_inopb', `is not ${fs.fs_bsize / dinode}`);
  const nindir = fs.fs_bsize / (fs.ufs2 ? 8 : 4);
  if (fs.fs_nindir !== nindir) return bad('fs_nindir', `is not ${nindir}`);
  if (fs.fs_maxbpg <= 0) return bad('fs_maxbpg', 'is not positive');
  if (fs.fs_minfree < 0 || fs.fs_minfree > 99) return bad('fs_minfree', 'is not 0..99');
  if (fs.fs_contigsumsize > FS_MAXCONTIG) return bad('fs_contigsumsize', `is above ${FS_MAXCONTIG}`);
  if (fs.fs_maxfilesize <= 0) return bad('fs_maxfilesize', 'is not positive');

  if (fs.fs_ncg < 1 || fs.fs_ncg > MAX_NCG) return bad('fs_ncg', `is not 1..${MAX_NCG}`);
  if (fs.fs_fpg < fs.fs_frag || fs.fs_fpg > 8 * MAXBSIZE) return bad('fs_fpg', `is not ${fs.fs_frag}..${8 * MAXBSIZE}`);
  if (fs.fs_fpg % fs.fs_frag !== 0) return bad('fs_fpg', `is no multiple of fs_frag ${fs.fs_frag}`);
  if (fs.fs_ipg < fs.fs_inopb || fs.fs_ipg > 8 * MAXBSIZE || fs.fs_ipg % fs.fs_inopb !== 0) {
    return bad('fs_ipg', `is no multiple of ${fs.fs_inopb} up to ${8 * MAXBSIZE}`);
  }
  if (fs.fs_ncg * fs.fs_ipg > 0xffffffff) return bad('fs_ipg', `times fs_ncg ${fs.fs_ncg} is above 2^32 inodes`);
  if (fs.fs_size <= 0 || fs.fs_size * fs.fs_fsize > MAX_EXACT) return bad('fs_size', 'is out of range');
  if (!fs.ufs2 && fs.fs_size > 0x7fffffff) return bad('fs_size', 'is above 2^31 for UFS1');
  if (fs.fs_dsize < 0 || fs.fs_dsize > fs.fs_size) return bad('fs_dsize', `is not 0..${fs.fs_size}`);
  if (fs.fs_size > fs.fs_ncg * fs.fs_fpg || fs.fs_size <= (fs.fs_ncg - 1) * fs.fs_fpg) {
    return bad('fs_size', `does not fit ${fs.fs_ncg} groups of ${fs.fs_fpg}`);
  }

  if (fs.fs_cgsize < cgneeds(fs) || fs.fs_cgsize > fs.fs_bsize) {
    return bad('fs_cgsize', `is not ${cgneeds(fs)}..${fs.fs_bsize}, which the maps of a group need`);
  }
  if (oldgroups(fs) && fs.fs_ipg > OCG_INODES) {
    return bad('fs_ipg', `is above the ${OCG_INODES} inodes that a group of 4.2BSD holds`);
  }
  if (fs.fs_old_cpg < 0 || fs.fs_old_cpg > fs.fs_fpg) return bad('fs_old_cpg', 'is out of range');
  if (fs.fs_old_nrpos < 0 || fs.fs_old_nrpos > 512) return bad('fs_old_nrpos', 'is out of range');

  // The areas of a group, in frags from its start.
  const frags = (bytes: number): number => Math.ceil(bytes / fs.fs_fsize);
  if (fs.fs_sblkno < 0 || fs.fs_sblkno >= fs.fs_fpg) return bad('fs_sblkno', 'lies outside the group');
  if (fs.fs_cblkno < fs.fs_sblkno + 1 || fs.fs_cblkno >= fs.fs_fpg) {
    return bad('fs_cblkno', 'lies before the superblock copy or outside the group');
  }
  if (fs.fs_iblkno < fs.fs_cblkno + frags(fs.fs_cgsize) || fs.fs_iblkno >= fs.fs_fpg) {
    return bad('fs_iblkno', 'overlaps the group block or lies outside the group');
  }
  const itable = (fs.fs_ipg / fs.fs_inopb) * fs.fs_frag;
  if (fs.fs_dblkno < fs.fs_iblkno + itable || fs.fs_dblkno > fs.fs_fpg) {
    return bad('fs_dblkno', 'overlaps the inodes or lies outside the group');
  }
  if (!fs.ufs2) {
    if (fs.fs_old_cgoffset < 0) return bad('fs_old_cgoffset', 'is negative');
    if (fs.fs_old_cgoffset > 0 && fs.fs_old_cgoffset * largest_shift(fs) + fs.fs_dblkno > fs.fs_fpg) {
      return bad('fs_old_cgoffset', 'moves the metadata out of the group');
    }
  }
  if (fs.cgdmin(fs.fs_ncg - 1) > fs.fs_size) return bad('fs_size', 'cuts the metadata of the last group');

  if (fs.fs_cssize < fs.fs_ncg * CSUM_SIZE || fs.fs_cssize > fs.blkroundup(fs.fs_ncg * CSUM_SIZE)) {
    return bad('fs_cssize', `does not fit ${fs.fs_ncg} groups`);
  }
  if (fs.fs_csaddr < fs.fs_dblkno || fs.fs_csaddr + frags(fs.fs_cssize) > fs.fs_size) {
    return bad('fs_csaddr', 'lies outside the data area');
  }
  if (meetsmetadata(fs, fs.fs_csaddr, frags(fs.fs_cssize))) return bad('fs_csaddr', 'lies in the metadata of a group');

  if (fs.fs_sblockloc < 0 || fs.fs_sblockloc + fs.fs_sbsize > fs.fs_size * fs.fs_fsize) {
    return bad('fs_sblockloc', 'lies outside the volume');
  }
  if (limits.device_bytes !== undefined && fs.fs_size * fs.fs_fsize > limits.device_bytes) {
    return `the volume is ${fs.fs_size * fs.fs_fsize} bytes, the device only ${limits.device_bytes}: the image was ` +
      'cut off or the partition is too small';
  }
  return undefined;
}

/** Are the free-space totals possible? For the decision whether the volume may be written; undefined if they are. */
export function ffs_cstotal_validate(fs: Fs): string | undefined {
  const { cs_ndir, cs_nbfree, cs_nifree, cs_nffree } = fs.fs_cstotal;
  const inodes = fs.ninodes;
  if (cs_ndir < 0 || cs_ndir > inodes) return `cs_ndir ${cs_ndir} is not 0..${inodes}`;
  if (cs_nifree < 0 || cs_nifree > inodes) return `cs_nifree ${cs_nifree} is not 0..${inodes}`;
  if (cs_nbfree < 0 || cs_nffree < 0 || cs_nbfree * fs.fs_frag + cs_nffree > fs.fs_size) {
    return `cs_nbfree ${cs_nbfree} blocks and cs_nffree ${cs_nffree} frags do not fit ${fs.fs_size} frags`;
  }
  return undefined;
}
