/**
 * Field access in both byte orders. DataView takes the order as an argument, which the compiler folds away; what is
 * here are the 64-bit fields.
 *
 * Numbers stay exact up to 2^53 - 1. Beyond that a getter returns the nearest double, never an exception: no check is
 * possible here that says what is wrong. Every caller compares the value with a bound that lies far below 2^53.
 */
const TWO32 = 0x1_0000_0000;

/** Largest value that a 64-bit field may hold here: 2^53 - 1. */
export const MAX_EXACT = Number.MAX_SAFE_INTEGER;

/** Unsigned 64-bit. Not exact above {@link MAX_EXACT}. */
export function getu64(view: DataView, offset: number, le: boolean): number {
  return le
    ? view.getUint32(offset + 4, true) * TWO32 + view.getUint32(offset, true)
    : view.getUint32(offset, false) * TWO32 + view.getUint32(offset + 4, false);
}

/** Signed 64-bit. Not exact outside -{@link MAX_EXACT}..{@link MAX_EXACT}. */
export function geti64(view: DataView, offset: number, le: boolean): number {
  return le
    ? view.getInt32(offset + 4, true) * TWO32 + view.getUint32(offset, true)
    : view.getInt32(offset, false) * TWO32 + view.getUint32(offset + 4, false);
}

/** Writes a 64-bit integer, signed or unsigned; `value` must be an exact integer. */
export function put64(view: DataView, offset: number, value: number, le: boolean): void {
  const high = Math.floor(value / TWO32);
  const low = value - high * TWO32;
  if (le) {
    view.setUint32(offset, low, true);
    view.setInt32(offset + 4, high, true);
  } else {
    view.setInt32(offset, high, false);
    view.setUint32(offset + 4, low, false);
  }
}
