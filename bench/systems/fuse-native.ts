import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { System } from '../system.js';
import { ffs, rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** FFSv2 through the channel that uses the package fuse-native. */
export const fuseNativeSystem: System = {
  name: 'fuse-native',
  title: 'FFSv2, fuse-native',
  format: ffs,
  missing() {
    const there = existsSync(fileURLToPath(new URL('../../../node_modules/fuse-native', import.meta.url)));
    return rumpfuseMissing() ?? (there ? undefined : 'the package fuse-native is not installed');
  },
  mount: (_volume, image, directory, _sizes, env) =>
    rumpfuseMount(['-o', 'channel=fuse-native', image, directory], env),
  unmount: rumpfuseUnmount,
};
