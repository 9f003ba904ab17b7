import { bytestrFromUtf16, loneSurrogate, utf16FromBytestr, utf16Length } from '../../lib/names/utf16.js';
import type { Charset } from '../../lib/names/charset.js';
import { LFN_MAX, LOWER_BASE, LOWER_EXT, SLOT_E5 } from './direntry.js';

/**
 * What names mean on a volume: between byte strings, UTF-16 and short names, and which are the same. The rules are
 * those of Linux's vfat (fs/fat/namei_vfat.c, dir.c), so that a volume behaves here as it does there.
 */

/** -o shortname: how short names without a long one are shown, and which new names need a long one. */
export type ShortnameMode = 'lower' | 'win95' | 'winnt' | 'mixed';

export interface NameOptions {
  /** Of short names. */
  readonly codepage: Charset;
  /** Of names outside; null: UTF-8. */
  readonly iocharset: Charset | null;
  readonly shortname: ShortnameMode;
  /** false: without ~1 as long as the name is free (-o nonumtail). */
  readonly numtail: boolean;
}

/** A short name for a new file. */
export interface ShortName {
  /** 11 bytes, as on the disk. */
  readonly name: string;
  /** LOWER_BASE | LOWER_EXT */
  readonly lowerCase: number;
  /** It does not say all of the name: the entry needs a long one. */
  readonly long: boolean;
}

