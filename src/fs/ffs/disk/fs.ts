import { E, errno } from '../../../kernel/errno.js';
import { MAX_EXACT, geti64, put64 } from '../../lib/endian.js';
import { CK_SUPERBLOCK, SB_CKHASH_OFFSET, sb_ckhash } from './ckhash.js';
import { FsFields } from './fs_data.js';
export type { CsumTotal } from './fs_data.js';
import { SUN_MAXFILESIZE, sun_layout, sun_state } from './solaris.js';
import {
  AFPDIR, AVFILESIZ, CG_STRUCT_SIZE, DINODE1_SIZE, DINODE2_SIZE, FSMAXSNAP, FS_42INODEFMT, FS_42POSTBLFMT,
  FS_44INODEFMT, FS_BAD_MAGIC, FS_FLAGS_UPDATED, FS_MAGIC_OFFSET, FS_MTB_UFS_MAGIC, FS_STRUCT_SIZE, FS_UFS1_MAGIC,
  FS_UFS2EA_MAGIC, FS_UFS2_MAGIC, MAXMNTLEN, MAXVOLLEN, SBLOCKSIZE, UFS_NDADDR,
} from './fs_const.js';
import {
  COMMON, CSTOTAL_NAMES, CSTOTAL_OFFSET, FSMNT_OFFSET, JOURNALLOCS_OFFSET, NARROW, OLD_CSTOTAL_OFFSET, QUOTAFILE_OFFSET,
  SNAPINUM_OFFSET, SWUID_OFFSET, VOLNAME_OFFSET, WIDE, load, store, widefilled,
} from './fs_fields.js';
import type { Field } from './fs_fields.js';

export * from './fs_const.js';

/**
 * The FFS superblock: codec, and the arithmetic that hangs on it. Where its fields lie: fs_fields.ts.
 */

/** What the elements of arrays are called among the decoded fields. */
const keys = (name: string, count: number): readonly string[] => Array.from({ length: count }, (_, i) => `${name}${i}`);
const SNAP_KEYS = keys('snap', FSMAXSNAP);
const LOC_KEYS = keys('loc', 4);
const QUOTA_KEYS = keys('quota', 2);

/** Log2 of a power of two below 2^31. */
function log2(value: number): number {
  return 31 - Math.clz32(value);
}

/**
 * A superblock in memory. All fields are NetBSD's; block numbers and sizes of fields called "frags" are counted in
 * fragments (fs_fsize bytes). Wide fields (fs_size, fs_dsize, fs_csaddr, fs_time, fs_cstotal, fs_flags) are valid for
 * every volume: {@link Fs.decode} takes them from where the volume keeps them and {@link Fs.encode} puts them back
 * there.
 */
export class Fs extends FsFields {
  /** What the disk says, as decoded: tells which fields have changed since. */
  #decoded = new Map<string, number | bigint | string>();
  /** The fields of {@link encodecounts}. */
  #counts: Field[] | null = null;

  private constructor(raw: Uint8Array, le: boolean, magic: number, wide: boolean) {
    super(raw, le, magic, wide);
  }

  /**
   * An empty superblock for newfs to fill; raw is all zero but for the magic. UFS1 is made with wide fields unless
   * `narrow`.
   */
  static create(magic: number, le: boolean, narrow = false): Fs {
    const raw = new Uint8Array(SBLOCKSIZE);
    const fs = new Fs(raw, le, magic, magic !== FS_UFS1_MAGIC || !narrow);
    fs.view.setUint32(FS_MAGIC_OFFSET, magic, le);
    fs.#load();
    return fs;
  }

