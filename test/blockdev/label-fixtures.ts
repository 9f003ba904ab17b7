/** Partition tables made by hand, field by field. */
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { crc32 } from '../../src/blockdev/label/crc32.js';

export const MiB = 1 << 20;

/** A disk of that size with the bytes that `parts` put on it. */
export function disk(size_bytes: number, ...parts: [offset: number, bytes: Uint8Array][]): MemoryDevice {
  const dev = new MemoryDevice({ name: 'test.img', size_bytes });
  for (const [offset, bytes] of parts) dev.write(bytes, 0, bytes.length, offset);
  return dev;
}

export interface MbrPart {
  type: number;
  start: number;
  size: number;
  flag?: number;
}

/** A sector with a partition table, of disk or extended partition. */
export function mbrSector(parts: MbrPart[]): Uint8Array {
  const sector = new Uint8Array(512);
  const view = new DataView(sector.buffer);
  parts.forEach((p, i) => {
    const at = 446 + i * 16;
    view.setUint8(at, p.flag ?? 0);
    view.setUint8(at + 4, p.type);
    view.setUint32(at + 8, p.start, true);
    view.setUint32(at + 12, p.size, true);
  });
  view.setUint16(510, 0xaa55, true);
  return sector;
}

export interface BsdPart {
  size: number;
  offset: number;
  fstype: number;
}

export interface BsdOptions {
  secsize?: number;
  big_endian?: boolean;
  /** OpenBSD's version 1, with 48-bit sizes. */
  v1?: boolean;
  packname?: string;
  /** At least as many as there are parts. */
  npartitions?: number;
}

/** A disklabel; an undefined part is an unused entry. */
export function bsdLabel(parts: (BsdPart | undefined)[], options: BsdOptions = {}): Uint8Array {
  const le = options.big_endian !== true;
  const count = options.npartitions ?? Math.max(8, parts.length);
  const label = new Uint8Array(148 + count * 16);
  const view = new DataView(label.buffer);
  view.setUint32(0, 0x82564557, le);
  for (const [i, c] of [...(options.packname ?? 'fictitious')].entries()) label[24 + i] = c.charCodeAt(0);
  view.setUint32(40, options.secsize ?? 512, le);
  view.setUint32(44, 63, le); // d_nsectors
  view.setUint32(48, 16, le); // d_ntracks
  view.setUint32(56, 1008, le); // d_secpercyl
  if (options.v1 === true) view.setUint16(114, 1, le);
  view.setUint32(132, 0x82564557, le);
  view.setUint16(138, count, le);
  view.setUint32(140, 8192, le);
  parts.forEach((p, i) => {
    if (p === undefined) return;
    const at = 148 + i * 16;
    view.setUint32(at, p.size % 2 ** 32, le);
    view.setUint32(at + 4, p.offset % 2 ** 32, le);
    if (options.v1 === true) {
      view.setUint16(at + 8, Math.floor(p.offset / 2 ** 32), le);
      view.setUint16(at + 10, Math.floor(p.size / 2 ** 32), le);
    } else {
      view.setUint32(at + 8, 2048, le); // p_fsize
    }
    view.setUint8(at + 12, p.fstype);
  });
  checksum(view, label.length, 136, le);
  return label;
}

function checksum(view: DataView, length: number, field: number, le: boolean): void {
  view.setUint16(field, 0, le);
  let sum = 0;
  for (let i = 0; i < length; i += 2) sum ^= view.getUint16(i, le);
  view.setUint16(field, sum, le);
}

export interface GptPart {
  type: string;
  guid?: string;
  start: number;
  end: number;
  name?: string;
}

function putGuid(view: DataView, at: number, text: string): void {
  const hex = text.replaceAll('-', '');
  const byte = (i: number): number => parseInt(hex.slice(i * 2, i * 2 + 2), 16);
  [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].forEach((from, i) => view.setUint8(at + i, byte(from)));
}

export interface GptOptions {
  sector_bytes?: number;
  entsz?: number;
  entries?: number;
  /** Changes the header before its checksum is made. */
  header?: (view: DataView) => void;
}

