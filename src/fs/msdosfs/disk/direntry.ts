import type { DosTime, DosZone } from '../../lib/dostime.js';
import { dosToUnix, unixToDos } from '../../lib/dostime.js';

/**
 * Directory entries of 32 bytes. Source: Microsoft FAT specification 1.03, "FAT Directory Structure" and "Long
 * Directory Entries".
 */

export const ATTR_READONLY = 0x01;
export const ATTR_HIDDEN = 0x02;
export const ATTR_SYSTEM = 0x04;
export const ATTR_VOLUME = 0x08;
export const ATTR_DIRECTORY = 0x10;
export const ATTR_ARCHIVE = 0x20;
/** All four of the first: a part of a long name. */
export const ATTR_LONG = 0x0f;
export const ATTR_LONG_MASK = 0x3f;

/** First bytes: nothing from here on; free; stands for 0xE5, which begins a name. */
export const SLOT_EMPTY = 0x00;
export const SLOT_DELETED = 0xe5;
export const SLOT_E5 = 0x05;

/** deLowerCase: the name, or the extension, is to be shown in lower case (Windows NT). */
export const LOWER_BASE = 0x08;
export const LOWER_EXT = 0x10;
/**
 * In the same byte, in which nobody else uses it: a renamed file came here, and its old entry may still be there. Set
 * from the flush that writes the new entry until the one that follows the removal of the old one; a check knows by it
 * which of two to keep.
 */
export const MOVED_HERE = 0x80;

/** Offsets of fields. */
export const D = {
  attr: 11,
  lowerCase: 12,
  chundredth: 13,
  ctime: 14,
  cdate: 16,
  adate: 18,
  highClust: 20,
  mtime: 22,
  mdate: 24,
  startCluster: 26,
  fileSize: 28,
} as const;

/** Units of a long name in one entry, and where they are. */
export const LFN_UNITS = 13;
const LFN_AT = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const LFN_CHECKSUM = 13;
/** Flag of the last part, which comes first. */
export const LFN_LAST = 0x40;
/** Longest name, in UTF-16 units, and its parts. */
export const LFN_MAX = 255;
export const LFN_SLOTS_MAX = 20;

/** Is the entry a part of a long name? */
export function isLong(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + D.attr]! & ATTR_LONG_MASK) === ATTR_LONG;
}

export function getStart(view: DataView, at: number, fat32: boolean): number {
  const low = view.getUint16(at + D.startCluster, true);
  return fat32 ? (view.getUint16(at + D.highClust, true) & 0x0fff) * 65536 + low : low;
}

export function setStart(view: DataView, at: number, fat32: boolean, cluster: number): void {
  view.setUint16(at + D.startCluster, cluster & 0xffff, true);
  if (fat32) view.setUint16(at + D.highClust, cluster >>> 16, true);
}

/** The checksum of a short name that its long name carries. */
export function lfnChecksum(bytes: Uint8Array, at: number): number {
  let sum = 0;
  for (let i = 0; i < 11; i++) sum = ((((sum & 1) << 7) | (sum >> 1)) + bytes[at + i]!) & 0xff;
  return sum;
}

/** The units of one part, appended in front of `rest`; the NUL and what is behind it is left out. */
export function lfnUnits(view: DataView, at: number, rest: string): string {
  let units = '';
  for (const offset of LFN_AT) {
    const unit = view.getUint16(at + offset, true);
    if (unit === 0) return units + rest;
    units += String.fromCharCode(unit);
  }
  return units + rest;
}

export function lfnSum(bytes: Uint8Array, at: number): number {
  return bytes[at + LFN_CHECKSUM]!;
}

/** Fills part `n` (from 1) of `parts` of a long name. */
export function putLfn(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  name: string,
  n: number,
  parts: number,
  checksum: number,
): void {
  bytes.fill(0, at, at + 32);
  bytes[at] = n === parts ? n | LFN_LAST : n;
  bytes[at + D.attr] = ATTR_LONG;
  bytes[at + LFN_CHECKSUM] = checksum;
  const from = (n - 1) * LFN_UNITS;
  LFN_AT.forEach((offset, i) => {
    const k = from + i;
    view.setUint16(at + offset, k < name.length ? name.charCodeAt(k) : k === name.length ? 0 : 0xffff, true);
  });
}

/** Times of a file, seconds since 1970 and nanoseconds. */
export interface EntryTimes {
  crtime: number;
  crtimensec: number;
  mtime: number;
  atime: number;
}

/** 0 stands for a time that the entry does not tell. */
export function getTimes(view: DataView, at: number, zone: DosZone, out: EntryTimes): void {
  const mdate = view.getUint16(at + D.mdate, true);
  const cdate = view.getUint16(at + D.cdate, true);
  const adate = view.getUint16(at + D.adate, true);
  const hundredths = Math.min(199, view.getUint8(at + D.chundredth));
  out.mtime = dosToUnix(mdate, view.getUint16(at + D.mtime, true), zone);
  out.crtime =
    cdate === 0 ? 0 : dosToUnix(cdate, view.getUint16(at + D.ctime, true), zone) + Math.floor(hundredths / 100);
  out.crtimensec = cdate === 0 ? 0 : (hundredths % 100) * 10_000_000;
  out.atime = adate === 0 ? out.mtime : dosToUnix(adate, 0, zone);
}

const dos: DosTime = { date: 0, time: 0, hundredths: 0 };

export function setMtime(view: DataView, at: number, zone: DosZone, sec: number): void {
  unixToDos(sec, 0, zone, dos);
  view.setUint16(at + D.mtime, dos.time, true);
  view.setUint16(at + D.mdate, dos.date, true);
}

export function setAtime(view: DataView, at: number, zone: DosZone, sec: number): void {
  unixToDos(sec, 0, zone, dos);
  view.setUint16(at + D.adate, dos.date, true);
}

export function setCrtime(view: DataView, at: number, zone: DosZone, sec: number, nsec: number): void {
  unixToDos(sec, nsec, zone, dos);
  view.setUint8(at + D.chundredth, dos.hundredths);
  view.setUint16(at + D.ctime, dos.time, true);
  view.setUint16(at + D.cdate, dos.date, true);
}