/** Why a name cannot be. */
export type BadName = 'invalid' | 'long' | 'none';

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const FORBIDDEN = /[\x00-\x1f"*/:<>?\\|]/;
const REPLACED = '[];,+=';
/** Random tails that are tried before the directory is given up: there are 65,536 times 8. */
const TAILS_MAX = 70_000;

function striptail(name: string): string {
  let end = name.length;
  while (end > 0 && name.charCodeAt(end - 1) === 46) end--;
  return end === name.length ? name : name.slice(0, end);
}

/** What one half of a short name was made of. */
class Half {
  bytes = '';
  /** Nothing in it is written in the other case, or has no case that the code page would tell. */
  lower = true;
  upper = true;
  /** It is what the name says, but for its case. */
  valid = true;
}

export class Names {
  constructor(readonly options: NameOptions) {}

  /** Names that meet under one key are the same. */
  fold = (name: string): string => {
    const stripped = striptail(name);
    if (stripped === '') return name;
    const { iocharset } = this.options;
    if (iocharset === null) return stripped.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
    let folded = '';
    for (let i = 0; i < stripped.length; i++) folded += String.fromCharCode(iocharset.lower[stripped.charCodeAt(i)]!);
    return folded;
  };

  /** UTF-16 units of a name. */
  length = (name: string): number => {
    const stripped = striptail(name);
    return this.options.iocharset === null ? utf16Length(stripped) : stripped.length;
  };

  /** The units that a new name is kept as, or why it cannot be. */
  check(name: string): { units: string } | { bad: BadName } {
    const stripped = striptail(name);
    if (stripped === '') return { bad: 'none' };
    const { iocharset } = this.options;
    const units = iocharset === null ? utf16FromBytestr(stripped) : iocharset.decode(stripped);
    if (units === null || units.includes('\ufffd') !== stripped.includes('\xef\xbf\xbd')) return { bad: 'invalid' };
    if (units.length > LFN_MAX) return { bad: 'long' };
    if (FORBIDDEN.test(units) || units.endsWith(' ')) return { bad: 'invalid' };
    return { units };
  }

  /**
   * A long name from the disk as a byte string; null if it cannot be given to anybody, so that the short one must do.
   */
  fromLong(units: string): string | null {
    if (
      units === '' ||
      units.length > LFN_MAX ||
      units === '.' ||
      units === '..' ||
      units.includes('/') ||
      units.includes('\0')
    ) {
      return null;
    }
    const { iocharset } = this.options;
    if (iocharset === null) return loneSurrogate(units) ? null : bytestrFromUtf16(units);
    return this.encoded(iocharset, units);
  }

  private encoded(iocharset: Charset, units: string): string | null {
    let name = '';
    for (const unit of units) {
      const bytes = iocharset.encode(unit);
      if (bytes === '') return null;
      name += bytes;
    }
    return name;
  }

  /** A short name from the disk (11 bytes) as a byte string; null if it is none. */
  fromShort(name: string, lowerCase: number): string | null {
    const first = name.charCodeAt(0) === SLOT_E5 ? `\xe5${name.slice(1, 8)}` : name.slice(0, 8);
    const base = this.shown(first, (lowerCase & LOWER_BASE) !== 0);
    const extension = this.shown(name.slice(8), (lowerCase & LOWER_EXT) !== 0);
    const units = extension === '' ? base : `${base}.${extension}`;
    if (base === '' || units.includes('/') || base === '.' || base === '..') return null;
    const { iocharset } = this.options;
    return iocharset === null
      ? bytestrFromUtf16(units)
      : (this.encoded(iocharset, units) ?? [...units].map((unit) => iocharset.encode(unit) || '?').join(''));
  }

  /** One half as it is shown: up to a NUL, without the blanks behind. */
  private shown(half: string, lower: boolean): string {
    const { codepage, shortname } = this.options;
    const nul = half.indexOf('\0');
    const bytes = (nul < 0 ? half : half.slice(0, nul)).replace(/ +$/, '');
    if (shortname === 'win95' || (shortname !== 'lower' && !lower)) return codepage.decode(bytes);
    let lowered = '';
    for (let i = 0; i < bytes.length; ) {
      const n = codepage.length(bytes, i);
      lowered += n === 1 ? String.fromCharCode(codepage.lower[bytes.charCodeAt(i)]!) : bytes.slice(i, i + n);
      i += n;
    }
    return codepage.decode(lowered);
  }

  /**
   * The short name for a new name. `taken` says whether an entry of the directory has a short name. `dice` gives 0..1.
   * null: there is none left, or the exact one belongs to another file.
   */
  short(units: string, taken: (name: string) => boolean, dice: () => number): ShortName | null {
    const { base, extension, exact, tail2, tail6 } = this.halves(units);
    if (base.bytes === '') return null;
    const first = base.bytes.charCodeAt(0) === 0xe5 ? String.fromCharCode(SLOT_E5) + base.bytes.slice(1) : base.bytes;
    const ext = extension.bytes.padEnd(3, ' ');
    const plain = first.padEnd(8, ' ') + ext;
    if (exact && base.valid && extension.valid) {
      if (taken(plain)) return null;
      return { name: plain, ...this.caseOf(base, extension) };
    }
    if (!this.options.numtail && !taken(plain)) return { name: plain, lowerCase: 0, long: true };
    const head = first.length > 6 ? first.slice(0, tail6) : first;
    for (let i = 1; i < 10; i++) {
      const name = `${head}~${i}`.padEnd(8, ' ') + ext;
      if (!taken(name)) return { name, lowerCase: 0, long: true };
    }
    const head2 = first.length > 2 ? first.slice(0, tail2) : first;
    let random = Math.floor(dice() * 0x10000);
    const digit = 1 + Math.floor(dice() * 8);
    for (let tries = 0; tries < TAILS_MAX; tries++) {
      const hex = random.toString(16).toUpperCase().padStart(4, '0');
      const name = `${head2}${hex}~${((digit + (tries >> 16)) % 9) + 1}`.padEnd(8, ' ') + ext;
      if (!taken(name)) return { name, lowerCase: 0, long: true };
      random = (random + 0x10000 - 11) % 0x10000;
    }
    return null;
  }

  /** Names of 8.3 that differ from their short name by case only. */
  private caseOf(base: Half, extension: Half): { lowerCase: number; long: boolean } {
    if (this.options.shortname !== 'winnt') return { lowerCase: 0, long: !(base.upper && extension.upper) };
    if (!(base.upper || base.lower) || !(extension.upper || extension.lower)) return { lowerCase: 0, long: true };
    return { lowerCase: (base.upper ? 0 : LOWER_BASE) | (extension.upper ? 0 : LOWER_EXT), long: false };
  }

  /**
   * Base and extension in the code page, upper case; `exact`: nothing had to be cut off. `tail2`, `tail6`: how much of
   * the base stays before a tail.
   */
  private halves(units: string): { base: Half; extension: Half; exact: boolean; tail2: number; tail6: number } {
    const dot = units.lastIndexOf('.');
    // "...test": dots and blanks alone in front of the last dot are no base.
    const hasextension = dot >= 0 && dot < units.length - 1 && /[^. ]/.test(units.slice(0, dot));
    const base = new Half();
    const extension = new Half();
    let exact = true;
    let tail2 = 2;
    let tail6 = 6;
    const end = hasextension ? dot : units.length;
    for (let i = 0; i < end; i++) {
      const bytes = this.shortChar(units[i]!, base);
      const length = base.bytes.length;
      if (length < 2 && length + bytes.length > 2) tail2 = length;
      if (length < 6 && length + bytes.length > 6) tail6 = length;
      base.bytes += bytes.slice(0, 8 - length);
      if (base.bytes.length < 8) continue;
      if (length + bytes.length > 8 || i + 1 < end) exact = false;
      break;
    }
    for (let i = end + 1; i < units.length; i++) {
      const bytes = this.shortChar(units[i]!, extension);
      if (extension.bytes.length + bytes.length > 3) {
        exact = false;
        break;
      }
      extension.bytes += bytes;
      if (extension.bytes.length < 3) continue;
      if (i + 1 < units.length) exact = false;
      break;
    }
    return { base, extension, exact, tail2, tail6 };
  }

  /** The bytes of one unit in a short name; '' for what is left out. */
  private shortChar(unit: string, half: Half): string {
    if (unit === '.' || unit === ' ') {
      half.valid = false;
      return '';
    }
    if (REPLACED.includes(unit)) {
      half.valid = false;
      return '_';
    }
    const bytes = this.options.codepage.encode(unit);
    if (bytes === '') {
      half.valid = false;
      return '_';
    }
    const byte = bytes.charCodeAt(0);
    if (bytes.length > 1 || byte >= 0x7f) half.lower = half.upper = false;
    if (bytes.length > 1) return bytes;
    const upper = this.options.codepage.upper[byte]!;
    if (upper >= 65 && upper <= 90) {
      if (upper === byte) half.lower = false;
      else half.upper = false;
    }
    return String.fromCharCode(upper);
  }
}
