import { utf16FromBytestr } from '../../lib/names/utf16.js';

/**
 * Names of directories with the flag CASEFOLD meet under one key: decomposed (NFD), characters that are not to be seen
 * left out, and folded (Linux fs/unicode, NFDICF of Unicode 12.1). This is the same but for the version of Unicode,
 * which is that of the host program: letters that came later fold here and not there. What is no UTF-8 is compared by
 * its bytes, as there.
 */
// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;
const UNSEEN = /\p{Default_Ignorable_Code_Point}/gu;

export function casefold_key(name: string): string {
  if (ASCII.test(name)) return name.toLowerCase();
  const units = utf16FromBytestr(name);
  if (units === null) return name;
  let folded = '';
  for (const c of units.normalize('NFD').replace(UNSEEN, '')) folded += fold(c);
  // A marker that no byte string has keeps the two kinds of keys apart.
  return `\u0100${folded.normalize('NFD')}`;
}

function fold(c: string): string {
  // Dotless i is a letter of its own. The way there and back takes in the letters that fold to several.
  if (c === '\u0131') return c;
  return c.toLowerCase().toUpperCase().toLowerCase().replaceAll('\u03c2', '\u03c3');
}
