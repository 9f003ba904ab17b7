/**
 * Names of formats that keep UTF-16, between the kernel's byte strings (UTF-8, one character 0..255 a byte) and strings
 * of UTF-16 units, which is what JavaScript's strings are. Exact in both directions for all that is Unicode.
 *
 * A lone surrogate has no UTF-8. Formats allow it (NTFS) or get it from damage (FAT); {@link bytestrFromUtf16} writes
 * it as the three bytes that its number would give (WTF-8), which {@link utf16FromBytestr} does not take back: a driver
 * decides what such a name is to be called.
 */

const SURROGATES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;

/** Has the string a surrogate without its other half? */
export function loneSurrogate(units: string): boolean {
  return SURROGATES.test(units);
}

/**
 * The UTF-16 units of a byte string; null if it is not UTF-8 (overlong forms, surrogates and numbers above 10FFFF are
 * not).
 */
export function utf16FromBytestr(name: string): string | null {
  if (ASCII.test(name)) return name;
  let units = '';
  for (let i = 0; i < name.length; ) {
    const first = name.charCodeAt(i);
    const more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
    if (more < 0 || i + more >= name.length) return null;
    let code = more === 0 ? first : first & (0x3f >> more);
    for (let k = 1; k <= more; k++) {
      const next = name.charCodeAt(i + k);
      if ((next & 0xc0) !== 0x80) return null;
      code = (code << 6) | (next & 0x3f);
    }
    if (
      (more === 2 && code < 0x800) ||
      (more === 3 && (code < 0x10000 || code > 0x10ffff)) ||
      (code >= 0xd800 && code < 0xe000)
    ) {
      return null;
    }
    units += String.fromCodePoint(code);
    i += more + 1;
  }
  return units;
}

/** The byte string of UTF-16 units. */
export function bytestrFromUtf16(units: string): string {
  if (ASCII.test(units)) return units;
  let name = '';
  for (let i = 0; i < units.length; i++) {
    const code = units.codePointAt(i)!;
    if (code >= 0x10000) i++;
    if (code < 0x80) {
      name += String.fromCharCode(code);
    } else if (code < 0x800) {
      name += String.fromCharCode(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      name += String.fromCharCode(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    } else {
      name += String.fromCharCode(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 0x3f),
        0x80 | ((code >> 6) & 0x3f),
        0x80 | (code & 0x3f),
      );
    }
  }
  return name;
}

/**
 * How many UTF-16 units a byte string has, without making them; for what is not UTF-8, one a byte that begins a
 * character.
 */
export function utf16Length(name: string): number {
  let units = 0;
  for (let i = 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}
