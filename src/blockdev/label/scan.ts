/** What is partitioned how, and from what a person asked for (`--partition`) to the device to mount. */
import type { BlockDevice } from '../../kernel/blkdev.js';
import { E, errno } from '../../kernel/errno.js';
import { PartitionDevice } from '../partition.js';
import type { Partition } from './partition-table.js';
import { scan } from './tables.js';

export { scan };

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A size for people: "512 MiB", "1.5 GiB". */
export function humanSize(bytes: number): string {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${Number(bytes.toFixed(1))} ${UNITS[unit]}`;
}

function describe(p: Partition): string {
  return `${p.path} (${p.label === undefined ? '' : `"${p.label}", `}${p.type_name}, ${humanSize(p.size_bytes)})`;
}

/** In one line, for messages. */
export function listPartitions(partitions: readonly Partition[]): string {
  return partitions.map(describe).join(', ');
}

/**
 * The partitions that `spec` may mean: its path, a letter that is unique, its name or GUID. Names as the BSDs write
 * them ("s1a", "p2") are understood.
 */
function matches(partitions: readonly Partition[], spec: string): Partition[] {
  const path = /^[sp](\d+[a-zA-Z]?)$/.exec(spec)?.[1] ?? spec;
  for (const test of [
    (p: Partition) => p.path === path,
    (p: Partition) => /^[a-zA-Z]$/.test(path) && p.path.endsWith(path),
    (p: Partition) => p.label === spec,
    (p: Partition) => p.guid === spec.toLowerCase(),
  ]) {
    const found = partitions.filter(test);
    if (found.length > 0) return found;
  }
  return [];
}

export interface Selection {
  readonly partition: Partition;
  /** Closing it closes the disk. */
  readonly device: PartitionDevice;
}

/**
 * A partition of the disk, as a device.
 * @throws ENXIO there is no such partition, or it does not lie on the disk; EINVAL `spec` means more than one. The
 * message lists what there is. EIO.
 */
export async function selectPartition(dev: BlockDevice, spec: string): Promise<Selection> {
  const { partitions, remarks } = await scan(dev);
  const found = matches(partitions, spec);
  if (found.length === 0) {
    const why = remarks.length > 0 ? ` (${remarks.join('; ')})` : '';
    throw errno(
      E.ENXIO,
      partitions.length === 0
        ? `${dev.name} has no partition table that is understood${why}`
        : `${dev.name} has no partition ${spec}; it has ${listPartitions(partitions)}${why}`,
    );
  }
  if (found.length > 1) {
    throw errno(E.EINVAL, `${dev.name} has more than one partition ${spec}: say which of ${listPartitions(found)}`);
  }
  const partition = found[0]!;
  return { partition, device: partitionDevice(dev, partition) };
}

/** @throws ENXIO it does not lie on the disk */
export function partitionDevice(dev: BlockDevice, partition: Partition): PartitionDevice {
  if (partition.problem !== undefined) {
    throw errno(E.ENXIO, `partition ${partition.path} of ${dev.name} cannot be used: ${partition.problem}`);
  }
  return new PartitionDevice(
    dev,
    partition.offset_bytes,
    partition.size_bytes,
    `${dev.name} partition ${partition.path}`,
  );
}
