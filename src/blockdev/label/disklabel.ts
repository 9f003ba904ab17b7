/**
 * BSD disklabels: NetBSD's, FreeBSD's and OpenBSD's, little- and big-endian. Source of the format: NetBSD and OpenBSD
 * sys/sys/disklabel.h, FreeBSD sys/sys/disk/bsd.h; places: LABELSECTOR and LABELOFFSET of the ports'
 * machine/disklabel.h.
 */
import type { BlockDevice } from '../../kernel/blkdev.js';
import type { TableEntry } from './partition-table.js';
import { asciiField, readBytes } from './partition-table.js';

const DISKMAGIC = 0x82564557;
const D_MAGIC2 = 132;
const D_PARTITIONS = 148;
const PARTITION_BYTES = 16;
/** OpenBSD's 52 is the most that any system allows. */
const NPARTITIONS_MAX = 52;
/** Labels lie within the boot area. */
const SEARCH_BYTES = 16 * 1024;
const SEARCH_STEP = 4;
/** Where the ports put it, the most common first: sector 1, and behind the boot code's first words in sector 0. */
const USUAL_PLACES = [512, 64, 128, 0, 2048, 4096];
const RAW_PART_FREEBSD = 2;

/** Whose numbers the types of the partitions are. */
export type DisklabelFlavour = 'netbsd' | 'freebsd' | 'openbsd';

const FS_UNUSED = 0;
const COMMON_TYPES: readonly string[] = [
  'unused', 'swap', 'Version 6', 'Version 7', 'System V', '4.1BSD', 'Eighth Edition',
  '4.2BSD', 'MSDOS', '4.4LFS', 'unknown', 'HPFS', 'ISO9660', 'boot',
  'ADOS', 'HFS', 'FILECORE', 'Linux Ext2', 'NTFS', 'RAID',
  'ccd', 'jfs', 'Apple UFS', 'vinum', 'UDF', 'SysVBFS', 'EFS',
  'NiLFS', 'cgd',
];
const FREEBSD_TYPES = new Map<number, string>([
  [14, 'vinum'], [15, 'RAID'], [22, 'HAMMER'], [23, 'HAMMER2'], [27, 'ZFS'], [30, 'nandfs'],
]);

export interface Disklabel {
  /** Where it lies on the disk. */
  readonly offset_bytes: number;
  readonly little_endian: boolean;
  readonly flavour: DisklabelFlavour;
  readonly entries: TableEntry[];
  readonly remarks: string[];
}

/** Partition letter of an index: a to z, then A to Z. */
function letterOf(index: number): string {
  return String.fromCharCode(index < 26 ? 97 + index : 65 + index - 26);
}

/** Byte order of the label at that place; undefined if there is none that is whole. */
function labelAt(view: DataView, at: number): 'le' | 'be' | undefined {
  if (at + D_PARTITIONS > view.byteLength) return undefined;
  const le = view.getUint32(at, true) === DISKMAGIC;
  if (!le && view.getUint32(at, false) !== DISKMAGIC) return undefined;
  if (view.getUint32(at + D_MAGIC2, le) !== DISKMAGIC) return undefined;
  const count = view.getUint16(at + 138, le);
  const end = at + D_PARTITIONS + count * PARTITION_BYTES;
  if (count === 0 || count > NPARTITIONS_MAX || end > view.byteLength) return undefined;
  const secsize = view.getUint32(at + 40, le);
  if (secsize < 256 || secsize > 65536 || (secsize & (secsize - 1)) !== 0) return undefined;
  let sum = 0;
  for (let i = at; i < end; i += 2) sum ^= view.getUint16(i, le);
  return sum === 0 ? (le ? 'le' : 'be') : undefined;
}

/** The offset of the first label within the boot area, the usual places first. */
function findLabel(view: DataView): { at: number; order: 'le' | 'be'; others: number } | undefined {
  let found: { at: number; order: 'le' | 'be' } | undefined;
  let others = 0;
  const look = (at: number): void => {
    const order = labelAt(view, at);
    if (order === undefined) return;
    if (found === undefined) found = { at, order };
    else others++;
  };
  for (const at of USUAL_PLACES) look(at);
  for (let at = 0; at + D_PARTITIONS <= view.byteLength; at += SEARCH_STEP) if (!USUAL_PLACES.includes(at)) look(at);
  return found === undefined ? undefined : { ...found, others };
}

/**
 * Reads the disklabel in the boot area that begins at `base_bytes`: 0 for a whole disk, else a partition that holds
 * one. `container` is that partition's path ("1"), "" for the disk. Undefined if there is none. @throws EIO
 */
export async function readDisklabel(
  dev: BlockDevice,
  base_bytes: number,
  container: string,
  container_flavour?: DisklabelFlavour,
): Promise<Disklabel | undefined> {
  const view = await readBytes(dev, base_bytes, Math.min(SEARCH_BYTES, dev.size_bytes - base_bytes));
  if (view === undefined) return undefined;
  const found = findLabel(view);
  if (found === undefined) return undefined;
  const { at, order, others } = found;
  const le = order === 'le';
  // Only OpenBSD has a version there; the others' spare words are zero.
  const v1 = view.getUint16(at + 114, le) === 1;
  const flavour = v1 ? 'openbsd' : (container_flavour ?? 'netbsd');
  const secsize = view.getUint32(at + 40, le);
  const count = view.getUint16(at + 138, le);
  const remarks: string[] = [];
  if (others > 0) {
    remarks.push(`there is more than one disklabel at ${base_bytes}: the one at ${base_bytes + at} is used`);
  }

  // Sectors are counted from the beginning of the disk, but FreeBSD counts from the beginning of partition c,
  // which is the container.
  let origin = 0;
  if (base_bytes > 0 && flavour === 'freebsd' && count > RAW_PART_FREEBSD) {
    origin = base_bytes - view.getUint32(at + D_PARTITIONS + RAW_PART_FREEBSD * PARTITION_BYTES + 4, le) * secsize;
  }

  const entries: TableEntry[] = [];
  for (let i = 0; i < count; i++) {
    const p = at + D_PARTITIONS + i * PARTITION_BYTES;
    let size = view.getUint32(p, le);
    let offset = view.getUint32(p + 4, le);
    if (v1) {
      offset += view.getUint16(p + 8, le) * 2 ** 32;
      size += view.getUint16(p + 10, le) * 2 ** 32;
    }
    if (size === 0) continue;
    const fstype = view.getUint8(p + 12);
    const known = (flavour === 'freebsd' ? FREEBSD_TYPES.get(fstype) : undefined) ??
      COMMON_TYPES[fstype] ?? 'unknown';
    entries.push({
      path: container + letterOf(i),
      scheme: 'bsd',
      type: String(fstype),
      type_name: fstype === FS_UNUSED && (i === 2 || i === 3) ? 'unused (the whole disk or container)' : known,
      label: i === 0 ? packname(view, at) : undefined,
      offset_bytes: origin + offset * secsize,
      size_bytes: size * secsize,
    });
  }
  return { offset_bytes: base_bytes + at, little_endian: le, flavour, entries, remarks };
}

/** The name of the disk, unless it is the word that every tool fills in. */
function packname(view: DataView, at: number): string | undefined {
  const name = asciiField(view, at + 24, 16);
  return name === '' || name === 'fictitious' ? undefined : name;
}
