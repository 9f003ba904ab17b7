import { existsSync, fstatSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Format } from '../../fs/format.js';
import { MNT_NOATIME, MNT_RDONLY } from '../../kernel/fcntl.js';
import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import type { LogLevel } from '../../kernel/rumpuser/rumpuser.js';
import type { ImageDevice } from '../../blockdev/image.js';
import { openOverlayFile } from '../../blockdev/overlay.js';
import { launch, writeStanding } from '../../fuse/launch.js';
import type { MountReady } from '../../fuse/messages.js';
import { MountFailure } from '../../fuse/mount/failure.js';
import { closeForeign } from '../../fuse/sandbox/descriptors.js';
import type { SandboxOptions } from '../../fuse/sandbox/start.js';
import { supervise, type SuperviseOptions } from '../../fuse/supervisor.js';
import { openDisk, type Where } from '../device.js';
import { EXIT_MOUNT, Failure, words } from '../failure.js';
import { openLog } from '../log.js';
import { allFormats, formatOf } from '../formats.js';
import { newRecordFiles, removeRecord, writeRecord, type RecordFiles } from '../mounts.js';
import { parseMountOptions, type MountOptions } from '../options.js';
import type { ServerArguments } from '../server.js';
import { complain } from '../say.js';
import { parseBytes } from '../units.js';

export interface MountArguments extends Where {
  readonly dir: string;
  readonly options: readonly string[];
  readonly type?: string | undefined;
  readonly readOnly: boolean;
  readonly foreground: boolean;
  readonly trace: boolean;
  readonly channel?: 'dev-fuse' | 'fuse-native' | undefined;
  readonly logLevel: LogLevel;
  readonly logJson: boolean;
  readonly helper: boolean;
  readonly sandbox: boolean;
  readonly requireSandbox: boolean;
  readonly untrusted: boolean;
}

/**
 * A small young generation: 141 MB instead of 167 for all processes of a busy mount; a larger one gains nothing that
 * could be measured. One thread for V8's own work instead of four: program and server take turns, and more threads that
 * compile and collect take the processors from both (docs/PERFORMANCE.md).
 */
const SERVER_FLAGS = ['--max-semi-space-size=4', '--v8-pool-size=1'];

/** What was asked for. */
interface Asked {
  readonly options: MountOptions;
  /** undefined: the server looks at the disk for what it is. */
  readonly format: Format | undefined;
}

/** Does the volume lie on an image or device? */
function onDisk({ format }: Asked): boolean {
  return format === undefined || format.source === 'disk' || format.source === 'disks';
}

/**
 * Names of the options that a driver may take. Those of a format that is not known yet are looked over by the server.
 */
async function driverOptions(format: Format | undefined): Promise<Set<string>> {
  const formats =
    format !== undefined
      ? [format]
      : (await allFormats()).filter(({ source }) => source === 'disk' || source === 'disks');
  return new Set(formats.flatMap(({ options }) => options.map(({ name }) => name)));
}

/** What -o, the flags and the format say together. @throws Failure */
async function settle(argv: MountArguments): Promise<Asked> {
  const root = process.getuid?.() === 0;
  const asked = argv.readOnly ? [...argv.options, 'ro'] : argv.options;
  const early = parseMountOptions(asked, root, undefined);
  const lists = argv.untrusted
    ? [...(early.overlay === undefined ? ['ro'] : []), ...asked, 'nosuid,nodev,noexec']
    : asked;
  const type = argv.type ?? early.type;
  const format = type === undefined ? undefined : await formatOf(type);
  const options = parseMountOptions(lists, root, early.driver.size === 0 ? undefined : await driverOptions(format));
  if (argv.partition !== undefined) options.partition = argv.partition;
  if (argv.offset !== undefined) options.offset = parseBytes(String(argv.offset), '--offset');
  if (argv.channel !== undefined) options.channel = argv.channel;
  if (!root) refuseToUsers(options);
  // mount(8) always says rw; a volume that can only be read is then mounted read-only, as it is without.
  if (argv.helper) options.mustWrite = false;
  return { options, format };
}

/** The host makes the mounts of ordinary users without them, whatever is asked for. @throws Failure */
function refuseToUsers(options: MountOptions): void {
  for (const name of ['suid', 'dev'] as const) {
    if (options[name]) throw new Failure(`-o ${name}: only root may; what others mount is no${name}`);
  }
}

async function openImage(argv: MountArguments, options: MountOptions): Promise<ImageDevice> {
  const readonly = (options.flags & MNT_RDONLY) !== 0 || options.overlay !== undefined;
  const log = openLog(argv.logLevel, argv.logJson);
  try {
    return await openDisk(
      nodeRumpuser({ log }),
      argv,
      options.mustWrite && !readonly ? { writable: true } : { readonly },
    );
  } catch (error) {
    if (error instanceof Failure) throw new Failure(error.message, EXIT_MOUNT);
    throw error;
  }
}

