/** How names are written on a disc, and how they appear. Names that are returned are byte strings (bytestr.ts). */

import { bytestrFromUtf16 } from '../../lib/names/utf16.js';

/** What happens to names of the ISO 9660 tree that have no Rock Ridge name; as Linux's map=. */
export type NameMap = 'normal' | 'off' | 'acorn';

const SLASH = 0x2f;
const DOT = 0x2e;
const SEMICOLON = 0x3b;
const ONE = 0x31;

/** The bytes as they are, but for "/", which no name can have: "." stands for it, as in Linux. */
export function exactName(bytes: Uint8Array, at: number, length: number): string {
  const name = String.fromCharCode.apply(null, bytes.subarray(at, at + length) as unknown as number[]);
  return name.includes('/') ? name.replaceAll('/', '.') : name;
}

/** Without the version ";1" and the dot of an empty extension. Other versions stay visible. */
function withoutVersion(bytes: Uint8Array, at: number, length: number): number {
  if (length > 2 && bytes[at + length - 1] === ONE && bytes[at + length - 2] === SEMICOLON) length -= 2;
  return length > 1 && bytes[at + length - 1] === DOT ? length - 1 : length;
}

/** A name of the ISO 9660 tree (7.5, 7.6): upper case becomes lower case. */
export function plainName(bytes: Uint8Array, at: number, length: number): string {
  const name = exactName(bytes, at, withoutVersion(bytes, at, length));
  return name.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
}

/** A name of ISO 9660:1999: as it was before mastering, but for a version that some programs add. */
export function enhancedName(bytes: Uint8Array, at: number, length: number): string {
  return exactName(bytes, at, withoutVersion(bytes, at, length));
}

const ARCHIMEDES = 'ARCHIMEDES';
/** Bytes of what Acorn's mastering programs put behind the name. */
const ACORN_BYTES = 32;

/**
 * Acorn's use of the system use area (`from`..`to`): attributes say whether the "_" that begins a name was a "!", and
 * load address 0xfffTTTxx gives the file the type TTT, which is appended to its name.
 */
export function acornName(name: string, bytes: Uint8Array, from: number, to: number, directory: boolean): string {
  if (to - from !== ACORN_BYTES || exactName(bytes, from, ARCHIMEDES.length) !== ARCHIMEDES) return name;
  if (name.startsWith('_') && (bytes[from + 19]! & 1) !== 0) name = `!${name.slice(1)}`;
  const typed = bytes[from + 13] === 0xff && (bytes[from + 12]! & 0xf0) === 0xf0;
  if (directory || !typed) return name;
  const type = ((bytes[from + 12]! & 0x0f) << 8) | bytes[from + 11]!;
  return `${name},${type.toString(16).padStart(3, '0')}`;
}

/**
 * A Joliet name: big-endian UTF-16, though the format says UCS-2. A surrogate without its partner keeps its own three
 * bytes, so that different names stay different.
 */
export function jolietName(bytes: Uint8Array, at: number, length: number): string {
  let units = '';
  for (let i = at; i + 1 < at + length; i += 2) {
    const unit = (bytes[i]! << 8) | bytes[i + 1]!;
    if (unit === 0) break;
    units += String.fromCharCode(unit === SLASH ? DOT : unit);
  }
  if (units.length > 2 && units.endsWith(';1')) units = units.slice(0, -2);
  while (units.length > 1 && units.endsWith('.')) units = units.slice(0, -1);
  return bytestrFromUtf16(units);
}
