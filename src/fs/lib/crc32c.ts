/**
 * CRC-32C (Castagnoli) as FreeBSD uses it for check hashes: the caller gives the seed, the result is not inverted.
 * Source: FreeBSD sys/libkern/gsb_crc32.c (calculate_crc32c).
 */

/** Four tables of 256: what a byte does when it is followed by 0, 1, 2 or 3 others. */
const TABLES = new Int32Array(4 * 256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  TABLES[n] = c;
}
for (let n = 256; n < TABLES.length; n++) {
  const before = TABLES[n - 256]!;
  TABLES[n] = (before >>> 8) ^ TABLES[before & 0xff]!;
}

/** Seed of all check hashes. */
const CRC32C_SEED = 0xffffffff;

/** Goes on with `crc` over bytes `from`..`to`-1; uint32. */
export function crc32c(crc: number, bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  for (; i + 4 <= to; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      TABLES[768 + (crc & 0xff)]! ^
      TABLES[512 + ((crc >>> 8) & 0xff)]! ^
      TABLES[256 + ((crc >>> 16) & 0xff)]! ^
      TABLES[crc >>> 24]!;
  }
  for (; i < to; i++) crc = TABLES[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return crc >>> 0;
}

const NOTHING = new Uint8Array(4);

/** The check hash of `length` bytes at `at` in which the 32-bit hash itself, at `hash` (from `at`), counts as zero. */
export function checkhash(bytes: Uint8Array, at: number, length: number, hash: number): number {
  let crc = crc32c(CRC32C_SEED, bytes, at, at + hash);
  crc = crc32c(crc, NOTHING, 0, 4);
  return crc32c(crc, bytes, at + hash + 4, at + length);
}
