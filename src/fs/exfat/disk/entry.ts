/**
 * Directory entries: 32 bytes each, of many types. A file is a set of them: one primary entry, a stream extension and
 * its name.
 * Source: Microsoft's exFAT specification, sections 6 and 7.
 */
export const ENTRY_BYTES = 32;

/** EntryType: bit 7 in use, bit 6 secondary, bit 5 benign; the rest tells them apart. */
export const IN_USE = 0x80;
export const SECONDARY = 0x40;
export const BENIGN = 0x20;
export const T_END = 0x00;
export const T_BITMAP = 0x81;
export const T_UPCASE = 0x82;
export const T_LABEL = 0x83;
export const T_FILE = 0x85;
export const T_GUID = 0xa0;
export const T_STREAM = 0xc0;
export const T_NAME = 0xc1;

/** GeneralSecondaryFlags. */
export const ALLOCATION_POSSIBLE = 1;
export const NO_FAT_CHAIN = 2;

/** FileAttributes. */
export const ATTR_READONLY = 0x01;
export const ATTR_HIDDEN = 0x02;
export const ATTR_SYSTEM = 0x04;
export const ATTR_DIRECTORY = 0x10;
export const ATTR_ARCHIVE = 0x20;

/** UTF-16 units of a name, and of one name entry. */
export const NAME_UNITS_MAX = 255;
export const NAME_UNITS = 15;
/** UTF-16 units of a volume label. */
export const LABEL_UNITS_MAX = 11;
/** SecondaryCount of a file: a stream extension and 1 to 17 names; others may follow. */
export const SECONDARIES_MIN = 2;
export const SECONDARIES_MAX = 18;

/** Offsets in the entry of a file. */
export const F_SECONDARY_COUNT = 1;
export const F_CHECKSUM = 2;
export const F_ATTRIBUTES = 4;
export const F_CREATE = 8;
export const F_MODIFY = 12;
export const F_ACCESS = 16;
export const F_CREATE_10MS = 20;
export const F_MODIFY_10MS = 21;
export const F_CREATE_UTC = 22;
export const F_MODIFY_UTC = 23;
export const F_ACCESS_UTC = 24;

/** Offsets in a stream extension; FirstCluster and DataLength lie there in all entries that have them. */
export const S_FLAGS = 1;
export const S_NAME_LENGTH = 3;
export const S_NAME_HASH = 4;
export const S_VALID_LENGTH = 8;
export const S_FIRST_CLUSTER = 20;
export const S_DATA_LENGTH = 24;

/** Offset of the checksum in the entry of the up-case table. */
export const U_CHECKSUM = 4;

const TWO32 = 0x1_0000_0000;

/** A 64-bit length. Not exact above 2^53: every caller compares it with a bound far below. */
export function get_length(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * TWO32 + view.getUint32(at, true);
}

export function put_length(view: DataView, at: number, length: number): void {
  view.setUint32(at, length % TWO32, true);
  view.setUint32(at + 4, Math.floor(length / TWO32), true);
}

/** Name entries that a name of so many UTF-16 units takes. */
export function name_entries(units: number): number {
  return Math.ceil(units / NAME_UNITS);
}

/** SetChecksum of `count` entries that lie one behind the other from byte `at` of `bytes` on. */
export function set_checksum(bytes: Uint8Array, at: number, count: number): number {
  let sum = 0;
  const end = at + count * ENTRY_BYTES;
  for (let i = at; i < end; i++) {
    if (i === at + F_CHECKSUM || i === at + F_CHECKSUM + 1) continue;
    sum = ((((sum & 1) << 15) | (sum >>> 1)) + bytes[i]) & 0xffff;
  }
  return sum;
}

/** NameHash of a name that is up-cased already, UTF-16 units. */
export function name_hash(units: Uint16Array, length: number): number {
  let hash = 0;
  for (let i = 0; i < length; i++) {
    const unit = units[i];
    hash = ((((hash & 1) << 15) | (hash >>> 1)) + (unit & 0xff)) & 0xffff;
    hash = ((((hash & 1) << 15) | (hash >>> 1)) + (unit >>> 8)) & 0xffff;
  }
  return hash;
}

/** TableChecksum of an up-case table, as it lies on the disk. */
export function table_checksum(bytes: Uint8Array, sum = 0): number {
  for (let i = 0; i < bytes.length; i++) sum = ((((sum & 1) << 31) | (sum >>> 1)) + bytes[i]) >>> 0;
  return sum;
}
