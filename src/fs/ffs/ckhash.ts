import { MAXBSIZE, type Fs } from './fs.js';

/**
 * FreeBSD's check hashes: CRC-32C (Castagnoli), started with all ones and not inverted at the end.
 * Source: FreeBSD sys/ufs/ffs/ffs_subr.c (ffs_calc_sbhash), sys/libkern/gsb_crc32.c (calculate_crc32c).
 */
const TABLE = new Uint32Array(256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  TABLE[n] = c >>> 0;
}

export function calculate_crc32c(seed: number, bytes: Uint8Array): number {
  let crc = seed;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return crc >>> 0;
}

const CKHASH_OFFSET = 1304;
const METACKHASH_OFFSET = 1308;
const CK_SUPERBLOCK = 0x1;

/** Does the superblock carry a check hash that fits its bytes? */
export function sb_ckhash_verifies(fs: Fs): boolean {
  if ((fs.view.getUint32(METACKHASH_OFFSET, fs.le) & CK_SUPERBLOCK) === 0) return false;
  const size = fs.fs_sbsize;
  if (size <= METACKHASH_OFFSET || size > MAXBSIZE || size > fs.raw.length) return false;
  const copy = fs.raw.slice(0, size);
  copy.fill(0, CKHASH_OFFSET, CKHASH_OFFSET + 4);
  return calculate_crc32c(0xffffffff, copy) === fs.view.getUint32(CKHASH_OFFSET, fs.le);
}
