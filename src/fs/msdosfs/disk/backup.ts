import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno } from '../../../kernel/errno.js';
import { decodeGeometry } from './bpb.js';
import type { Geometry } from './bpb.js';

/** Where Windows and everybody else put the backup of the boot sector of FAT32, in sectors. */
const BACKUP_SECTOR = 6;
const SECTOR_SIZES = [512, 1024, 2048, 4096];
/** Other formats that have their name where FAT has one, and leave sector 6 of a FAT32 volume as it was. */
const OTHERS = new Set(['NTFS    ', 'EXFAT   ', '-FVE-FS-']);

/**
 * The geometry by the backup of the boot sector of FAT32, where the boot sector itself says nothing: the volume that
 * the backup tells of fits the device, and its FAT begins as one does. undefined: there is none. @throws EIO
 */
export async function backupGeometry(dev: BlockDevice): Promise<Geometry | undefined> {
  const bytes = new Uint8Array(1024);
  if (dev.size_bytes < 64 * 1024) return undefined;
  await dev.read(bytes, 0, 512, 0);
  if (OTHERS.has(String.fromCharCode(...bytes.subarray(3, 11)))) return undefined;
  for (const sectorBytes of SECTOR_SIZES) {
    const offset = BACKUP_SECTOR * sectorBytes;
    await dev.read(bytes, 0, bytes.length, offset);
    if (bytes[510] !== 0x55 || bytes[511] !== 0xaa) continue;
    const g = decoded(bytes, dev.size_bytes);
    if (g?.type !== 32 || g.sectorBytes !== sectorBytes || g.backupOffset !== offset) continue;
    if (g.totalBytes > dev.size_bytes) continue;
    const fat = new Uint8Array(4);
    await dev.read(fat, 0, fat.length, g.fatOffset + Math.max(0, g.activeFat) * g.fatBytes);
    if (fat[0] === g.media && fat[1] === 0xff) return g;
  }
  return undefined;
}

function decoded(bytes: Uint8Array, deviceBytes: number): Geometry | undefined {
  try {
    return decodeGeometry(bytes, new DataView(bytes.buffer), deviceBytes);
  } catch (error) {
    if (error instanceof Errno && error.errno === E.EFTYPE) return undefined;
    throw error;
  }
}
