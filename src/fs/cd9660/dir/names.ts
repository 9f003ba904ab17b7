import type { MountTraits } from '../../../kernel/vfs/traits.js';
import { UNIX_TRAITS } from '../../../kernel/vfs/traits.js';
import { bytestrFromUtf16, utf16FromBytestr, utf16Length } from '../../lib/names/utf16.js';
import type { IsoOptions } from '../volume/options.js';
import type { Flavour } from '../volume/isomount.js';

// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;

/**
 * As a disc without Rock Ridge names is searched with check=relaxed: in either case, with or without ";1" and a last
 * dot.
 */
function foldPlain(name: string): string {
  if (name === '..') return name;
  let end = name.length;
  for (;;) {
    if (end > 2 && name[end - 1] === '1' && name[end - 2] === ';') end -= 2;
    else if (end > 1 && name[end - 1] === '.') end--;
    else break;
  }
  const bare = name.slice(0, end);
  return /[A-Z]/.test(bare) ? bare.replace(/[A-Z]+/g, (upper) => upper.toLowerCase()) : bare;
}

/**
 * Joliet: each character by itself in upper case, where that is one character, too. What is no UTF-8 stays as it is.
 */
function foldJoliet(name: string): string {
  if (ASCII.test(name)) return name.toUpperCase();
  const units = utf16FromBytestr(name);
  if (units === null) return name;
  let folded = '';
  for (const c of units) {
    const upper = c.toUpperCase();
    folded += upper.length === c.length ? upper : c;
  }
  return bytestrFromUtf16(folded);
}

export function iso_traits(flavour: Flavour, options: IsoOptions): MountTraits {
  const folds = options.relaxed ? { plain: foldPlain, joliet: foldJoliet }[flavour as string] : undefined;
  const traits: MountTraits = { ...UNIX_TRAITS, foldname: folds ?? null };
  return flavour === 'joliet' ? { ...traits, namelength: utf16Length } : traits;
}
