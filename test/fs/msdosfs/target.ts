import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { msdosfs } from '../../../src/fs/msdosfs/index.js';
import { fsck } from '../../../src/fs/msdosfs/tools/fsck/index.js';
import { newfs } from '../../../src/fs/msdosfs/tools/newfs.js';
import type { NewfsOptions } from '../../../src/fs/msdosfs/tools/newfs.js';
import type { Feature, Target } from '../../../testing/matrix/fs.js';
import { rumpVolume } from '../../../testing/matrix/rumpvolume.js';
import { fsckFat } from './volumes.js';

const features: readonly Feature[] = ['fallocate', 'filehandles', 'flock', 'recordlocks', 'limited', 'readonly', 'update', 'remount', 'processes', 'birthtime'];

/** FAT on a memory disk; after every unmount both checkers look at it. */
function fatTarget(name: string, options: NewfsOptions, size = 16 * 2 ** 20): Target {
  return {
    name,
    features: new Set(features),
    async make(size_bytes = size) {
      const dev = new MemoryDevice({ size_bytes });
      // What is to be small is FAT12, whatever was asked for.
      await newfs(dev, size_bytes < size ? { fats: options.fats ?? 2 } : options);
      return rumpVolume({
        component: msdosfs,
        dev,
        options: { tz: 'UTC' },
        async check() {
          const report = await fsck(dev, { mode: 'check' });
          if (!report.clean) throw new Error(`fsck: ${report.problems.slice(0, 5).map(({ message }) => message).join('; ')}${report.problemCount === 0 ? 'not marked clean' : ''}`);
          const says = await fsckFat(dev);
          if (says !== '') throw new Error(`fsck.fat: ${says}`);
        },
      });
    },
  };
}

export const targets = {
  'fat12': fatTarget('fat12', { type: 12, clusterBytes: 8192 }, 8 * 2 ** 20),
  'fat16': fatTarget('fat16', { type: 16, clusterBytes: 2048, rootEntries: 2048 }),
  'fat32': fatTarget('fat32', { type: 32, clusterBytes: 512 }, 34 * 2 ** 20),
} as const;
