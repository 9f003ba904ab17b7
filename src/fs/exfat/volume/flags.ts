import { PERCENT_IN_USE_AT, PERCENT_UNKNOWN, VOLUME_FLAGS_AT } from '../disk/boot.js';
import type { ExfatMount } from './exfatmount.js';

/** The part of the boot sector that has fields; one write of a disk. */
const BOOT_BYTES = 512;

/**
 * Sets and clears VolumeFlags in the boot sector on the device (those of the backup mean nothing), and says how full
 * the volume is. @throws EIO
 */
export async function write_flags(em: ExfatMount, set: number, clear: number): Promise<void> {
  const { em_dev: dev } = em;
  const sector = new Uint8Array(BOOT_BYTES);
  await dev.read(sector, 0, BOOT_BYTES, 0);
  const view = new DataView(sector.buffer);
  view.setUint16(VOLUME_FLAGS_AT, (view.getUint16(VOLUME_FLAGS_AT, true) | set) & ~clear, true);
  const { free, clusters } = em.em_bitmap;
  sector[PERCENT_IN_USE_AT] = free < 0 ? PERCENT_UNKNOWN : Math.floor(((clusters - free) * 100) / clusters);
  await dev.write(sector, 0, BOOT_BYTES, 0);
}
