/** Bits of a bitmap: bit 0 of a byte is the first. Ranges are from..to-1; eight bits at a time where that can be. */

const POPCOUNT = new Uint8Array(256);
for (let i = 1; i < 256; i++) POPCOUNT[i] = POPCOUNT[i >>> 1] + (i & 1);

/** Set bits among the first `bits`. */
export function bits_count(bytes: Uint8Array, bits: number): number {
  let count = 0;
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) count += POPCOUNT[bytes[i]];
  if ((bits & 7) !== 0) count += POPCOUNT[bytes[whole] & ((1 << (bits & 7)) - 1)];
  return count;
}

function run_of(bytes: Uint8Array, from: number, to: number, byte: number): number {
  const bit = byte & 1;
  let at = from;
  while (at < to) {
    if ((at & 7) === 0 && at + 8 <= to && bytes[at >>> 3] === byte) at += 8;
    else if (((bytes[at >>> 3] >>> (at & 7)) & 1) === bit) at++;
    else break;
  }
  return at - from;
}

/** Clear bits in a row from `from` on. */
export function bits_free_run(bytes: Uint8Array, from: number, to: number): number {
  return run_of(bytes, from, to, 0);
}

/** Set bits in a row from `from` on. */
export function bits_used_run(bytes: Uint8Array, from: number, to: number): number {
  return run_of(bytes, from, to, 0xff);
}

/** Sets the range. @returns how many were clear */
export function bits_set(bytes: Uint8Array, from: number, to: number): number {
  return fill(bytes, from, to, 0xff);
}

/** Clears the range. @returns how many were set */
export function bits_clear(bytes: Uint8Array, from: number, to: number): number {
  return fill(bytes, from, to, 0);
}

function fill(bytes: Uint8Array, from: number, to: number, byte: number): number {
  let changed = 0;
  for (let at = from; at < to; ) {
    const start = at & 7;
    const n = Math.min(8 - start, to - at);
    const mask = ((1 << n) - 1) << start;
    const old = bytes[at >>> 3];
    const now = (old & ~mask) | (byte & mask);
    changed += POPCOUNT[old ^ now];
    bytes[at >>> 3] = now;
    at += n;
  }
  return changed;
}
