import type { BlockDevice } from '../../../kernel/blkdev.js';
import { ISO_FIRST_DESCRIPTOR, ISO_SECTOR } from './iso.js';

/** Sectors from 16 on that the volume recognition sequence of UDF may have; those of ISO 9660 come first. */
const SEQUENCE_SECTORS = 32;

/** Is the disc a UDF volume as well (ECMA-167 part 2: a descriptor NSR02 or NSR03)? */
export async function udf_bridge(dev: BlockDevice): Promise<boolean> {
  const at = ISO_FIRST_DESCRIPTOR * ISO_SECTOR;
  const bytes = new Uint8Array(Math.max(0, Math.min(SEQUENCE_SECTORS * ISO_SECTOR, dev.size_bytes - at)));
  if (bytes.length > 0) await dev.read(bytes, 0, bytes.length, at);
  for (let sector = 0; sector + ISO_SECTOR <= bytes.length; sector += ISO_SECTOR) {
    const id = String.fromCharCode(...bytes.subarray(sector + 1, sector + 6));
    if (id === 'NSR02' || id === 'NSR03') return true;
  }
  return false;
}
