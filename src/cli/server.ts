/**
 * The program of a server process: a kernel with the one driver that the mount needs, on the descriptor it was given.
 */
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
import type * as identifyModule from '../fs/identify.js';
import { tmpfs } from '../fs/tmpfs/index.js';
import type { Reach } from '../fuse/sandbox/filter.js';
import { candidates } from '../fs/detect.js';
import type { DiskUse } from '../fuse/sandbox/lockdown.js';
import type { Place } from '../fuse/messages.js';
import { DEVICE_FD, serverMain, type OpenVolume, type ServedVolume, type Survey } from '../fuse/server-process.js';
import { selectVolume } from './device.js';
import { askersOwn, checkOptions, choose, loadFormats } from './volume-format.js';
import type { Asker } from './volume-format.js';
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
  /** Further disks of the volume, which come as descriptors behind those; what each is to it, and its name. */
  readonly further?: readonly { readonly role: string; readonly image: string }[];
  /** Whom every file is shown to belong to. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Who mounts: whose files they are on volumes that keep no owners. */
  readonly asker?: Asker;
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
  readonly further: ReadonlyMap<string, BlockDevice>;
  /** Of the largest plain file among them. */
  readonly file_bytes: number;
}

/** Descriptors: the disk, the overlay if there is one, further disks. */
const OVERLAY_FD = DEVICE_FD + 1;
const furtherFd = ({ overlay }: { readonly overlay?: unknown }, nth: number): number =>
  (overlay === undefined ? OVERLAY_FD : OVERLAY_FD + 1) + nth;
/** Half of the kernel's default: what falls out is in the host's page cache, and a server is to stay below 150 MB. */
const BUFCACHE_BYTES = 32 * 1024 * 1024;

/** Nothing of the disks is read. */
async function openDisks(ru: Rumpuser, args: ServerArguments, readonly: boolean): Promise<Disks> {
  let file_bytes = 0;
  const openOne = async (fd: number, image: string, how: { readonly: boolean }): Promise<BlockDevice> => {
    const device = await imageFromFd(ru, fd, image, how);
    if ((await ru.rumpuser_getfileinfo(fd)).type === 'file') file_bytes = Math.max(file_bytes, device.size_bytes);
    return device;
  };
  const only = { readonly: readonly || args.overlay !== undefined };
  const disk = await openOne(DEVICE_FD, args.image, only);
  const overlay =
    args.overlay === undefined ? undefined : await openOne(OVERLAY_FD, args.overlay, { readonly: false });
  const further = new Map<string, BlockDevice>();
  for (const [nth, { role, image }] of (args.further ?? []).entries()) {
    further.set(role, await openOne(furtherFd(args, nth), image, only));
  }
  return { disk, further, file_bytes, ...(overlay === undefined ? {} : { overlay }) };
}

/**
 * The volume's bytes of the disk: as they were found by a survey, or from an offset on, or all.
 * @throws EINVAL the disk is shorter than that
 */
function placeOn(disk: BlockDevice, args: ServerArguments, place: Place | undefined): BlockDevice {
  if (place !== undefined && args.partition !== undefined) {
    return new PartitionDevice(disk, place.start, place.end - place.start, `${disk.name} partition ${args.partition}`);
  }
  if (args.offset !== undefined) {
    return new PartitionDevice(disk, args.offset, disk.size_bytes - args.offset, `${disk.name} at ${args.offset}`);
  }
  return disk;
}

/** What is mounted: the place itself, or what lies over it. */
async function volumeOf(ru: Rumpuser, { disk, overlay }: Disks, place: BlockDevice): Promise<BlockDevice> {
  if (overlay === undefined) return place;
  const { start, end } = placeOf(place);
  const over = await overlayOn(ru, disk, overlay, { start, end });
  return place === disk
    ? over
    : new PartitionDevice(over, start, place.size_bytes, `${place.name} (overlay ${overlay.name})`);
}

/** What of the disks it takes to serve the volume at `place`. */
function reaches(disks: Disks, place: BlockDevice, readonly: boolean): Reach[] {
  const { disk, overlay } = disks;
  const more = [...disks.further.values()].map(({ size_bytes }, nth): Reach => {
    const write = !readonly && overlay === undefined;
    return { fd: furtherFd(disks, nth), start: 0, end: size_bytes, write, discard: false };
  });
  const { start, end } = placeOf(place);
  if (overlay === undefined) return [{ fd: DEVICE_FD, start, end, write: !readonly, discard: place === disk }, ...more];
  // What is copied up begins and ends with the overlay's blocks.
  const from = start - (start % OVERLAY_BLOCK_BYTES);
  const to = Math.min(disk.size_bytes, Math.ceil(end / OVERLAY_BLOCK_BYTES) * OVERLAY_BLOCK_BYTES);
  return [
    { fd: DEVICE_FD, start: from, end: to, write: false, discard: false },
    { fd: OVERLAY_FD, start: 0, end: overlay.size_bytes, write: true, discard: false },
    ...more,
  ];
}

