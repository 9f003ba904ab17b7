/**
 * The up-case table: which UTF-16 unit each one becomes when names are compared. Every volume has its own.
 * On the disk it is packed: 0xFFFF and a count stand for so many units that stay as they are.
 * Source: Microsoft's exFAT specification, section 7.2.
 */
import { E, errno } from '../../../kernel/errno.js';
import { UPCASE_RULES } from './upcase_rules.js';

export const UPCASE_UNITS = 65536;
/** A table that is not packed has so many bytes; no table has more than twice as many. */
export const UPCASE_BYTES_MAX = 2 * 2 * UPCASE_UNITS;

const PACKED = 0xffff;
/** Fewer units that stay as they are, are written one by one: so the specification's own table does it. */
const PACK_MIN = 512;

/** A table in which every unit stays as it is. */
function identity(): Uint16Array {
  const table = new Uint16Array(UPCASE_UNITS);
  for (let i = 0; i < UPCASE_UNITS; i++) table[i] = i;
  return table;
}

/** The table that the specification recommends. */
export function upcase_default(): Uint16Array {
  const table = identity();
  for (const [first, last, step, distance] of UPCASE_RULES) {
    for (let unit = first; unit <= last; unit += step) table[unit] = unit + distance;
  }
  return table;
}

/** Reads a table as it lies on the disk. Units that it does not reach stay as they are. @throws EFTYPE */
export function upcase_decode(bytes: Uint8Array): Uint16Array {
  const table = identity();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length & ~1;
  let unit = 0;
  for (let at = 0; at < end && unit < UPCASE_UNITS; at += 2) {
    const to = view.getUint16(at, true);
    if (to === PACKED && at + 2 < end && unit < UPCASE_UNITS - 1) {
      at += 2;
      unit += view.getUint16(at, true);
    } else {
      table[unit++] = to;
    }
  }
  if (unit > UPCASE_UNITS) throw errno(E.EFTYPE, `up-case table: covers ${unit} units, there are ${UPCASE_UNITS}`);
  return table;
}

/** Packs a table. */
export function upcase_encode(table: Uint16Array): Uint8Array {
  const out: number[] = [];
  for (let unit = 0; unit < UPCASE_UNITS; ) {
    let same = unit;
    while (same < UPCASE_UNITS && table[same] === same) same++;
    if (same - unit >= PACK_MIN) {
      const count = Math.min(same - unit, 0xffff);
      out.push(PACKED, count);
      unit += count;
    } else {
      do out.push(table[unit++]);
      while (unit < same);
    }
  }
  const bytes = new Uint8Array(out.length * 2);
  const view = new DataView(bytes.buffer);
  out.forEach((unit, i) => view.setUint16(2 * i, unit, true));
  return bytes;
}
