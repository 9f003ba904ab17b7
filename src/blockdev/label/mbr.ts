/**
 * The PC's partition table: four entries in sector 0, and a chain of further tables through "extended" partitions.
 * Source of the format and the type numbers: NetBSD sys/sys/bootblock.h.
 */
import type { BlockDevice } from '../../kernel/blkdev.js';
import type { TableEntry } from './partition-table.js';
import { asciiField, readBytes } from './partition-table.js';

const MBR_PART_OFFSET = 446;
const MBR_PART_COUNT = 4;
const MBR_PART_BYTES = 16;
const MBR_MAGIC_OFFSET = 510;
const MBR_MAGIC = 0xaa55;
const MBR_FLAG_ACTIVE = 0x80;

export const MBR_PTYPE_386BSD = 0xa5;
export const MBR_PTYPE_OPENBSD = 0xa6;
export const MBR_PTYPE_NETBSD = 0xa9;
export const MBR_PTYPE_PMBR = 0xee;
export const MBR_PTYPE_SOLARIS = 0xbf;
export const MBR_PTYPE_LNXSWAP = 0x82;
const EXTENDED = new Set([0x05, 0x0f, 0x85]);
/** Which the BSDs put a disklabel into. */
const MBR_BSD_TYPES = new Set([MBR_PTYPE_386BSD, MBR_PTYPE_OPENBSD, MBR_PTYPE_NETBSD]);

/** More logical partitions than any system numbers; a longer chain is a loop or damage. */
const LOGICAL_MAX = 128;

const TYPES = new Map<number, string>([
  [0x01, 'FAT12'], [0x04, 'FAT16 below 32 MB'], [0x06, 'FAT16'],
  [0x0b, 'FAT32'], [0x0c, 'FAT32, LBA'], [0x0e, 'FAT16, LBA'],
  [0x11, 'hidden FAT12'], [0x14, 'hidden FAT16 below 32 MB'], [0x16, 'hidden FAT16'],
  [0x1b, 'hidden FAT32'], [0x1c, 'hidden FAT32, LBA'], [0x1e, 'hidden FAT16, LBA'],
  [0x05, 'extended'], [0x0f, 'extended, LBA'], [0x85, 'Linux extended'], [0x07, 'NTFS, exFAT or HPFS'],
  [0x17, 'hidden NTFS or HPFS'], [0x27, 'Windows recovery'], [0x39, 'Plan 9'], [0x41, 'PReP boot'],
  [0x42, 'Windows dynamic disk'], [0x4d, 'QNX 4'], [0x63, 'System V or Hurd'], [0x80, 'Minix'],
  [0x81, 'Minix'], [0x82, 'Linux swap or Solaris'], [0x83, 'Linux'], [0x8e, 'Linux LVM'], [0x9f, 'BSDI'],
  [0xa5, 'FreeBSD'], [0xa6, 'OpenBSD'], [0xa7, 'NeXTSTEP'], [0xa8, 'Apple UFS'], [0xa9, 'NetBSD'],
  [0xab, 'Apple boot'], [0xaf, 'Apple HFS'], [0xb7, 'BSDI'], [0xb8, 'BSDI swap'],
  [0xbe, 'Solaris boot'], [0xbf, 'Solaris'], [0xda, 'no file system'], [0xee, 'GPT protective'],
  [0xef, 'EFI system'], [0xfb, 'VMware VMFS'], [0xfd, 'Linux RAID'],
]);

export interface MbrEntry extends TableEntry {
  readonly mbrp_type: number;
}

export interface Mbr {
  readonly entries: MbrEntry[];
  readonly remarks: string[];
}

function typeOf(type: number): { type: string; type_name: string } {
  return { type: `0x${type.toString(16).padStart(2, '0')}`, type_name: TYPES.get(type) ?? 'unknown' };
}

interface RawEntry {
  readonly type: number;
  /** Sectors, uint32. */
  readonly start: number;
  readonly size: number;
}

