/**
 * Apple partition maps, big-endian. Source of the format: NetBSD sys/sys/bootblock.h after "Inside Macintosh: Devices".
 */
import type { BlockDevice } from '../../kernel/blkdev.js';
import type { TableEntry } from './partition-table.js';
import { asciiField, readBytes } from './partition-table.js';

const APPLE_DRVR_MAP_MAGIC = 0x4552;
const APPLE_PART_MAP_ENTRY_MAGIC = 0x504d;
const ENTRIES_MAX = 256;

export interface ApplePartitionMap {
  readonly entries: TableEntry[];
  readonly remarks: string[];
}

/** undefined if the disk has no such map. @throws EIO */
export async function readApplePartitionMap(dev: BlockDevice): Promise<ApplePartitionMap | undefined> {
  const map = await readBytes(dev, 0, 512);
  if (map === undefined || map.getUint16(0, false) !== APPLE_DRVR_MAP_MAGIC) return undefined;
  // CDs say 2048 and have the map in blocks of 512 all the same.
  for (const block_bytes of new Set([map.getUint16(2, false), 512])) {
    if (block_bytes < 512 || block_bytes > 4096 || block_bytes % 512 !== 0) continue;
    const first = await readBytes(dev, block_bytes, 512);
    if (first !== undefined && first.getUint16(0, false) === APPLE_PART_MAP_ENTRY_MAGIC) {
      return readEntries(dev, block_bytes, first.getUint32(4, false));
    }
  }
  return undefined;
}

async function readEntries(dev: BlockDevice, block_bytes: number, claimed: number): Promise<ApplePartitionMap> {
  const entries: TableEntry[] = [];
  const remarks: string[] = [];
  if (claimed > ENTRIES_MAX) {
    remarks.push(`the Apple partition map claims ${claimed} entries: only ${ENTRIES_MAX} are looked at`);
  }
  for (let i = 1; i <= Math.min(claimed, ENTRIES_MAX); i++) {
    const view = await readBytes(dev, i * block_bytes, 512);
    if (view === undefined || view.getUint16(0, false) !== APPLE_PART_MAP_ENTRY_MAGIC) {
      remarks.push(`the Apple partition map ends before its entry ${i} of ${claimed}`);
      break;
    }
    const size = view.getUint32(12, false);
    if (size === 0) continue;
    const type = asciiField(view, 48, 32);
    entries.push({
      path: String(i),
      scheme: 'apm',
      type,
      type_name: type,
      label: asciiField(view, 16, 32),
      offset_bytes: view.getUint32(8, false) * block_bytes,
      size_bytes: size * block_bytes,
    });
  }
  return { entries, remarks };
}
