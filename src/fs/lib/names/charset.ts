import { CODEPAGES } from './codepages.js';

/**
 * Character sets of one or two bytes a character: code pages of short FAT names, and what `-o iocharset` may name. What
 * is upper and lower case follows the rule of Linux's tables (fs/nls): a byte changes if its character has a
 * counterpart of one UTF-16 unit that the set has too.
 */
export interface Charset {
  readonly name: string;
  /** The UTF-16 units of a byte string; U+FFFD for bytes that are no character. */
  decode(bytes: string): string;
  /** The bytes of one UTF-16 unit, one or two; '' if the set does not have it. */
  encode(unit: string): string;
  /** How many bytes, 1 or 2, the character at `i` takes. */
  length(bytes: string, i: number): number;
  /** By byte: its counterpart, or itself. */
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
}

const NONE = '\ufffd';

/** Sets of two bytes a character: the name that Encoding (WHATWG) gives them, which the decoder of every host knows. */
const DOUBLE: Readonly<Record<string, string>> = { cp932: 'shift_jis', cp936: 'gbk', cp949: 'euc-kr', cp950: 'big5' };
const ALIASES: Readonly<Record<string, string>> = {
  ascii: 'us-ascii',
  default: 'iso8859-1',
  latin1: 'iso8859-1',
  sjis: 'cp932',
  shift_jis: 'cp932',
  gb2312: 'cp936',
  gbk: 'cp936',
  'euc-kr': 'cp949',
  big5: 'cp950',
};

function canonical(name: string): string {
  const plain = name.toLowerCase().replace(/^iso-8859-/, 'iso8859-').replace(/^(?:ibm|windows-)(?=\d)/, 'cp');
  const page = /^\d{3,4}$/.test(plain) ? `cp${plain}` : plain;
  return ALIASES[page] ?? page;
}

/** Names that {@link charset} knows. */
export const CHARSETS: readonly string[] = [...Object.keys(CODEPAGES), ...Object.keys(DOUBLE), 'us-ascii'];

const made = new Map<string, Charset>();

/** The set of that name ("437", "cp850", "iso8859-1", "koi8-r", ...); undefined: unknown. */
export function charset(name: string): Charset | undefined {
  const key = canonical(name);
  let set = made.get(key);
  if (set !== undefined) return set;
  if (key === 'us-ascii') set = new SingleByte(key, NONE.repeat(128));
  else if (Object.hasOwn(CODEPAGES, key)) set = new SingleByte(key, CODEPAGES[key]!);
  else if (Object.hasOwn(DOUBLE, key)) set = new DoubleByte(key, DOUBLE[key]!);
  if (set !== undefined) made.set(key, set);
  return set;
}

/** The counterpart of each byte, as `change` changes its character. */
function counterparts(set: Charset, change: (unit: string) => string): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const unit = set.decode(String.fromCharCode(byte));
    const other = unit === NONE ? '' : change(unit);
    const encoded = other.length === 1 ? set.encode(other) : '';
    table[byte] = encoded.length === 1 ? encoded.charCodeAt(0) : byte;
  }
  return table;
}

class SingleByte implements Charset {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  private readonly units: readonly string[];
  private readonly bytes = new Map<string, string>();

  /** `high`: the characters of bytes 0x80..0xFF. */
  constructor(readonly name: string, high: string) {
    this.units = Array.from({ length: 256 }, (_, byte) => (byte < 128 ? String.fromCharCode(byte) : high[byte - 128]!));
    this.units.forEach((unit, byte) => {
      if (unit !== NONE && !this.bytes.has(unit)) this.bytes.set(unit, String.fromCharCode(byte));
    });
    this.lower = counterparts(this, (unit) => unit.toLowerCase());
    this.upper = counterparts(this, (unit) => unit.toUpperCase());
  }

  decode(bytes: string): string {
    let units = '';
    for (let i = 0; i < bytes.length; i++) units += this.units[bytes.charCodeAt(i)]!;
    return units;
  }

  encode(unit: string): string {
    return this.bytes.get(unit) ?? '';
  }

  length(): number {
    return 1;
  }
}

class DoubleByte implements Charset {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  private readonly decoder: InstanceType<typeof TextDecoder>;
  private readonly bytes = new Map<string, string>();
  /** Bytes that begin a character of two. */
  private readonly leads = new Uint8Array(256);

  constructor(readonly name: string, label: string) {
    this.decoder = new TextDecoder(label);
    const pair = new Uint8Array(2);
    for (let lead = 0; lead < 256; lead++) {
      pair[0] = lead;
      const single = this.decoder.decode(pair.subarray(0, 1));
      if (single.length === 1 && single !== NONE) {
        this.bytes.set(single, String.fromCharCode(lead));
        continue;
      }
      for (let trail = 0x40; trail < 0xff; trail++) {
        pair[1] = trail;
        const unit = this.decoder.decode(pair);
        if (unit.length !== 1 || unit === NONE) continue;
        this.leads[lead] = 1;
        if (!this.bytes.has(unit)) this.bytes.set(unit, String.fromCharCode(lead, trail));
      }
    }
    this.lower = counterparts(this, (unit) => unit.toLowerCase());
    this.upper = counterparts(this, (unit) => unit.toUpperCase());
  }

  decode(bytes: string): string {
    return this.decoder.decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0)));
  }

  encode(unit: string): string {
    return this.bytes.get(unit) ?? '';
  }

  length(bytes: string, i: number): number {
    return this.leads[bytes.charCodeAt(i)] === 1 && i + 1 < bytes.length ? 2 : 1;
  }
}
