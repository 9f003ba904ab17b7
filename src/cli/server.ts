/** The program of a server process: a kernel with the one driver that the mount needs, on the descriptor it was given. */
import type { BlockDevice } from '../kernel/blkdev.js';
import { E, Errno, errno } from '../kernel/errno.js';
import { MNT_RDONLY } from '../kernel/fcntl.js';
import { RumpKernel } from '../kernel/rump.js';
import { nodeRumpuser, prepareNodeRumpuser } from '../kernel/rumpuser/node.js';
import type { Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import type { RumpSys } from '../kernel/sys/rumpsys.js';
import { listPartitions, scan } from '../blockdev/label/scan.js';
import { imageFromFd } from '../blockdev/image.js';
import { tmpfs } from '../fs/tmpfs/index.js';
import { DEVICE_FD, serverMain, type OpenVolume, type ServedVolume } from '../fuse/server-process.js';
import { placeOf, selectVolume } from './device.js';
import { driverOf } from './drivers.js';
import type { LogLevel } from '../kernel/rumpuser/rumpuser.js';
import { openLog } from './log.js';

/** What `mount` hands to the server; JSON. */
export interface ServerArguments {
  readonly type: string;
  /** For messages; the file itself comes as a descriptor. */
  readonly image: string;
  /** On the host; absolute. */
  readonly mountpoint: string;
  readonly disk: boolean;
  readonly partition?: string;
  readonly offset?: number;
  /** MNT_*. */
  readonly flags: number;
  /** The user wants to write or nothing. */
  readonly mustWrite: boolean;
  readonly options: readonly (readonly [string, string | true])[];
  readonly trace: boolean;
  readonly logLevel: LogLevel;
  readonly logJson: boolean;
}

/** The disk as the launcher handed it over; nothing of it has been read. */
async function openDisk(ru: Rumpuser, args: ServerArguments, readonly: boolean): Promise<{ disk: BlockDevice; isFile: boolean }> {
  const { type } = await ru.rumpuser_getfileinfo(DEVICE_FD);
  return { disk: await imageFromFd(ru, DEVICE_FD, args.image, { readonly }), isFile: type === 'file' };
}

/** A disk with partitions of which none was chosen: the error then says what there is to choose from. */
async function partitionsInstead(error: unknown, args: ServerArguments, device: BlockDevice | undefined): Promise<unknown> {
  if (!(error instanceof Errno) || error.errno !== E.EFTYPE || device === undefined || args.partition !== undefined || args.offset !== undefined) return error;
  const { partitions } = await scan(device).catch(() => ({ partitions: [] }));
  if (partitions.length === 0) return error;
  return errno(E.EFTYPE, `${args.image} is divided into partitions: choose one with --partition (${listPartitions(partitions)})`);
}

async function makePath(sys: RumpSys, path: string): Promise<void> {
  let at = '';
  for (const name of path.split('/').filter((part) => part !== '')) {
    at += `/${name}`;
    await sys.mkdir(at, 0o755);
  }
}

const open: OpenVolume = async (raw, how) => {
  const args = raw as ServerArguments;
  const log = openLog(args.logLevel, args.logJson);
  /** The first line that the kernel says while mounting is what the person at the terminal must know. */
  let notice: string | undefined;
  let mounting = true;
  const ru = nodeRumpuser({
    log: (level, message, fields) => {
      if (mounting && (level === 'warn' || level === 'error')) notice ??= message;
      else log(level, message, fields);
    },
  });
  const { name, driver } = driverOf(args.type);
  const rump = await RumpKernel.boot({ rumpuser: ru, components: name === 'tmpfs' ? [tmpfs] : [tmpfs, driver.component] });
  const flags = how.readonly ? args.flags | MNT_RDONLY : args.flags;
  const options = new Map(args.options);
  if (args.mustWrite && !how.readonly && driver.disk) options.set('force-rw', true);
  // The same path as on the host: FFS keeps on the disk where it was mounted.
  await makePath(rump.sys, args.mountpoint);
  const opened = driver.disk ? await openDisk(ru, args, how.readonly) : undefined;
  await prepareNodeRumpuser();
  await how.lockDown(opened?.isFile === true ? opened.disk.size_bytes : 0);
  const device = opened === undefined ? undefined : await selectVolume(opened.disk, args);
  try {
    await rump.sys.mount(name, args.mountpoint, flags, device !== undefined ? { fspec: device, options } : { options });
  } catch (error) {
    throw await partitionsInstead(error, args, device);
  }
  mounting = false;
  const { f_flag } = await rump.sys.statvfs(args.mountpoint);
  const readonly = (f_flag & MNT_RDONLY) !== 0;
  const volume: ServedVolume = {
    sys: rump.sys,
    root: args.mountpoint,
    syncer: rump.syncer,
    readonly,
    reaches: device === undefined ? [] : [{ fd: DEVICE_FD, ...placeOf(device), write: !readonly, discard: device === opened!.disk }],
    fstype: name,
    log,
    close: () => rump.halt(),
    ...(notice !== undefined ? { notice } : {}),
    ...(args.trace ? { trace: (line: string) => void process.stderr.write(`${line}\n`) } : {}),
  };
  return volume;
};

serverMain(open);
