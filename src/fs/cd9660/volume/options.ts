import { E, errno } from '../../../kernel/errno.js';
import { MOUNT_OPTIONS } from '../options.js';
import type { NameMap } from '../disk/names.js';

/** Mount options; names and meanings are those of Linux's isofs. */
export interface IsoOptions {
  readonly rock: boolean;
  readonly joliet: boolean;
  readonly map: NameMap;
  /** Names of the ISO 9660 and Joliet trees are found in either case. */
  readonly relaxed: boolean;
  /** Owner of everything; -1: what Rock Ridge says, else 0. */
  readonly uid: number;
  readonly gid: number;
  /** Permissions of what has none of its own; -1: 0555. */
  readonly mode: number;
  readonly dmode: number;
  /** `mode` and `dmode` go before those of Rock Ridge. */
  readonly overriderockperm: boolean;
  /** Hidden files are not listed. */
  readonly hide: boolean;
  /** Associated files are listed, as "=name". */
  readonly showassoc: boolean;
  /** The highest byte of a file's length is garbage. */
  readonly cruft: boolean;
  /** Files of zisofs are shown as they are recorded. */
  readonly nocompress: boolean;
  /** 1 for the first; 0: the last one that there is. */
  readonly session: number;
  /** Sector of 2048 bytes that the session begins with; -1: find it. */
  readonly sbsector: number;
  /** Bytes of a logical block; 0: as the volume says. */
  readonly block: number;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const SWITCHES: Readonly<Record<string, (o: Writable<IsoOptions>) => void>> = {
  rock: (o) => void (o.rock = true),
  norock: (o) => void (o.rock = false),
  joliet: (o) => void (o.joliet = true),
  nojoliet: (o) => void (o.joliet = false),
  hide: (o) => void (o.hide = true),
  unhide: (o) => {
    o.hide = false;
    o.showassoc = true;
  },
  showassoc: (o) => void (o.showassoc = true),
  cruft: (o) => void (o.cruft = true),
  nocompress: (o) => void (o.nocompress = true),
  overriderockperm: (o) => void (o.overriderockperm = true),
  // File names are UTF-8 here always.
  utf8: () => {},
};

/** Radix and highest value. */
const NUMBERS: Readonly<Record<string, readonly [number, number]>> = {
  uid: [10, 0xfffffffe],
  gid: [10, 0xfffffffe],
  mode: [8, 0o7777],
  dmode: [8, 0o7777],
  session: [10, 99],
  sbsector: [10, 0xffffffff],
};

/** Options whose values are words. */
const CHOICES: ReadonlyMap<string, readonly string[]> = new Map(
  MOUNT_OPTIONS.filter(({ choices }) => choices !== undefined).map(({ name, choices }) => [name, choices!]),
);

function bad(text: string): Error {
  return errno(E.EINVAL, `cd9660: ${text}`);
}

function number(name: string, value: string | true, [radix, max]: readonly [number, number]): number {
  const pattern = radix === 8 ? /^[0-7]+$/ : /^[0-9]+$/;
  const parsed = typeof value === 'string' && pattern.test(value) ? parseInt(value, radix) : NaN;
  if (!(parsed <= max)) {
    const upto = `${max.toString(radix)}${radix === 8 ? ' (octal)' : ''}`;
    throw bad(`${name}=${value === true ? '' : value}: a number from 0 to ${upto} is wanted`);
  }
  return parsed;
}

/** @throws EINVAL */
export function iso_options(given: ReadonlyMap<string, string | true>): IsoOptions {
  const o: Writable<IsoOptions> = {
    rock: true,
    joliet: true,
    map: 'normal',
    relaxed: true,
    uid: -1,
    gid: -1,
    mode: -1,
    dmode: -1,
    overriderockperm: false,
    hide: false,
    showassoc: false,
    cruft: false,
    nocompress: false,
    session: 0,
    sbsector: -1,
    block: 0,
  };
  for (const [name, value] of given) {
    if (name === 'force-rw') throw errno(E.EROFS, 'cd9660: ISO 9660 volumes are only read');
    if (Object.hasOwn(SWITCHES, name)) {
      if (value !== true) throw bad(`${name} takes no value`);
      SWITCHES[name]!(o);
    } else if (CHOICES.has(name)) {
      const choices = CHOICES.get(name)!;
      if (value === true || !choices.includes(value)) throw bad(`${name} is one of ${choices.join(', ')}`);
      if (name === 'map') o.map = value as NameMap;
      if (name === 'block') o.block = Number(value);
      if (name === 'check') o.relaxed = value === 'relaxed';
    } else if (Object.hasOwn(NUMBERS, name)) {
      const key = name as 'uid' | 'gid' | 'mode' | 'dmode' | 'session' | 'sbsector';
      o[key] = number(name, value, NUMBERS[name]!);
    } else throw bad(`unknown option ${name} (known: ${MOUNT_OPTIONS.map((option) => option.name).join(', ')})`);
  }
  return o;
}
