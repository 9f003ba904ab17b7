/**
 * Everything that is on a device, whether it can be mounted or not: for newfs, which must not overwrite it, for `info`,
 * and for the error of a mount.
 */
import type { BlockDevice } from '../kernel/blkdev.js';
import { E, Errno } from '../kernel/errno.js';
import { SCORE_PRESENT, detect, type Detected } from './detect.js';
import { RECOGNISERS, recognise, type Recognised } from './recognise/index.js';
import { formatNamed } from './registry.js';

/** A format that can be mounted. */
async function mountable(dev: BlockDevice, { format }: Detected): Promise<Recognised> {
  const plain: Recognised = {
    name: format.name,
    kind: 'filesystem',
    what: format.title,
    advice: 'mount it with rumpfuse',
  };
  try {
    const describe = await format.tools.describe!.load();
    const { facts } = await describe(dev);
    return { ...plain, what: `a volume of ${facts.format}`, size_bytes: facts.size };
  } catch (error) {
    if (error instanceof Errno && error.errno !== E.EIO) return plain;
    throw error;
  }
}

/** Of what cannot be mounted: what no driver has come for. */
const OTHERS = RECOGNISERS.filter(({ name }) => formatNamed(name) === undefined);

/**
 * What it is besides, or instead: the first thing that cannot be mounted; partition tables do not count.
 * @throws EIO
 */
export async function notMountable(dev: BlockDevice): Promise<Recognised | undefined> {
  return (await recognise(dev, OTHERS)).find(({ kind }) => kind !== 'table');
}

/** All that is recognised: formats that can be mounted first, the most likely of them before the others. @throws EIO */
export async function identify(dev: BlockDevice): Promise<Recognised[]> {
  const found: Recognised[] = [];
  for (const detected of await detect(dev)) {
    if (detected.score >= SCORE_PRESENT) found.push(await mountable(dev, detected));
  }
  return [...found, ...(await recognise(dev, OTHERS))];
}

/** For a sentence: "holds swap space (switch it off with swapoff)". */
export function holds({ what, advice }: Recognised): string {
  return `holds ${what}${advice === '' ? '' : ` (${advice})`}`;
}
