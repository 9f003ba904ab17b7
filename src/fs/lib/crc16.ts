/** CRC-16 (polynomial 8005, reflected: a001), as ext4's group descriptors have it. Source: Linux lib/crc/crc16.c. */
const TABLE = new Uint16Array(256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0xa001 : c >>> 1;
  TABLE[n] = c;
}

/** Goes on with `crc` over bytes `from`..`to`-1; uint16, not inverted. */
export function crc16(crc: number, bytes: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return crc;
}
