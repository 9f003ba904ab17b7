import { ALLPERMS, IFTODT, S_IFMT, makedev } from '../../../kernel/stat.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VBLK, VCHR, VDIR, VLNK, VNON, VREG, iftovt, vttoif } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { Isodir } from '../disk/dirrec.js';
import type { RockRidge, ZisofsField } from '../disk/susp.js';
import type { IsoMount } from '../volume/isomount.js';

/** A stretch of a file's data. Bytes. */
export interface Section {
  /** Position in the file. */
  readonly from: number;
  readonly size: number;
  /** On the device. */
  readonly at: number;
  /** Bytes of a piece, and from one piece to the next, of data that have other data between them; 0 for others. */
  readonly unit: number;
  readonly stride: number;
}

const DEFAULT_MODE = 0o555;

/**
 * A file as its directory record, and the fields behind it, describe it. Nothing of it changes but what is known of a
 * directory's parent.
 */
export class IsoNode {
  /** File number, see IsoMount. */
  number: number;
  /** Byte string. */
  readonly name: string;
  /** V* */
  readonly type: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: bigint;
  /** Bytes, as they are read. */
  size: number;
  /** Bytes of the extents; differs from `size` for compressed and sparse files. */
  recorded: number;
  /** Byte of the device where the first extent begins: of a directory, its records. */
  readonly start: number;
  /** All extents; null for one that lies in one piece. */
  sections: readonly Section[] | null;
  readonly generation: number;
  /** Target of a symbolic link. */
  readonly link: string | null;
  readonly zisofs: ZisofsField | null;
  readonly sparse: boolean;
  /** Seconds since 1970, with fractions. */
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  /** undefined: not recorded. */
  readonly birthtime: number | undefined;
  /** Directories: where this one was found; null while it has not been looked up by name. The root is its own. */
  parent: IsoNode | null = null;
  /** Directories above this one, as far as they are known. */
  depth = 0;

  constructor(im: IsoMount, number: number, name: string, record: Isodir, rr: RockRidge | null, directory: boolean) {
    const { options } = im;
    this.number = number;
    this.name = name;
    this.type = directory ? VDIR : typeOf(rr);
    this.mode = modeOf(im, rr, directory);
    this.nlink = rr === null ? 1 : rr.nlink;
    this.uid = options.uid >= 0 ? options.uid : rr === null ? 0 : rr.uid;
    this.gid = options.gid >= 0 ? options.gid : rr === null ? 0 : rr.gid;
    this.rdev = this.type === VBLK || this.type === VCHR ? rdevOf(rr) : 0n;
    this.start = (record.extent + record.ext_attr_length) * im.bsize;
    this.recorded = options.cruft && !directory ? record.size & 0xffffff : record.size;
    this.sections = interleaved(im, record, this.start, this.recorded);
    this.generation =
      (Math.imul(record.extent, 0x9e3779b1) ^ record.size ^ (rr === null ? 0 : Math.imul(rr.serial, 0x85ebca6b))) >>> 0;
    this.link = this.type === VLNK ? (rr?.link ?? '') : null;
    this.zisofs = this.type === VREG && rr !== null && !options.nocompress ? rr.zisofs : null;
    this.sparse = this.type === VREG && rr !== null && rr.sparse >= 0;
    this.size = this.sizeOf(rr);
    const times = rr === null ? null : rr.times;
    this.mtime = times?.modify ?? record.date;
    this.atime = times?.access ?? this.mtime;
    this.ctime = times?.attributes ?? this.mtime;
    this.birthtime = times?.creation;
  }

  private sizeOf(rr: RockRidge | null): number {
    if (this.zisofs !== null) return this.zisofs.size;
    if (this.sparse) return rr!.sparse;
    if (this.link !== null) return this.link.length;
    return this.type === VREG || this.type === VDIR ? this.recorded : 0;
  }

  /** The file has these extents. */
  extend(sections: readonly Section[]): void {
    const last = sections[sections.length - 1]!;
    this.sections = sections;
    this.recorded = last.from + last.size;
    if (this.type === VREG && this.zisofs === null && !this.sparse) this.size = this.recorded;
  }

  get d_type(): number {
    return IFTODT(vttoif(this.type));
  }

  attributes(im: IsoMount, vap: Vattr): void {
    vap.va_type = this.type;
    vap.va_mode = this.mode;
    vap.va_nlink = this.nlink;
    vap.va_uid = this.uid;
    vap.va_gid = this.gid;
    vap.va_fsid = im.mount.mnt_fsid;
    vap.va_fileid = BigInt(this.number);
    vap.va_size = this.size;
    vap.va_blocksize = im.bsize;
    vap.va_atime = Math.floor(this.atime);
    vap.va_atimensec = nsec(this.atime);
    vap.va_mtime = Math.floor(this.mtime);
    vap.va_mtimensec = nsec(this.mtime);
    vap.va_ctime = Math.floor(this.ctime);
    vap.va_ctimensec = nsec(this.ctime);
    vap.va_birthtime = Math.floor(this.birthtime ?? 0);
    vap.va_birthtimensec = nsec(this.birthtime ?? 0);
    vap.va_gen = this.generation;
    vap.va_flags = 0;
    vap.va_rdev = this.rdev;
    vap.va_bytes = Math.ceil(this.recorded / im.bsize) * im.bsize;
    vap.va_vaflags = 0;
  }
}

export function VTOISO(vp: Vnode): IsoNode {
  return vp.v_data as IsoNode;
}

/** Of what is no directory. */
function typeOf(rr: RockRidge | null): number {
  if (rr === null) return VREG;
  if (rr.mode < 0) return rr.link === null ? VREG : VLNK;
  const type = iftovt(rr.mode & S_IFMT);
  return type === VNON || type === VDIR ? VREG : type;
}

function modeOf(im: IsoMount, rr: RockRidge | null, directory: boolean): number {
  const { options } = im;
  const asked = directory ? options.dmode : options.mode;
  if (rr !== null && rr.mode >= 0 && !(options.overriderockperm && asked >= 0)) return rr.mode & ALLPERMS;
  return asked >= 0 ? asked : DEFAULT_MODE;
}

/**
 * Major and minor are in the halves of PN; or all of it is in the low half, as Linux packs it: minor 31..20, major
 * 19..8, minor 7..0.
 */
function rdevOf(rr: RockRidge | null): bigint {
  if (rr === null || rr.dev_high < 0) return 0n;
  const { dev_high: high, dev_low: low } = rr;
  if (high === 0) return makedev((low >>> 8) & 0xfff, (low & 0xff) | ((low >>> 12) & 0xfff00));
  return makedev(high, low);
}

/** The section of a record's extent, if its data do not lie in one piece. */
function interleaved(im: IsoMount, record: Isodir, at: number, size: number): readonly Section[] | null {
  return record.file_unit_size === 0 || record.interleave === 0 ? null : [sectionOf(im, record, 0, at, size)];
}

export function sectionOf(im: IsoMount, record: Isodir, from: number, at: number, size: number): Section {
  const { file_unit_size: unit, interleave: gap } = record;
  const pieces = unit > 0 && gap > 0;
  return { from, size, at, unit: pieces ? unit * im.bsize : 0, stride: pieces ? (unit + gap) * im.bsize : 0 };
}

/** Hundredths of a second are what the format keeps. */
function nsec(time: number): number {
  return Math.round((time - Math.floor(time)) * 100) * 1e7;
}