  /**
   * Recognises a superblock by its magic in either byte order.
   * @returns undefined if there is none. Nothing but the magic has been checked: ffs_superblock_validate does the rest.
   * @throws EFTYPE for the mark of an unfinished newfs.
   * @param sblockloc byte offset that `bytes` was read from
   */
  static decode(bytes: Uint8Array, sblockloc: number): Fs | undefined {
    if (bytes.length < FS_STRUCT_SIZE) return undefined;
    const probe = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const le of [true, false]) {
      const magic = probe.getUint32(FS_MAGIC_OFFSET, le);
      if (magic === FS_BAD_MAGIC) {
        throw errno(
          E.EFTYPE,
          `superblock at ${sblockloc}: newfs was interrupted before it finished (magic 0x19960408)`,
        );
      }
      const mtb = magic === FS_MTB_UFS_MAGIC && sun_layout(probe, le);
      if (magic !== FS_UFS1_MAGIC && magic !== FS_UFS2_MAGIC && magic !== FS_UFS2EA_MAGIC && !mtb) continue;
      const updated = (probe.getUint8(211) & FS_FLAGS_UPDATED) !== 0;
      // A UFS1 volume that another system marked without filling the wide fields keeps its truth in the old ones.
      // Others tell by fs_maxbsize; where all the rest agrees with the old fields it is only that one that is damaged.
      const filled =
        probe.getInt32(860, le) === probe.getInt32(48, le) ||
        widefilled(probe, le, probe.getInt32(36, le), probe.getInt32(152, le));
      const ufs2 = magic === FS_UFS2_MAGIC || magic === FS_UFS2EA_MAGIC;
      const fs = new Fs(bytes.slice(0, SBLOCKSIZE), le, mtb ? FS_UFS1_MAGIC : magic, ufs2 || (updated && filled));
      fs.#load();
      if (fs.solaris) fs.#suncompat_read();
      if (!fs.wide) fs.#oldfscompat_read(sblockloc);
      return fs;
    }
    return undefined;
  }

  #load(): void {
    const { view, le } = this;
    const take = (fields: readonly Field[]): void => {
      for (const [name, offset, type] of fields) this[name] = load(view, offset, type, le);
    };
    take(COMMON);
    take(this.wide ? WIDE : NARROW);
    CSTOTAL_NAMES.forEach((name, i) => {
      this.fs_cstotal[name] = this.wide
        ? geti64(view, CSTOTAL_OFFSET + 8 * i, le)
        : view.getInt32(OLD_CSTOTAL_OFFSET + 4 * i, le);
    });
    if (this.wide) {
      for (let i = 0; i < FSMAXSNAP; i++) this.fs_snapinum[i] = view.getUint32(SNAPINUM_OFFSET + 4 * i, le);
      for (let i = 0; i < 4; i++) this.fs_journallocs[i] = view.getBigUint64(JOURNALLOCS_OFFSET + 8 * i, le);
      for (let i = 0; i < 2; i++) this.fs_quotafile[i] = view.getBigUint64(QUOTAFILE_OFFSET + 8 * i, le);
      this.fs_volname = this.#string(VOLNAME_OFFSET, MAXVOLLEN);
      this.fs_swuid = view.getBigUint64(SWUID_OFFSET, le);
    }
    this.fs_fsmnt = this.#string(FSMNT_OFFSET, MAXMNTLEN);
    this.#remember();
    this.fs_maxfilesize = Math.min(this.fs_maxfilesize, MAX_EXACT);
    if (this.fs_avgfilesize <= 0) this.fs_avgfilesize = AVFILESIZ;
    if (this.fs_avgfpdir <= 0) this.fs_avgfpdir = AFPDIR;
    this.#remember_normalised();
  }

  /** Takes fields that Solaris uses otherwise for what they are to us. */
  #suncompat_read(): void {
    const { npsect, state } = sun_state(this.view, this.le);
    this.fs_old_npsect = npsect;
    this.fs_state = state;
    // The words of fs_version, fs_logbno, fs_reclaim and spares.
    this.fs_contigsumsize = 0;
    this.fs_maxsymlinklen = 0;
    this.fs_old_inodefmt = FS_42INODEFMT;
    this.fs_flags = 0;
    this.fs_maxfilesize = SUN_MAXFILESIZE;
  }

  /** What an old UFS1 volume says by other means, or not at all (NetBSD's ffs_oldfscompat_read). */
  #oldfscompat_read(sblockloc: number): void {
    this.fs_maxbsize = this.fs_bsize;
    this.fs_sblockloc = sblockloc;
    if (this.fs_old_postblformat === FS_42POSTBLFMT) this.fs_old_nrpos = 8;
    if (this.fs_old_inodefmt < FS_44INODEFMT) {
      if (!this.solaris) this.fs_maxfilesize = 2 ** 39;
      this.fs_qbmask = ~this.fs_bmask;
      this.fs_qfmask = ~this.fs_fmask;
    }
    this.fs_maxfilesize = Math.min(this.fs_maxfilesize, 0x80000000 * this.fs_bsize - 1);
    this.#remember_normalised();
  }

  #string(offset: number, length: number): string {
    let s = '';
    for (let i = offset; i < offset + length && this.raw[i] !== 0; i++) s += String.fromCharCode(this.raw[i]!);
    return s;
  }

  #fields(): (readonly Field[])[] {
    return this.wide ? [COMMON, WIDE] : [COMMON, NARROW];
  }

  #remember(): void {
    const seen = this.#decoded;
    for (const fields of this.#fields()) for (const [name] of fields) seen.set(name, this[name]);
    for (const name of CSTOTAL_NAMES) seen.set(name, this.fs_cstotal[name]);
    for (let i = 0; i < this.fs_snapinum.length; i++) seen.set(SNAP_KEYS[i]!, this.fs_snapinum[i]!);
    for (let i = 0; i < this.fs_journallocs.length; i++) seen.set(LOC_KEYS[i]!, this.fs_journallocs[i]!);
    for (let i = 0; i < this.fs_quotafile.length; i++) seen.set(QUOTA_KEYS[i]!, this.fs_quotafile[i]!);
    seen.set('fsmnt', this.fs_fsmnt).set('volname', this.fs_volname).set('swuid', this.fs_swuid);
  }

  /** Values that were made valid for use must not go to the disk unless somebody changes them further. */
  #remember_normalised(): void {
    for (const name of [
      'fs_maxfilesize',
      'fs_avgfilesize',
      'fs_avgfpdir',
      'fs_old_nrpos',
      'fs_qbmask',
      'fs_qfmask',
    ] as const) {
      this.#decoded.set(name, this[name]);
    }
  }

  /**
   * Brings {@link raw} up to date: fields that changed since decode (or the last encode) are written, all other bytes
   * stay as they were on the disk. Returns raw; its first fs_sbsize bytes are the superblock.
   */
  encode(): Uint8Array {
    const { view, le, raw } = this;
    const seen = this.#decoded;
    for (const fields of this.#fields()) {
      for (const [name, offset, type] of fields) {
        if (seen.get(name) !== this[name]) store(view, offset, type, this[name], le);
      }
    }
    CSTOTAL_NAMES.forEach((name, i) => {
      const value = this.fs_cstotal[name];
      if (seen.get(name) === value) return;
      if (this.wide) put64(view, CSTOTAL_OFFSET + 8 * i, value, le);
      else view.setInt32(OLD_CSTOTAL_OFFSET + 4 * i, value, le);
    });
    if (this.wide) {
      this.fs_snapinum.forEach((value, i) => {
        if (seen.get(SNAP_KEYS[i]!) !== value) view.setUint32(SNAPINUM_OFFSET + 4 * i, value, le);
      });
      this.fs_journallocs.forEach((value, i) => {
        if (seen.get(LOC_KEYS[i]!) !== value) view.setBigUint64(JOURNALLOCS_OFFSET + 8 * i, value, le);
      });
      this.fs_quotafile.forEach((value, i) => {
        if (seen.get(QUOTA_KEYS[i]!) !== value) view.setBigUint64(QUOTAFILE_OFFSET + 8 * i, value, le);
      });
      if (seen.get('volname') !== this.fs_volname) this.#putstring(raw, VOLNAME_OFFSET, MAXVOLLEN, this.fs_volname);
      if (seen.get('swuid') !== this.fs_swuid) view.setBigUint64(SWUID_OFFSET, this.fs_swuid, le);
    }
    if (seen.get('fsmnt') !== this.fs_fsmnt) this.#putstring(raw, FSMNT_OFFSET, MAXMNTLEN, this.fs_fsmnt);
    if ((this.ckhashes & CK_SUPERBLOCK) !== 0) {
      this.fs_ckhash = sb_ckhash(this);
      view.setUint32(SB_CKHASH_OFFSET, this.fs_ckhash, le);
    }
    this.#remember();
    return raw;
  }

  /**
   * Like {@link encode}, for the fields alone that a volume in use changes with every commit: time, totals, fs_fmod.
   * The others must have been encoded.
   */
  encodecounts(): Uint8Array {
    if ((this.ckhashes & CK_SUPERBLOCK) !== 0) return this.encode();
    const seen = this.#decoded;
    const put = ([name, offset, type]: Field): void => {
      store(this.view, offset, type, this[name], this.le);
      seen.set(name, this[name]);
    };
    this.#counts ??= this.#fields().flatMap((fields) =>
      fields.filter(([name]) => name === 'fs_time' || name === 'fs_fmod'),
    );
    this.#counts.forEach(put);
    for (let i = 0; i < CSTOTAL_NAMES.length; i++) {
      const name = CSTOTAL_NAMES[i]!;
      const value = this.fs_cstotal[name];
      if (this.wide) put64(this.view, CSTOTAL_OFFSET + 8 * i, value, this.le);
      else this.view.setInt32(OLD_CSTOTAL_OFFSET + 4 * i, value, this.le);
      seen.set(name, value);
    }
    return this.raw;
  }

  #putstring(raw: Uint8Array, offset: number, room: number, value: string): void {
    raw.fill(0, offset, offset + room);
    for (let i = 0; i < value.length && i < room - 1; i++) raw[offset + i] = value.charCodeAt(i);
  }

  // ---- arithmetic; "fsb" is a frag number in the volume, "lbn" a block number in a file, "loc" a byte offset in a
  // file

  /** Byte offset of a frag on the device (NetBSD's fsbtodb, in bytes). */
  fsbtob(fsb: number): number {
    return fsb * this.fs_fsize;
  }
  /** First frag of group `c`, ignoring the old metadata offset. */
  cgbase(c: number): number {
    return c * this.fs_fpg;
  }
  /** First frag of the metadata area of group `c`. */
  cgstart(c: number): number {
    const base = c * this.fs_fpg;
    return this.ufs2 ? base : base + this.fs_old_cgoffset * ((c & ~this.fs_old_cgmask) >>> 0);
  }
  /** First data frag behind the metadata of group `c`. */
  cgdmin(c: number): number {
    return this.cgstart(c) + this.fs_dblkno;
  }
  /** First inode frag of group `c`. */
  cgimin(c: number): number {
    return this.cgstart(c) + this.fs_iblkno;
  }
  /** Superblock copy of group `c`, frag. */
  cgsblock(c: number): number {
    return this.cgstart(c) + this.fs_sblkno;
  }
  /** Cylinder group block of group `c`, frag. */
  cgtod(c: number): number {
    return this.cgstart(c) + this.fs_cblkno;
  }
  /** Frags that group `c` really has (the last may be short). */
  cgfrags(c: number): number {
    return c === this.fs_ncg - 1 ? this.fs_size - c * this.fs_fpg : this.fs_fpg;
  }
  /** Bytes of a group block as the cache holds it: fs_cgsize in whole frags. Everybody reads groups with this size. */
  get cgbytes(): number {
    return this.fragroundup(this.fs_cgsize);
  }
  ino_to_cg(ino: number): number {
    return Math.floor(ino / this.fs_ipg);
  }
  /** Frag of the block that holds inode `ino`. */
  ino_to_fsba(ino: number): number {
    const cg = Math.floor(ino / this.fs_ipg);
    return this.cgimin(cg) + Math.floor((ino - cg * this.fs_ipg) / this.fs_inopb) * this.fs_frag;
  }
  /** Index of inode `ino` in its block (fs_ipg is a multiple of fs_inopb). */
  ino_to_fsbo(ino: number): number {
    return ino % this.fs_inopb;
  }
  /** Byte offset of inode `ino` in its block. */
  ino_to_bo(ino: number): number {
    return this.ino_to_fsbo(ino) * (this.ufs2 ? DINODE2_SIZE : DINODE1_SIZE);
  }
  /** Number of inodes, used or not. */
  get ninodes(): number {
    return this.fs_ncg * this.fs_ipg;
  }
  /** Group of a frag. */
  dtog(fsb: number): number {
    return Math.floor(fsb / this.fs_fpg);
  }
  /** Frag number inside its group. */
  dtogd(fsb: number): number {
    return fsb % this.fs_fpg;
  }
  lblkno(loc: number): number {
    return Math.floor(loc / this.fs_bsize);
  }
  /** Offset inside a block. */
  blkoff(loc: number): number {
    return loc % this.fs_bsize;
  }
  fragoff(loc: number): number {
    return loc % this.fs_fsize;
  }
  lblktosize(lbn: number): number {
    return lbn * this.fs_bsize;
  }
  lfragtosize(frags: number): number {
    return frags * this.fs_fsize;
  }
  numfrags(loc: number): number {
    return Math.floor(loc / this.fs_fsize);
  }
  blkroundup(size: number): number {
    return Math.ceil(size / this.fs_bsize) * this.fs_bsize;
  }
  fragroundup(size: number): number {
    return Math.ceil(size / this.fs_fsize) * this.fs_fsize;
  }
  fragstoblks(frags: number): number {
    return Math.floor(frags / this.fs_frag);
  }
  blkstofrags(blks: number): number {
    return blks * this.fs_frag;
  }
  /** Frag index inside its block. */
  fragnum(fsb: number): number {
    return fsb % this.fs_frag;
  }
  /** First frag of the block that holds `fsb`. */
  blknum(fsb: number): number {
    return fsb - (fsb % this.fs_frag);
  }
  /**
   * Bytes that block `lbn` of a file of `size` bytes occupies: a whole block, or fragments for the last of the first
   * 12.
   */
  sblksize(size: number, lbn: number): number {
    return lbn >= UFS_NDADDR || size >= (lbn + 1) * this.fs_bsize
      ? this.fs_bsize
      : this.fragroundup(size % this.fs_bsize);
  }
  /** Free frags beyond a reserve of `percentreserved` per cent; may be negative. */
  freespace(percentreserved: number): number {
    const { cs_nbfree, cs_nffree } = this.fs_cstotal;
    return cs_nbfree * this.fs_frag + cs_nffree - Math.floor((this.fs_dsize * percentreserved) / 100);
  }
  /** Fills in the fields that follow from fs_bsize and fs_fsize; for newfs. */
  derive(): void {
    this.fs_frag = this.fs_bsize / this.fs_fsize;
    this.fs_bmask = ~(this.fs_bsize - 1);
    this.fs_fmask = ~(this.fs_fsize - 1);
    this.fs_qbmask = this.fs_bsize - 1;
    this.fs_qfmask = this.fs_fsize - 1;
    this.fs_bshift = log2(this.fs_bsize);
    this.fs_fshift = log2(this.fs_fsize);
    this.fs_fragshift = log2(this.fs_frag);
    this.fs_fsbtodb = log2(this.fs_fsize / 512);
    this.fs_nindir = this.fs_bsize / (this.ufs2 ? 8 : 4);
    this.fs_inopb = this.fs_bsize / (this.ufs2 ? DINODE2_SIZE : DINODE1_SIZE);
  }
  /** Bytes that a group block needs for `ipg` inodes and `fpg` frags (CGSIZE_IF). */
  cgsize_if(ipg: number, fpg: number): number {
    const clusters =
      this.fs_contigsumsize <= 0 ? 0 : this.fs_contigsumsize * 4 + Math.ceil(Math.floor(fpg / this.fs_frag) / 8);
    return CG_STRUCT_SIZE + 4 + this.fs_old_cpg * 6 + Math.ceil(ipg / 8) + Math.ceil(fpg / 8) + clusters;
  }
}