/** Both headers with their tables, as [offset, bytes] to be put on a disk of that size. */
export function gpt(size_bytes: number, parts: GptPart[], options: GptOptions = {}): [number, Uint8Array][] {
  const sector = options.sector_bytes ?? 512;
  const entsz = options.entsz ?? 128;
  const entries = options.entries ?? 128;
  const table = new Uint8Array(entsz * entries);
  const tview = new DataView(table.buffer);
  parts.forEach((p, i) => {
    putGuid(tview, i * entsz, p.type);
    putGuid(tview, i * entsz + 16, p.guid ?? `0000000${i}-1111-2222-3333-444444444444`);
    tview.setBigUint64(i * entsz + 32, BigInt(p.start), true);
    tview.setBigUint64(i * entsz + 40, BigInt(p.end), true);
    [...(p.name ?? '')].forEach((c, k) => tview.setUint16(i * entsz + 56 + k * 2, c.charCodeAt(0), true));
  });
  const last = size_bytes / sector - 1;
  const table_sectors = Math.ceil(table.length / sector);
  const header = (self: number, alternate: number, table_lba: number): Uint8Array => {
    const bytes = new Uint8Array(sector);
    const view = new DataView(bytes.buffer);
    [...'EFI PART'].forEach((c, i) => view.setUint8(i, c.charCodeAt(0)));
    view.setUint32(8, 0x00010000, true);
    view.setUint32(12, 92, true);
    view.setBigUint64(24, BigInt(self), true);
    view.setBigUint64(32, BigInt(alternate), true);
    view.setBigUint64(40, BigInt(2 + table_sectors), true);
    view.setBigUint64(48, BigInt(last - table_sectors - 1), true);
    view.setBigUint64(72, BigInt(table_lba), true);
    view.setUint32(80, entries, true);
    view.setUint32(84, entsz, true);
    view.setUint32(88, crc32(table), true);
    options.header?.(view);
    view.setUint32(16, 0, true);
    view.setUint32(16, crc32(bytes.subarray(0, Math.min(sector, view.getUint32(12, true)))), true);
    return bytes;
  };
  return [
    [sector, header(1, last, 2)],
    [2 * sector, table],
    [(last - table_sectors) * sector, table],
    [last * sector, header(last, 1, last - table_sectors)],
  ];
}

export interface SunPart {
  cylinder: number;
  sectors: number;
  tag?: number;
}

/** A SPARC disk's label with 4 heads of 16 sectors. */
export function sunLabel(parts: (SunPart | undefined)[], volume = ''): Uint8Array {
  const sector = new Uint8Array(512);
  const view = new DataView(sector.buffer);
  view.setUint32(128, 1, false); // v_version
  [...volume].forEach((c, i) => view.setUint8(132 + i, c.charCodeAt(0)));
  view.setUint16(140, 8, false);
  view.setUint32(188, 0x600ddeee, false);
  view.setUint16(436, 4, false);
  view.setUint16(438, 16, false);
  parts.forEach((p, i) => {
    if (p === undefined) return;
    view.setUint16(142 + i * 4, p.tag ?? 0, false);
    view.setUint32(444 + i * 8, p.cylinder, false);
    view.setUint32(448 + i * 8, p.sectors, false);
  });
  view.setUint16(508, 0xdabe, false);
  checksum(view, 512, 510, false);
  return sector;
}

/** The label inside a PC's Solaris partition; starts count from the partition. */
export function solarisVtoc(parts: ({ start: number; size: number; tag: number } | undefined)[]): Uint8Array {
  const sector = new Uint8Array(512);
  const view = new DataView(sector.buffer);
  view.setUint32(12, 0x600ddeee, true);
  view.setUint32(16, 1, true);
  view.setUint16(28, 512, true);
  view.setUint16(30, 16, true);
  parts.forEach((p, i) => {
    if (p === undefined) return;
    view.setUint16(72 + i * 12, p.tag, true);
    view.setUint32(72 + i * 12 + 4, p.start, true);
    view.setUint32(72 + i * 12 + 8, p.size, true);
  });
  view.setUint16(508, 0xdabe, true);
  checksum(view, 512, 510, true);
  return sector;
}

/** Apple's map: the driver map and one block for each entry, from the beginning of the disk. */
export function appleMap(
  parts: { name: string; type: string; start: number; size: number }[],
  block_bytes = 512,
): Uint8Array {
  const bytes = new Uint8Array((parts.length + 1) * block_bytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x4552, false);
  view.setUint16(2, block_bytes, false);
  parts.forEach((p, i) => {
    const at = (i + 1) * block_bytes;
    view.setUint16(at, 0x504d, false);
    view.setUint32(at + 4, parts.length, false);
    view.setUint32(at + 8, p.start, false);
    view.setUint32(at + 12, p.size, false);
    [...p.name].forEach((c, k) => view.setUint8(at + 16 + k, c.charCodeAt(0)));
    [...p.type].forEach((c, k) => view.setUint8(at + 48 + k, c.charCodeAt(0)));
  });
  return bytes;
}
