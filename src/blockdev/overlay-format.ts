/**
 * The overlay file of copy-on-write mounts, all numbers little-endian:
 *
 *   0          header, 4096 bytes
 *   4096       map: two bits for each block of the disk (see BLOCK_WRITTEN), rounded up to 4096 bytes
 *   behind it  the blocks, each at its place: block n at data_offset + n * 4096
 *
 * A file with holes: it takes the room of what was changed. Header: 0 magic, 8 version, 12 block size, 16 size of the
 * disk, 24 state, 28 number of samples, 32 boot id (36 bytes, NUL-padded), 72 checksum of the header up to its last
 * sample with zeros here, 512 samples (12 bytes each: block, checksum). All that ever changes lies in the first sector,
 * but for samples that are added behind the others: a header that was half written is the old one or the new one.
 */
import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno } from '../kernel/errno.js';
import { crc32 } from './label/crc32.js';

export const OVERLAY_BLOCK_BYTES = 4096;
export const OVERLAY_HEADER_BYTES = 4096;
/** Blocks that one byte of the map describes. */
export const BLOCKS_PER_MAP_BYTE = 4;

/**
 * The two bits of a block. 0: it is below, on the disk. 1: written to the overlay since the last flush, which counts
 * unless the host itself went down. 3: in the overlay for good.
 */
export const BLOCK_WRITTEN = 1;

const MAGIC = 'RUMPOVL1';
const VERSION = 2;
const STATE_CLEAN = 0;
const STATE_IN_USE = 1;
const BOOT_ID_OFFSET = 32;
const BOOT_ID_BYTES = 36;
const SUM_OFFSET = 72;
/** Written last when samples are added. */
export const OVERLAY_SECTOR_BYTES = 512;
const SAMPLE_BYTES = 12;
const SAMPLES_MAX = Math.floor((OVERLAY_HEADER_BYTES - OVERLAY_SECTOR_BYTES) / SAMPLE_BYTES);
/** The first blocks hold labels and superblocks; others lie evenly over the disk. */
const SAMPLES_FIRST = 32;
const SAMPLES_SPREAD = 64;

export interface OverlayHeader {
  readonly disk_bytes: number;
  /** Not closed: {@link boot_id} decides what its {@link BLOCK_WRITTEN} blocks are worth. */
  readonly in_use: boolean;
  /** Of the host that wrote it last; "" if unknown. */
  readonly boot_id: string;
  /** What the disk underneath held when the overlay was made: block number, checksum. */
  readonly samples: ReadonlyMap<number, number>;
}

export interface OverlayLayout {
  readonly blocks: number;
  readonly map_bytes: number;
  readonly data_offset: number;
  /** Of the whole file. */
  readonly file_bytes: number;
}

export function overlayLayout(disk_bytes: number): OverlayLayout {
  const blocks = Math.ceil(disk_bytes / OVERLAY_BLOCK_BYTES);
  const map_bytes = Math.ceil(blocks / BLOCKS_PER_MAP_BYTE / 4096) * 4096;
  const data_offset = OVERLAY_HEADER_BYTES + map_bytes;
  return { blocks, map_bytes, data_offset, file_bytes: data_offset + blocks * OVERLAY_BLOCK_BYTES };
}

/** Bytes start to end (not included) of a disk. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/**
 * Blocks of a volume that tell its disk from others, and from itself after somebody wrote to the volume: the first
 * ones, and some all over it.
 */
export function chooseSamples({ start, end }: Extent): number[] {
  const first = Math.floor(start / OVERLAY_BLOCK_BYTES);
  const last = Math.ceil(end / OVERLAY_BLOCK_BYTES) - 1;
  const chosen = new Set<number>();
  for (let n = first; n <= Math.min(first + SAMPLES_FIRST - 1, last); n++) chosen.add(n);
  for (let i = 1; i <= SAMPLES_SPREAD; i++) chosen.add(first + Math.floor(((last - first) * i) / SAMPLES_SPREAD));
  return [...chosen];
}

