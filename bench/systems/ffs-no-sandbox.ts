import type { System } from '../system.js';
import { ffs, rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** The product without its confinement: what that costs (docs/SECURITY.md). */
export const ffsNoSandboxSystem: System = {
  name: 'ffs-no-sandbox',
  title: 'FFSv2, --no-sandbox',
  format: ffs,
  onlyAsked: true,
  missing: rumpfuseMissing,
  mount: (_volume, image, directory, _sizes, env) => rumpfuseMount(['--no-sandbox', image, directory], env),
  unmount: rumpfuseUnmount,
};
