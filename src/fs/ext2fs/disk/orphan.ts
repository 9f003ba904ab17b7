/**
 * Blocks of the orphan file: inode numbers of 32 bits, and a tail of a magic number and a checksum. Source: Linux
 * fs/ext4/ext4.h, struct ext4_orphan_block_tail; fs/ext4/orphan.c.
 */
import { crc32c } from '../../lib/crc32c.js';
import type { Ext2fs } from './superblock.js';

const ORPHAN_MAGIC = 0x0b10ca04;
const TAIL = 8;

const le64 = new Uint8Array(8);

/** Of the number of the block in the volume, and the entries. */
function orphan_checksum(seed: number, block: number, bytes: Uint8Array): number {
  const number = new DataView(le64.buffer);
  number.setUint32(0, block % 2 ** 32, true);
  number.setUint32(4, Math.floor(block / 2 ** 32), true);
  return crc32c(crc32c(seed, le64, 0, 8), bytes, 0, bytes.length - TAIL);
}

/** The block of an orphan file that lies at `block`. @param seed of the file's inode; @param inodes its entries */
export function orphan_block(fs: Ext2fs, seed: number, block: number, inodes: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(fs.bsize);
  const view = new DataView(bytes.buffer);
  inodes.forEach((ino, i) => view.setUint32(4 * i, ino, true));
  view.setUint32(fs.bsize - TAIL, ORPHAN_MAGIC, true);
  if (fs.metadata_csum) view.setUint32(fs.bsize - 4, orphan_checksum(seed, block, bytes), true);
  return bytes;
}

/** What is wrong with such a block; undefined: nothing. */
export function orphan_problem(fs: Ext2fs, seed: number, block: number, bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(fs.bsize - TAIL, true);
  if (magic !== ORPHAN_MAGIC) return `ob_magic 0x${magic.toString(16)}`;
  if (fs.metadata_csum && view.getUint32(fs.bsize - 4, true) !== orphan_checksum(seed, block, bytes))
    return 'checksum is wrong';
  return undefined;
}

/** The inodes that it names; 0 is a free entry. */
export function orphan_entries(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const inodes: number[] = [];
  for (let at = 0; at + 4 <= bytes.length - TAIL; at += 4)
    if (view.getUint32(at, true) !== 0) inodes.push(view.getUint32(at, true));
  return inodes;
}
