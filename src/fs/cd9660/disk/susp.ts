/**
 * The System Use Sharing Protocol (IEEE P1281) and the Rock Ridge fields in it (IEEE P1282): what a Unix file has
 * beyond
 * its directory record.
 */
import { exactName } from './names.js';
import { isodate_17, isodate_7, isonum_733 } from './iso.js';

function signature(text: string): number {
  return (text.charCodeAt(0) << 8) | text.charCodeAt(1);
}

const CE = signature('CE');
const CL = signature('CL');
const ER = signature('ER');
const NM = signature('NM');
const PL = signature('PL');
const PN = signature('PN');
const PX = signature('PX');
const RE = signature('RE');
const RR = signature('RR');
const SF = signature('SF');
const SL = signature('SL');
const SP = signature('SP');
const ST = signature('ST');
const TF = signature('TF');
const ZF = signature('ZF');
const Z2 = signature('Z2');

/** Signature, length and version. */
const HEADER_BYTES = 4;
const SP_BYTES = 7;
/** CD-ROM XA puts this many bytes in front of the first field. */
const XA_BYTES = 14;

/** Flags of NM, of SL and of SL's components. */
const CONTINUE = 1;
const CURRENT = 2;
const PARENT = 4;
const ROOT = 8;

const NAME_MAX = 255;
const PATH_MAX = 4096;

const TF_CREATION = 0x01;
const TF_MODIFY = 0x02;
const TF_ACCESS = 0x04;
const TF_ATTRIBUTES = 0x08;
const TF_LONG = 0x80;

/** Where a system use area goes on. */
export interface Continuation {
  /** Logical block. */
  readonly block: number;
  /** Bytes into it. */
  readonly offset: number;
  readonly length: number;
}

export interface ZisofsField {
  /** 1: zisofs; 2: zisofs2. */
  readonly version: number;
  /** "pz" in version 1; of version 2, "PZ" is zlib. */
  readonly algorithm: string;
  /** Bytes. */
  readonly header_size: number;
  readonly block_shift: number;
  /** Bytes, uncompressed. */
  readonly size: number;
}

/** Times of TF: seconds since 1970; undefined where there is none. */
export interface RockTimes {
  creation: number | undefined;
  modify: number | undefined;
  access: number | undefined;
  attributes: number | undefined;
}

/** What the fields of one directory record say. */
export class RockRidge {
  /** A field of Rock Ridge was there. */
  seen = false;
  /** Byte string; '' for none. */
  name = '';
  /** With file type; -1 without PX. */
  mode = -1;
  nlink = 1;
  uid = 0;
  gid = 0;
  /** 0: none, or an old PX without. */
  serial = 0;
  dev_high = -1;
  dev_low = 0;
  /** Target of a symbolic link, byte string; null for none. */
  link: string | null = null;
  times: RockTimes | null = null;
  /** Logical block of the directory that this entry stands for; -1 for none. */
  child = -1;
  /** Logical block of the true parent of a moved directory; -1 for none. */
  parent = -1;
  /** A directory that was moved here since its place was too deep: shown there only. */
  relocated = false;
  /** Size of a sparse file, bytes; -1 for others. */
  sparse = -1;
  zisofs: ZisofsField | null = null;
  /** The next area, read after this one. */
  continuation: Continuation | null = null;

  private slash = false;
  private nameEnds = false;
  private linkEnds = false;

  /** Takes in the fields in `from`..`to`. What is no field ends the area. */
  take(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    this.continuation = null;
    for (let at = from; at + HEADER_BYTES <= to;) {
      const length = bytes[at + 2]!;
      if (length < HEADER_BYTES || at + length > to) return;
      const field = (bytes[at]! << 8) | bytes[at + 1]!;
      if (field === ST) {
        this.continuation = null;
        return;
      }
      this.field(field, bytes, view, at, length);
      at += length;
    }
  }

  private field(field: number, bytes: Uint8Array, view: DataView, at: number, length: number): void {
    switch (field) {
      case PX:
        return this.px(view, at, length);
      case NM:
        return this.nm(bytes, at, length);
      case TF:
        return this.tf(bytes, at, length);
      case SL:
        return this.sl(bytes, at, length);
      case ZF:
      case Z2:
        return this.zf(bytes, view, at, length);
      case SF:
        return this.sf(view, at, length);
      case RR:
      case ER:
        this.seen = true;
        return;
      case RE:
        this.seen = this.relocated = true;
        return;
      case PN:
        if (length < 20) return;
        this.dev_high = isonum_733(view, at + 4);
        this.dev_low = isonum_733(view, at + 12);
        return;
      case CL:
        if (length >= 12) this.child = isonum_733(view, at + 4);
        return;
      case PL:
        if (length >= 12) this.parent = isonum_733(view, at + 4);
        return;
      case CE:
        if (length < 28) return;
        this.continuation = {
          block: isonum_733(view, at + 4),
          offset: isonum_733(view, at + 12),
          length: isonum_733(view, at + 20),
        };
        return;
    }
  }