/** A further disk of the volume, and what it is to it: see FormatOption's kind `disk`. */
interface FurtherDisk {
  readonly role: string;
  readonly device: ImageDevice;
}

/**
 * Takes the options that name further disks out of those for the driver, and opens the disks. Where the format is not
 * known yet, an option names one if it does so for any format.
 * @throws Failure
 */
async function openFurther(
  argv: MountArguments,
  { options, format }: Asked,
  readonly: boolean,
): Promise<FurtherDisk[]> {
  const formats = format !== undefined ? [format] : await allFormats();
  const roles = new Set(
    formats.flatMap((one) => one.options.filter(({ kind }) => kind === 'disk').map(({ name }) => name)),
  );
  const named = [...options.driver].filter(([name]) => roles.has(name));
  for (const [role, image] of named) {
    if (image === true) throw new Failure(`-o ${role}: needs an image or a device, as ${role}=FILE`);
    options.driver.delete(role);
  }
  const further: FurtherDisk[] = [];
  try {
    for (const [role, image] of named) {
      const ru = nodeRumpuser({ log: openLog(argv.logLevel, argv.logJson) });
      further.push({ role, device: await openDisk(ru, { image: image as string }, { readonly }) });
    }
    return further;
  } catch (error) {
    for (const { device } of further) await device.close();
    throw error instanceof Failure ? new Failure(error.message, EXIT_MOUNT) : error;
  }
}

/** Of a name that may lead on to another one: the file itself. */
function removeFile(name: string): void {
  try {
    rmSync(realpathSync(name));
  } catch {
    // It was never made.
  }
}

/** The file that takes what is written instead of the disk. */
async function openOverlay(
  argv: MountArguments,
  options: MountOptions,
  disk: ImageDevice | undefined,
): Promise<{ device: ImageDevice; made: boolean } | undefined> {
  if (options.overlay === undefined) return undefined;
  const made = !existsSync(options.overlay);
  if (disk === undefined) throw new Failure('-o overlay: this file system has no disk to put it over');
  try {
    return {
      device: await openOverlayFile(nodeRumpuser({ log: openLog(argv.logLevel, argv.logJson) }), disk, options.overlay),
      made,
    };
  } catch (error) {
    if (made) removeFile(options.overlay);
    throw new Failure(words(error), EXIT_MOUNT);
  }
}

function confinement(argv: MountArguments, asked: Asked): SandboxOptions {
  if (!argv.sandbox && (argv.untrusted || argv.requireSandbox)) {
    throw new Failure(`--no-sandbox contradicts ${argv.untrusted ? '--untrusted' : '--require-sandbox'}`);
  }
  const mode = argv.requireSandbox || argv.untrusted ? 'required' : argv.sandbox ? 'on' : 'off';
  return { mode, ...(onDisk(asked) ? {} : { memory_bytes: null }) };
}

/** In the order in which the server expects them (server.ts). */
function fdsOf(
  disk: ImageDevice | undefined,
  overlay: ImageDevice | undefined,
  further: readonly FurtherDisk[],
): number[] {
  return [disk, overlay, ...further.map(({ device }) => device)].flatMap((device) => device?.fd ?? []);
}

function plan(
  argv: MountArguments,
  asked: Asked,
  image: string,
  disk: ImageDevice | undefined,
  overlay: ImageDevice | undefined,
  further: readonly FurtherDisk[],
): SuperviseOptions {
  const { options, format } = asked;
  const readonly = (options.flags & MNT_RDONLY) !== 0 || (overlay === undefined && disk?.readonly === true);
  const args: ServerArguments = {
    ...(format !== undefined ? { type: format.name } : {}),
    disk: disk !== undefined, image, mountpoint: path.resolve(argv.dir),
    ...(options.partition !== undefined ? { partition: options.partition } : {}),
    ...(options.offset !== undefined ? { offset: options.offset } : {}),
    ...(overlay !== undefined ? { overlay: overlay.name } : {}),
    further: further.map(({ role, device }) => ({ role, image: device.name })),
    asker: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, umask: process.umask() },
    ...(argv.untrusted ? { owner: { uid: process.getuid!(), gid: process.getgid!() } } : {}),
    flags: options.flags | (readonly ? MNT_RDONLY : 0),
    mustWrite: options.mustWrite,
    options: [...options.driver],
    trace: argv.trace, logLevel: argv.logLevel, logJson: argv.logJson,
  };
  return {
    mount: {
      mountpoint: path.resolve(argv.dir),
      source: options.fsname ?? image,
      readonly,
      suid: options.suid, dev: options.dev, exec: options.exec, noatime: (options.flags & MNT_NOATIME) !== 0,
      allow_other: options.allowOther, default_permissions: options.defaultPermissions,
    },
    channel: options.channel,
    server: {
      entry: fileURLToPath(new URL('../server.js', import.meta.url)),
      args,
      survey: disk !== undefined && (options.partition !== undefined || format === undefined),
      execArgv: SERVER_FLAGS,
    },
    descriptors: fdsOf(disk, overlay, further),
    sandbox: confinement(argv, asked),
    survive: options.survive, standby: options.standby,
    ...(options.watchdog_s !== undefined ? { watchdog_s: options.watchdog_s } : {}),
  };
}

