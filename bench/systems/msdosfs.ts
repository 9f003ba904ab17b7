import { run } from '../exec.js';
import type { Format, System } from '../system.js';
import { rumpfuse, rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** FAT32, with newfs's own choice of clusters. */
export const msdosfs: Format = {
  name: 'msdosfs',
  make: (image) => void run(rumpfuse, ['newfs', '-t', 'msdosfs', '--fat', '32', image], 60),
};

/** The product: FAT32 through the dev-fuse channel. */
export const msdosfsSystem: System = {
  name: 'msdosfs',
  title: 'rumpfuse FAT32',
  format: msdosfs,
  missing: rumpfuseMissing,
  mount: (_volume, image, directory, _sizes, env) => rumpfuseMount([image, directory], env),
  unmount: rumpfuseUnmount,
};
