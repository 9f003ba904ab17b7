import { CG_MAGIC } from '../disk/cg.js';
import type { Fs } from '../disk/fs.js';
import { FS_42POSTBLFMT, FS_FLAGS_UPDATED } from '../disk/fs.js';

/**
 * Makes a whole cylinder group block out of two facts, which fragments and which inodes are used: for newfs, which
 * writes it, and for fsck, which holds it against the one on the disk. It shares nothing with the allocator.
 * Source of the layout: NetBSD sys/ufs/ffs/fs.h (struct cg, struct ocg), sbin/fsck_ffs/pass5.c.
 */

const CG_SPACE = 168;
const OCG_BTOT = 84;
const OCG_B = 212;
const OCG_IUSED = 724;
const OCG_MAGIC = 980;
const OCG_FREE = 984;

/** Byte offsets of the parts of a group block, which follow from the superblock alone. */
export interface CgOffsets {
  /** 4.2BSD layout. */
  readonly old: boolean;
  /** Bytes of the header that are compared and owned as such. */
  readonly basesize: number;
  /** Rotational totals: 0 bytes where the volume does not keep them. */
  readonly btotoff: number;
  readonly boff: number;
  readonly sumsize: number;
  readonly iusedoff: number;
  readonly inomapsize: number;
  readonly freeoff: number;
  readonly blkmapsize: number;
  /** 0 where there are no clusters. */
  readonly clustersumoff: number;
  readonly clusteroff: number;
  readonly clustermapsize: number;
  readonly nextfreeoff: number;
}

/** @param appleufs Apple puts the cluster sums four bytes further. */
export function cgOffsets(fs: Fs, appleufs = false): CgOffsets {
  const inomapsize = Math.ceil(fs.fs_ipg / 8);
  const blkmapsize = Math.ceil(fs.fs_fpg / 8);
  if (!fs.ufs2 && fs.fs_old_postblformat === FS_42POSTBLFMT) {
    return {
      old: true,
      basesize: OCG_BTOT,
      btotoff: OCG_BTOT,
      boff: OCG_B,
      sumsize: (fs.fs_old_flags & FS_FLAGS_UPDATED) === 0 ? OCG_IUSED - OCG_BTOT : 0,
      iusedoff: OCG_IUSED,
      inomapsize,
      freeoff: OCG_FREE,
      blkmapsize,
      clustersumoff: 0,
      clusteroff: 0,
      clustermapsize: 0,
      nextfreeoff: OCG_FREE + blkmapsize,
    };
  }
  const btotoff = fs.ufs2 ? 0 : CG_SPACE;
  const boff = fs.ufs2 ? 0 : btotoff + 4 * fs.fs_old_cpg;
  const iusedoff = fs.ufs2 ? CG_SPACE : boff + 2 * fs.fs_old_cpg * fs.fs_old_nrpos;
  const freeoff = iusedoff + inomapsize;
  let nextfreeoff = freeoff + blkmapsize;
  let clustersumoff = 0;
  let clusteroff = 0;
  let clustermapsize = 0;
  if (fs.fs_contigsumsize > 0) {
    // Entry 0 of the sums is not used, so it may lie on the end of the map before it.
    clustersumoff = Math.ceil((nextfreeoff - (appleufs ? 0 : 4)) / 4) * 4;
    clusteroff = clustersumoff + 4 * (fs.fs_contigsumsize + 1);
    clustermapsize = Math.ceil(Math.floor(fs.fs_fpg / fs.fs_frag) / 8);
    nextfreeoff = clusteroff + clustermapsize;
  }
  // The driver keeps none either where there is no cylinder or no position (Cg).
  const kept = !fs.ufs2 && (fs.fs_old_flags & FS_FLAGS_UPDATED) === 0 && fs.fs_old_cpg > 0 && fs.fs_old_nrpos > 0;
  return {
    old: false,
    basesize: CG_SPACE,
    btotoff,
    boff,
    sumsize: kept ? iusedoff - btotoff : 0,
    iusedoff,
    inomapsize,
    freeoff,
    blkmapsize,
    clustersumoff,
    clusteroff,
    clustermapsize,
    nextfreeoff,
  };
}

