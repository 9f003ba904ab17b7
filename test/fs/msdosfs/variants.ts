import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { newfs } from '../../../src/fs/msdosfs/tools/newfs.js';
import type { NewfsOptions } from '../../../src/fs/msdosfs/tools/newfs.js';
import type { Feature } from '../../../testing/matrix/fs.js';
import type { Variant } from '../../../testing/variants/variant.js';
import { fsckFat } from './volumes.js';

const FEATURES: readonly Feature[] = [
  'fallocate',
  'filehandles',
  'flock',
  'recordlocks',
  'limited',
  'readonly',
  'update',
  'remount',
  'processes',
  'birthtime',
];

/** What files without owners and modes, names that fold, and times from 1980 on make impossible. */
const EXPECTED = {
  'names: upper and lower case differ': 'names that differ in case alone are the same',
  'names: what is not alphanumeric': 'names cannot have all characters',
  'access: of files and directories': 'every file has the mode that the mount gives it',
  'times: of whole seconds, from 1970 to 2037': 'times begin with 1980',
};

const MIB = 2 ** 20;

async function stranger(dev: MemoryDevice): Promise<string | undefined> {
  const said = await fsckFat(dev);
  return said === '' ? undefined : said;
}

/** `options`: for volumes of `size_bytes` at the least; smaller ones are what their size suits. */
function fat(
  name: string,
  size_bytes: number,
  options: NewfsOptions,
  more: Pick<Variant, 'harnesses'> & Partial<Variant>,
): Variant {
  const disk = async (wanted: number): Promise<MemoryDevice> => {
    const dev = new MemoryDevice({ size_bytes: wanted });
    await newfs(dev, wanted < size_bytes ? { fats: options.fats ?? 2 } : options);
    return dev;
  };
  return {
    name,
    type: 'msdosfs',
    disk,
    size_bytes,
    mount: () => ({ tz: 'UTC' }),
    features: FEATURES,
    expected: EXPECTED,
    stranger,
    ...more,
  };
}

function cut(name: string, size_bytes: number, options: NewfsOptions): Variant {
  return fat(name, size_bytes, options, { harnesses: ['powercut'], powercut: { promise: 'sound', size_bytes } });
}

export const variants: readonly Variant[] = [
  fat(
    'fat16',
    16 * MIB,
    { type: 16, clusterBytes: 2048, rootEntries: 2048 },
    { harnesses: ['matrix', 'mount', 'model', 'fsx', 'faults'] },
  ),
  fat('fat12', 16 * MIB, { type: 12, clusterBytes: 32768 }, { harnesses: ['model', 'fsx'] }),
  fat('fat32', 34 * MIB, { type: 32, clusterBytes: 512 }, { harnesses: ['model', 'fsx'] }),
  cut('fat12-cut', 1_900_000, { type: 12, clusterBytes: 1024 }),
  cut('fat16-cut', 3 * MIB, { type: 16, clusterBytes: 512, fats: 1 }),
  fat('fat32-survive', 64 * MIB, { type: 32 }, { harnesses: ['survive'], survive: { newfs: ['--fat', '32'] } }),
  cut('fat32-cut', 34 * MIB, { type: 32, clusterBytes: 512 }),
];
