/** Where the structures of a disc lie that is laid out as the bases are. */

export interface Field {
  readonly what: string;
  /** Byte of the image. */
  readonly at: number;
  /** Bytes. */
  readonly width: number;
  /** Recorded in both byte orders, one behind the other. */
  readonly both: boolean;
}

export interface Atlas {
  readonly fields: readonly Field[];
  /** Directory records and system use fields: place and length. */
  readonly records: readonly (readonly [at: number, length: number])[];
  readonly uses: readonly (readonly [at: number, length: number])[];
  /** Numbers that mean something: blocks of directories and files, sizes. */
  readonly meaningful: readonly number[];
}

const SECTOR = 2048;
const RECORD: readonly (readonly [string, number, number, boolean])[] = [
  ['length', 0, 1, false],
  ['ext_attr_length', 1, 1, false],
  ['extent', 2, 4, true],
  ['size', 10, 4, true],
  ['date', 18, 1, false],
  ['zone', 24, 1, false],
  ['flags', 25, 1, false],
  ['file_unit_size', 26, 1, false],
  ['interleave', 27, 1, false],
  ['name_len', 32, 1, false],
  ['name', 33, 1, false],
];
const DESCRIPTOR: readonly (readonly [string, number, number, boolean])[] = [
  ['type', 0, 1, false],
  ['id', 1, 4, false],
  ['version', 6, 1, false],
  ['space_size', 80, 4, true],
  ['escapes', 88, 2, false],
  ['block_size', 128, 2, true],
  ['catalog', 0x47, 4, false],
];
const CATALOG: readonly (readonly [string, number, number, boolean])[] = [
  ['header', 64, 1, false],
  ['count', 66, 2, false],
  ['indicator', 32, 1, false],
  ['sector', 40, 4, false],
  ['mark', 30, 2, false],
];
const ZISOFS_MAGICS: readonly (readonly number[])[] = [
  [0x37, 0xe4, 0x53, 0x96],
  [0xef, 0x22, 0x55, 0xa1],
];

class Surveyor {
  readonly fields: Field[] = [];
  readonly records: [number, number][] = [];
  readonly uses: [number, number][] = [];
  readonly meaningful = new Set<number>([0, 1, 2048, 32768]);

  constructor(private readonly bytes: Uint8Array) {}

  add(where: string, base: number, list: readonly (readonly [string, number, number, boolean])[]): void {
    for (const [name, at, width, both] of list) {
      if (base + at + width * 2 <= this.bytes.length)
        this.fields.push({ what: `${where} ${name}`, at: base + at, width, both });
    }
  }

  /** Descriptors, and everything that looks like a structure wherever it lies. */
  survey(): Atlas {
    const { bytes } = this;
    for (let at = 0; at + SECTOR <= bytes.length; at += 8) {
      const id = String.fromCharCode(...bytes.subarray(at + 1, at + 6));
      const hs = String.fromCharCode(...bytes.subarray(at + 9, at + 14));
      if (id === 'CD001') this.descriptor(at, 0, 156);
      else if (hs === 'CDROM') this.descriptor(at, 8, 180);
      if (ZISOFS_MAGICS.some((magic) => magic.every((byte, i) => bytes[at + i] === byte))) this.zisofs(at);
    }
    this.add('boot catalog', 19 * SECTOR, CATALOG);
    for (let at = 0; at + 34 <= bytes.length; at += 2) if (this.looksLikeDirectory(at)) this.directory(at);
    return { fields: this.fields, records: this.records, uses: this.uses, meaningful: [...this.meaningful] };
  }

  private descriptor(at: number, shift: number, root: number): void {
    this.add(`descriptor at ${at}`, at + shift, DESCRIPTOR);
    this.add(`root record at ${at}`, at + root, RECORD);
  }

  private zisofs(at: number): void {
    this.add(
      `zisofs header at ${at}`,
      at,
      Array.from({ length: 12 }, (_, i): [string, number, number, boolean] => [`word ${i}`, 8 + 4 * i, 4, false]),
    );
    this.add(`zisofs header at ${at}`, at, [
      ['size', 9, 1, false],
      ['algorithm', 10, 1, false],
      ['shift', 11, 1, false],
      ['shift', 13, 1, false],
    ]);
  }

  /** "." and ".." begin one. */
  private looksLikeDirectory(at: number): boolean {
    const { bytes } = this;
    const length = bytes[at]!;
    if (at % 8 !== 0 || length < 34 || length > 250 || bytes[at + 32] !== 1 || bytes[at + 33] !== 0) return false;
    const next = at + length;
    return next + 34 <= bytes.length && bytes[next]! >= 34 && bytes[next + 32] === 1 && bytes[next + 33] === 1;
  }

  private directory(start: number): void {
    const { bytes } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const size = Math.min(view.getUint32(start + 10, true), 16384, bytes.length - start);
    for (let at = start; at < start + size;) {
      const length = bytes[at]!;
      if (length < 34 || at + length > bytes.length) {
        at += 2;
        continue;
      }
      this.records.push([at, length]);
      this.meaningful.add(view.getUint32(at + 2, true)).add(view.getUint32(at + 10, true));
      this.add(`record at ${at}`, at, RECORD);
      const name = bytes[at + 32]!;
      this.use(at + 33 + name + ((name & 1) === 0 ? 1 : 0), at + length);
      at += length;
    }
  }

  private use(from: number, to: number): void {
    for (let at = from; at + 4 <= to;) {
      const length = this.bytes[at + 2]!;
      if (length < 4 || at + length > to) return;
      const name = String.fromCharCode(this.bytes[at]!, this.bytes[at + 1]!);
      this.uses.push([at, length]);
      this.add(`${name} at ${at}`, at, [
        ['signature', 0, 2, false],
        ['length', 2, 1, false],
        ['version', 3, 1, false],
        ['flags', 4, 1, false],
        ['length of a part', 6, 1, false],
      ]);
      for (let n = 4; n + 8 <= length; n += 8) this.add(`${name} at ${at}`, at, [[`number at ${n}`, n, 4, true]]);
      at += length;
    }
  }
}

export function makeAtlas(bytes: Uint8Array): Atlas {
  return new Surveyor(bytes).survey();
}
