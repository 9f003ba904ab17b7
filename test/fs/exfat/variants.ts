import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { newfs, type NewfsOptions } from '../../../src/fs/exfat/tools/newfs.js';
import type { Feature } from '../../../testing/matrix/fs.js';
import type { Variant } from '../../../testing/variants/variant.js';
import { has, strangersays } from './volumes.js';

const FEATURES: readonly Feature[] = [
  'fallocate', 'filehandles', 'flock', 'recordlocks', 'limited', 'readonly', 'update', 'remount', 'processes',
  'birthtime',
];

/** What files without owners and modes, names that fold, and times from 1980 on make impossible. */
const EXPECTED = {
  'names: upper and lower case differ': 'names that differ in case alone are the same',
  'names: what is not alphanumeric': 'names cannot have all characters',
  'access: of files and directories': 'every file has the mode that the mount gives it',
  'times: of whole seconds, from 1970 to 2037': 'times begin with 1980',
};

const stranger = async (dev: MemoryDevice): Promise<string | undefined> =>
  has('fsck.exfat') ? strangersays(dev) : undefined;

function exfat(name: string, options: NewfsOptions, more: Pick<Variant, 'harnesses'> & Partial<Variant>): Variant {
  const disk = async (size_bytes: number): Promise<MemoryDevice> => {
    const dev = new MemoryDevice({ size_bytes });
    await newfs(dev, options);
    return dev;
  };
  return { name, type: 'exfat', disk, features: FEATURES, expected: EXPECTED, ...more };
}

/** Little more than the files take: space is used again as soon as it may be. */
const CUT = { harnesses: ['powercut'], powercut: { promise: 'sound', size_bytes: 1_900_000 }, stranger } as const;

/** So full that there is no room for a copy of every file. */
const FULL = {
  harnesses: ['powercut'],
  powercut: { promise: 'sound', size_bytes: 1_900_000, spare_bytes: 330_000, orphans: false },
  stranger,
} as const;

export const variants: readonly Variant[] = [
  exfat(
    'exfat-4k', { clusterSize: 4096 },
    { harnesses: ['matrix', 'mount', 'model', 'fsx', 'faults', 'survive'], stranger, survive: { newfs: [] } },
  ),
  exfat('exfat-512', { clusterSize: 512 }, { harnesses: ['model', 'fsx'] }),
  exfat('exfat-64k-4ks', { clusterSize: 65536, sectorSize: 4096, packBitmap: true }, { harnesses: ['model', 'fsx'] }),
  exfat('exfat-512-cut', { clusterSize: 512 }, CUT),
  exfat('exfat-4k-cut', { clusterSize: 4096 }, CUT),
  exfat('exfat-512-full', { clusterSize: 512 }, FULL),
];
