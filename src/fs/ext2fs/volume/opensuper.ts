import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { Ext2fs, SBOFF, SBSIZE, superblock_sealed } from '../disk/superblock.js';

/**
 * Reads the superblock, which fits the device.
 * @param at its byte; @param check its checksum must be right
 * @throws EFTYPE it is none, or damaged; EIO
 */
export async function open_superblock(dev: BlockDevice, at: number = SBOFF, check = true): Promise<Ext2fs> {
  const bytes = new Uint8Array(SBSIZE);
  if (dev.size_bytes < at + SBSIZE) throw errno(E.EFTYPE, `${dev.name}: no room for a superblock at byte ${at}`);
  await dev.read(bytes, 0, SBSIZE, at);
  const fs = new Ext2fs(bytes, dev.name);
  if (check && fs.metadata_csum && !superblock_sealed(bytes))
    throw errno(
      E.EFTYPE,
      `${dev.name}: superblock: checksum is wrong; -o nocheck reads it all the same, e2fsck repairs it`,
    );
  return fs;
}
