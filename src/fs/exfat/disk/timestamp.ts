/**
 * Times: the two words of DOS as one, a count of 10 ms (0..199) that creation and modification have beside them, and
 * how far
 * the clock was from UTC, in quarters of an hour. Source: Microsoft's exFAT specification, sections 7.4.5 to 7.4.10.
 */
import type { DosTime, DosZone } from '../../lib/dostime.js';
import { dosToUnix, fixedZone, unixToDos } from '../../lib/dostime.js';

const QUARTER_MINUTES = 15;
const OFFSET_VALID = 0x80;
const TURN = 3;
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

  /** @returns whether it has changed */
  set(sec: number, nsec: number, zone: DosZone): boolean {
    unixToDos(sec, nsec, zone, SCRATCH);
    return this.put(SCRATCH.hundredths, utc_byte(zone.offset_s(sec)));
  }

  /** As {@link set}, for the time of access: whole two seconds, and the turn stays. */
  setaccess(sec: number, zone: DosZone): boolean {
    return this.ahead(sec, (utc_byte(zone.offset_s(sec)) & ~TURN) | this.turn);
  }

  /**
   * The lowest two bits of OffsetFromUtc. Where a clock stood says nothing that a reader needs, as long as the moment
   * is right: those of the time of access count the renames of a file (dir/fileset.ts).
   */
  get turn(): number {
    return (this.utc & OFFSET_VALID) === 0 ? 0 : this.utc & TURN;
  }

  /** The same moment with another turn. A moment that the format has not in that offset keeps the turn that it has. */
  setturn(turn: number, zone: DosZone): void {
    const { stamp, utc } = this;
    const sec = this.sec(zone);
    const now = (utc & OFFSET_VALID) !== 0 ? utc : utc_byte(zone.offset_s(sec));
    this.ahead(sec, (now & ~TURN) | (turn & TURN));
    if (this.sec(zone) === sec) return;
    this.stamp = stamp;
    this.utc = utc;
  }

  private ahead(sec: number, utc: number): boolean {
    unixToDos(sec, 0, zone_of(utc)!, SCRATCH);
    return this.put(0, utc);
  }

  private put(hundredths: number, utc: number): boolean {
    const stamp = ((SCRATCH.date << 16) | SCRATCH.time) >>> 0;
    if (stamp === this.stamp && hundredths === this.tens && utc === this.utc) return false;
    this.stamp = stamp;
    this.tens = hundredths;
    this.utc = utc;
    return true;
  }
}

const SCRATCH: DosTime = { date: 0, time: 0, hundredths: 0 };
