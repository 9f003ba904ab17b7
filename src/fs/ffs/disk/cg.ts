import { E, errno } from '../../../kernel/errno.js';
import { geti64, put64 } from '../../lib/endian.js';
import { CK_CYLGRP, cg_ckhash_verifies } from './ckhash.js';
import type { Fs } from './fs.js';
import { FS_42POSTBLFMT, MAXFRAG } from './fs_const.js';

/**
 * A cylinder group block: counters, and the maps of used inodes and free fragments of one group.
 * Source of the layout: NetBSD sys/ufs/ffs/fs.h, struct cg and struct ocg; FreeBSD's for cg_unrefs and cg_ckhash.
 */
export const CG_MAGIC = 0x00090255;

const OCG_BTOT = 84;
const OCG_B = 212;
const OCG_IUSED = 724;
const OCG_MAGIC = 980;
const OCG_FREE = 984;

/**
 * A window onto the bytes of a group block (usually of a buffer of the cache): getters and setters read and write the
 * bytes themselves, so that nothing has to be kept in step. Make one with {@link Cg.open}, which checks everything.
 */
export class Cg {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly le: boolean;
  /** 4.2BSD layout: fixed places for the maps, no clusters. */
  readonly old: boolean;
  /** Byte offsets of the maps in the block: checked to lie inside it. */
  readonly cg_iusedoff: number;
  readonly cg_freeoff: number;
  /** 0 if there are no clusters. Entry n (1..fs_contigsumsize) is at cg_clustersumoff + 4 * n. */
  readonly cg_clustersumoff: number;
  readonly cg_clusteroff: number;
  /** 0 if there are no rotational totals (UFS2). */
  readonly cg_old_btotoff: number;
  readonly cg_old_boff: number;

  private constructor(
    bytes: Uint8Array,
    view: DataView,
    le: boolean,
    old: boolean,
    clusters: boolean,
    rotational: boolean,
  ) {
    this.bytes = bytes;
    this.view = view;
    this.le = le;
    this.old = old;
    this.cg_iusedoff = old ? OCG_IUSED : view.getUint32(92, le);
    this.cg_freeoff = old ? OCG_FREE : view.getUint32(96, le);
    this.cg_clustersumoff = clusters ? view.getUint32(104, le) : 0;
    this.cg_clusteroff = clusters ? view.getUint32(108, le) : 0;
    this.cg_old_btotoff = !rotational ? 0 : old ? OCG_BTOT : view.getUint32(84, le);
    this.cg_old_boff = !rotational ? 0 : old ? OCG_B : view.getUint32(88, le);
  }

  /**
   * Opens group `cgx` for use.
   * @param bytes fs.cgbytes bytes of the block at cgtod(cgx)
   * @throws EIO if magic, group number, sizes or places of the maps are wrong; the message says which and where
   */
  static open(fs: Fs, bytes: Uint8Array, view: DataView, cgx: number): Cg {
    const problem = Cg.check(fs, view, bytes.length, cgx);
    if (problem !== undefined) {
      throw errno(E.EIO, `cylinder group ${cgx} at byte ${fs.fsbtob(fs.cgtod(cgx))}: ${problem}`);
    }
    return Cg.adopt(fs, bytes, view);
  }

  /** Like {@link open} without checks: for newfs, which has just laid out the block, and for blocks checked before. */
  static adopt(fs: Fs, bytes: Uint8Array, view: DataView): Cg {
    const old = !fs.ufs2 && fs.fs_old_postblformat === FS_42POSTBLFMT;
    return new Cg(
      bytes,
      view,
      fs.le,
      old,
      !old && fs.fs_contigsumsize > 0,
      !fs.ufs2 && fs.fs_old_cpg > 0 && fs.fs_old_nrpos > 0 && hasrotational(view, fs, old),
    );
  }

