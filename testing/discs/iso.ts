/** Discs byte by byte, for what no program writes: other block sizes, High Sierra, interleaved files, damage. */

const SECTOR = 2048;
const CATALOG_SECTOR = 19;

export interface Item {
  /** As recorded: latin1. */
  readonly name: string;
  readonly data?: Uint8Array;
  readonly children?: readonly Item[];
  /** Added to those of its kind. */
  readonly flags?: number;
  /** System use area. */
  readonly use?: Uint8Array;
  /** Of "." and of ".." of a directory. */
  readonly dotUse?: Uint8Array;
  readonly dotdotUse?: Uint8Array;
  /** Blocks; the data are laid out accordingly. */
  readonly unit?: number;
  readonly gap?: number;
  /** Blocks of an extended attribute record in front of the data. */
  readonly attributes?: number;
  /** Logical block of the data, instead of a place of its own. */
  readonly at?: number;
  /** Bytes that the record claims, instead of those of the data. */
  readonly size?: number;
}

export interface Disc {
  readonly block?: number;
  readonly highSierra?: boolean;
  readonly root: readonly Item[];
  readonly rootUse?: Uint8Array;
  /** A second tree, whose names are UTF-16 ({@link ucs2}). */
  readonly joliet?: readonly Item[];
  /** A boot record; its catalog is in sector 19. */
  readonly boot?: boolean;
  /** Bytes at the end of the image beyond what is used. */
  readonly more?: number;
}

export interface Built {
  readonly image: Uint8Array;
  readonly block: number;
  /** First logical block of directories and files, by path; '' is the root. */
  readonly places: ReadonlyMap<string, number>;
}

function both16(view: DataView, at: number, value: number): void {
  view.setUint16(at, value, true);
  view.setUint16(at + 2, value, false);
}

function both32(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value, false);
}

/** A number as the format has it, for system use fields. */
export function num32(value: number): number[] {
  const bytes = new Uint8Array(8);
  both32(new DataView(bytes.buffer), 0, value);
  return [...bytes];
}

/** A system use field. */
export function field(signature: string, ...body: number[]): number[] {
  return [signature.charCodeAt(0), signature.charCodeAt(1), body.length + 4, 1, ...body];
}

export function text(s: string): number[] {
  return [...s].map((c) => c.charCodeAt(0));
}

/** What the root's "." needs for the others' fields to be looked at. */
export const SP = field('SP', 0xbe, 0xef, 0);

export function px(mode: number, nlink = 1, uid = 0, gid = 0, serial?: number): number[] {
  return field(
    'PX',
    ...num32(mode),
    ...num32(nlink),
    ...num32(uid),
    ...num32(gid),
    ...(serial === undefined ? [] : num32(serial)),
  );
}

export function nm(name: string, flags = 0): number[] {
  return field('NM', flags, ...text(name));
}

class Builder {
  readonly block: number;
  readonly places = new Map<string, number>();
  private next: number;
  private readonly writes: [number, Uint8Array][] = [];
  private readonly hs: boolean;

  constructor(private readonly disc: Disc) {
    this.block = disc.block ?? SECTOR;
    this.hs = disc.highSierra === true;
    this.next = (20 * SECTOR) / this.block;
  }

  private allocate(bytes: number): number {
    const at = this.next;
    this.next += Math.max(1, Math.ceil(bytes / this.block));
    return at;
  }

  record(
    name: number[],
    extent: number,
    size: number,
    item: Pick<Item, 'unit' | 'gap' | 'attributes'>,
    flags: number,
    use: Uint8Array,
  ): Uint8Array {
    const padded = 33 + name.length + ((name.length & 1) === 0 ? 1 : 0);
    const length = padded + use.length + (use.length & 1);
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    bytes[0] = length;
    bytes[1] = item.attributes ?? 0;
    both32(view, 2, extent);
    both32(view, 10, size);
    bytes.set([99, 2, 3, 4, 5, 6, 4], 18);
    bytes[this.hs ? 24 : 25] = flags;
    bytes[26] = item.unit ?? 0;
    bytes[27] = item.gap ?? 0;
    both16(view, 28, 1);
    bytes[32] = name.length;
    bytes.set(name, 33);
    bytes.set(use, padded);
    return bytes;
  }

  /** Bytes that the records take. */
  private measure(children: readonly Item[], dots: number): number {
    let at = dots;
    for (const child of children) {
      const name = child.name.length;
      const use = child.use?.length ?? 0;
      const length = 33 + name + ((name & 1) === 0 ? 1 : 0) + use + (use & 1);
      if ((at % this.block) + length > this.block) at = Math.ceil(at / this.block) * this.block;
      at += length;
    }
    return Math.ceil(at / this.block) * this.block;
  }

