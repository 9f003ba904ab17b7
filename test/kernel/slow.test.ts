import t from 'tap';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { matrix } from '../../testing/matrix/matrix.js';
import { rumpVolume } from '../../testing/matrix/rumpvolume.js';
import { variants } from '../fs/tmpfs/variants.js';
import { randomPause, slowfs } from './slowfs.js';

/** The whole conformance matrix over a driver that sleeps in every operation. */
await matrix(t, {
  name: 'slow tmpfs',
  features: new Set(variants[0]!.features),
  make: (size_bytes = 64 * 2 ** 20) =>
    rumpVolume({
      component: slowfs({ ...tmpfs, vfsops: { ...tmpfs.vfsops!, vfs_name: 'slowfs' } }, randomPause(7)),
      options: { size: `${size_bytes}` },
    }),
});