  /**
   * What is wrong with the block (field, value, rule), or undefined. Not for a dirty one, whose check hash is made when
   * it is written.
   */
  static check(fs: Fs, view: DataView, length: number, cgx: number): string | undefined {
    const { le } = fs;
    const old = !fs.ufs2 && fs.fs_old_postblformat === FS_42POSTBLFMT;
    if (length < fs.fs_cgsize) return `block of ${length} bytes is below fs_cgsize ${fs.fs_cgsize}`;
    const magic = view.getUint32(old ? OCG_MAGIC : 4, le);
    if (magic !== CG_MAGIC) return `cg_magic 0x${magic.toString(16)} is not 0x${CG_MAGIC.toString(16)}`;
    if (view.getUint32(12, le) !== cgx) return `cg_cgx ${view.getUint32(12, le)} is not ${cgx}`;
    const ndblk = view.getUint32(20, le);
    if (ndblk !== fs.cgfrags(cgx)) return `cg_ndblk ${ndblk} is not ${fs.cgfrags(cgx)}`;
    if ((fs.ckhashes & CK_CYLGRP) !== 0 && !cg_ckhash_verifies(view, fs.fs_cgsize, le)) {
      return 'its check hash does not fit it';
    }
    const imap = Math.ceil(fs.fs_ipg / 8);
    const fmap = Math.ceil(fs.fs_fpg / 8);
    if (old) return undefined; // fixed places, which the superblock's check has looked at
    const inside = (name: string, offset: number, size: number): string | undefined =>
      offset < 168 || offset + size > length
        ? `${name} ${offset} (${size} bytes) lies outside 168..${length}`
        : undefined;
    const iusedoff = view.getUint32(92, le);
    const freeoff = view.getUint32(96, le);
    let problem = inside('cg_iusedoff', iusedoff, imap) ?? inside('cg_freeoff', freeoff, fmap);
    if (problem !== undefined) return problem;
    if (iusedoff < freeoff ? iusedoff + imap > freeoff : freeoff + fmap > iusedoff) {
      return `cg_iusedoff ${iusedoff} and cg_freeoff ${freeoff}: the maps overlap`;
    }
    if (fs.fs_contigsumsize > 0) {
      const sumoff = view.getUint32(104, le);
      const clusteroff = view.getUint32(108, le);
      const nclusters = view.getUint32(112, le);
      problem =
        inside('cg_clustersumoff', sumoff, 4 * (fs.fs_contigsumsize + 1)) ??
        inside('cg_clusteroff', clusteroff, Math.ceil(fs.fs_fpg / fs.fs_frag / 8));
      if (problem !== undefined) return problem;
      if (nclusters > Math.ceil(fs.fs_fpg / fs.fs_frag)) {
        return `cg_nclusterblks ${nclusters} is above the blocks of a group`;
      }
    }
    if (fs.ufs2) {
      const initediblk = view.getUint32(120, le);
      if (initediblk > fs.fs_ipg) return `cg_initediblk ${initediblk} is above fs_ipg ${fs.fs_ipg}`;
      const niblk = view.getUint32(116, le);
      if (niblk > fs.fs_ipg) return `cg_niblk ${niblk} is above fs_ipg ${fs.fs_ipg}`;
    } else if (fs.fs_old_cpg > 0 && fs.fs_old_nrpos > 0 && hasrotational(view, fs, false)) {
      problem =
        inside('cg_old_btotoff', view.getUint32(84, le), 4 * fs.fs_old_cpg) ??
        inside('cg_old_boff', view.getUint32(88, le), 2 * fs.fs_old_cpg * fs.fs_old_nrpos);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  get cg_cgx(): number { return this.view.getUint32(12, this.le); }
  /** Frags of this group. */
  get cg_ndblk(): number { return this.view.getUint32(20, this.le); }
  get cs_ndir(): number { return this.view.getInt32(24, this.le); }
  set cs_ndir(n: number) { this.view.setInt32(24, n, this.le); }
  get cs_nbfree(): number { return this.view.getInt32(28, this.le); }
  set cs_nbfree(n: number) { this.view.setInt32(28, n, this.le); }
  get cs_nifree(): number { return this.view.getInt32(32, this.le); }
  set cs_nifree(n: number) { this.view.setInt32(32, n, this.le); }
  get cs_nffree(): number { return this.view.getInt32(36, this.le); }
  set cs_nffree(n: number) { this.view.setInt32(36, n, this.le); }
  /** Last used block, frag and inode: where the next search begins. Frag or inode number inside the group. */
  get cg_rotor(): number { return this.view.getUint32(40, this.le); }
  set cg_rotor(n: number) { this.view.setUint32(40, n, this.le); }
  get cg_frotor(): number { return this.view.getUint32(44, this.le); }
  set cg_frotor(n: number) { this.view.setUint32(44, n, this.le); }
  get cg_irotor(): number { return this.view.getUint32(48, this.le); }
  set cg_irotor(n: number) { this.view.setUint32(48, n, this.le); }
  /** Free runs of exactly `n` frags (1..fs_frag-1). */
  frsum(n: number): number {
    if (n < 0 || n >= MAXFRAG) throw errno(E.EINVAL, `cg_frsum index ${n}`);
    return this.view.getInt32(52 + 4 * n, this.le);
  }
  setfrsum(n: number, value: number): void {
    if (n < 0 || n >= MAXFRAG) throw errno(E.EINVAL, `cg_frsum index ${n}`);
    this.view.setInt32(52 + 4 * n, value, this.le);
  }
  get cg_nextfreeoff(): number {
    return this.old ? OCG_FREE + Math.ceil(this.cg_ndblk / 8) : this.view.getUint32(100, this.le);
  }
  /** Blocks that the cluster map covers. */
  get cg_nclusterblks(): number { return this.old ? 0 : this.view.getUint32(112, this.le); }
  /** Inodes of this group (UFS2). */
  get cg_niblk(): number { return this.view.getUint32(116, this.le); }
  /** UFS2: inodes 0..cg_initediblk-1 of the group have been written; beyond, the disk holds garbage. */
  get cg_initediblk(): number { return this.view.getUint32(120, this.le); }
  set cg_initediblk(n: number) { this.view.setUint32(120, n, this.le); }
  /** Last write, seconds since 1970. */
  get cg_time(): number { return this.old ? this.view.getInt32(8, this.le) : geti64(this.view, 136, this.le); }
  settime(fs: Fs, seconds: number): void {
    if (!this.old && fs.wide) put64(this.view, 136, seconds, this.le);
    if (!fs.ufs2) this.view.setInt32(8, seconds, this.le);
  }
  /** Free clusters of exactly `n` blocks, 1..fs_contigsumsize (the last counts longer ones too). */
  clustersum(n: number): number { return this.view.getInt32(this.cg_clustersumoff + 4 * n, this.le); }
  setclustersum(n: number, value: number): void { this.view.setInt32(this.cg_clustersumoff + 4 * n, value, this.le); }
  /** UFS1: free blocks in cylinder `cylno`. */
  old_blktot(cylno: number): number {
    return this.view.getInt32(this.cg_old_btotoff + 4 * cylno, this.le);
  }
  setold_blktot(cylno: number, value: number): void {
    this.view.setInt32(this.cg_old_btotoff + 4 * cylno, value, this.le);
  }
  /** UFS1: free blocks at rotational position `rpos` of cylinder `cylno`. */
  old_blks(fs: Fs, cylno: number, rpos: number): number {
    return this.view.getInt16(this.cg_old_boff + 2 * (cylno * fs.fs_old_nrpos + rpos), this.le);
  }
  setold_blks(fs: Fs, cylno: number, rpos: number, value: number): void {
    this.view.setInt16(this.cg_old_boff + 2 * (cylno * fs.fs_old_nrpos + rpos), value, this.le);
  }

  /** Inode `i` of the group (0..fs_ipg-1) is in use. */
  inosused(i: number): boolean { return (this.bytes[this.cg_iusedoff + (i >>> 3)]! & (1 << (i & 7))) !== 0; }
  /** Frag `d` of the group (0..fs_fpg-1) is free. */
  blksfree(d: number): boolean { return (this.bytes[this.cg_freeoff + (d >>> 3)]! & (1 << (d & 7))) !== 0; }
  /** Block `b` of the group is free as a whole, by the cluster map. */
  clustersfree(b: number): boolean { return (this.bytes[this.cg_clusteroff + (b >>> 3)]! & (1 << (b & 7))) !== 0; }
}

/**
 * UFS1 volumes of newer newfs leave the rotational tables out: both offsets are then 0, or equal to each other and to
 * the inode map's.
 */
function hasrotational(view: DataView, fs: Fs, old: boolean): boolean {
  if (old) return true;
  const btotoff = view.getUint32(84, fs.le);
  const boff = view.getUint32(88, fs.le);
  return btotoff !== 0 && boff > btotoff && view.getUint32(92, fs.le) > boff;
}
