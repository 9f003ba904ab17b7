import type { Component } from '../../kernel/rump.js';
import { ffs_vfsops } from './volume/vfsops.js';

/** NetBSD's fast file system (FFS, UFS1 and UFS2). */
export const ffs: Component = { name: 'ffs', vfsops: ffs_vfsops };
