/**
 * El Torito: what a PC boots from a CD. Source: "El Torito" Bootable CD-ROM Format Specification 1.0; UEFI for
 * platform 0xEF.
 */
import type { BlockDevice } from '../../../kernel/blkdev.js';
import { ISO_SECTOR } from './iso.js';
import type { VolumeDescriptor } from './voldesc.js';

const SYSTEM = 'EL TORITO SPECIFICATION';
const CATALOG = 0x47;
const ENTRY_BYTES = 32;
/** Of the catalog that is read, at most: 256 entries. */
const CATALOG_BYTES = 4 * ISO_SECTOR;

const VALIDATION = 0x01;
const BOOTABLE = 0x88;
const HEADER = 0x90;
const LAST_HEADER = 0x91;
const EXTENSION = 0x44;

const PLATFORMS: ReadonlyMap<number, string> = new Map([
  [0, 'x86'],
  [1, 'PowerPC'],
  [2, 'Mac'],
  [0xef, 'UEFI'],
]);
const EMULATIONS: readonly string[] = [
  'no emulation',
  'floppy of 1.2 MB',
  'floppy of 1.44 MB',
  'floppy of 2.88 MB',
  'hard disk',
];

export interface BootImage {
  readonly platform: string;
  readonly bootable: boolean;
  readonly emulation: string;
  /** Sector of 2048 bytes. */
  readonly sector: number;
  /** Units of 512 bytes that the firmware loads; often less than the image has, or wrong. */
  readonly load_count: number;
}

function platformName(id: number): string {
  return PLATFORMS.get(id) ?? `platform 0x${id.toString(16)}`;
}

function entryOf(bytes: Uint8Array, view: DataView, at: number, platform: number): BootImage {
  return {
    platform: platformName(platform),
    bootable: bytes[at] === BOOTABLE,
    emulation: EMULATIONS[bytes[at + 1]! & 0x0f] ?? `media type ${bytes[at + 1]! & 0x0f}`,
    sector: view.getUint32(at + 8, true),
    load_count: view.getUint16(at + 6, true),
  };
}

/** The images that a boot record names; none if it is of another kind, or its catalog is not valid. */
export async function eltorito_images(dev: BlockDevice, record: VolumeDescriptor): Promise<BootImage[]> {
  if (String.fromCharCode(...record.bytes.subarray(7, 7 + SYSTEM.length)) !== SYSTEM) return [];
  const at = record.view.getUint32(CATALOG, true) * ISO_SECTOR;
  const length = Math.min(CATALOG_BYTES, dev.size_bytes - at);
  if (!(length >= 2 * ENTRY_BYTES)) return [];
  const bytes = new Uint8Array(length);
  await dev.read(bytes, 0, length, at);
  const view = new DataView(bytes.buffer);
  if (bytes[0] !== VALIDATION || bytes[30] !== 0x55 || bytes[31] !== 0xaa) return [];
  const images = [entryOf(bytes, view, ENTRY_BYTES, bytes[1]!)];
  let header: number | undefined = 2 * ENTRY_BYTES;
  while (header !== undefined && header + ENTRY_BYTES <= length) {
    const kind = bytes[header]!;
    if (kind !== HEADER && kind !== LAST_HEADER) break;
    header = section(bytes, view, header, images);
    if (kind === LAST_HEADER) break;
  }
  return images;
}

/**
 * Adds the images of the section whose header is at `header`. @returns where the next header is; undefined: the
 * catalog ends before
 */
function section(bytes: Uint8Array, view: DataView, header: number, images: BootImage[]): number | undefined {
  const platform = bytes[header + 1]!;
  let at = header + ENTRY_BYTES;
  for (let count = view.getUint16(header + 2, true); count > 0; count--) {
    if (at + ENTRY_BYTES > bytes.length) return undefined;
    images.push(entryOf(bytes, view, at, platform));
    at += ENTRY_BYTES;
    while (at + ENTRY_BYTES <= bytes.length && bytes[at] === EXTENSION) at += ENTRY_BYTES;
  }
  return at;
}
