/**
 * Times of FAT and exFAT: local, in two words. Date: day 0-4, month 5-8, year since 1980 9-15. Time: two seconds 0-4,
 * minutes 5-10, hours 11-15. A third field adds 0..199 hundredths of a second.
 * Source: Microsoft FAT specification 1.03 ("Date and Time Formats"); limits of what is written as in Linux
 * fs/fat/misc.c.
 */

/** How local time becomes UTC. */
export interface DosZone {
  /**
   * Seconds since 1970 of a local civil time; `month` from 1. What the calendar does not have is carried over, as day
   * 31 of June.
   */
  toUtc(year: number, month: number, day: number, hour: number, minute: number, second: number): number;
  /** The difference local - UTC in force at a time in seconds since 1970, seconds. */
  offset_s(utc_s: number): number;
}

/** A zone that is always so many minutes ahead of UTC. */
export function fixedZone(ahead_min: number): DosZone {
  return {
    toUtc: (year, month, day, hour, minute, second) =>
      Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - ahead_min * 60,
    offset_s: () => ahead_min * 60,
  };
}

/** The zone of the host, with its summer times: each time counts by the rule that was in force then. */
export const HOST_ZONE: DosZone = {
  toUtc: (year, month, day, hour, minute, second) =>
    new Date(year, month - 1, day, hour, minute, second).getTime() / 1000,
  offset_s: (utc_s) => -new Date(utc_s * 1000).getTimezoneOffset() * 60,
};

export interface DosTime {
  date: number;
  time: number;
  /** Hundredths of a second beyond the two of `time`, 0..199. */
  hundredths: number;
}

/** 1980-01-01 and the end of 2107: the first and the last that can be written. */
const FIRST: Readonly<DosTime> = { date: (1 << 5) | 1, time: 0, hundredths: 0 };
const LAST: Readonly<DosTime> = {
  date: (127 << 9) | (12 << 5) | 31,
  time: (23 << 11) | (59 << 5) | 29,
  hundredths: 199,
};

/**
 * Seconds since 1970. Month and day 0, which zero dates have, count as 1; a month above 12 as 12. Seconds only: whoever
 * has hundredths adds them.
 */
export function dosToUnix(date: number, time: number, zone: DosZone): number {
  const month = Math.min(12, Math.max(1, (date >> 5) & 15));
  return zone.toUtc(1980 + (date >> 9), month, Math.max(1, date & 31), time >> 11, (time >> 5) & 63, (time & 31) * 2);
}

/** Into `out`; a time that the format does not have becomes the next one that it has. */
export function unixToDos(sec: number, nsec: number, zone: DosZone, out: DosTime): void {
  const local = new Date((sec + zone.offset_s(sec)) * 1000);
  const year = local.getUTCFullYear();
  if (!(year >= 1980)) {
    Object.assign(out, FIRST);
  } else if (year > 2107) {
    Object.assign(out, LAST);
  } else {
    const second = local.getUTCSeconds();
    out.date = ((year - 1980) << 9) | ((local.getUTCMonth() + 1) << 5) | local.getUTCDate();
    out.time = (local.getUTCHours() << 11) | (local.getUTCMinutes() << 5) | (second >> 1);
    out.hundredths = (second & 1) * 100 + Math.floor(nsec / 10_000_000);
  }
}
