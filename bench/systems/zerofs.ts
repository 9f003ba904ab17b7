import type { System } from '../system.js';
import { rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** The null file system through the same channel: what FUSE, bridge and system calls cost by themselves. */
export const zerofsSystem: System = {
  name: 'null',
  title: 'rumpfuse null',
  missing: rumpfuseMissing,
  mount(volume, _image, directory, sizes, env) {
    const tree = volume === 'tree' || volume === 'scratch';
    const { files, dirs } = sizes.tree;
    // The files have 1 KiB, as those of the tree have.
    const options = `files=${tree ? files : 0},dirs=${tree ? dirs : 0},size=${sizes.large}`;
    rumpfuseMount(['-t', 'zerofs', '-o', options, 'none', directory], env);
  },
  unmount: rumpfuseUnmount,
};