/** The four entries of a table; undefined if the sector holds none. */
function rawEntries(sector: DataView): RawEntry[] | undefined {
  if (sector.getUint16(MBR_MAGIC_OFFSET, true) !== MBR_MAGIC) return undefined;
  const entries: RawEntry[] = [];
  for (let i = 0; i < MBR_PART_COUNT; i++) {
    const at = MBR_PART_OFFSET + i * MBR_PART_BYTES;
    // Boot code of a volume without partition table has anything here.
    if ((sector.getUint8(at) & ~MBR_FLAG_ACTIVE) !== 0) return undefined;
    entries.push({
      type: sector.getUint8(at + 4),
      start: sector.getUint32(at + 8, true),
      size: sector.getUint32(at + 12, true),
    });
  }
  return entries;
}

/** The boot sector of a DOS or Windows volume ends in the same magic. */
function isVolumeBootSector(sector: DataView): boolean {
  return (
    asciiField(sector, 54, 5).startsWith('FAT') ||
    asciiField(sector, 82, 5).startsWith('FAT') ||
    ['NTFS', 'EXFAT'].includes(asciiField(sector, 3, 8))
  );
}

function used(entry: RawEntry): boolean {
  // FreeBSD's "dangerously dedicated" disks have a partition that begins at 0.
  return entry.type !== 0 && entry.size !== 0 && (entry.start !== 0 || MBR_BSD_TYPES.has(entry.type));
}

/** Reads the table of a disk with sectors of that size; undefined if it has none. @throws EIO */
export async function readMbr(dev: BlockDevice, sector_bytes: number): Promise<Mbr | undefined> {
  const sector = await readBytes(dev, 0, 512);
  if (sector === undefined) return undefined;
  const raw = rawEntries(sector);
  if (raw === undefined || !raw.some(used)) return undefined;
  const fits = (e: RawEntry): boolean => (e.start + e.size) * sector_bytes <= dev.size_bytes;
  if (isVolumeBootSector(sector) && !raw.filter(used).every(fits)) return undefined;

  const entries: MbrEntry[] = [];
  const remarks: string[] = [];
  raw.forEach((e, i) => {
    if (used(e)) entries.push(entryOf(String(i + 1), e.type, e.start * sector_bytes, e.size * sector_bytes));
  });
  for (const e of raw) if (used(e) && EXTENDED.has(e.type)) await readLogical(dev, sector_bytes, e, entries, remarks);
  return { entries, remarks };
}

function entryOf(path: string, mbrp_type: number, offset_bytes: number, size_bytes: number): MbrEntry {
  return { path, scheme: 'mbr', mbrp_type, ...typeOf(mbrp_type), offset_bytes, size_bytes };
}

/**
 * The chain of logical partitions: each table has the partition in its first entry, counted from itself, and the next
 * table in its second, counted from the extended partition.
 */
async function readLogical(
  dev: BlockDevice,
  sector_bytes: number,
  extended: RawEntry,
  entries: MbrEntry[],
  remarks: string[],
): Promise<void> {
  const seen = new Set<number>();
  let at = extended.start;
  for (;;) {
    if (seen.has(at) || seen.size >= LOGICAL_MAX) {
      remarks.push(
        `the chain of logical partitions ${seen.has(at) ? 'runs in a circle' : `is longer than ${LOGICAL_MAX}`} at ` +
          `sector ${at}: the rest is left out`,
      );
      return;
    }
    seen.add(at);
    const sector = await readBytes(dev, at * sector_bytes, 512);
    const raw = sector === undefined ? undefined : rawEntries(sector);
    if (raw === undefined) {
      remarks.push(`no table of logical partitions at sector ${at}: the rest is left out`);
      return;
    }
    const logical = raw[0]!;
    const next = raw[1]!;
    if (logical.type !== 0 && logical.size !== 0 && !EXTENDED.has(logical.type)) {
      const number = 5 + entries.filter((e) => Number(e.path) > MBR_PART_COUNT).length;
      entries.push(
        entryOf(String(number), logical.type, (at + logical.start) * sector_bytes, logical.size * sector_bytes),
      );
    }
    if (!EXTENDED.has(next.type) || next.size === 0) return;
    if (next.start >= extended.size) {
      remarks.push(
        `the chain of logical partitions leaves its extended partition at sector ${at}: the rest is left out`,
      );
      return;
    }
    at = extended.start + next.start;
  }
}
