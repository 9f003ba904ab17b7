/**
 * Which format a server serves. What may be needed is loaded before the server is locked down: a survey, a confined
 * process of its own, has compared bytes at fixed places; what is really there is decided afterwards.
 */
import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno } from '../kernel/errno.js';
import type { Component } from '../kernel/rump.js';
import { MemoryDevice } from '../blockdev/memory.js';
import { rank } from '../fs/detect.js';
import type { Format, Make } from '../fs/format.js';
import { formatNamed } from '../fs/registry.js';
import { mostLikely } from './formats.js';

/** Of a device on which nothing is. */
const NOTHING_BYTES = 1 << 20;

/** A format with its driver. */
export interface Loaded {
  readonly format: Format;
  readonly component: Component;
  /** For rehearsing, where it was asked for. */
  readonly make?: Make | undefined;
}

async function load(format: Format, rehearse: boolean): Promise<Loaded> {
  return { format, component: await format.load(), ...(rehearse ? { make: await format.tools.make?.load() } : {}) };
}

/**
 * By their names: what is asked for, or what a survey has found that the disk may hold.
 * @throws ENODEV no such format
 */
export async function loadFormats(names: readonly string[], rehearse: boolean): Promise<Loaded[]> {
  const loaded: Loaded[] = [];
  for (const name of names) {
    const format = formatNamed(name);
    if (format === undefined) throw errno(E.ENODEV, `no file system ${name}`);
    loaded.push(await load(await format.load(), rehearse));
  }
  // What a probe needs it loads when it is called first, and that must not be when nothing can be loaded any more.
  const nothing = new MemoryDevice({ size_bytes: NOTHING_BYTES });
  if (loaded.length > 1) await rank(nothing, loaded.map(({ format }) => format));
  return loaded;
}

/**
 * The one to mount; for the only one that may be, the mount itself says what is wrong with it.
 * @throws EFTYPE there is none; EINVAL there are several; EIO
 */
export async function choose(loaded: readonly Loaded[], device: BlockDevice | undefined): Promise<Loaded> {
  if (loaded.length === 1 || device === undefined) return loaded[0]!;
  const found = await rank(device, loaded.map(({ format }) => format));
  if (found.length === 0) throw errno(E.EFTYPE, `${device.name}: no file system that rumpfuse knows`);
  const format = mostLikely(found, device.name);
  return loaded.find((one) => one.format === format)!;
}

/** @throws EINVAL an option that the format does not have */
export function checkOptions({ name, options }: Format, given: readonly string[]): void {
  for (const option of given) {
    if (!options.some((known) => known.name === option)) {
      throw errno(E.EINVAL, `-o ${option}: ${name} has no such option (rumpfuse mount -t ${name} --help lists them)`);
    }
  }
}

/** Who mounts. */
export interface Asker {
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
}

/**
 * Of a format that keeps no owners (it has an option umask) all files belong to who mounts, with his umask, unless he
 * said otherwise.
 */
export function askersOwn({ options }: Format, given: Map<string, string | true>, { uid, gid, umask }: Asker): void {
  if (!options.some(({ name }) => name === 'umask')) return;
  if (!given.has('uid')) given.set('uid', String(uid));
  if (!given.has('gid')) given.set('gid', String(gid));
  if (!given.has('umask')) given.set('umask', umask.toString(8));
}
