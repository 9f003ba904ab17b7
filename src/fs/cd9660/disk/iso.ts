/**
 * Constants and numbers of ISO 9660. Source: ECMA-119 (the same text as ISO 9660); NetBSD sys/fs/cd9660/iso.h for
 * names.
 */

/** Volume descriptors lie in sectors of this size, whatever the logical block is. Bytes. */
export const ISO_SECTOR = 2048;
/** The first volume descriptor of a session is in this sector of it. */
export const ISO_FIRST_DESCRIPTOR = 16;

/** Flags of a directory record. */
export const ISO_HIDDEN = 0x01;
export const ISO_DIRECTORY = 0x02;
/** The record is of a second stream of the file of the same name (a resource fork). */
export const ISO_ASSOCIATED = 0x04;
/** The file goes on in the extent of the next record. */
export const ISO_MULTIEXTENT = 0x80;

/** Bytes of a directory record before the name. */
export const ISODIR_NAME = 33;
/** The shortest directory record: a name of one byte. */
export const ISODIR_MIN = 34;

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

/**
 * A 32-bit number that is recorded in both byte orders, little-endian first (7.3.3). Where the halves differ, the first
 * one that is not above `max` is taken: some mastering programs got one of them wrong.
 */
export function isonum_733(view: DataView, at: number, max = 0xffffffff): number {
  const le = view.getUint32(at, true);
  if (le <= max) return le;
  const be = view.getUint32(at + 4, false);
  return be <= max ? be : le;
}

/** The same for 16 bits (7.2.3). */
export function isonum_723(view: DataView, at: number): number {
  return view.getUint16(at, true) || view.getUint16(at + 2, false);
}

/**
 * Seconds since 1970 of a date of 7 bytes (9.1.5), or of the 6 bytes without a zone that High Sierra has; 0 for none.
 */
export function isodate_7(bytes: Uint8Array, at: number, zoned: boolean): number {
  const month = bytes[at + 1]!;
  const day = bytes[at + 2]!;
  if (month < 1 || month > 12 || day < 1 || day > 31) return 0;
  const utc = ((days(1900 + bytes[at]!, month, day) * 24 + bytes[at + 3]!) * 60 + bytes[at + 4]!) * 60 + bytes[at + 5]!;
  return zoned ? utc - zone(bytes[at + 6]!) : utc;
}

/** Days of a common year before each month. */
const BEFORE_MONTH: readonly number[] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/** Days since 1970 began. By hand: each record has up to five dates, and Date.UTC is slow. Month from 1, day from 1. */
function days(year: number, month: number, day: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const leaps = Math.floor((year - 1969) / 4) - Math.floor((year - 1901) / 100) + Math.floor((year - 1601) / 400);
  return 365 * (year - 1970) + leaps + BEFORE_MONTH[month - 1]! + (leap && month > 2 ? 1 : 0) + day - 1;
}

/** Seconds east of Greenwich of a zone in quarters of an hour; 0 for what is no zone. */
function zone(byte: number): number {
  const quarters = (byte << 24) >> 24;
  return quarters >= -52 && quarters <= 56 ? quarters * 900 : 0;
}

function digits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const byte = bytes[i]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) return NaN;
    value = value * 10 + byte - DIGIT_0;
  }
  return value;
}

/**
 * Seconds since 1970, with hundredths, of a date of 17 bytes (8.4.26.1); undefined for none, or for what is no date.
 */
export function isodate_17(bytes: Uint8Array, at: number): number | undefined {
  const year = digits(bytes, at, 4);
  const month = digits(bytes, at + 4, 2);
  const day = digits(bytes, at + 6, 2);
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= 31)) return undefined;
  const [hour, minute, second, hundredths] = [8, 10, 12, 14].map((o) => digits(bytes, at + o, 2) || 0) as [
    number,
    number,
    number,
    number,
  ];
  // Date.UTC takes the years 0..99 for those of the last century.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return date.getTime() / 1000 + hundredths / 100 - zone(bytes[at + 16]!);
}
