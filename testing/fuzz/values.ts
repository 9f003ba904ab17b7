import type { Random } from './random.js';

/** Numbers at which arithmetic goes wrong, and numbers that mean something on this disk. */
export function interestingValue(random: Random, meaningful: readonly number[], was: bigint, width: number): bigint {
  const bits = BigInt(width * 8);
  const mask = (1n << bits) - 1n;
  const value = random.weighted<() => bigint>([
    [
      3,
      () =>
        BigInt(
          random.pick([
            0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 127, 128, 255, 256, 511, 512, 513, 1024, 4096, 8192, 32767, 32768,
            65535, 65536,
          ]),
        ),
    ],
    [3, () => mask - BigInt(random.pick([0, 0, 1, 2, 7, 255, 511]))],
    // The largest with and the smallest without sign, and their neighbours.
    [2, () => (1n << (bits - 1n)) + BigInt(random.pick([-2, -1, 0, 1]))],
    [2, () => 1n << BigInt(random.below(width * 8))],
    [1, () => (1n << BigInt(random.below(width * 8))) - 1n],
    [3, () => was + BigInt(random.pick([-1, 1, -2, 2, -8, 8, -512, 512]))],
    [1, () => was * 2n],
    [1, () => was / 2n],
    [1, () => -was],
    [2, () => was ^ (1n << BigInt(random.below(width * 8)))],
    [2, () => BigInt(random.pick(meaningful))],
    // Where numbers of 64 bits stop being exact.
    [1, () => (1n << 53n) + BigInt(random.pick([-1, 0, 1])) + (random.once(2) ? 0n : 1n << 62n)],
    [1, () => BigInt(random.u32()) | (BigInt(random.u32()) << 32n)],
  ])();
  return value & mask;
}

export function getField(view: DataView, at: number, width: number, le: boolean): bigint {
  switch (width) {
    case 1: return BigInt(view.getUint8(at));
    case 2: return BigInt(view.getUint16(at, le));
    case 4: return BigInt(view.getUint32(at, le));
    default: return view.getBigUint64(at, le);
  }
}

export function fieldBytes(value: bigint, width: number, le: boolean): Uint8Array {
  const bytes = new Uint8Array(width);
  for (let i = 0; i < width; i++) bytes[le ? i : width - 1 - i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

/** What no message and no name that is shown may hold: it would drive a terminal. */
export const CONTROL = /[\p{Cc}\p{Cf}\p{Cs}]/u;
