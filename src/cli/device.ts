import { realpathSync } from 'node:fs';
import type { BlockDevice } from '../kernel/blkdev.js';
import { E, Errno } from '../kernel/errno.js';
import type { Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import { createImage, openImage, type ImageDevice, type OpenImageOptions } from '../blockdev/image.js';
import { PartitionDevice } from '../blockdev/partition.js';
import { listPartitions, scan, selectPartition } from '../blockdev/label/scan.js';
import { detect } from '../fs/detect.js';
import { holds, notMountable } from '../fs/identify.js';
import { Failure, words } from './failure.js';
import { alive, finishing, listMounts } from './mounts.js';
import { complain } from './say.js';
import { parseBytes } from './units.js';

export interface Where {
  /** Of an image or device. */
  readonly image: string;
  /** As `rumpfuse info` lists them: "1", "a", "1a". */
  readonly partition?: string | undefined;
  /** Text with suffix, or bytes. */
  readonly offset?: string | number | undefined;
}

/** Opens an image or device of the host. @throws Failure */
export async function openDisk(ru: Rumpuser, where: Where, options: OpenImageOptions = {}): Promise<ImageDevice> {
  let ended: number | undefined;
  for (;;) {
    try {
      return await openImage(ru, where.image, options);
    } catch (error) {
      if (
        !(error instanceof Errno) ||
        error.errno !== E.EBUSY ||
        (ended ??= await finished(where.image)) === undefined
      ) {
        throw new Failure(explain(where.image, error));
      }
      // While the threads of a process end, it holds its locks for a moment more.
      if (performance.now() - ended > GRACE_MS) throw new Failure(explain(where.image, error));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

/**
 * How often it is looked whether a server has ended; how long before it is said that it is waited for; and at most.
 * Milliseconds.
 */
const LOOK_MS = 20;
const QUIET_MS = 2000;
const FINISH_MS = 600_000;
/** So much longer it may hold its locks. */
const GRACE_MS = 5000;

/**
 * Waits for the servers of an image whose mount has ended already. When that was, by performance.now(); undefined:
 * there are none, or they do not end.
 */
async function finished(image: string): Promise<number | undefined> {
  const pid = finishing(realpathSync(image));
  if (pid === undefined) return undefined;
  let told = false;
  for (const began = performance.now(); alive(pid); await new Promise((resolve) => setTimeout(resolve, LOOK_MS))) {
    const waited = performance.now() - began;
    if (waited > FINISH_MS) return undefined;
    if (!told && waited > QUIET_MS) {
      complain(
        `rumpfuse: ${image} was unmounted a moment ago: waiting for process ${pid}, which is still writing to it`,
      );
    }
    told ||= waited > QUIET_MS;
  }
  return performance.now();
}

/** The image made at that size, or grown to it. @throws Failure */
export async function createDisk(ru: Rumpuser, image: string, size_bytes: number): Promise<ImageDevice> {
  try {
    return await createImage(ru, image, size_bytes);
  } catch (error) {
    throw new Failure(explain(image, error));
  }
}

function explain(image: string, error: unknown): string {
  const said = withMountpoint(words(error));
  return said.includes(image) ? said : `${image}: ${said}`;
}

/** "in use by process 12 (rumpfuse: super)": where that process has it mounted says more. */
function withMountpoint(said: string): string {
  const pid = /by process (\d+) \(rumpfuse[^)]*\)/.exec(said)?.[1];
  if (pid === undefined) return said;
  const mount = listMounts().find(
    (candidate) => String(candidate.pid) === pid || String(candidate.details?.server_pid) === pid,
  );
  return mount === undefined ? said : said.replace(/\(rumpfuse[^)]*\)/, `(mounted on ${mount.mountpoint})`);
}

/**
 * As {@link selectVolume}, for what is to be a file system already: of a whole disk that has none, but is divided, a
 * partition should have been chosen.
 * @throws Failure
 */
export async function selectExisting(disk: BlockDevice, where: Where): Promise<BlockDevice> {
  const device = await selectVolume(disk, where);
  if (device !== disk || (await detect(disk)).length > 0) return device;
  await refusePartitioned(disk, where, 'choose one with --partition');
  return device;
}

/**
 * As {@link selectExisting}, for what only works on a volume that was recognised.
 * @param how why the format is known: it was asked for, or found; undefined: it is not known
 * @throws Failure also if nothing was recognised
 */
export async function selectKnown(
  disk: BlockDevice,
  where: Where,
  how: 'asked' | 'found' | undefined,
): Promise<BlockDevice> {
  const device = await selectExisting(disk, where);
  if (how !== undefined) return device;
  const found = await notMountable(device);
  throw new Failure(
    found === undefined
      ? `${device.name}: no file system that rumpfuse knows (-t says what it should be)`
      : `${device.name} ${holds(found)}`,
  );
}

/** @throws Failure if the disk is divided */
export async function refusePartitioned(disk: BlockDevice, where: Where, advice: string): Promise<void> {
  const { partitions } = await scan(disk).catch(() => ({ partitions: [] }));
  if (partitions.length > 0) {
    throw new Failure(`${where.image} is divided into partitions: ${advice} (${listPartitions(partitions)})`);
  }
}

/**
 * The part of the disk that was asked for: by name, by offset, or the whole.
 * @throws Failure that lists what there is
 */
export async function selectVolume(disk: BlockDevice, where: Where): Promise<BlockDevice> {
  if (where.partition !== undefined && where.offset !== undefined) {
    throw new Failure('--partition and --offset exclude each other');
  }
  try {
    if (where.partition !== undefined) return (await selectPartition(disk, where.partition)).device;
    if (where.offset !== undefined) {
      const offset = typeof where.offset === 'number' ? where.offset : parseBytes(where.offset, '--offset');
      if (offset >= disk.size_bytes) {
        throw new Failure(`--offset ${where.offset}: ${where.image} has only ${disk.size_bytes} bytes`);
      }
      return new PartitionDevice(disk, offset, disk.size_bytes - offset, `${where.image} at ${offset}`);
    }
  } catch (error) {
    throw new Failure(explain(where.image, error));
  }
  return disk;
}