/** For each byte of a free map: what it holds in whole blocks, in loose fragments, and in runs of them. */
interface ByteTable {
  readonly blocks: Uint8Array;
  readonly frags: Uint8Array;
  /** 8 counts a byte: runs of n free fragments inside one block, n = 0..7. */
  readonly runs: Uint8Array;
  /** One bit for each block of the byte, lowest first: free as a whole. */
  readonly clusters: Uint8Array;
}

const tables = new Map<number, ByteTable>();

function byteTable(frag: number): ByteTable {
  let table = tables.get(frag);
  if (table !== undefined) return table;
  table = {
    blocks: new Uint8Array(256),
    frags: new Uint8Array(256),
    runs: new Uint8Array(2048),
    clusters: new Uint8Array(256),
  };
  const full = (1 << frag) - 1;
  for (let byte = 0; byte < 256; byte++) {
    for (let b = 0; b * frag < 8; b++) {
      const bits = (byte >> (b * frag)) & full;
      if (bits === full) {
        table.blocks[byte]!++;
        table.clusters[byte]! |= 1 << b;
        continue;
      }
      let run = 0;
      for (let i = 0; i <= frag; i++) {
        if (i < frag && (bits & (1 << i)) !== 0) {
          run++;
          table.frags[byte]!++;
        } else if (run > 0) {
          table.runs[byte * 8 + run]!++;
          run = 0;
        }
      }
    }
  }
  tables.set(frag, table);
  return table;
}

/** Fills bits `from`..`to`-1 with ones. */
export function setBits(map: Uint8Array, from: number, to: number): void {
  while (from < to && (from & 7) !== 0) {
    map[from >>> 3]! |= 1 << (from & 7);
    from++;
  }
  const whole = to >>> 3;
  if (from < to && whole > from >>> 3) {
    map.fill(0xff, from >>> 3, whole);
    from = whole << 3;
  }
  for (; from < to; from++) map[from >>> 3]! |= 1 << (from & 7);
}

/** What a group's header takes over from elsewhere: it cannot be computed. */
export interface CgKept {
  readonly cg_time: number;
  readonly cg_old_time: number;
  readonly cg_rotor: number;
  readonly cg_frotor: number;
  readonly cg_irotor: number;
  /** UFS1: what is there. */
  readonly cg_old_ncyl?: number;
  /** UFS2. */
  readonly cg_initediblk: number;
}

/** Builds one group after the other into the same bytes. */
export class CgBuilder {
  readonly offsets: CgOffsets;
  /** fs_cgsize bytes, in the order of the disk; valid until the next {@link build}. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  cs_ndir = 0;
  cs_nbfree = 0;
  cs_nifree = 0;
  cs_nffree = 0;
  readonly #frsum = new Int32Array(8);
  readonly #table: ByteTable;

  constructor(private readonly fs: Fs, appleufs = false) {
    this.offsets = cgOffsets(fs, appleufs);
    this.bytes = new Uint8Array(Math.max(fs.fs_cgsize, this.offsets.nextfreeoff));
    this.view = new DataView(this.bytes.buffer);
    this.#table = byteTable(fs.fs_frag);
  }

  /**
   * @param c group number
   * @param used bit d set: fragment d of the group is in use; at least fs_fpg bits
   * @param inosused bit i set: inode i of the group is in use; at least fs_ipg bits
   * @param ndir directories among them
   */
  build(c: number, used: Uint8Array, inosused: Uint8Array, ndir: number, kept: CgKept): void {
    const { fs, offsets, bytes } = this;
    const ndblk = fs.cgfrags(c);
    bytes.fill(0);
    this.#maps(ndblk, used, inosused);
    this.cs_ndir = ndir;
    this.#header(c, ndblk, kept);
    if (!fs.ufs2 && fs.fs_old_cpg === 1 && fs.fs_old_nrpos === 1 && !offsets.old) {
      this.view.setInt32(offsets.btotoff, this.cs_nbfree, fs.le);
      this.view.setInt16(offsets.boff, this.cs_nbfree, fs.le);
    } else if (offsets.sumsize > 0) {
      this.#rotational(ndblk);
    }
    if (offsets.clusteroff > 0) this.#clustersums(Math.floor(ndblk / fs.fs_frag));
  }