async function inBackground(
  options: SuperviseOptions,
  up: (ready: MountReady, files: RecordFiles) => void,
): Promise<void> {
  const files = newRecordFiles();
  let ready: MountReady;
  try {
    ready = await launch({ ...options, ...files });
  } catch (error) {
    rmSync(files.log, { force: true });
    throw error;
  }
  up(ready, files);
}

/** What the host's limits (proc(5), `limits`) allow this process; Infinity where there is none. */
function hostLimit(name: string): number {
  const limits = existsSync('/proc/self/limits') ? readFileSync('/proc/self/limits', 'latin1') : '';
  return Number(new RegExp(`^${name} +(\\d+)`, 'm').exec(limits)?.[1] ?? Infinity);
}

/** A write behind the limit would fail when it is too late to say so. `file`: what takes the writes. @throws Failure */
function checkFileSize(file: ImageDevice, disk: ImageDevice): void {
  const allowed = hostLimit('Max file size');
  if (file.readonly || !fstatSync(file.fd).isFile() || disk.size_bytes <= allowed) return;
  throw new Failure(
    `${file.name}: files may be written up to ${allowed} bytes here (ulimit -f), which is less than the disk has ` +
      `(${disk.size_bytes}): raise the limit, or mount read-only (-r)`,
  );
}

/** `rumpfuse mount IMAGE DIR`. Returns when the mount can be used, or with --foreground when it has ended. */
export async function mount(argv: MountArguments): Promise<number> {
  const asked = await settle(argv);
  const { options } = asked;
  const disk = onDisk(asked) ? await openImage(argv, options) : undefined;
  // Before anything is mounted: a name that does not begin at the root may lead into the mount afterwards.
  const image = disk === undefined ? argv.image : realpathSync(argv.image);
  let overlay: { device: ImageDevice; made: boolean } | undefined;
  let further: FurtherDisk[] = [];
  let mounted = false;
  const log = openLog(argv.logLevel, argv.logJson);
  const up = (ready: MountReady, files: Partial<RecordFiles>) => {
    mounted = true;
    if (ready.notice !== undefined) complain(`rumpfuse: ${ready.notice}`);
    writeRecord(ready.device, {
      pid: ready.pid,
      image,
      mountpoint: ready.mountpoint,
      type: ready.fstype,
      readonly: ready.readonly,
      since: new Date().toISOString(),
      sandbox: ready.sandbox,
      ...(ready.server_pid !== undefined ? { server_pid: ready.server_pid } : {}),
      survives: ready.survives,
      ...files,
    });
  };
  try {
    overlay = await openOverlay(argv, options, disk);
    if (disk !== undefined) checkFileSize(overlay?.device ?? disk, disk);
    const readonly = (options.flags & MNT_RDONLY) !== 0 || options.overlay !== undefined || disk?.readonly === true;
    if (disk !== undefined) further = await openFurther(argv, asked, readonly);
    closeForeign(fdsOf(disk, overlay?.device, further));
    const superviseOptions = plan(argv, asked, image, disk, overlay?.device, further);
    if (!argv.foreground && !argv.trace) {
      await inBackground(superviseOptions, up);
      return 0;
    }
    let device: string | undefined;
    const { standing } = newRecordFiles();
    const status = await supervise({ ...superviseOptions, hear: 'all' }, {
      ready: (ready) => {
        device = ready.device;
        up(ready, { standing });
      },
      changed: (now) => writeStanding(standing, now),
      say: log,
    });
    if (device !== undefined) removeRecord(device, process.pid);
    return status;
  } catch (error) {
    if (error instanceof MountFailure) throw new Failure(error.message, EXIT_MOUNT);
    throw error;
  } finally {
    await overlay?.device.close();
    for (const { device } of further) await device.close();
    // Nothing was written to it: a file that only looks as if there were something to keep.
    if (overlay?.made === true && !mounted) removeFile(options.overlay!);
    await disk?.close();
  }
}
