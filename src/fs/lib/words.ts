/** Numbers for people, in what tools of drivers say. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 1536 is "1.50 KiB". */
export function sizeInWords(bytes: number): string {
  let unit = 0;
  let n = bytes;
  for (; n >= 1024 && unit < UNITS.length - 1; unit++) n /= 1024;
  return `${unit === 0 || Number.isInteger(n) ? n : n.toFixed(n < 10 ? 2 : 1)} ${UNITS[unit]}`;
}

/** Seconds since 1970 as a date, UTC; the number itself where it is no date. */
export function dateInWords(seconds: number): string {
  const at = new Date(seconds * 1000);
  return Number.isNaN(at.getTime()) ? String(seconds) : at.toISOString().replace('.000Z', ' UTC').replace('T', ' ');
}
