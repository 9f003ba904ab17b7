import type { Format, System } from '../system.js';
import { ffs, rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** Images of its own: a journal stays in the volume, and mounts without an option then use it. */
const format: Format = { ...ffs, name: 'ffs-log' };

/** FFSv2 with its changes in a journal, which the first mount makes. */
export const ffsLogSystem: System = {
  name: 'ffs-log',
  title: 'FFSv2 -o log',
  format,
  missing: rumpfuseMissing,
  mount: (_volume, image, directory, _sizes, env) => rumpfuseMount(['-o', 'log', image, directory], env),
  unmount: rumpfuseUnmount,
};
