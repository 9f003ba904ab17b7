import type { Component } from '../../kernel/rump.js';
import { iso_vfsops } from './volume/vfsops.js';

/** ISO 9660 and its relatives (CD, DVD, installation images). Read-only. */
export const cd9660: Component = { name: 'cd9660', vfsops: iso_vfsops };
