import type { Component } from '../kernel/rump.js';
import { ffs } from '../fs/ffs/index.js';
import { tmpfs } from '../fs/tmpfs/index.js';
import { zerofs } from '../fs/zerofs/index.js';
import { Failure } from './failure.js';

/** A driver as the command line knows it. */
export interface Driver {
  readonly component: Component;
  /** Mounted on a disk; the others take no image. */
  readonly disk: boolean;
  /** Names of the -o options that the driver understands. */
  readonly options: readonly string[];
}

/** All drivers, by the name that `-t` takes. Disk drivers are tried in this order when no type is given. */
const DRIVERS: ReadonlyMap<string, Driver> = new Map([
  ['ffs', { component: ffs, disk: true, options: ['dialect', 'log', 'nolog', 'log-endian', 'stale-quotas'] }],
  ['tmpfs', { component: tmpfs, disk: false, options: ['size', 'nodes', 'mode', 'uid', 'gid'] }],
  ['zerofs', { component: zerofs, disk: false, options: ['files', 'dirs', 'size'] }],
]);

const ALIASES: Readonly<Record<string, string>> = { ufs: 'ffs', ufs1: 'ffs', ufs2: 'ffs', ffsv1: 'ffs', ffsv2: 'ffs' };

/** @throws Failure for a type that no driver has */
export function driverOf(type: string): { name: string; driver: Driver } {
  const name = ALIASES[type.toLowerCase()] ?? type.toLowerCase();
  const driver = DRIVERS.get(name);
  if (driver === undefined) throw new Failure(`-t ${type}: no such file system; there are ${[...DRIVERS.keys()].join(', ')}`);
  return { name, driver };
}
