import { E, errno } from '../../../kernel/errno.js';
import { HOST_ZONE, fixedZone } from '../../lib/dostime.js';
import type { DosZone } from '../../lib/dostime.js';
import { CHARSETS, charset } from '../../lib/names/charset.js';
import type { Charset } from '../../lib/names/charset.js';
import { Names } from '../disk/names.js';
import type { ShortnameMode } from '../disk/names.js';

/** What to do when damage is found while the volume is written. */
export type OnErrors = 'continue' | 'remount-ro';

/**
 * The options of a mount, which are those of Linux's vfat (Documentation/filesystems/vfat.rst) and of NetBSD's
 * mount_msdos where those differ.
 */
export interface MountOptions {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits that files and directories do not have. */
  readonly fmask: number;
  readonly dmask: number;
  /** chmod and chown of what cannot be kept do nothing, and say nothing. */
  readonly quiet: boolean;
  readonly zone: DosZone;
  readonly names: Names;
  /** Execute permission for .EXE, .COM and .BAT only. */
  readonly showexec: boolean;
  /** The read-only attribute counts for directories, too. */
  readonly rodir: boolean;
  /** Files with the system attribute cannot be changed. */
  readonly sysImmutable: boolean;
  /** Write back soon. */
  readonly flush: boolean;
  readonly discard: boolean;
  readonly errors: OnErrors;
  /** Trust the free count of the FSInfo sector although the volume is dirty. */
  readonly usefree: boolean;
  /** Fail rather than mount read-only what was to be read-write. */
  readonly forcerw: boolean;
}

/** Options of others that mean nothing here, or are always so. */
const IGNORED = new Set([
  'check',
  'nfs',
  'allow_utime',
  'dos1xfloppy',
  'dotsOK',
  'dots',
  'nodots',
  'posix',
  'uni_xlate',
  'nocase',
  'long',
  'longnames',
  'conv',
  'fat',
  'blocksize',
  'debug',
  'cvf_format',
  'cvf_options',
]);
const SHORTNAMES: readonly string[] = ['lower', 'win95', 'winnt', 'mixed'];

function bad(what: string): never {
  throw errno(E.EINVAL, `msdosfs: ${what}`);
}

function value(name: string, given: string | true | undefined): string {
  if (given === true || given === undefined || given === '') bad(`${name} needs a value`);
  return given;
}

function number(name: string, given: string | true, base: 8 | 10, max: number): number {
  const text = value(name, given);
  const n = (base === 8 ? /^[0-7]{1,5}$/ : /^\d{1,10}$/).test(text) ? parseInt(text, base) : NaN;
  if (!(n <= max)) bad(`${name}=${text}: ${base === 8 ? 'permission bits in octal' : `a number from 0 to ${max}`}`);
  return n;
}

function flag(name: string, given: string | true): boolean {
  if (given === true || ['1', 'yes', 'true'].includes(given)) return true;
  if (['0', 'no', 'false'].includes(given)) return false;
  return bad(`${name}=${given}: yes or no`);
}

function charsetNamed(name: string, given: string): Charset {
  return charset(given) ?? bad(`${name}=${given}: no such character set; there are ${CHARSETS.join(', ')}`);
}

function zoneOf(given: ReadonlyMap<string, string | true>): DosZone {
  const tz = given.get('tz');
  const offset = given.get('time_offset');
  if (tz !== undefined && value('tz', tz).toUpperCase() !== 'UTC') {
    bad(`tz=${String(tz)}: only UTC can be named; time_offset=MINUTES gives another zone`);
  }
  if (offset !== undefined) {
    const text = value('time_offset', offset);
    const minutes = /^-?\d{1,4}$/.test(text) ? Number(text) : NaN;
    if (!(Math.abs(minutes) <= 24 * 60)) bad(`time_offset=${text}: minutes ahead of UTC, -1440 to 1440`);
    return fixedZone(minutes);
  }
  return tz === undefined ? HOST_ZONE : fixedZone(0);
}

function namesOf(given: ReadonlyMap<string, string | true>): Names {
  const shortname = given.get('shortname') ?? 'mixed';
  if (shortname === true || !SHORTNAMES.includes(shortname)) bad(`shortname is one of ${SHORTNAMES.join(', ')}`);
  const codepage = given.get('codepage');
  const iocharset = given.get('iocharset');
  const named = iocharset === undefined ? 'utf8' : value('iocharset', iocharset).toLowerCase();
  const wantsutf8 = given.get('utf8');
  const utf8 =
    named === 'utf8' || named === 'utf-8'
      ? wantsutf8 === undefined || flag('utf8', wantsutf8)
      : wantsutf8 !== undefined && flag('utf8', wantsutf8);
  return new Names({
    codepage: charsetNamed('codepage', codepage === undefined ? '437' : value('codepage', codepage)),
    iocharset: utf8 ? null : charsetNamed('iocharset', named.startsWith('utf') ? 'iso8859-1' : named),
    shortname: shortname as ShortnameMode,
    numtail: !given.has('nonumtail'),
  });
}

const KNOWN = new Set([
  'uid', 'gid', 'umask', 'fmask', 'dmask', 'quiet', 'tz', 'time_offset', 'codepage', 'iocharset', 'utf8', 'shortname',
  'nonumtail', 'showexec', 'rodir', 'sys_immutable', 'flush', 'discard', 'errors', 'usefree', 'force-rw',
]);

/** @throws EINVAL */
export function mountOptions(given: ReadonlyMap<string, string | true>): MountOptions {
  for (const name of given.keys()) if (!KNOWN.has(name) && !IGNORED.has(name)) bad(`unknown option ${name}`);
  const ids = (name: string) => (given.has(name) ? number(name, given.get(name)!, 10, 0xfffffffe) : 0);
  const mask = (name: string, otherwise: number) =>
    given.has(name) ? number(name, given.get(name)!, 8, 0o7777) & 0o777 : otherwise;
  const on = (name: string) => given.has(name) && flag(name, given.get(name)!);
  const umask = mask('umask', 0o022);
  const errors = given.get('errors') ?? 'remount-ro';
  // There is no kernel to be stopped: a panic would take nothing but this volume away, and read-only does less harm.
  if (errors !== 'continue' && errors !== 'remount-ro' && errors !== 'panic') {
    bad('errors is continue, remount-ro or panic');
  }
  return {
    uid: ids('uid'),
    gid: ids('gid'),
    fmask: mask('fmask', umask),
    dmask: mask('dmask', umask),
    quiet: on('quiet'),
    zone: zoneOf(given),
    names: namesOf(given),
    showexec: on('showexec'),
    rodir: on('rodir'),
    sysImmutable: on('sys_immutable'),
    flush: on('flush'),
    discard: on('discard'),
    errors: errors === 'continue' ? 'continue' : 'remount-ro',
    usefree: on('usefree'),
    forcerw: given.has('force-rw'),
  };
}
