/**
 * The overlay file of copy-on-write mounts, all numbers little-endian:
 *
 *   0          header, 4096 bytes
 *   4096       map: two bits for each block of the disk (see BLOCK_WRITTEN), rounded up to 4096 bytes
 *   behind it  the blocks, each at its place: block n at data_offset + n * 4096
 *
 * A file with holes: it takes the room of what was changed. Header: 0 magic, 8 version, 12 block size, 16 size of the
 * disk, 24 state, 28 number of samples, 32 boot id (36 bytes, NUL-padded), 128 sample checksums (4 bytes each).
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
const VERSION = 1;
const STATE_CLEAN = 0;
const STATE_IN_USE = 1;
const SAMPLES_OFFSET = 128;
const BOOT_ID_OFFSET = 32;
const BOOT_ID_BYTES = 36;
/** The first blocks hold labels and superblocks; the others lie evenly over the disk. */
const SAMPLES_FIRST = 32;
const SAMPLES_SPREAD = 64;

export interface OverlayHeader {
  readonly disk_bytes: number;
  /** Not closed: {@link boot_id} decides what its {@link BLOCK_WRITTEN} blocks are worth. */
  readonly in_use: boolean;
  /** Of the host that wrote it last; "" if unknown. */
  readonly boot_id: string;
  /** What the disk underneath held when the overlay was made. */
  readonly samples: Uint32Array;
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

/** Checksums of blocks here and there: another disk, or this one after somebody wrote to it, has others. @throws EIO */
export async function sampleDisk(disk: BlockDevice): Promise<Uint32Array> {
  const blocks = Math.ceil(disk.size_bytes / OVERLAY_BLOCK_BYTES);
  const chosen = new Set<number>();
  for (let n = 0; n < Math.min(SAMPLES_FIRST, blocks); n++) chosen.add(n);
  for (let i = 1; i <= SAMPLES_SPREAD; i++) chosen.add(Math.floor(((blocks - 1) * i) / SAMPLES_SPREAD));
  const samples: number[] = [];
  const block = new Uint8Array(OVERLAY_BLOCK_BYTES);
  for (const n of chosen) {
    const at = n * OVERLAY_BLOCK_BYTES;
    const length = Math.min(OVERLAY_BLOCK_BYTES, disk.size_bytes - at);
    await disk.read(block, 0, length, at);
    samples.push(crc32(block.subarray(0, length)));
  }
  return Uint32Array.from(samples);
}

export function encodeHeader(header: OverlayHeader): Uint8Array {
  const bytes = new Uint8Array(OVERLAY_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, OVERLAY_BLOCK_BYTES, true);
  view.setBigUint64(16, BigInt(header.disk_bytes), true);
  view.setUint32(24, header.in_use ? STATE_IN_USE : STATE_CLEAN, true);
  view.setUint32(28, header.samples.length, true);
  for (let i = 0; i < Math.min(header.boot_id.length, BOOT_ID_BYTES); i++) bytes[BOOT_ID_OFFSET + i] = header.boot_id.charCodeAt(i);
  header.samples.forEach((sample, i) => view.setUint32(SAMPLES_OFFSET + i * 4, sample, true));
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
  if (version !== VERSION || block_bytes !== OVERLAY_BLOCK_BYTES || state > STATE_IN_USE || count > SAMPLES_FIRST + SAMPLES_SPREAD) {
    throw errno(E.EFTYPE, `${name} is an overlay file of another version (${version}), or damaged`);
  }
  const samples = new Uint32Array(count);
  for (let i = 0; i < count; i++) samples[i] = view.getUint32(SAMPLES_OFFSET + i * 4, true);
  let boot_id = '';
  for (let i = BOOT_ID_OFFSET; i < BOOT_ID_OFFSET + BOOT_ID_BYTES && bytes[i] !== 0; i++) boot_id += String.fromCharCode(bytes[i]!);
  return { disk_bytes: Number(view.getBigUint64(16, true)), in_use: state === STATE_IN_USE, boot_id, samples };
}
