import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import type { BlockDevice } from '../../kernel/blkdev.js';
import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import { partitionDevice, scan } from '../../blockdev/label/scan.js';
import type { Partition } from '../../blockdev/label/partition-table.js';
import type { Description, Format } from '../../fs/format.js';
import { holds, notMountable } from '../../fs/identify.js';
import type { Recognised } from '../../fs/recognise/index.js';
import type { Layer } from '../../fuse/sandbox/layers.js';
import { openDisk, selectVolume, type Where } from '../device.js';
import { Failure, words } from '../failure.js';
import { formatOn, usualFormats } from '../formats.js';
import { listMounts, type HostMount } from '../mounts.js';
import { say, sayJson } from '../say.js';
import { formatBytes } from '../units.js';

export interface InfoArguments extends Where {
  readonly json: boolean;
}

/** What is on a device: a description of its volume, or what else it is, or why there is none. */
interface Content {
  readonly format?: Format;
  readonly volume?: Description;
  readonly other?: Recognised;
  readonly trouble?: string;
  /** Nothing was recognised. */
  readonly unknown?: true;
}

async function lookAt(dev: BlockDevice): Promise<Content> {
  try {
    const format = await formatOn(dev);
    if (format === undefined) {
      const other = await notMountable(dev);
      return other === undefined
        ? { unknown: true, trouble: `${dev.name}: no file system that rumpfuse knows` }
        : { other, trouble: `${dev.name} ${holds(other)}` };
    }
    const describe = await format.tools.describe!.load();
    return { format, volume: await describe(dev) };
  } catch (error) {
    return { trouble: words(error) };
  }
}

function line(indent: string, name: string, value: string): void {
  say(`${indent}${`${name}:`.padEnd(14)}${value}`);
}

/** `mounts`: of the image. A volume that is being written is not clean, and nothing is wrong with it. */
function printVolume({ volume, trouble }: Content, indent: string, mounts: readonly HostMount[]): void {
  if (volume === undefined) {
    say(`${indent}${trouble ?? ''}`);
    return;
  }
  const { clean, last_mounted_on } = volume.facts;
  const written = mounts.find(
    (mount) => clean === false && mount.details?.readonly === false && mount.mountpoint === last_mounted_on,
  );
  for (const [name, value] of volume.lines) {
    if (written === undefined) {
      line(indent, name, value);
    } else if (name === 'state') {
      line(indent, name, `mounted on ${written.mountpoint} and being written; the rest is what is on the disk now`);
    } else if (name !== 'read-only') {
      line(indent, name, value);
    }
  }
}

/** A partition of the table. */
interface Part {
  readonly partition: Partition;
  /** undefined: it cannot be looked at. */
  readonly content: Content | undefined;
  /** Names of the formats that partitions of its type usually hold. */
  readonly usual: readonly string[];
}

function printPartition({ partition, content, usual }: Part, mounts: readonly HostMount[]): void {
  const label = partition.label === undefined ? '' : ` "${partition.label}"`;
  say(
    `  ${partition.path.padEnd(5)}${formatBytes(partition.size_bytes)} at ${partition.offset_bytes}  ` +
      `${partition.type_name} (${partition.scheme} ${partition.type})${label}`,
  );
  if (partition.problem !== undefined) say(`       cannot be used: ${partition.problem}`);
  else if (content?.volume !== undefined) printVolume(content, '       ', mounts);
  else if (content?.other !== undefined) say(`       ${holds(content.other)}`);
  else if (content?.unknown !== true) say(`       ${content?.trouble ?? ''}`);
  else if (usual.length > 0) say(`       nothing that rumpfuse knows; usually it is ${usual.join(' or ')}`);
}

function printSandbox(layers: readonly Layer[]): void {
  if (layers.length === 0) return void say('  sandbox:      none');
  say('  sandbox:');
  for (const { name, on, detail } of layers) say(`    [${on ? 'on ' : 'OFF'}] ${name.padEnd(14)} ${detail ?? ''}`);
}

/** Who serves it, and who would go on. */
function printServers({ details, standing }: HostMount): void {
  const { server_pid, survives } = details!;
  const mortal =
    standing?.outgrown === true
      ? '; its death would end the mount now: there are more changes than another one could be left'
      : survives === true
        ? ''
        : '; its death ends the mount';
  if (server_pid !== undefined) say(`  server:       process ${server_pid}${mortal}`);
  if (standing?.standby_pid !== undefined) say(`  stand-by:     process ${standing.standby_pid}`);
  if (standing !== undefined && standing.restarts > 0) say(`  restarts:     ${standing.restarts}`);
  if (standing?.turned_readonly === true) say('  read-only:    since a request was the end of several servers');
}

/** A mounted volume: `rumpfuse info DIR`. */
function infoOfMount(dir: string, json: boolean): void {
  const absolute = path.resolve(dir);
  const mount = listMounts().findLast((candidate) => candidate.mountpoint === absolute);
  if (mount === undefined) throw new Failure(`${dir} is a directory, not an image or a device, and no rumpfuse mount`);
  if (json) {
    sayJson(mount);
    return;
  }
  say(`${mount.mountpoint}: ${mount.details?.type ?? 'unknown'} from ${mount.details?.image ?? mount.source}`);
  say(`  options:      ${[...new Set(mount.options.split(','))].join(',')}`);
  say(`  served by:    ${mount.pid === undefined ? 'nobody any more' : `process ${mount.pid}`}`);
  if (mount.details === undefined) return;
  say(`  since:        ${mount.details.since}`);
  printServers(mount);
  printSandbox(mount.details.sandbox);
}

/** `rumpfuse info IMAGE`: partitions, and what is on each. */
export async function info(argv: InfoArguments): Promise<void> {
  if (statSync(argv.image, { throwIfNoEntry: false })?.isDirectory()) return infoOfMount(argv.image, argv.json);
  const disk = await openDisk(nodeRumpuser(), argv, { readonly: true, exclusive: false });
  try {
    const device = await selectVolume(disk, argv);
    const whole = await lookAt(device);
    const table = device === disk ? await scan(disk) : { partitions: [], remarks: [] };
    const parts: Part[] = [];
    for (const partition of table.partitions) {
      parts.push({
        partition,
        content: partition.problem === undefined ? await lookAt(partitionDevice(disk, partition)) : undefined,
        usual: (await usualFormats(partition)).map(({ name }) => name),
      });
    }
    const image = realpathSync(argv.image);
    const mounts = listMounts().filter((mount) => mount.details?.image === image);
    if (argv.json) {
      const volume = (content: Content | undefined) =>
        content?.volume === undefined
          ? { recognised: content?.other }
          : { type: content.format!.name, volume: content.volume.facts };
      sayJson({
        image: argv.image, size_bytes: device.size_bytes, sector_bytes: device.sector_bytes, ...volume(whole),
        mounted_on: mounts.map(({ mountpoint }) => mountpoint),
        partitions: parts.map(({ partition, content, usual }) => ({
          ...partition,
          usual_types: usual,
          ...volume(content),
        })),
        remarks: table.remarks,
      });
      return;
    }
    say(`${device.name}: ${formatBytes(device.size_bytes)}, sectors of ${device.sector_bytes} bytes`);
    if (whole.volume !== undefined || parts.length === 0) printVolume(whole, '  ', mounts);
    for (const part of parts) printPartition(part, mounts);
    for (const remark of table.remarks) say(`  note: ${remark}`);
    if (whole.volume === undefined && parts.length === 0) {
      throw new Failure(`${argv.image}: nothing here that rumpfuse can mount`);
    }
  } finally {
    await disk.close();
  }
}
