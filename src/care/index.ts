/**
 * newfs, tunefs and fsck for programs that use rumpfuse as a library: nothing that is there is overwritten by a slip.
 */
import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno } from '../kernel/errno.js';
import { fsck as fsckVolume, type FsckOptions, type FsckReport } from '../fs/ffs/tools/fsck/index.js';
import { newfs as makeVolume, type NewfsResult, type NewfsVolumeOptions } from '../fs/ffs/tools/newfs.js';
import {
  tunefs as tuneVolume,
  type TunefsChanges,
  type TunefsOptions,
  type TunefsResult,
} from '../fs/ffs/tools/tunefs.js';
import { ambiguous, occupied } from './occupied.js';

/** Go on although there is something on the device, or something else than a volume of ours. Default false. */
export interface Force {
  readonly force?: boolean;
}

function refuse(dev: BlockDevice, why: string | undefined): void {
  if (why !== undefined) throw errno(E.EEXIST, `${dev.name} ${why}; { force: true } goes on all the same`);
}

/**
 * Makes an FFS volume on an empty device.
 * @throws EEXIST there is something on it: the message says what; else as newfs of the driver
 */
export async function newfs(dev: BlockDevice, options: NewfsVolumeOptions & Force = {}): Promise<NewfsResult> {
  if (options.force !== true && options.dryRun !== true) refuse(dev, await occupied(dev, { size_bytes: options.size }));
  return makeVolume(dev, options);
}

/**
 * Checks an FFS volume; repairs only what is nothing else as well.
 * @throws EEXIST it would be repaired, and something else is there
 */
export async function fsck(dev: BlockDevice, options: FsckOptions & Force = {}): Promise<FsckReport> {
  if (options.force !== true && (options.mode ?? 'check') !== 'check') refuse(dev, await ambiguous(dev, 'ffs'));
  return fsckVolume(dev, options);
}

/** Changes what an FFS volume is tuned by. @throws EEXIST something else is there as well */
export async function tunefs(
  dev: BlockDevice,
  changes: TunefsChanges,
  options: TunefsOptions & Force = {},
): Promise<TunefsResult> {
  if (options.force !== true && options.dryRun !== true) refuse(dev, await ambiguous(dev, 'ffs'));
  return tuneVolume(dev, changes, options);
}
