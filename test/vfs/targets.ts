import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { Feature, Target } from './matrix/fs.js';
import { rumpVolume } from './matrix/rumpvolume.js';

const tmpfsFeatures: readonly Feature[] = [
  'hardlinks', 'symlinks', 'devices', 'fifos', 'owners', 'modes', 'nstimes', 'times64', 'birthtime', 'flags', 'xattr', 'holes',
  'seekhole', 'fallocate', 'fdiscard', 'filehandles', 'flock', 'recordlocks', 'bytenames', 'limited', 'readonly', 'update',
  'processes', 'linkcounts', 'blocks', 'bsdgroups',
];

/** What the matrix and the random tests run on. */
export const tmpfsTarget: Target = {
  name: 'tmpfs',
  features: new Set(tmpfsFeatures),
  make: (size_bytes = 64 * 2 ** 20) => rumpVolume({ component: tmpfs, options: { size: `${size_bytes}` } }),
};
