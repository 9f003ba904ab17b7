import type { Component } from '../../kernel/rump.js';
import { msdosfs_vfsops } from './volume/vfsops.js';

/** FAT12, FAT16 and FAT32 with long names, read and write. See README.md. */
export const msdosfs: Component = { name: 'msdosfs', vfsops: msdosfs_vfsops };
