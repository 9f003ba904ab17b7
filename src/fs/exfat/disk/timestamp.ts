/**
 * Times: the two words of DOS as one, a count of 10 ms (0..199) that creation and modification have beside them, and
 * how far
 * the clock was from UTC, in quarters of an hour. Source: Microsoft's exFAT specification, sections 7.4.5 to 7.4.10.
 */
import type { DosTime, DosZone } from '../../lib/dostime.js';
import { dosToUnix, fixedZone, unixToDos } from '../../lib/dostime.js';

const QUARTER_MINUTES = 15;
const OFFSET_VALID = 0x80;
const UTC = fixedZone(0);
/** Offsets have whole quarters of an hour between -16 and +15.75 hours. */
const OFFSETS: (DosZone | undefined)[] = [];

/** The zone that OffsetFromUtc names; undefined: it names none. */
function zone_of(byte: number): DosZone | undefined {
  if ((byte & OFFSET_VALID) === 0) return undefined;
  const quarters = byte & 0x7f;
  return (OFFSETS[byte] ??= quarters === 0 ? UTC : fixedZone(
    (quarters < 64 ? quarters : quarters - 128) * QUARTER_MINUTES,
  ));
}

/** OffsetFromUtc of a clock that is so many seconds ahead of UTC. */
export function utc_byte(ahead_s: number): number {
  return OFFSET_VALID | (Math.round(ahead_s / (QUARTER_MINUTES * 60)) & 0x7f);
}

/** A time as it lies on the disk. */
export class Timestamp {
  stamp = 0;
  /** 0..199; 0 where the format keeps none. */
  tens = 0;
  utc = 0;

  /** Seconds since 1970, whole. `zone`: of clocks that do not say. */
  sec(zone: DosZone): number {
    // Bits that no time has: the second 62, a count of 10 ms above 199.
    const second = this.tens >= 100 && this.tens < 200 ? 1 : 0;
    return dosToUnix(this.stamp >>> 16, this.stamp & 0xffff, zone_of(this.utc) ?? zone) + second;
  }

  get nsec(): number {
    return this.tens < 200 ? (this.tens % 100) * 10_000_000 : 0;
  }

  /** @returns whether it has changed. `tens` false: the format keeps whole two seconds. */
  set(sec: number, nsec: number, zone: DosZone, tens: boolean): boolean {
    unixToDos(sec, nsec, zone, SCRATCH);
    const stamp = ((SCRATCH.date << 16) | SCRATCH.time) >>> 0;
    const hundredths = tens ? SCRATCH.hundredths : 0;
    const utc = utc_byte(zone.offset_s(sec));
    if (stamp === this.stamp && hundredths === this.tens && utc === this.utc) return false;
    this.stamp = stamp;
    this.tens = hundredths;
    this.utc = utc;
    return true;
  }
}

const SCRATCH: DosTime = { date: 0, time: 0, hundredths: 0 };
