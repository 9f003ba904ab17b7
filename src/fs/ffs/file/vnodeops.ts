import type { Vnops } from '../../../kernel/vfs/vnops.js';
import { ffs_readops } from './vnops.js';
import { ffs_writeops } from './vnops_write.js';

/** The operations of every vnode of this driver: vnops.ts reads, vnops_write.ts changes. */
export const ffs_vnodeops: Vnops = { ...ffs_readops, ...ffs_writeops };
