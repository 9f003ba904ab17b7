/** The program of a server process: a kernel with the one driver that the mount needs, on the descriptor it was given. */
import type { BlockDevice } from '../kernel/blkdev.js';
import { MNT_RDONLY } from '../kernel/fcntl.js';
import { RumpKernel } from '../kernel/rump.js';
import { nodeRumpuser } from '../kernel/rumpuser/node.js';
import type { Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import type { RumpSys } from '../kernel/sys/rumpsys.js';
import { imageFromFd } from '../blockdev/image.js';
import { tmpfs } from '../fs/tmpfs/index.js';
import { DEVICE_FD, serverMain, type OpenVolume, type ServedVolume } from '../fuse/server-process.js';
import { selectVolume } from './device.js';
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

async function openDevice(ru: Rumpuser, args: ServerArguments, readonly: boolean): Promise<BlockDevice> {
  const disk = await imageFromFd(ru, DEVICE_FD, args.image, { readonly });
  return selectVolume(disk, args);
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
  await rump.sys.mount(name, args.mountpoint, flags, driver.disk ? { fspec: await openDevice(ru, args, how.readonly), options } : { options });
  mounting = false;
  const { f_flag } = await rump.sys.statvfs(args.mountpoint);
  const volume: ServedVolume = {
    sys: rump.sys,
    root: args.mountpoint,
    syncer: rump.syncer,
    readonly: (f_flag & MNT_RDONLY) !== 0,
    fstype: name,
    log,
    close: () => rump.halt(),
    ...(notice !== undefined ? { notice } : {}),
    ...(args.trace ? { trace: (line: string) => void process.stderr.write(`${line}\n`) } : {}),
  };
  return volume;
};

serverMain(open);
