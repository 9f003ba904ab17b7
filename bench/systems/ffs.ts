import type { System } from '../system.js';
import { ffs, rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** The product: FFSv2 through the dev-fuse channel. */
export const ffsSystem: System = {
  name: 'ffs',
  title: 'rumpfuse FFSv2',
  format: ffs,
  missing: rumpfuseMissing,
  mount: (_volume, image, directory, _sizes, env) => rumpfuseMount([image, directory], env),
  unmount: rumpfuseUnmount,
};