/**
 * The partition table is the disk's: an overlay may come from anybody, and is not to say which part of the disk is
 * shown.
 */
const survey: Survey = async (raw, lockDown) => {
  const args = raw as ServerArguments;
  const ru = nodeRumpuser({ log: openLog(args.logLevel, args.logJson) });
  const disk = await imageFromFd(ru, DEVICE_FD, args.image, { readonly: true });
  await prepareNodeRumpuser();
  await lockDown({
    file_bytes: 0,
    reaches: [{ fd: DEVICE_FD, start: 0, end: disk.size_bytes, write: false, discard: false }],
  });
  const volume = await selectVolume(disk, args);
  const formats = args.type === undefined ? await candidates(volume) : [];
  return { ...placeOf(volume), formats: formats.map(({ name }) => name) };
};

/** Says what is there instead of a volume that could be mounted: loaded where it may be needed. */
type Identify = typeof identifyModule;

/**
 * In place of "no file system": which partitions there are to choose from, of a disk of which none was chosen; or what
 * else it is.
 */
async function whatInstead(
  error: unknown,
  args: ServerArguments,
  device: BlockDevice | undefined,
  identify: Identify | undefined,
): Promise<unknown> {
  if (!(error instanceof Errno) || error.errno !== E.EFTYPE || device === undefined) return error;
  if (args.partition === undefined && args.offset === undefined) {
    const { partitions } = await scan(device).catch(() => ({ partitions: [] }));
    if (partitions.length > 0) {
      return errno(
        E.EFTYPE,
        `${args.image} is divided into partitions: choose one with --partition (${listPartitions(partitions)})`,
      );
    }
  }
  const other = await identify?.notMountable(device);
  if (other !== undefined) return errno(E.EFTYPE, `${device.name} ${identify!.holds(other)}`);
  if (args.type === undefined) return error;
  const said = error.message.includes(device.name) ? error.message : `${device.name}: ${error.message}`;
  const likely = (await candidates(device)).filter(({ name }) => name !== args.type).map(({ name }) => name);
  if (likely.length === 0) return errno(E.EFTYPE, said);
  return errno(E.EFTYPE, `${said}; try it without -t ${args.type} (${likely.join(', ')}?)`);
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
  const type = how.fstype ?? args.type;
  const loaded = await loadFormats(type !== undefined ? [type] : (how.place?.formats ?? []), how.heir);
  const identify = loaded.length !== 1 ? await import('../fs/identify.js') : undefined;
  await prepareNodeRumpuser();
  const components = [...new Set([tmpfs, ...loaded.map(({ component }) => component)])];
  const rehearsal = how.heir ? await import('./rehearsal.js') : undefined;
  const place = disks === undefined ? undefined : placeOn(disks.disk, args, how.place);
  const use: DiskUse = {
    file_bytes: disks?.file_bytes ?? 0,
    reaches: disks === undefined ? [] : reaches(disks, place!, (flags & MNT_RDONLY) !== 0),
  };
  await how.lockDown(use, async (goOn) => rehearsal?.rehearse(ru, loaded, components, goOn));
  const rump = await RumpKernel.boot({
    rumpuser: ru, components, bufcache_bytes: BUFCACHE_BYTES, ...(how.keep !== undefined ? { keep: how.keep } : {}),
  });
  // The same path as on the host: FFS keeps on the disk where it was mounted.
  await makePath(rump.sys, args.mountpoint);
  const device = disks === undefined ? undefined : await volumeOf(ru, disks, place!);
  let name: string;
  try {
    const { format } = await choose(loaded, device);
    ({ name } = format);
    checkOptions(format, [...options.keys(), ...(disks?.further.keys() ?? [])]);
    if (args.asker !== undefined) askersOwn(format, options, args.asker);
    if (args.mustWrite && !how.readonly && args.disk) options.set('force-rw', true);
    await rump.sys.mount(name, args.mountpoint, flags, {
      options,
      ...(device !== undefined ? { fspec: device } : {}),
      ...(disks !== undefined && disks.further.size > 0 ? { disks: disks.further } : {}),
      ...(format.source === 'endpoint' ? { endpoint: args.image } : {}),
    });
  } catch (error) {
    throw await whatInstead(error, args, device, identify);
  }
  mounting = false;
  const root = await rump.sys.open(args.mountpoint, O_PATH);
  // Not by statvfs, for which some formats would count their free space first.
  const { survives, readonly } = rump.sys.fmounttraits(root);
  await rump.sys.close(root);
  const volume: ServedVolume = {
    sys: rump.sys,
    root: args.mountpoint,
    syncer: rump.syncer,
    readonly,
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

serverMain(open, survey);
