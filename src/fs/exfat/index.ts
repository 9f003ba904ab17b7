import type { Component } from '../../kernel/rump.js';
import { exfat_vfsops } from './volume/vfsops.js';

/** The exFAT driver as a component to boot a kernel with. */
export const exfat: Component = { name: 'exfat', vfsops: exfat_vfsops };
