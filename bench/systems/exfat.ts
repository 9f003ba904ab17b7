import { run } from '../exec.js';
import type { Format, System } from '../system.js';
import { rumpfuse, rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** exFAT, with newfs's own choice of clusters. */
export const exfat: Format = {
  name: 'exfat',
  make: (image) => void run(rumpfuse, ['newfs', '-t', 'exfat', image], 60),
};

/** The product: exFAT through the dev-fuse channel. */
export const exfatSystem: System = {
  name: 'exfat',
  title: 'rumpfuse exFAT',
  format: exfat,
  missing: rumpfuseMissing,
  mount: (_volume, image, directory, _sizes, env) => rumpfuseMount([image, directory], env),
  unmount: rumpfuseUnmount,
};
