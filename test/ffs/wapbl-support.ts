/** For the tests of the journal. */
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import type { Fs } from '../../src/fs/ffs/disk/fs.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { wapbl_open } from '../../src/fs/ffs/journal/header.js';
import type { WapblLog } from '../../src/fs/ffs/journal/header.js';

export const UFS2 = { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 } as const;

export function superblock(dev: MemoryDevice): Promise<Fs> {
  return ffs_superblock_search(dev);
}

export async function journal(dev: MemoryDevice): Promise<WapblLog> {
  return (await wapbl_open(dev, await superblock(dev)))!;
}

/** The disk as it is now: what a power cut leaves if every write is on it. */
export function stopped(dev: MemoryDevice): MemoryDevice {
  return dev.clone();
}
