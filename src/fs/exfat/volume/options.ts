import { E, errno } from '../../../kernel/errno.js';
import type { DosZone } from '../../lib/dostime.js';
import { HOST_ZONE, fixedZone } from '../../lib/dostime.js';

/** What happens where the volume contradicts itself (option errors). */
export type OnErrors = 'continue' | 'remount-ro';

/** -o options of an exFAT mount. */
export interface ExfatOptions {
  /** Owner of all files. */
  readonly uid: number;
  readonly gid: number;
  /** Permission bits that files and directories do not have. */
  readonly fmask: number;
  readonly dmask: number;
  /** Who may set times of files that he does not own: 020 the group, 002 everybody. */
  readonly allow_utime: number;
  /** Of timestamps that do not say how far they are from UTC, and of those that are written. */
  readonly zone: DosZone;
  readonly errors: OnErrors;
  /** Tell the device what is free. */
  readonly discard: boolean;
  /** chown and chmod that the format cannot keep change nothing, and succeed. */
  readonly quiet: boolean;
  /** Dots at the end of a name belong to it. */
  readonly keep_last_dots: boolean;
  /** Write what a file has as soon as it is closed. */
  readonly flush: boolean;
  /** Fail rather than mount read-only what was to be read-write. */
  readonly forcerw: boolean;
}

const KNOWN =
  'uid, gid, umask, fmask, dmask, allow_utime, tz, time_offset, sys_tz, errors, discard, nodiscard, quiet, ' +
  'keep_last_dots, flush, utf8, iocharset, force-rw';

function bad(name: string, value: string | true, wanted: string): never {
  throw errno(E.EINVAL, `exfat: option ${name}: "${value === true ? '' : value}" is not ${wanted}`);
}

function number(
  name: string, value: string | true, pattern: RegExp, base: number, min: number, max: number, wanted: string,
): number {
  const result = value !== true && pattern.test(value) ? parseInt(value, base) : NaN;
  return result >= min && result <= max ? result : bad(name, value, wanted);
}

const id = (name: string, value: string | true): number => number(
  name, value, /^\d+$/, 10, 0, 0xffff_fffe, 'a user or group number',
);
const mask = (name: string, value: string | true): number => number(
  name, value, /^[0-7]+$/, 8, 0, 0o777, 'an octal mask',
);

/** @throws EINVAL */
export function exfat_options(options: ReadonlyMap<string, string | true>): ExfatOptions {
  const o = {
    uid: 0, gid: 0, fmask: -1, dmask: -1, allow_utime: -1,
    zone: fixedZone(0) as DosZone, errors: 'remount-ro' as OnErrors,
    discard: false, quiet: false, keep_last_dots: false, flush: false, forcerw: false,
  };
  let umask = 0o022;
  const flags = new Set(['quiet', 'discard', 'keep_last_dots', 'flush']);
  for (const [name, value] of options) {
    if (name === 'uid' || name === 'gid') o[name] = id(name, value);
    else if (name === 'umask') umask = mask(name, value);
    else if (name === 'fmask' || name === 'dmask' || name === 'allow_utime') o[name] = mask(name, value);
    else if (name === 'time_offset') o.zone = fixedZone(
      number(name, value, /^-?\d+$/, 10, -1440, 1440, 'a number of minutes, -1440 to 1440'),
    );
    else if (name === 'tz') o.zone = value === 'UTC' ? fixedZone(0) : bad(name, value, 'UTC');
    else if (name === 'sys_tz' && value === true) o.zone = HOST_ZONE;
    else if (name === 'errors') o.errors = value === 'continue' || value === 'remount-ro' ? value : bad(
      name, value, 'continue or remount-ro',
    );
    else if (flags.has(name) && value === true) o[name as 'quiet'] = true;
    else if (name === 'nodiscard' && value === true) o.discard = false;
    else if (name === 'force-rw' && value === true) o.forcerw = true;
    else if (name === 'utf8') continue;
    else if (name === 'iocharset') {
      if (value !== 'utf8' && value !== 'utf-8' && value !== 'UTF-8') bad(name, value, 'utf8: names are UTF-8 here');
    } else throw errno(E.EINVAL, `exfat: unknown option "${name}" (known: ${KNOWN})`);
  }
  if (o.fmask < 0) o.fmask = umask;
  if (o.dmask < 0) o.dmask = umask;
  if (o.allow_utime < 0) o.allow_utime = ~o.dmask & 0o022;
  return o;
}
