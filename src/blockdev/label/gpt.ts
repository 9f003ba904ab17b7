/**
 * GUID partition tables. Source of the format: UEFI specification, chapter 5, as in NetBSD sys/sys/disklabel_gpt.h;
 * type GUIDs from there, FreeBSD sys/sys/disk/gpt.h and the Discoverable Partitions Specification.
 */
import type { BlockDevice } from '../../kernel/blkdev.js';
import { printable } from '../../kernel/printable.js';
import { crc32 } from './crc32.js';
import type { TableEntry } from './partition-table.js';
import { readBytes } from './partition-table.js';

const GPT_HDR_SIG = 'EFI PART';
const GPT_HDR_SIZE_MIN = 92;
const GPT_ENT_SIZE_MIN = 128;
const GPT_ENT_SIZE_MAX = 4096;
/** The specification asks for room for 128; no tool makes more than some hundreds. */
const GPT_ENTRIES_MAX = 4096;
const GPT_TABLE_MAX_BYTES = 1 << 20;
const GPT_NAME_CHARS = 36;
const UNUSED = '00000000-0000-0000-0000-000000000000';

export const GPT_ENT_TYPE_FREEBSD = '516e7cb4-6ecf-11d6-8ff8-00022d09712b';
export const GPT_ENT_TYPE_OPENBSD = '824cc7a0-36a8-11e3-890a-952519ad3f61';

const TYPES = new Map<string, string>([
  ['c12a7328-f81f-11d2-ba4b-00a0c93ec93b', 'EFI system'],
  ['024dee41-33e7-11d3-9d69-0008c781f39f', 'contains an MBR'],
  ['21686148-6449-6e6f-744e-656564454649', 'BIOS boot'],
  ['49f48d32-b10e-11dc-b99b-0019d1879648', 'NetBSD swap'],
  ['49f48d5a-b10e-11dc-b99b-0019d1879648', 'NetBSD FFS'],
  ['49f48d82-b10e-11dc-b99b-0019d1879648', 'NetBSD LFS'],
  ['49f48daa-b10e-11dc-b99b-0019d1879648', 'NetBSD RAIDframe'],
  ['2db519c4-b10f-11dc-b99b-0019d1879648', 'NetBSD ccd'],
  ['2db519ec-b10f-11dc-b99b-0019d1879648', 'NetBSD cgd'],
  [GPT_ENT_TYPE_FREEBSD, 'FreeBSD disklabel'],
  ['83bd6b9d-7f41-11dc-be0b-001560b84f0f', 'FreeBSD boot'],
  ['516e7cb5-6ecf-11d6-8ff8-00022d09712b', 'FreeBSD swap'],
  ['516e7cb6-6ecf-11d6-8ff8-00022d09712b', 'FreeBSD UFS'],
  ['516e7cb8-6ecf-11d6-8ff8-00022d09712b', 'FreeBSD vinum'],
  ['516e7cba-6ecf-11d6-8ff8-00022d09712b', 'FreeBSD ZFS'],
  [GPT_ENT_TYPE_OPENBSD, 'OpenBSD'],
  ['e3c9e316-0b5c-4db8-817d-f92df00215ae', 'Microsoft reserved'],
  ['ebd0a0a2-b9e5-4433-87c0-68b6b72699c7', 'Microsoft basic data'],
  ['5808c8aa-7e8f-42e0-85d2-e1e90434cfb3', 'Windows LDM metadata'],
  ['af9b60a0-1431-4f62-bc68-3311714a69ad', 'Windows LDM data'],
  ['de94bba4-06d1-4d40-a16a-bfd50179d6ac', 'Windows recovery'],
  ['0fc63daf-8483-4772-8e79-3d69d8477de4', 'Linux'],
  ['a19d880f-05fc-4d3b-a006-743f0f84911e', 'Linux RAID'],
  ['0657fd6d-a4ab-43c4-84e5-0933c84b4f4f', 'Linux swap'],
  ['e6d6d379-f507-44c2-a23c-238f2a3df928', 'Linux LVM'],
  ['48465300-0000-11aa-aa11-00306543ecac', 'Apple HFS+'],
  ['55465300-0000-11aa-aa11-00306543ecac', 'Apple UFS'],
  ['7c3457ef-0000-11aa-aa11-00306543ecac', 'Apple APFS'],
  ['6a898cc3-1dd2-11b2-99a6-080020736631', 'Solaris /usr or ZFS'],
  ['6a85cf4d-1dd2-11b2-99a6-080020736631', 'Solaris root'],
]);

export interface Gpt {
  readonly sector_bytes: number;
  readonly entries: TableEntry[];
  readonly remarks: string[];
}

interface Header {
  readonly lba_alt: bigint;
  readonly lba_start: bigint;
  readonly lba_end: bigint;
  readonly table: DataView;
  readonly entries: number;
  readonly entsz: number;
}

/** The GUID as text: the first three fields are little-endian, the rest in order. */
function guidText(view: DataView, offset: number): string {
  const hex = (at: number, count: number): string => {
    let text = '';
    for (let i = 0; i < count; i++) text += view.getUint8(offset + at + i).toString(16).padStart(2, '0');
    return text;
  };
  const number = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  const low = number(view.getUint32(offset, true), 8);
  const mid = number(view.getUint16(offset + 4, true), 4);
  const high = number(view.getUint16(offset + 6, true), 4);
  return `${low}-${mid}-${high}-${hex(8, 2)}-${hex(10, 6)}`;
}

