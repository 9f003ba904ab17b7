import t from 'tap';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { Feature } from './matrix/fs.js';
import { matrix } from './matrix/matrix.js';
import { rumpVolume } from './matrix/rumpvolume.js';

const features: readonly Feature[] = [
  'hardlinks', 'symlinks', 'devices', 'fifos', 'owners', 'modes', 'nstimes', 'times64', 'birthtime', 'flags', 'xattr', 'holes',
  'seekhole', 'fallocate', 'fdiscard', 'filehandles', 'flock', 'recordlocks', 'bytenames', 'limited', 'readonly', 'update',
  'processes', 'linkcounts', 'blocks',
];

await matrix(t, {
  name: 'tmpfs',
  features: new Set(features),
  make: (size_bytes = 64 * 2 ** 20) => rumpVolume({ component: tmpfs, options: { size: `${size_bytes}` } }),
});
