import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno } from '../../../kernel/errno.js';
import { Fs, SBLOCKSEARCH, SBLOCKSIZE } from './fs.js';
import { ffs_superblock_search, readbytes } from './sbsearch.js';

/** A superblock whose fields agree with each other and with the device. */
const SOUND = 90;
/** fs_magic at its place, in a superblock that is damaged. */
const DAMAGED = 20;
/** Only a copy is there. */
const COPY = 10;
/**
 * The first copies on UFS1 volumes (their superblock is at 8 KiB) and UFS2 volumes, for the block sizes that there are;
 * bytes.
 */
const COPIES: readonly number[] = [16384, 32768, 73728, 81920, 98304, 131072];

async function marked(dev: BlockDevice, places: readonly number[]): Promise<boolean> {
  for (const offset of places) {
    if (offset + SBLOCKSIZE > dev.size_bytes) continue;
    if (Fs.decode(await readbytes(dev, offset, SBLOCKSIZE), offset) !== undefined) return true;
  }
  return false;
}

/** See Format.probe. */
export async function ffs_probe(dev: BlockDevice): Promise<number> {
  try {
    await ffs_superblock_search(dev);
    return SOUND;
  } catch (error) {
    if (!(error instanceof Errno) || error.errno !== E.EFTYPE) throw error;
  }
  if (await marked(dev, SBLOCKSEARCH)) return DAMAGED;
  return (await marked(dev, COPIES)) ? COPY : 0;
}