function signature(view: DataView): boolean {
  for (let i = 0; i < GPT_HDR_SIG.length; i++) if (view.getUint8(i) !== GPT_HDR_SIG.charCodeAt(i)) return false;
  return true;
}

/**
 * Reads and checks the header in that sector and its table: the header, or why it is no good; undefined if there is
 * none.
 * @throws EIO
 */
async function readHeader(dev: BlockDevice, sector_bytes: number, lba: number): Promise<Header | string | undefined> {
  const view = await readBytes(dev, lba * sector_bytes, sector_bytes);
  if (view === undefined || !signature(view)) return undefined;
  const size = view.getUint32(12, true);
  if (size < GPT_HDR_SIZE_MIN || size > sector_bytes) return `its header says that it has ${size} bytes`;
  const crc_self = view.getUint32(16, true);
  const bytes = new Uint8Array(view.buffer.slice(0, size));
  bytes.fill(0, 16, 20);
  if (crc32(bytes) !== crc_self) return 'the checksum of its header is wrong';
  if (view.getBigUint64(24, true) !== BigInt(lba)) {
    return `its header says that it belongs to sector ${view.getBigUint64(24, true)}`;
  }
  const entries = view.getUint32(80, true);
  const entsz = view.getUint32(84, true);
  if (entsz < GPT_ENT_SIZE_MIN || entsz > GPT_ENT_SIZE_MAX || entsz % 8 !== 0) return `its entries have ${entsz} bytes`;
  if (entries === 0 || entries > GPT_ENTRIES_MAX || entries * entsz > GPT_TABLE_MAX_BYTES) {
    return `it claims ${entries} entries of ${entsz} bytes`;
  }
  const table = await readBytes(dev, Number(view.getBigUint64(72, true)) * sector_bytes, entries * entsz);
  if (table === undefined) return `its table at sector ${view.getBigUint64(72, true)} lies behind the end of the disk`;
  if (crc32(new Uint8Array(table.buffer)) !== view.getUint32(88, true)) return 'the checksum of its table is wrong';
  return {
    lba_alt: view.getBigUint64(32, true),
    lba_start: view.getBigUint64(40, true),
    lba_end: view.getBigUint64(48, true),
    table,
    entries,
    entsz,
  };
}

function entriesOf(header: Header, sector_bytes: number): TableEntry[] {
  const found: TableEntry[] = [];
  for (let i = 0; i < header.entries; i++) {
    const at = i * header.entsz;
    const type = guidText(header.table, at);
    if (type === UNUSED) continue;
    const start = header.table.getBigUint64(at + 32, true);
    const end = header.table.getBigUint64(at + 40, true);
    let name = '';
    for (let c = 0; c < GPT_NAME_CHARS; c++) {
      const unit = header.table.getUint16(at + 56 + c * 2, true);
      if (unit === 0) break;
      name += String.fromCharCode(unit);
    }
    found.push({
      path: String(i + 1),
      scheme: 'gpt',
      type,
      type_name: TYPES.get(type) ?? 'unknown',
      label: printable(name),
      guid: guidText(header.table, at + 16),
      offset_bytes: Number(start) * sector_bytes,
      // An end before the start makes a negative size, and that "makes no sense" to checkedPartition through NaN.
      size_bytes: end >= start ? Number(end - start + 1n) * sector_bytes : NaN,
    });
  }
  return found;
}

/** Reads the table, or its copy at the end of the disk if it is damaged; undefined if there is neither. @throws EIO */
export async function readGpt(dev: BlockDevice): Promise<Gpt | undefined> {
  for (const sector_bytes of new Set([dev.sector_bytes, 512, 4096, 2048, 1024])) {
    const remarks: string[] = [];
    const primary = await readHeader(dev, sector_bytes, 1);
    if (primary !== undefined && typeof primary !== 'string') {
      const alternate = Number(primary.lba_alt) * sector_bytes;
      if (!(alternate > 0 && alternate + sector_bytes <= dev.size_bytes)) {
        remarks.push('the backup of the GPT lies behind the end of the disk: is the image truncated?');
      }
      return { sector_bytes, entries: entriesOf(primary, sector_bytes), remarks };
    }
    const last = Math.floor(dev.size_bytes / sector_bytes) - 1;
    const backup = last > 1 ? await readHeader(dev, sector_bytes, last) : undefined;
    if (backup !== undefined && typeof backup !== 'string') {
      remarks.push(
        `the GPT at the beginning of the disk is damaged (${primary ?? 'it is not there'}): the backup at its end is ` +
          'used',
      );
      return { sector_bytes, entries: entriesOf(backup, sector_bytes), remarks };
    }
    if (primary !== undefined) {
      remarks.push(`the GPT cannot be used: ${primary}; and its backup neither: ${backup ?? 'it is not there'}`);
      return { sector_bytes, entries: [], remarks };
    }
  }
  return undefined;
}
