import type { Component } from '../../kernel/rump.js';
import { ext2fs_vfsops } from './volume/vfsops.js';

/** The driver of ext2, ext3 and ext4 as a component to boot a kernel with. */
export const ext2fs: Component = { name: 'ext2fs', vfsops: ext2fs_vfsops };