  private px(view: DataView, at: number, length: number): void {
    if (length < 36) return;
    this.seen = true;
    this.mode = isonum_733(view, at + 4) & 0xffff;
    this.nlink = Math.max(1, isonum_733(view, at + 12));
    this.uid = isonum_733(view, at + 20);
    this.gid = isonum_733(view, at + 28);
    if (length >= 44) this.serial = isonum_733(view, at + 36);
  }

  private nm(bytes: Uint8Array, at: number, length: number): void {
    if (length < 5 || this.nameEnds) return;
    this.seen = true;
    const flags = bytes[at + 4]!;
    // Names of "." and ".." are known by the record.
    if ((flags & (CURRENT | PARENT)) !== 0) return;
    if (this.name.length < NAME_MAX) this.name = (this.name + exactName(bytes, at + 5, length - 5)).slice(0, NAME_MAX);
    this.nameEnds = (flags & CONTINUE) === 0;
  }

  private tf(bytes: Uint8Array, at: number, length: number): void {
    if (length < 5) return;
    this.seen = true;
    const flags = bytes[at + 4]!;
    const width = (flags & TF_LONG) !== 0 ? 17 : 7;
    let next = at + 5;
    const time = (flag: number): number | undefined => {
      if ((flags & flag) === 0 || next + width > at + length) return undefined;
      const taken = next;
      next += width;
      return width === 17 ? isodate_17(bytes, taken) : isodate_7(bytes, taken, true);
    };
    // In this order they are recorded.
    this.times = {
      creation: time(TF_CREATION),
      modify: time(TF_MODIFY),
      access: time(TF_ACCESS),
      attributes: time(TF_ATTRIBUTES),
    };
  }

  private sl(bytes: Uint8Array, at: number, length: number): void {
    if (length < 5 || this.linkEnds) return;
    this.seen = true;
    let link = this.link ?? '';
    for (let c = at + 5; c + 2 <= at + length;) {
      const flags = bytes[c]!;
      const size = bytes[c + 1]!;
      if (c + 2 + size > at + length) break;
      if (this.slash) link += '/';
      this.slash = (flags & CONTINUE) === 0;
      if ((flags & ROOT) !== 0) {
        link = '/';
        this.slash = false;
      } else if ((flags & CURRENT) !== 0) link += '.';
      else if ((flags & PARENT) !== 0) link += '..';
      else link += String.fromCharCode.apply(null, bytes.subarray(c + 2, c + 2 + size) as unknown as number[]);
      c += 2 + size;
    }
    this.link = link.slice(0, PATH_MAX);
    this.linkEnds = (bytes[at + 4]! & CONTINUE) === 0;
  }

  private zf(bytes: Uint8Array, view: DataView, at: number, length: number): void {
    if (length < 16) return;
    const version = bytes[at + 3]!;
    const size =
      version === 1 ? isonum_733(view, at + 8) : view.getUint32(at + 12, true) * 2 ** 32 + view.getUint32(at + 8, true);
    if (!Number.isSafeInteger(size)) return;
    this.zisofs = {
      version,
      algorithm: exactName(bytes, at + 4, 2),
      header_size: bytes[at + 6]! * 4,
      block_shift: bytes[at + 7]!,
      size,
    };
  }

  /** Of 12 bytes in version 1.10, of 21 in 1.12. */
  private sf(view: DataView, at: number, length: number): void {
    if (length < 12) return;
    const size =
      length < 20 ? isonum_733(view, at + 4) : isonum_733(view, at + 4) * 2 ** 32 + isonum_733(view, at + 12);
    if (Number.isSafeInteger(size)) this.sparse = size;
  }
}

/** Where the fields begin in the system use areas of a tree. Bytes into the area. */
export interface SuspSkip {
  /** In the root's ".", whose first field is SP. */
  readonly root: number;
  /** In all others. */
  readonly others: number;
}

/**
 * What SP, which opens the system use area of the root's "." (`from`..`to`), says; undefined: the protocol is not in
 * use.
 */
export function susp_skip(bytes: Uint8Array, from: number, to: number): SuspSkip | undefined {
  for (const at of [from, from + XA_BYTES]) {
    if (at + SP_BYTES > to || ((bytes[at]! << 8) | bytes[at + 1]!) !== SP) continue;
    if (bytes[at + 2]! >= SP_BYTES && bytes[at + 4] === 0xbe && bytes[at + 5] === 0xef)
      return { root: at - from, others: bytes[at + 6]! };
  }
  return undefined;
}
