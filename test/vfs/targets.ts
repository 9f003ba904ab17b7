import { MemoryDevice } from '../../src/blockdev/memory.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { ffs } from '../../src/fs/ffs/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import type { NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { Feature, Target } from '../../testing/matrix/fs.js';
import { rumpVolume } from '../../testing/matrix/rumpvolume.js';

/** What every driver of ours can do that keeps Unix files. */
const unixFeatures: readonly Feature[] = [
  'hardlinks', 'symlinks', 'devices', 'fifos', 'owners', 'modes', 'nstimes', 'flags', 'holes', 'seekhole', 'fallocate', 'fdiscard', 'filehandles',
  'flock', 'recordlocks', 'bytenames', 'limited', 'readonly', 'update', 'processes', 'linkcounts', 'blocks', 'bsdgroups',
];
const MIB = 2 ** 20;

/** What the matrix and the random tests run on. */
export const tmpfsTarget: Target = {
  name: 'tmpfs',
  features: new Set([...unixFeatures, 'times64', 'birthtime', 'xattr']),
  make: (size_bytes = 64 * MIB) => rumpVolume({ component: tmpfs, options: { size: `${size_bytes}` } }),
};

/** FFS on a memory disk made by our newfs; our checker looks at it after every unmount. */
function ffsTarget(name: string, options: NewfsVolumeOptions, mountOptions: Record<string, string | true> = {}): Target {
  const ufs2 = options.format === 2 || options.format === '2ea';
  const features: Feature[] = [...unixFeatures, 'remount'];
  if (ufs2) features.push('times64', 'birthtime');
  if (options.format === '2ea') features.push('xattr');
  return {
    name,
    features: new Set(features),
    async make(size_bytes = 16 * MIB) {
      const dev = new MemoryDevice({ size_bytes });
      await newfs(dev, options);
      return rumpVolume({
        component: ffs,
        options: mountOptions,
        dev,
        async check() {
          const report = await fsck(dev);
          if (report.clean) return;
          const problems = report.problems.slice(0, 5).map((problem) => problem.message);
          throw new Error(`fsck: ${report.problemCount} problems${report.markedClean ? '' : ', not marked clean'}: ${problems.join('; ')}`);
        },
      });
    },
  };
}

/** Every format in both byte orders; blocks and fragments of several sizes. */
export const ffsTargets = {
  'ffs0-le': ffsTarget('ffs0-le', { format: 0, endian: 'little' }),
  'ffs1-le': ffsTarget('ffs1-le', { format: 1, endian: 'little' }),
  'ffs1-be': ffsTarget('ffs1-be', { format: 1, endian: 'big', blockSize: 16384, fragSize: 2048 }),
  'ffs2-le': ffsTarget('ffs2-le', { format: 2, endian: 'little', blockSize: 16384, fragSize: 2048 }),
  'ffs2-be': ffsTarget('ffs2-be', { format: 2, endian: 'big', blockSize: 8192, fragSize: 8192 }),
  'ffs2ea-le': ffsTarget('ffs2ea-le', { format: '2ea', endian: 'little', blockSize: 4096, fragSize: 512 }),
} as const;

/** With journals so small that they come round often; the volumes of the tests have room for them. */
const loggedTargets: readonly Target[] = [
  ffsTarget('ffs1-le-log', { format: 1, endian: 'little', blockSize: 4096, fragSize: 1024 }, { log: '256k' }),
  ffsTarget('ffs1-be-log', { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024 }, { log: '360k' }),
  ffsTarget('ffs2-le-log', { format: 2, endian: 'little', blockSize: 4096, fragSize: 512 }, { log: '256k' }),
  ffsTarget('ffs2-be-log', { format: 2, endian: 'big', blockSize: 8192, fragSize: 2048 }, { log: '360k', 'log-endian': 'little' }),
];

export const randomTargets: readonly Target[] = [tmpfsTarget, ...Object.values(ffsTargets), ...loggedTargets];
