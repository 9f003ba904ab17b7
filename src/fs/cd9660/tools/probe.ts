import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno } from '../../../kernel/errno.js';
import { raw_device } from '../disk/rawsectors.js';
import { udf_bridge } from '../disk/udf.js';
import { iso_layout } from '../volume/layout.js';
import { volume_set } from '../volume/volumes.js';

/** Descriptors and a root directory on the disc. */
const SOUND = 90;
/**
 * The same, on a disc that is a UDF volume, too: that has all of the files, and this format perhaps a note for those
 * without UDF.
 */
const BRIDGE = 60;
/** A descriptor that names no root directory. */
const DAMAGED = 20;

/** See Format.probe. */
export async function iso_probe(device: BlockDevice): Promise<number> {
  const { dev } = await raw_device(device);
  const set = await volume_set(dev, 0);
  if (set === undefined) return 0;
  try {
    await iso_layout(dev, set, { rock: true, joliet: true, block: 0 });
  } catch (thrown) {
    if (thrown instanceof Errno && thrown.errno === E.EFTYPE) return DAMAGED;
    throw thrown;
  }
  return (await udf_bridge(dev)) ? BRIDGE : SOUND;
}
