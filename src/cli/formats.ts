/** Formats as the command line has them: by name, by the options they take, by what is on a device. */
import type { BlockDevice } from '../kernel/blkdev.js';
import type { Partition } from '../blockdev/label/partition-table.js';
import { SCORE_PRESENT, detect, type Detected } from '../fs/detect.js';
import type { Format, Make, OptionValues } from '../fs/format.js';
import { FORMATS, formatNamed } from '../fs/registry.js';
import { Failure } from './failure.js';

/** What `newfs` makes when it is not told. */
export const DEFAULT_FORMAT = 'ffs';

/** The format that `-t` names. @throws Failure for one that there is not */
export async function formatOf(type: string): Promise<Format> {
  const found = formatNamed(type);
  if (found === undefined) {
    throw new Failure(`-t ${type}: no such file system; there are ${FORMATS.map(({ name }) => name).join(', ')}`);
  }
  const format = await found.load();
  const implied = format.implied?.[type.toLowerCase()];
  return implied === undefined ? format : implying(format, implied);
}

/** The format whose `newfs` takes these options for given, unless others are. */
function implying(format: Format, implied: OptionValues): Format {
  const { make } = format.tools;
  if (make === undefined) return format;
  const load = async (): Promise<Make> => {
    const run = await make.load();
    return (dev, values, how) => run(dev, { ...implied, ...values }, how);
  };
  return { ...format, tools: { ...format.tools, make: { ...make, load } } };
}

/** Every format, loaded: for --help and what else is about all of them. */
export async function allFormats(): Promise<Format[]> {
  return Promise.all(FORMATS.map((format) => format.load()));
}

/** The formats that a partition of that type usually holds: Format.partitionTypes. */
export async function usualFormats({ scheme, type }: Pick<Partition, 'scheme' | 'type'>): Promise<Format[]> {
  const wanted = `${scheme}:${type.toLowerCase()}`;
  return (await allFormats()).filter(({ partitionTypes }) => partitionTypes.includes(wanted));
}

/** Of several that are there to the same degree, none is the one that is meant. @throws Failure */
export function mostLikely(found: readonly Detected[], where: string): Format | undefined {
  const [first, second] = found;
  if (first === undefined) return undefined;
  if (second !== undefined && second.score === first.score && first.score >= SCORE_PRESENT) {
    const same = found.filter(({ score }) => score === first.score).map(({ format }) => format.name);
    throw new Failure(`${where} may be one of several file systems (${same.join(', ')}): say which with -t`);
  }
  return first.format;
}

/**
 * What is on the device; undefined if it is nothing that rumpfuse knows.
 * @throws Failure if it may be several things
 */
export async function formatOn(device: BlockDevice): Promise<Format | undefined> {
  return mostLikely(await detect(device), device.name);
}