  directory(
    path: string,
    item: Pick<Item, 'children' | 'dotUse' | 'dotdotUse'>,
    parent: { extent: number; size: number } | null,
  ): { extent: number; size: number } {
    const children = item.children ?? [];
    const dotUse = item.dotUse ?? new Uint8Array(0);
    const dotdotUse = item.dotdotUse ?? new Uint8Array(0);
    const size = this.measure(
      children,
      34 + 34 + dotUse.length + (dotUse.length & 1) + dotdotUse.length + (dotdotUse.length & 1),
    );
    const extent = this.allocate(size);
    const self = { extent, size };
    this.places.set(path, extent);
    const bytes = new Uint8Array(size);
    let at = 0;
    const add = (record: Uint8Array): void => {
      if ((at % this.block) + record.length > this.block) at = Math.ceil(at / this.block) * this.block;
      bytes.set(record, at);
      at += record.length;
    };
    add(this.record([0], extent, size, {}, 2, dotUse));
    add(this.record([1], (parent ?? self).extent, (parent ?? self).size, {}, 2, dotdotUse));
    for (const child of children) add(this.child(`${path}/${child.name}`, child, self));
    this.writes.push([extent * this.block, bytes]);
    return self;
  }

  private child(path: string, child: Item, parent: { extent: number; size: number }): Uint8Array {
    const use = child.use ?? new Uint8Array(0);
    const name = text(child.name);
    if (child.children !== undefined) {
      const made = this.directory(path, child, parent);
      return this.record(name, child.at ?? made.extent, child.size ?? made.size, child, 2 | (child.flags ?? 0), use);
    }
    const data = child.data ?? new Uint8Array(0);
    const extent = child.at ?? this.data(data, child);
    this.places.set(path, extent);
    return this.record(name, extent, child.size ?? data.length, child, child.flags ?? 0, use);
  }

  private data(data: Uint8Array, { unit, gap, attributes }: Item): number {
    const before = attributes ?? 0;
    if (unit === undefined || gap === undefined) {
      const extent = this.allocate(before * this.block + data.length);
      this.writes.push([(extent + before) * this.block, data]);
      return extent;
    }
    const piece = unit * this.block;
    const pieces = Math.ceil(data.length / piece);
    const extent = this.allocate(before * this.block + pieces * (unit + gap) * this.block);
    for (let i = 0; i < pieces; i++)
      this.writes.push([(extent + before + i * (unit + gap)) * this.block, data.subarray(i * piece, (i + 1) * piece)]);
    return extent;
  }

  private descriptor(image: Uint8Array, sector: number, type: number, root?: { extent: number; size: number }): number {
    const shift = this.hs ? 8 : 0;
    const at = sector * SECTOR;
    const view = new DataView(image.buffer);
    image[at + shift] = type;
    image.set(text(this.hs ? 'CDROM' : 'CD001'), at + shift + 1);
    image[at + shift + 6] = 1;
    if (root === undefined) return at;
    image.fill(0x20, at + shift + 8, at + shift + 72);
    image.set(text('BUILT'), at + shift + 40);
    both32(view, at + shift + 80, this.next);
    both16(view, at + shift + 120, 1);
    both16(view, at + shift + 124, 1);
    both16(view, at + shift + 128, this.block);
    image.set(this.record([0], root.extent, root.size, {}, 2, new Uint8Array(0)), at + (this.hs ? 180 : 156));
    return at;
  }

  build(): Built {
    const { rootUse, joliet, boot, more } = this.disc;
    const root = this.directory(
      '',
      { children: this.disc.root, ...(rootUse === undefined ? {} : { dotUse: rootUse }) },
      null,
    );
    const second = joliet === undefined ? undefined : this.directory('joliet:', { children: joliet }, null);
    const image = new Uint8Array(this.next * this.block + (more ?? 0));
    for (const [at, bytes] of this.writes) image.set(bytes, at);
    let sector = 16;
    this.descriptor(image, sector++, 1, root);
    if (boot === true) this.bootRecord(image, sector++);
    if (second !== undefined) image.set(text('%/E'), this.descriptor(image, sector++, 2, second) + 88);
    this.descriptor(image, sector, 255);
    return { image, block: this.block, places: this.places };
  }

  private bootRecord(image: Uint8Array, sector: number): void {
    const at = this.descriptor(image, sector, 0);
    image.set(text('EL TORITO SPECIFICATION'), at + 7);
    const view = new DataView(image.buffer);
    view.setUint32(at + 0x47, CATALOG_SECTOR, true);
    const catalog = CATALOG_SECTOR * SECTOR;
    image.set([1, 0], catalog);
    image.set([0x55, 0xaa], catalog + 30);
    image.set([0x88, 0, 0, 0, 0, 0, 4, 0, 20], catalog + 32);
    image.set([0x91, 0xef, 1, 0], catalog + 64);
    image.set([0x88, 0, 0, 0, 0, 0, 1, 0, 20], catalog + 96);
  }
}

/** A name of a Joliet tree, as {@link Item} has it. */
export function ucs2(name: string): string {
  return [...name].map((c) => String.fromCharCode(c.charCodeAt(0) >> 8, c.charCodeAt(0) & 0xff)).join('');
}

export function build(disc: Disc): Built {
  return new Builder(disc).build();
}

/** As a program for whole CDs copies them: 2048 bytes of data in sectors of `sector`, from `data` on. */
export function rawSectors(image: Uint8Array, sector: number, data: number): Uint8Array {
  const count = Math.ceil(image.length / SECTOR);
  const raw = new Uint8Array(count * sector).fill(0xee);
  for (let i = 0; i < count; i++) raw.set(image.subarray(i * SECTOR, (i + 1) * SECTOR), i * sector + data);
  return raw;
}
