import { E, errno } from '../../../kernel/errno.js';
import { loneSurrogate, utf16FromBytestr } from '../../lib/names/utf16.js';
import { NAME_UNITS_MAX, name_hash } from '../disk/entry.js';

// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;
// eslint-disable-next-line no-control-regex -- the format forbids them
const FORBIDDEN = /[\x00-\x1f"*/:<>?\\|]/;
const DOTS = /\.+$/;

/** How the names of a volume are compared. */
export class NameRules {
  private readonly upcase: Uint16Array;
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
  }

  /** The name up-cased by the volume's table. */
  up(units: string): string {
    if (this.plain && ASCII.test(units)) return units.toUpperCase();
    let up = '';
    for (let i = 0; i < units.length; i++) up += String.fromCharCode(this.upcase[units.charCodeAt(i)]);
    return up;
  }

  /** Under which key equal names meet. */
  key(units: string): string {
    return this.up(this.keepdots ? units : units.replace(DOTS, ''));
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
   * @throws EILSEQ it is no UTF-8; EINVAL it has characters that names cannot have, or is nothing but dots; ENAMETOOLONG
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
    const up = this.up(units);
    const array = new Uint16Array(up.length);
    for (let i = 0; i < up.length; i++) array[i] = up.charCodeAt(i);
    return name_hash(array, array.length);
  }
}
