/**
 * Hashes of names in the trees of directories. Source: Linux fs/ext4/hash.c (ext4fs_dirhash). The lowest bit is not
 * part of a hash (in a tree it says that the same hash goes on in the next leaf).
 */
export const HASH_LEGACY = 0;
export const HASH_HALF_MD4 = 1;
export const HASH_TEA = 2;
const UNSIGNED = 3;
/** Hash of the end of a directory: no name has it. */
const HTREE_EOF = 0x7fffffff;

export interface Dirhash {
  readonly hash: number;
  readonly minor_hash: number;
}
export const NO_HASH: Dirhash = { hash: 0, minor_hash: 0 };

/** What a version of a tree means on a volume whose characters are unsigned. */
export function dirhash_version(version: number, unsigned: boolean): number {
  return version <= HASH_TEA && unsigned ? version + UNSIGNED : version;
}

const rotl = (x: number, s: number): number => (x << s) | (x >>> (32 - s));

/** Up to `words` words of a name from byte `from`, `left` bytes being left of it; filled up with its length. */
function pad(name: Uint8Array, from: number, left: number, words: number, unsigned: boolean): number[] {
  let fill = (left & 0xff) | ((left & 0xff) << 8);
  fill |= fill << 16;
  const out: number[] = [];
  const length = Math.min(left, words * 4);
  let value = fill;
  for (let i = 0; i < length; i++) {
    const c = name[from + i];
    value = ((unsigned ? c : (c << 24) >> 24) + (value << 8)) | 0;
    if (i % 4 === 3) {
      out.push(value);
      value = fill;
    }
  }
  if (out.length < words) out.push(value);
  while (out.length < words) out.push(fill);
  return out;
}

const K2 = 0x5a827999;
const K3 = 0x6ed9eba1;

function half_md4(buf: number[], x: readonly number[]): void {
  let [a, b, c, d] = buf;
  const step = (f: number, add: number, s: number): number => rotl((a + f + add) | 0, s);
  const turn = (next: number): void => {
    a = d;
    d = c;
    c = b;
    b = next;
  };
  const S1 = [3, 7, 11, 19];
  const S2 = [3, 5, 9, 13];
  const S3 = [3, 9, 11, 15];
  for (let i = 0; i < 8; i++) turn(step(d ^ (b & (c ^ d)), x[i], S1[i % 4]));
  for (const [i, k] of [1, 3, 5, 7, 0, 2, 4, 6].entries())
    turn(step((b & c) + ((b ^ c) & d), (x[k] + K2) | 0, S2[i % 4]));
  for (const [i, k] of [3, 7, 2, 6, 1, 5, 0, 4].entries()) turn(step(b ^ c ^ d, (x[k] + K3) | 0, S3[i % 4]));
  buf[0] = (buf[0] + a) | 0;
  buf[1] = (buf[1] + b) | 0;
  buf[2] = (buf[2] + c) | 0;
  buf[3] = (buf[3] + d) | 0;
}

function tea(buf: number[], x: readonly number[]): void {
  let sum = 0;
  let [b0, b1] = buf;
  for (let n = 0; n < 16; n++) {
    sum = (sum + 0x9e3779b9) | 0;
    b0 = (b0 + (((b1 << 4) + x[0]) ^ (b1 + sum) ^ ((b1 >>> 5) + x[1]))) | 0;
    b1 = (b1 + (((b0 << 4) + x[2]) ^ (b0 + sum) ^ ((b0 >>> 5) + x[3]))) | 0;
  }
  buf[0] = (buf[0] + b0) | 0;
  buf[1] = (buf[1] + b1) | 0;
}

function legacy(name: Uint8Array, from: number, length: number, unsigned: boolean): number {
  let hash0 = 0x12a3fe2d;
  let hash1 = 0x37abe8f9;
  for (let i = 0; i < length; i++) {
    const c = unsigned ? name[from + i] : (name[from + i] << 24) >> 24;
    let hash = (hash1 + (hash0 ^ Math.imul(c, 7152373))) | 0;
    if (hash < 0) hash = (hash - 0x7fffffff) | 0;
    hash1 = hash0;
    hash0 = hash;
  }
  return hash0 << 1;
}

/** The hashes of a name: `length` bytes at `from`. Of a version that is not known here, none. */
export function dirhash(
  version: number,
  seed: readonly number[],
  name: Uint8Array,
  from: number,
  length: number,
): Dirhash {
  const unsigned = version >= UNSIGNED;
  const kind = unsigned ? version - UNSIGNED : version;
  const buf = seed.some((word) => word !== 0) ? [...seed] : [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  let hash: number;
  let minor = 0;
  if (kind === HASH_LEGACY) {
    hash = legacy(name, from, length, unsigned);
  } else if (kind === HASH_HALF_MD4) {
    for (let i = 0; i < length; i += 32) half_md4(buf, pad(name, from + i, length - i, 8, unsigned));
    hash = buf[1];
    minor = buf[2];
  } else if (kind === HASH_TEA) {
    for (let i = 0; i < length; i += 16) tea(buf, pad(name, from + i, length - i, 4, unsigned));
    hash = buf[0];
    minor = buf[1];
  } else return NO_HASH;
  hash = (hash & ~1) >>> 0;
  if (hash === HTREE_EOF * 2) hash = (HTREE_EOF - 1) * 2;
  return { hash, minor_hash: minor >>> 0 };
}
