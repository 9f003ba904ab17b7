import type { Component } from '../../kernel/rump.js';
import { tmpfs_vfsops } from './vfsops.js';

/** The memory file system as a component to boot a kernel with. */
export const tmpfs: Component = { name: 'tmpfs', vfsops: tmpfs_vfsops };
