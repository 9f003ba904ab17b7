import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno } from '../../../kernel/errno.js';
import { backupGeometry } from './backup.js';
import { readGeometry } from './bpb.js';
import type { Geometry } from './bpb.js';

/**
 * A boot sector whose fields agree with each other; besides that a FAT whose first cell repeats the media byte; and
 * that on a device as large.
 */
const SIGNED = 40;
const SOUND = 80;
const AGREES = 95;
/** The signature, and fields that contradict each other; or nothing but a backup of the boot sector. */
const DAMAGED = 15;

/** See Format.probe. */
export async function msdosfs_probe(dev: BlockDevice): Promise<number> {
  if (dev.size_bytes < 1024) return 0;
  const boot = new Uint8Array(1024);
  await dev.read(boot, 0, boot.length, 0);
  let g: Geometry;
  try {
    g = await readGeometry(dev);
  } catch (error) {
    if (!(error instanceof Errno) || error.errno !== E.EFTYPE) throw error;
    if ((await backupGeometry(dev)) !== undefined) return DAMAGED;
    return /^FAT(?:12|16|32) {3}$/.test(String.fromCharCode(...boot.subarray(54, 62))) ||
      /^FAT32 {3}$/.test(String.fromCharCode(...boot.subarray(82, 90)))
      ? DAMAGED
      : 0;
  }
  const jump = (boot[0] === 0xeb && boot[2] === 0x90) || boot[0] === 0xe9;
  const signature = boot[510] === 0x55 && boot[511] === 0xaa;
  const fat = new Uint8Array(4);
  if (g.fatOffset + fat.length <= dev.size_bytes) {
    await dev.read(fat, 0, fat.length, g.fatOffset + Math.max(0, g.activeFat) * g.fatBytes);
  }
  const begins = fat[0] === g.media && fat[1] === 0xff;
  if (begins) return g.totalBytes <= dev.size_bytes && (jump || signature) ? AGREES : SOUND;
  return jump && signature ? SIGNED : 0;
}
