import { crc32c } from '../../lib/crc32c.js';
import { dirent_reclen } from './dirent.js';

/**
 * Blocks of a directory's hash tree, which look like blocks without a name to whoever does not know them. Names: Linux
 * fs/ext4/namei.c, struct dx_root, dx_node, dx_countlimit, dx_tail.
 */
export const ROOT_COUNT = 0x20;
export const NODE_COUNT = 8;
export const DX_ENTRY = 8;
export const DX_TAIL = 8;

/** Byte of the count and limit of a block of the tree; undefined: it is a leaf. */
export function dx_countat(view: DataView, lbn: number, bsize: number): number | undefined {
  if (lbn === 0) {
    // ".", and ".." over the rest of the block; then four zeros and the length of what describes the tree.
    const ok =
      dirent_reclen(view, 0, bsize) === 12 &&
      dirent_reclen(view, 12, bsize) === bsize - 12 &&
      view.getUint32(0x18, true) === 0 &&
      view.getUint8(0x1d) === 8;
    return ok ? ROOT_COUNT : undefined;
  }
  return view.getUint32(0, true) === 0 && dirent_reclen(view, 0, bsize) === bsize ? NODE_COUNT : undefined;
}

const ZERO = new Uint8Array(4);

/** What is wrong with the checksum of a block of the tree; undefined: nothing. */
export function dx_problem(seed: number, data: Uint8Array, view: DataView, countat: number): string | undefined {
  const limit = view.getUint16(countat, true);
  const count = view.getUint16(countat + 2, true);
  const tail = countat + limit * DX_ENTRY;
  if (count > limit || tail + DX_TAIL > data.length)
    return `${count} of ${limit} entries leave no room for the checksum`;
  return dx_checksum(seed, data, countat, count, tail) === view.getUint32(tail + 4, true)
    ? undefined
    : 'checksum is wrong';
}

/** Of the tail only the first half, reserved, counts; the checksum stands for four zeros. */
function dx_checksum(seed: number, data: Uint8Array, countat: number, count: number, tail: number): number {
  return crc32c(crc32c(crc32c(seed, data, 0, countat + count * DX_ENTRY), data, tail, tail + 4), ZERO, 0, 4);
}

/** Makes the checksum of a block of the tree right, whose count and limit leave room for it. */
export function dx_seal(seed: number, data: Uint8Array, view: DataView, countat: number): void {
  const tail = countat + view.getUint16(countat, true) * DX_ENTRY;
  view.setUint32(tail + 4, dx_checksum(seed, data, countat, view.getUint16(countat + 2, true), tail), true);
}
