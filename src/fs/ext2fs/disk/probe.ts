import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno } from '../../../kernel/errno.js';
import { Ext2fs, SBOFF, SBSIZE, superblock_marked, superblock_sealed } from './superblock.js';

/** A superblock whose checksum is right. */
const SEALED = 100;
/** One whose fields agree with each other, and the volume fits the device. */
const SOUND = 85;
/** The same, but the device is too small. */
const CUT = 60;
/** The magic number alone. */
const DAMAGED = 15;

/** See Format.probe. */
export async function ext2_probe(dev: BlockDevice): Promise<number> {
  if (dev.size_bytes < SBOFF + SBSIZE) return 0;
  const bytes = new Uint8Array(SBSIZE);
  await dev.read(bytes, 0, SBSIZE, SBOFF);
  if (!superblock_marked(new DataView(bytes.buffer))) return 0;
  try {
    const fs = new Ext2fs(bytes, dev.name);
    if (fs.metadata_csum && superblock_sealed(bytes)) return SEALED;
    return fs.s_blocks_count * fs.bsize <= dev.size_bytes ? SOUND : CUT;
  } catch (error) {
    if (!(error instanceof Errno) || error.errno !== E.EFTYPE) throw error;
    return DAMAGED;
  }
}
