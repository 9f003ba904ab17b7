/** The program of a server process: a kernel with the one driver that the mount needs, on the descriptor it was given. */
import type { BlockDevice } from '../kernel/blkdev.js';
import { E, Errno, errno } from '../kernel/errno.js';
import { MNT_RDONLY, O_PATH } from '../kernel/fcntl.js';
import { RumpKernel } from '../kernel/rump.js';
import { BOOT_ID_PARAM, nodeRumpuser, prepareNodeRumpuser } from '../kernel/rumpuser/node.js';
import type { Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import type { RumpSys } from '../kernel/sys/rumpsys.js';
import { listPartitions, scan } from '../blockdev/label/scan.js';
import { imageFromFd } from '../blockdev/image.js';
import { OVERLAY_BLOCK_BYTES } from '../blockdev/overlay-format.js';
import { overlayOn } from '../blockdev/overlay.js';
import { PartitionDevice, placeOf } from '../blockdev/partition.js';
import { tmpfs } from '../fs/tmpfs/index.js';
import type { Reach } from '../fuse/sandbox/filter.js';
import { DEVICE_FD, serverMain, type OpenVolume, type ServedVolume } from '../fuse/server-process.js';
import { selectVolume } from './device.js';
import { checkOptions, choose, loadFormats } from './volume-format.js';
import type { LogLevel } from '../kernel/rumpuser/rumpuser.js';
import { openLog } from './log.js';

/** What `mount` hands to the server; JSON. */
export interface ServerArguments {
  /** undefined: what the disk holds. */
  readonly type?: string;
  /** It lies on a disk, which comes as a descriptor. */
  readonly disk: boolean;
  /** For messages. */
  readonly image: string;
  /** On the host; absolute. */
  readonly mountpoint: string;
  /** The file for what is written, for messages; it comes as a descriptor, too. */
  readonly overlay?: string;
  /** Whom every file is shown to belong to. */
  readonly owner?: { readonly uid: number; readonly gid: number };
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

/** What the launcher handed over. */
interface Disks {
  readonly disk: BlockDevice;
  readonly overlay?: BlockDevice;
  /** Of the largest plain file among them. */
  readonly file_bytes: number;
}

const OVERLAY_FD = DEVICE_FD + 1;
/** Half of the kernel's default: what falls out is in the host's page cache, and a server is to stay below 150 MB. */
const BUFCACHE_BYTES = 32 * 1024 * 1024;

/** Nothing of the disks is read. */
async function openDisks(ru: Rumpuser, args: ServerArguments, readonly: boolean): Promise<Disks> {
  const { type } = await ru.rumpuser_getfileinfo(DEVICE_FD);
  const disk = await imageFromFd(ru, DEVICE_FD, args.image, { readonly: readonly || args.overlay !== undefined });
  const disk_bytes = type === 'file' ? disk.size_bytes : 0;
  if (args.overlay === undefined) return { disk, file_bytes: disk_bytes };
  const overlay = await imageFromFd(ru, OVERLAY_FD, args.overlay);
  return { disk, overlay, file_bytes: Math.max(disk_bytes, overlay.size_bytes) };
}

/** The partition table is the disk's: an overlay may come from anybody, and is not to say which part of the disk is shown. */
async function volumeOf(ru: Rumpuser, { disk, overlay }: Disks, args: ServerArguments): Promise<BlockDevice> {
  const volume = await selectVolume(disk, args);
  if (overlay === undefined) return volume;
  const { start } = placeOf(volume);
  const over = await overlayOn(ru, disk, overlay, start);
  return volume === disk ? over : new PartitionDevice(over, start, volume.size_bytes, `${volume.name} (overlay ${overlay.name})`);
}

/** What of the disks it takes to serve the volume on `device`. */
function reaches({ disk, overlay }: Disks, device: BlockDevice, readonly: boolean): Reach[] {
  const { start, end } = placeOf(device);
  if (overlay === undefined) return [{ fd: DEVICE_FD, start, end, write: !readonly, discard: device === disk }];
  // What is copied up begins and ends with the overlay's blocks.
  const from = start - (start % OVERLAY_BLOCK_BYTES);
  const to = Math.min(disk.size_bytes, Math.ceil(end / OVERLAY_BLOCK_BYTES) * OVERLAY_BLOCK_BYTES);
  return [{ fd: DEVICE_FD, start: from, end: to, write: false, discard: false }, { fd: OVERLAY_FD, start: 0, end: overlay.size_bytes, write: true, discard: false }];
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
  const flags = how.readonly ? args.flags | MNT_RDONLY : args.flags;
  const options = new Map(args.options);
  const disks = args.disk ? await openDisks(ru, args, how.readonly) : undefined;
  const loaded = await loadFormats(how.fstype ?? args.type, disks?.disk, args.partition === undefined ? (args.offset ?? 0) : undefined, how.heir);
  await prepareNodeRumpuser();
  const components = [...new Set([tmpfs, ...loaded.map(({ component }) => component)])];
  const rehearsal = how.heir ? await import('./rehearsal.js') : undefined;
  await how.lockDown(disks?.file_bytes ?? 0, async (goOn) => rehearsal?.rehearse(ru, loaded, components, goOn));
  const rump = await RumpKernel.boot({
    rumpuser: ru, components, bufcache_bytes: BUFCACHE_BYTES, ...(how.keep !== undefined ? { keep: how.keep } : {}),
  });
  // The same path as on the host: FFS keeps on the disk where it was mounted.
  await makePath(rump.sys, args.mountpoint);
  const device = disks === undefined ? undefined : await volumeOf(ru, disks, args);
  let name: string;
  try {
    const { format } = await choose(loaded, device);
    ({ name } = format);
    checkOptions(format, options);
    if (args.mustWrite && !how.readonly && args.disk) options.set('force-rw', true);
    await rump.sys.mount(name, args.mountpoint, flags, device !== undefined ? { fspec: device, options } : { options });
  } catch (error) {
    throw await partitionsInstead(error, args, device);
  }
  mounting = false;
  const { f_flag } = await rump.sys.statvfs(args.mountpoint);
  const readonly = (f_flag & MNT_RDONLY) !== 0;
  const root = await rump.sys.open(args.mountpoint, O_PATH);
  const { survives } = rump.sys.fmounttraits(root);
  await rump.sys.close(root);
  const volume: ServedVolume = {
    sys: rump.sys,
    root: args.mountpoint,
    syncer: rump.syncer,
    readonly,
    reaches: disks === undefined || device === undefined ? [] : reaches(disks, device, readonly),
    ...(args.owner !== undefined ? { timeouts: { owner: args.owner } } : {}),
    fstype: name,
    // An overlay that does not know whether the host ran on forgets what has not been flushed.
    survives: survives !== 'no' && (args.overlay === undefined || ru.rumpuser_getparam(BOOT_ID_PARAM) !== undefined),
    log,
    close: () => rump.halt(),
    ...(notice !== undefined ? { notice } : {}),
    ...(args.trace ? { trace: (line: string) => void process.stderr.write(`${line}\n`) } : {}),
  };
  return volume;
};

serverMain(open);