  /** Another group with the same maps as the one built last: only the header is made anew. */
  again(c: number, kept: CgKept): void {
    this.#header(c, this.fs.cgfrags(c), kept);
  }

  #maps(ndblk: number, used: Uint8Array, inosused: Uint8Array): void {
    const { fs, offsets, bytes } = this;
    const { blocks, frags, runs, clusters } = this.#table;
    const frsum = this.#frsum.fill(0);
    let nifree = fs.fs_ipg;
    for (let i = 0; i < offsets.inomapsize; i++) {
      const byte = inosused[i]!;
      if (byte === 0) continue;
      bytes[offsets.iusedoff + i] = byte;
      nifree -= popcount(byte);
    }
    let nbfree = 0;
    let nffree = 0;
    const perByte = 8 / fs.fs_frag;
    const mapBytes = Math.ceil(ndblk / 8);
    for (let i = 0; i < mapBytes; i++) {
      let free = ~used[i]! & 0xff;
      if (i === mapBytes - 1 && (ndblk & 7) !== 0) free &= (1 << (ndblk & 7)) - 1;
      if (free === 0) continue;
      bytes[offsets.freeoff + i] = free;
      nbfree += blocks[free]!;
      if (frags[free] !== 0) {
        nffree += frags[free]!;
        for (let n = 1; n < 8; n++) frsum[n]! += runs[free * 8 + n]!;
      }
      if (offsets.clusteroff > 0 && clusters[free] !== 0) {
        const first = i * perByte;
        bytes[offsets.clusteroff + (first >>> 3)]! |= clusters[free]! << (first & 7);
      }
    }
    this.cs_nbfree = nbfree;
    this.cs_nffree = nffree;
    this.cs_nifree = nifree;
  }

  #header(c: number, ndblk: number, kept: CgKept): void {
    const { fs, view, offsets } = this;
    const { le } = fs;
    const i32 = (offset: number, value: number): void => view.setInt32(offset, value, le);
    const inside = (value: number, limit: number): number => (value >= 0 && value < limit ? value : 0);
    i32(offsets.old ? OCG_MAGIC : 4, CG_MAGIC);
    i32(8, kept.cg_old_time);
    i32(12, c);
    if (!fs.ufs2) {
      let ncyl = fs.fs_old_cpg;
      if (c === fs.fs_ncg - 1 && fs.fs_old_cpg > 0) {
        // OpenBSD counts the old way whatever the flag says. Nobody uses the number.
        const old = fs.fs_old_ncyl % fs.fs_old_cpg;
        ncyl =
          (fs.fs_old_flags & FS_FLAGS_UPDATED) === 0 || kept.cg_old_ncyl === old
            ? old
            : Math.ceil(ndblk / Math.floor(fs.fs_fpg / fs.fs_old_cpg));
      }
      view.setInt16(16, ncyl, le);
      view.setInt16(18, fs.fs_ipg, le);
    }
    i32(20, ndblk);
    i32(24, this.cs_ndir);
    i32(28, this.cs_nbfree);
    i32(32, this.cs_nifree);
    i32(36, this.cs_nffree);
    i32(40, inside(kept.cg_rotor, ndblk));
    i32(44, inside(kept.cg_frotor, ndblk));
    i32(48, inside(kept.cg_irotor, fs.fs_ipg));
    for (let n = 1; n < 8; n++) i32(52 + 4 * n, this.#frsum[n]!);
    if (offsets.old) return;
    if (!fs.ufs2) {
      i32(84, offsets.btotoff);
      i32(88, offsets.boff);
    }
    i32(92, offsets.iusedoff);
    i32(96, offsets.freeoff);
    i32(100, offsets.nextfreeoff);
    if (offsets.clusteroff > 0) {
      i32(104, offsets.clustersumoff);
      i32(108, offsets.clusteroff);
      i32(112, Math.floor(ndblk / fs.fs_frag));
    }
    if (fs.ufs2) {
      i32(116, fs.fs_ipg);
      i32(120, Math.min(kept.cg_initediblk, fs.fs_ipg));
    }
    if (fs.wide) view.setBigInt64(136, BigInt(kept.cg_time), le);
  }

  /** Free blocks by cylinder and rotational position, which UFS1 kept when disks had such things. */
  #rotational(ndblk: number): void {
    const { fs, view, offsets } = this;
    const nrpos = offsets.old ? 8 : fs.fs_old_nrpos;
    const sectors = 1 << fs.fs_fsbtodb;
    const { fs_old_spc: spc, fs_old_nsect: nsect, fs_old_npsect: npsect } = fs;
    const skew = offsets.old ? 0 : fs.fs_old_trackskew;
    const interleave = offsets.old ? 1 : fs.fs_old_interleave;
    const cylinders = offsets.old ? 32 : fs.fs_old_cpg;
    const map = this.bytes;
    if (spc <= 0 || nsect <= 0) return;
    for (let d = 0; d + fs.fs_frag <= ndblk; d += fs.fs_frag) {
      let whole = true;
      for (let i = 0; i < fs.fs_frag && whole; i++) {
        whole = (map[offsets.freeoff + ((d + i) >>> 3)]! & (1 << ((d + i) & 7))) !== 0;
      }
      if (!whole) continue;
      const cylno = Math.floor((d * sectors) / spc);
      if (cylno >= cylinders) return;
      const within = (d * sectors) % spc;
      const physical = offsets.old ? nsect : npsect;
      const rpos = nrpos <= 1 || physical <= 0 ? 0
        : Math.floor(((Math.floor(within / nsect) * skew + (within % nsect) * interleave) % nsect) * nrpos / physical);
      const tot = offsets.btotoff + 4 * cylno;
      view.setInt32(tot, view.getInt32(tot, fs.le) + 1, fs.le);
      if (!(rpos >= 0 && rpos < nrpos)) continue;
      const pos = offsets.boff + 2 * (cylno * nrpos + rpos);
      view.setInt16(pos, view.getInt16(pos, fs.le) + 1, fs.le);
    }
  }

  /** Runs of free blocks by length; the last entry counts all longer ones too. */
  #clustersums(nclusterblks: number): void {
    const { fs, bytes, offsets } = this;
    const sums = new Int32Array(fs.fs_contigsumsize + 1);
    let run = 0;
    for (let i = 0; i < nclusterblks; i++) {
      const byte = bytes[offsets.clusteroff + (i >>> 3)]!;
      if ((i & 7) === 0 && byte === 0xff && i + 8 <= nclusterblks) {
        run += 8;
        i += 7;
      } else if ((byte & (1 << (i & 7))) !== 0) {
        run++;
      } else if (run > 0) {
        sums[Math.min(run, fs.fs_contigsumsize)]!++;
        run = 0;
      }
    }
    if (run > 0) sums[Math.min(run, fs.fs_contigsumsize)]!++;
    for (let n = 1; n <= fs.fs_contigsumsize; n++) this.view.setInt32(offsets.clustersumoff + 4 * n, sums[n]!, fs.le);
  }
}

function popcount(byte: number): number {
  let bits = 0;
  for (; byte !== 0; byte &= byte - 1) bits++;
  return bits;
}
