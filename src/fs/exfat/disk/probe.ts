import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno } from '../../../kernel/errno.js';
import { BOOT_REGION_SECTORS, boot_decode, boot_recognised, boot_sealed } from './boot.js';

/** A boot region whose checksum is right. */
const SEALED = 100;
/** A boot sector whose fields agree with each other. */
const SOUND = 80;
/** The signature alone. */
const DAMAGED = 20;
/** Only the backup is there. */
const BACKUP = 10;

/** See Format.probe. */
export async function exfat_probe(dev: BlockDevice): Promise<number> {
  const sector = new Uint8Array(512);
  if (dev.size_bytes < sector.length) return 0;
  await dev.read(sector, 0, sector.length, 0);
  if (boot_recognised(sector)) return probe_main(dev, sector);
  for (let bytes = 512; bytes <= 4096; bytes *= 2) {
    const at = BOOT_REGION_SECTORS * bytes;
    if (at + sector.length > dev.size_bytes) break;
    await dev.read(sector, 0, sector.length, at);
    if (boot_recognised(sector)) return BACKUP;
  }
  return 0;
}

async function probe_main(dev: BlockDevice, sector: Uint8Array): Promise<number> {
  try {
    const bytes = 2 ** boot_decode(sector).BytesPerSectorShift;
    const region = new Uint8Array(BOOT_REGION_SECTORS * bytes);
    if (region.length > dev.size_bytes) return DAMAGED;
    await dev.read(region, 0, region.length, 0);
    return boot_sealed(region, bytes) ? SEALED : SOUND;
  } catch (error) {
    if (!(error instanceof Errno) || error.errno !== E.EFTYPE) throw error;
    return DAMAGED;
  }
}
