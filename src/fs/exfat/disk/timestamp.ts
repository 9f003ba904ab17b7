/**
 * Times: two seconds, a count of 10 ms (0..199) that creation and modification have beside them, and how far the clock was
 * from UTC, in quarters of an hour. Years 1980 to 2107. Source: Microsoft's exFAT specification, sections 7.4.5 to 7.4.10.
 */
const QUARTER_SECONDS = 900;
const OFFSET_VALID = 0x80;
/** 1980-01-01 and 2107-12-31 23:59:59, local, seconds since 1970. */
const FIRST = 315532800;
const LAST = 4354819199;

/** Days from 1970-01-01 to a day of the Gregorian calendar; months 1..12. */
function days(year: number, month: number, day: number): number {
  return Date.UTC(year, month - 1, day) / 86_400_000;
}

/** OffsetFromUtc as seconds that the clock is ahead of UTC; undefined: it says nothing. */
export function utc_offset(byte: number): number | undefined {
  if ((byte & OFFSET_VALID) === 0) return undefined;
  const quarters = byte & 0x7f;
  return (quarters < 64 ? quarters : quarters - 128) * QUARTER_SECONDS;
}

/** The byte for a clock that is so many seconds ahead of UTC. */
export function utc_byte(ahead_seconds: number): number {
  return OFFSET_VALID | (Math.round(ahead_seconds / QUARTER_SECONDS) & 0x7f);
}

/**
 * Seconds since 1970, UTC, of a timestamp without its count of 10 ms. Fields that cannot be are brought to the next that can:
 * cameras write days and months of 0.
 * @param ahead seconds that a clock without offset is ahead of UTC
 */
export function timestamp_seconds(stamp: number, offset: number, ahead: number): number {
  const day = Math.max(1, (stamp >>> 16) & 31);
  const month = Math.min(12, Math.max(1, (stamp >>> 21) & 15));
  const year = 1980 + (stamp >>> 25);
  const hour = Math.min(23, (stamp >>> 11) & 31);
  const minute = Math.min(59, (stamp >>> 5) & 63);
  const second = Math.min(29, stamp & 31) * 2;
  return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - (utc_offset(offset) ?? ahead);
}

/** A time as it goes to the disk. */
export interface Timestamp {
  readonly stamp: number;
  /** 0..199 */
  readonly tens: number;
}

/** The timestamp of a moment, for a clock that is so many seconds ahead of UTC. What lies outside 1980..2107 is brought to its edge. */
export function timestamp_make(sec: number, nsec: number, ahead: number): Timestamp {
  let local = Math.floor(sec) + ahead;
  let tens = Math.floor(nsec / 10_000_000);
  if (!(local >= FIRST)) {
    local = FIRST;
    tens = 0;
  } else if (local > LAST) {
    local = LAST;
    tens = 99;
  }
  const date = new Date(local * 1000);
  const second = date.getUTCSeconds();
  const stamp =
    (((date.getUTCFullYear() - 1980) << 25) | ((date.getUTCMonth() + 1) << 21) | (date.getUTCDate() << 16) |
      (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (second >>> 1)) >>> 0;
  return { stamp, tens: tens + (second & 1) * 100 };
}