/** Does the block have a byte of the volume? */
export function isIn(block: number, { start, end }: Extent): boolean {
  return (block + 1) * OVERLAY_BLOCK_BYTES > start && block * OVERLAY_BLOCK_BYTES < end;
}

/** The checksum of a block of the disk. @throws EIO */
export async function sampleOf(disk: BlockDevice, block: number): Promise<number> {
  const at = block * OVERLAY_BLOCK_BYTES;
  const bytes = new Uint8Array(Math.min(OVERLAY_BLOCK_BYTES, disk.size_bytes - at));
  await disk.read(bytes, 0, bytes.length, at);
  return crc32(bytes);
}

/** As many as there is room for. */
export function addSamples(
  to: ReadonlyMap<number, number>,
  more: ReadonlyMap<number, number>,
): ReadonlyMap<number, number> {
  return new Map([...to, ...[...more].filter(([block]) => !to.has(block))].slice(0, SAMPLES_MAX));
}

function sumOf(bytes: Uint8Array, samples: number): number {
  const summed = bytes.slice(0, OVERLAY_SECTOR_BYTES + samples * SAMPLE_BYTES);
  summed.fill(0, SUM_OFFSET, SUM_OFFSET + 4);
  return crc32(summed);
}

export function encodeHeader(header: OverlayHeader): Uint8Array {
  const bytes = new Uint8Array(OVERLAY_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, OVERLAY_BLOCK_BYTES, true);
  view.setBigUint64(16, BigInt(header.disk_bytes), true);
  view.setUint32(24, header.in_use ? STATE_IN_USE : STATE_CLEAN, true);
  view.setUint32(28, header.samples.size, true);
  for (let i = 0; i < Math.min(header.boot_id.length, BOOT_ID_BYTES); i++) {
    bytes[BOOT_ID_OFFSET + i] = header.boot_id.charCodeAt(i);
  }
  let at = OVERLAY_SECTOR_BYTES;
  for (const [block, sum] of header.samples) {
    view.setBigUint64(at, BigInt(block), true);
    view.setUint32(at + 8, sum, true);
    at += SAMPLE_BYTES;
  }
  view.setUint32(SUM_OFFSET, sumOf(bytes, header.samples.size), true);
  return bytes;
}

/** undefined for a file of zeros, which is an overlay that was never used. @throws EFTYPE it is something else */
export function decodeHeader(bytes: Uint8Array, name: string): OverlayHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.every((b) => b === 0)) return undefined;
  for (let i = 0; i < MAGIC.length; i++) {
    if (bytes[i] !== MAGIC.charCodeAt(i)) throw errno(E.EFTYPE, `${name} is no overlay file; it is left as it is`);
  }
  const version = view.getUint32(8, true);
  const block_bytes = view.getUint32(12, true);
  const state = view.getUint32(24, true);
  const count = view.getUint32(28, true);
  if (version !== VERSION) {
    throw errno(
      E.EFTYPE,
      `${name} is an overlay file of another version (${version}); this program makes and reads version ${VERSION}`,
    );
  }
  if (
    block_bytes !== OVERLAY_BLOCK_BYTES ||
    state > STATE_IN_USE ||
    count > SAMPLES_MAX ||
    view.getUint32(SUM_OFFSET, true) !== sumOf(bytes, count)
  ) {
    throw errno(E.EFTYPE, `the overlay ${name} is damaged: the checksum of its header is wrong`);
  }
  const samples = new Map<number, number>();
  for (let i = 0, at = OVERLAY_SECTOR_BYTES; i < count; i++, at += SAMPLE_BYTES) {
    samples.set(Number(view.getBigUint64(at, true)), view.getUint32(at + 8, true));
  }
  let boot_id = '';
  for (let i = BOOT_ID_OFFSET; i < BOOT_ID_OFFSET + BOOT_ID_BYTES && bytes[i] !== 0; i++) {
    boot_id += String.fromCharCode(bytes[i]!);
  }
  return { disk_bytes: Number(view.getBigUint64(16, true)), in_use: state === STATE_IN_USE, boot_id, samples };
}
