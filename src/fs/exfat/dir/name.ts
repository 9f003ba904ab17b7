import { E, errno } from '../../../kernel/errno.js';
import { bytestrFromUtf16, loneSurrogate, utf16FromBytestr } from '../../lib/names/utf16.js';
import { NAME_UNITS_MAX, name_hash } from '../disk/entry.js';

// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;
// eslint-disable-next-line no-control-regex -- the format forbids them
const FORBIDDEN = /[\x00-\x1f"*/:<>?\\|]/;
const DOTS = /\.+$/;
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A table in which what a unit becomes stays as it is; of a circle, nothing changes. */
function settled(table: Uint16Array): Uint16Array {
  const keys = new Uint16Array(table.length);
  for (let unit = 0; unit < table.length; unit++) {
    let to = table[unit];
    for (let steps = 0; steps < 8 && table[to] !== to; steps++) to = table[to];
    keys[unit] = table[to] === to ? to : unit;
  }
  return keys;
}

/** A name as it is shown: half a surrogate pair has no UTF-8. */
export function shown(units: string): string {
  return loneSurrogate(units) ? units.replace(LONE, '\ufffd') : units;
}

/** How the names of a volume are compared. */
export class NameRules {
  private readonly upcase: Uint16Array;
  /** The same, followed until nothing changes any more: the key of a key must be that key. */
  private readonly keys: Uint16Array;
  /** ASCII is compared as ASCII. */
  private readonly plain: boolean;
  /** Dots at the end belong to a name (option keep_last_dots). */
  readonly keepdots: boolean;

  constructor(upcase: Uint16Array, keepdots: boolean) {
    this.upcase = upcase;
    this.keepdots = keepdots;
    let plain = true;
    for (let c = 0; c < 128; c++) if (upcase[c] !== (c >= 0x61 && c <= 0x7a ? c - 32 : c)) plain = false;
    this.plain = plain;
    this.keys = settled(upcase);
  }

  private map(units: string, table: Uint16Array): string {
    if (this.plain && ASCII.test(units)) return units.toUpperCase();
    let up = '';
    for (let i = 0; i < units.length; i++) up += String.fromCharCode(table[units.charCodeAt(i)]);
    return up;
  }

  /** Under which key equal names meet, UTF-16 units. */
  key(units: string): string {
    return this.map(shown(this.keepdots ? units : units.replace(DOTS, '')), this.keys);
  }

  /** The key of a byte string, as a byte string. */
  fold(name: string): string {
    if (name === '.' || name === '..') return name;
    const units = utf16FromBytestr(name);
    return units === null ? name : bytestrFromUtf16(this.key(units));
  }

  /** The key of a name as somebody looks it up; null: no file can have it. */
  lookupkey(name: string): string | null {
    const units = utf16FromBytestr(name);
    if (units === null) return null;
    const key = this.key(units);
    return key.length === 0 || key.length > NAME_UNITS_MAX ? null : key;
  }

  /**
   * The UTF-16 units of a name that is to be given to a file.
   * @throws EILSEQ it is no UTF-8; EINVAL it has characters that names cannot have, or is nothing but dots;
   * ENAMETOOLONG
   */
  newname(name: string): string {
    const given = utf16FromBytestr(name);
    if (given === null || loneSurrogate(given)) throw errno(E.EILSEQ);
    const units = this.keepdots ? given : given.replace(DOTS, '');
    if (units.length === 0 || FORBIDDEN.test(units)) throw errno(E.EINVAL);
    if (units.length > NAME_UNITS_MAX) throw errno(E.ENAMETOOLONG);
    return units;
  }

  /** NameHash. */
  hash(units: string): number {
    const up = this.map(units, this.upcase);
    const array = new Uint16Array(up.length);
    for (let i = 0; i < up.length; i++) array[i] = up.charCodeAt(i);
    return name_hash(array, array.length);
  }
}
