import { crc32c } from '../../lib/crc32c.js';

/**
 * Nodes of extent trees: a header of 12 bytes and entries of 12 bytes each. Names and offsets: Linux
 * fs/ext4/ext4_extents.h.
 */
export const EXT_MAGIC = 0xf30a;
export const EXT_HEADER = 12;
export const EXT_ENTRY = 12;
export const EXT_MAX_DEPTH = 5;
/** An extent of more blocks than this is unwritten, and that much shorter. */
export const EXT_INIT_MAX_LEN = 32768;

export function eh_entries(view: DataView, at: number): number {
  return view.getUint16(at + 2, true);
}
export function eh_max(view: DataView, at: number): number {
  return view.getUint16(at + 4, true);
}
export function eh_depth(view: DataView, at: number): number {
  return view.getUint16(at + 6, true);
}

/** What of the header of a node of `room` bytes cannot be. */
export function eh_problem(view: DataView, at: number, room: number): string | undefined {
  const magic = view.getUint16(at, true);
  if (magic !== EXT_MAGIC) return `eh_magic 0x${magic.toString(16)}`;
  if (eh_max(view, at) === 0 || eh_max(view, at) > Math.floor((room - EXT_HEADER) / EXT_ENTRY))
    return `eh_max ${eh_max(view, at)}`;
  if (eh_entries(view, at) > eh_max(view, at)) return `eh_entries ${eh_entries(view, at)} of ${eh_max(view, at)}`;
  if (eh_depth(view, at) > EXT_MAX_DEPTH) return `eh_depth ${eh_depth(view, at)}`;
  return undefined;
}

/** First block of the file that entry `i` is about: ee_block and ei_block lie at the same place. */
export function ee_block(view: DataView, at: number, i: number): number {
  return view.getUint32(at + EXT_HEADER + i * EXT_ENTRY, true);
}
export function ee_len(view: DataView, at: number, i: number): number {
  return view.getUint16(at + EXT_HEADER + i * EXT_ENTRY + 4, true);
}
export function ee_start(view: DataView, at: number, i: number): number {
  const e = at + EXT_HEADER + i * EXT_ENTRY;
  return view.getUint32(e + 8, true) + view.getUint16(e + 6, true) * 2 ** 32;
}
/** The node below entry `i`. */
export function ei_leaf(view: DataView, at: number, i: number): number {
  const e = at + EXT_HEADER + i * EXT_ENTRY;
  return view.getUint32(e + 4, true) + view.getUint16(e + 8, true) * 2 ** 32;
}

/** The last entry that begins at or before `lbn`; -1: none. The entries are in order. */
export function ext_search(view: DataView, at: number, lbn: number): number {
  let low = 0;
  let high = eh_entries(view, at);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ee_block(view, at, middle) <= lbn) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Byte of the checksum of a node of a block of its own: behind the last entry that there is room for. */
export function extent_tail(view: DataView): number {
  return EXT_HEADER + eh_max(view, 0) * EXT_ENTRY;
}

/** Entries that a node of `room` bytes has room for. In a block the checksum fits behind them, whatever its size. */
export function eh_room(room: number): number {
  return Math.floor((room - EXT_HEADER) / EXT_ENTRY);
}

/** Puts the header of a node. */
export function eh_put(view: DataView, at: number, entries: number, max: number, depth: number): void {
  view.setUint16(at, EXT_MAGIC, true);
  view.setUint16(at + 2, entries, true);
  view.setUint16(at + 4, max, true);
  view.setUint16(at + 6, depth, true);
  view.setUint32(at + 8, 0, true);
}

/** Puts entry `i` of a leaf. `length`: as on the disk, with 32768 added for one that is unwritten. */
export function ee_put(view: DataView, at: number, i: number, lbn: number, length: number, start: number): void {
  const e = at + EXT_HEADER + i * EXT_ENTRY;
  view.setUint32(e, lbn, true);
  view.setUint16(e + 4, length, true);
  view.setUint16(e + 6, Math.floor(start / 2 ** 32), true);
  view.setUint32(e + 8, start % 2 ** 32, true);
}

/** Puts entry `i` of an inner node. */
export function ei_put(view: DataView, at: number, i: number, lbn: number, block: number): void {
  const e = at + EXT_HEADER + i * EXT_ENTRY;
  view.setUint32(e, lbn, true);
  view.setUint32(e + 4, block % 2 ** 32, true);
  view.setUint16(e + 8, Math.floor(block / 2 ** 32), true);
  view.setUint16(e + 10, 0, true);
}

/** Makes the checksum of a node of a block of its own right. @param seed of its inode */
export function extent_seal(seed: number, data: Uint8Array, view: DataView): void {
  const tail = extent_tail(view);
  view.setUint32(tail, crc32c(seed, data, 0, tail), true);
}

export function eh_putentries(view: DataView, at: number, entries: number): void {
  view.setUint16(at + 2, entries, true);
}
