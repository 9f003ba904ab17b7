/** What is not to be destroyed by a slip: commands that write ask here first, unless they were told --force. */
import type { BlockDevice } from '../kernel/blkdev.js';
import { ambiguous, occupied } from '../care/occupied.js';
import { formatNamed } from '../fs/registry.js';
import { blkid } from './blkid.js';
import { refusePartitioned, type Where } from './device.js';
import { Failure } from './failure.js';

function nameOf({ image, partition, offset }: Where): string {
  if (partition !== undefined) return `partition ${partition} of ${image}`;
  return offset === undefined ? image : `${image} at ${offset}`;
}

/**
 * For what makes a volume: that its place is empty. `size_bytes`: of the volume.
 * @throws Failure that says what is there
 */
export async function refuseOccupied(
  disk: BlockDevice,
  volume: BlockDevice,
  where: Where,
  size_bytes: number | undefined,
): Promise<void> {
  if (volume === disk) {
    await refusePartitioned(disk, where, 'choose one with --partition, or lose them all with --force');
  }
  const why = await occupied(volume, {
    size_bytes,
    second: async (dev, ignoreTables) => blkid(where.image, dev, ignoreTables),
  });
  if (why !== undefined) {
    throw new Failure(`${nameOf(where)} ${why}: newfs would overwrite it; --force does it all the same`);
  }
}

/**
 * For what changes a volume: that it is one of that format, and nothing else as well. `change`: what would damage the
 * other ("a repair").
 * @throws Failure
 */
export async function refuseAmbiguous(
  volume: BlockDevice,
  format: string,
  where: Where,
  change: string,
): Promise<void> {
  const { name, aliases } = formatNamed(format)!;
  const known = new Set([name, ...aliases]);
  const why = await ambiguous(volume, name, async (dev, ignoreTables) => blkid(where.image, dev, ignoreTables, known));
  if (why !== undefined) {
    throw new Failure(`${nameOf(where)} ${why}: ${change} could destroy it; --force does it all the same`);
  }
}
