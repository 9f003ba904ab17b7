/**
 * What stands against writing a volume to a device, or changing one that is there: asked by newfs, tunefs and fsck, of
 * the command line and of the library, unless they are told to go on regardless.
 */
import type { BlockDevice } from '../kernel/blkdev.js';
import { placeOf } from '../blockdev/partition.js';
import { contentAt } from '../blockdev/content.js';
import { holds, identify } from '../fs/identify.js';
import { claimsOnPlace, isNamed } from './surroundings.js';

/** Where a partition begins with its disk, the disk's table and boot code lie in what newfs leaves alone; bytes. */
const BOOT_AREA_BYTES = 64 * 1024;

/** Asks another program what is on the device; answers in words, or undefined if it knows nothing. */
export type SecondOpinion = (dev: BlockDevice, ignoreTables: boolean) => Promise<string | undefined>;

/**
 * Why `dev` is not empty, in words that go on after its name ("holds swap space (...)"); undefined if nothing was
 * found: then all that was looked at is zeros. `size_bytes`: what of it will be used, all by default. @throws EIO
 */
export async function occupied(
  dev: BlockDevice,
  options: { size_bytes?: number | undefined; second?: SecondOpinion } = {},
): Promise<string | undefined> {
  const { disk, start, end } = placeOf(dev);
  const place = {
    disk,
    start,
    end: options.size_bytes === undefined ? end : Math.min(end, start + options.size_bytes),
  };
  const claim = await claimsOnPlace(place);
  if (claim !== undefined) return claim;
  const named = dev !== disk && (await isNamed({ disk, start, end }));
  // The table that led here may begin where the partition does.
  const found = (await identify(dev)).filter(({ kind }) => !(named && kind === 'table'));
  if (found.length > 0) return holds(found[0]!);
  const second = await options.second?.(dev, named);
  if (second !== undefined) return `holds ${second}`;
  const at = await contentAt(dev, named ? BOOT_AREA_BYTES : 0);
  return at === undefined ? undefined : `is not empty: there is something at byte ${at} that nobody recognises`;
}

/**
 * Why `dev`, on which a volume of the format `name` is expected, may be something else as well, in words that go on
 * after its name; undefined if nothing speaks against changing it. A volume that an old one shows through (its
 * superblock was left where the new one has nothing) is such a case. @throws EIO
 */
export async function ambiguous(dev: BlockDevice, name: string, second?: SecondOpinion): Promise<string | undefined> {
  const found = await identify(dev);
  const own = found.find((one) => one.name === name);
  const other = found.find((one) => one.name !== name && one.kind !== 'table');
  if (other !== undefined) {
    return own === undefined ? holds(other) : `holds ${other.what} as well as ${own.what}: one of them is a remnant`;
  }
  if (own !== undefined) {
    const { disk, start, end } = placeOf(dev);
    const claim = await claimsOnPlace(
      { disk, start, end: Math.min(end, start + (own.size_bytes ?? end - start)) },
      true,
    );
    if (claim !== undefined) return `holds ${own.what}, which ${claim}`;
  }
  const said = await second?.(dev, true);
  return said === undefined ? undefined : `holds ${said}${own === undefined ? '' : ` as well as ${own.what}`}`;
}
