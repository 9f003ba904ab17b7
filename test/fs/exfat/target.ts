import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { exfat } from '../../../src/fs/exfat/index.js';
import { fsck } from '../../../src/fs/exfat/tools/fsck/index.js';
import type { NewfsOptions } from '../../../src/fs/exfat/tools/newfs.js';
import { newfs } from '../../../src/fs/exfat/tools/newfs.js';
import type { Feature, Target } from '../../../testing/matrix/fs.js';
import { rumpVolume } from '../../../testing/matrix/rumpvolume.js';
import { has, strangersays } from './volumes.js';

const features: readonly Feature[] = [
  'fallocate', 'filehandles', 'flock', 'recordlocks', 'limited', 'readonly', 'update', 'remount', 'processes', 'birthtime',
];

/** exFAT on a memory disk; after every unmount both checkers look at it. */
export function exfatTarget(name: string, options: NewfsOptions, stranger = true): Target {
  return {
    name,
    features: new Set(features),
    async make(size_bytes = 16 * 2 ** 20) {
      const dev = new MemoryDevice({ size_bytes });
      await newfs(dev, options);
      return rumpVolume({
        component: exfat,
        dev,
        async check() {
          const report = await fsck(dev, 'check');
          if (!report.clean) throw new Error(`fsck: ${report.problems.slice(0, 5).map(({ message }) => message).join('; ')}${report.problemCount === 0 ? 'not marked clean' : ''}`);
          const says = stranger && has('fsck.exfat') ? await strangersays(dev) : undefined;
          if (says !== undefined) throw new Error(`fsck.exfat: ${says}`);
        },
      });
    },
  };
}

export const targets = {
  'exfat-4k': exfatTarget('exfat-4k', { clusterSize: 4096 }),
  'exfat-512': exfatTarget('exfat-512', { clusterSize: 512 }, false),
  'exfat-64k-4ks': exfatTarget('exfat-64k-4ks', { clusterSize: 65536, sectorSize: 4096, packBitmap: true }, false),
} as const;
