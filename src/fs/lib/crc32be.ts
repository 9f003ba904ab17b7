/**
 * CRC-32 with the polynomial 04c11db7, highest bit first, neither inverted at the start nor at the end (Linux
 * crc32_be).
 */
const TABLE = new Int32Array(256);
for (let n = 0; n < 256; n++) {
  let c = n << 24;
  for (let k = 0; k < 8; k++) c = c < 0 ? (c << 1) ^ 0x04c11db7 : c << 1;
  TABLE[n] = c;
}

/** Goes on with `crc` over `bytes`; uint32. */
export function crc32be(crc: number, bytes: Uint8Array): number {
  for (const byte of bytes) crc = (crc << 8) ^ TABLE[((crc >>> 24) ^ byte) & 0xff]!;
  return crc >>> 0;
}
