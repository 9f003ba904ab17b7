import { ISODIR_MIN, ISODIR_NAME, ISO_DIRECTORY, isodate_7, isonum_733 } from './iso.js';

/**
 * A directory record (ECMA-119 9.1): the fixed part. Where they lie is given relative to the bytes that it was read
 * from.
 */
export interface Isodir {
  /** Bytes. */
  readonly length: number;
  /** Logical blocks in front of the data that hold an extended attribute record. */
  readonly ext_attr_length: number;
  /** Logical block. */
  readonly extent: number;
  /** Bytes of this extent. */
  readonly size: number;
  /** ISO_* */
  readonly flags: number;
  /** Logical blocks; both 0 for data that are not interleaved. */
  readonly file_unit_size: number;
  readonly interleave: number;
  /** Seconds since 1970. */
  readonly date: number;
  readonly name_len: number;
  /** Where the name begins. */
  readonly name: number;
  /** The system use area. */
  readonly use_from: number;
  readonly use_to: number;
}

/** What differs between ISO 9660 and High Sierra, and the bounds of the disc. */
export interface Isodirfmt {
  readonly high_sierra: boolean;
  /** Logical blocks of the device. */
  readonly blocks: number;
}

/** The record is "." or "..". */
export function isodir_special(bytes: Uint8Array, record: Isodir): boolean {
  return record.name_len === 1 && bytes[record.name]! <= 1;
}

/** What is wrong with the record at `at`, which must end at `end` or before. */
export function isodir_bad(bytes: Uint8Array, at: number, end: number): string | undefined {
  const length = bytes[at]!;
  if (length < ISODIR_MIN) return `length ${length} is below ${ISODIR_MIN}`;
  if (at + length > end) return `length ${length} reaches beyond the block`;
  const name_len = bytes[at + ISODIR_NAME - 1]!;
  if (name_len === 0) return 'it has no name';
  if (ISODIR_NAME + name_len > length) return `name of ${name_len} bytes in a record of ${length}`;
  return undefined;
}

/** Reads a record in which {@link isodir_bad} found nothing. */
export function isodir_load(bytes: Uint8Array, view: DataView, at: number, fmt: Isodirfmt): Isodir {
  const length = bytes[at]!;
  const name_len = bytes[at + ISODIR_NAME - 1]!;
  const name = at + ISODIR_NAME;
  // High Sierra has no zone behind the date: what follows, up to the unit size, begins a byte earlier.
  const flags = bytes[at + (fmt.high_sierra ? 24 : 25)]!;
  // The area is padded to begin at an even place.
  const use_from = Math.min(name + name_len + ((name_len & 1) === 0 ? 1 : 0), at + length);
  return {
    length,
    ext_attr_length: bytes[at + 1]!,
    extent: isonum_733(view, at + 2, fmt.blocks),
    size: isonum_733(view, at + 10),
    flags,
    file_unit_size: bytes[at + 26]!,
    interleave: bytes[at + 27]!,
    date: isodate_7(bytes, at + 18, !fmt.high_sierra),
    name_len,
    name,
    use_from,
    use_to: at + length,
  };
}

export function isodir_isdir(record: Isodir): boolean {
  return (record.flags & ISO_DIRECTORY) !== 0;
}
