/** What the readers of partition tables have in common. */
import type { BlockDevice } from '../../kernel/blkdev.js';
import { printable } from '../../kernel/printable.js';

export type LabelScheme = 'gpt' | 'mbr' | 'bsd' | 'sun' | 'apm';

/**
 * One entry of a partition table. Everything in it was read from the disk: nothing is to be trusted but that the
 * numbers are safe integers.
 */
export interface Partition {
  /** As `--partition` takes it: "1", "5", "a", "1a" for a partition inside another one. */
  readonly path: string;
  readonly scheme: LabelScheme;
  /** As the scheme writes it: "0xa9", a GUID, "7", "Apple_HFS". */
  readonly type: string;
  readonly type_name: string;
  /** From the beginning of the disk. */
  readonly offset_bytes: number;
  readonly size_bytes: number;
  /** What its maker called it; free of control characters. */
  readonly label?: string;
  readonly guid?: string;
  /** Why it cannot be used. */
  readonly problem?: string;
}

export interface LabelScan {
  readonly partitions: Partition[];
  /** What a person should know of the tables: a damaged copy, an entry that was passed over. */
  readonly remarks: string[];
}

/** What one table says of one partition, before it is checked against the disk. */
export interface TableEntry {
  readonly path: string;
  readonly scheme: LabelScheme;
  readonly type: string;
  readonly type_name: string;
  readonly label?: string | undefined;
  readonly guid?: string | undefined;
  readonly offset_bytes: number;
  readonly size_bytes: number;
}

/** The partition as the rest of the program sees it: bounds checked against the disk. */
export function checkedPartition(dev: BlockDevice, entry: TableEntry): Partition {
  const { offset_bytes, size_bytes } = entry;
  const end = offset_bytes + size_bytes;
  let problem: string | undefined;
  if (!Number.isSafeInteger(offset_bytes) || !Number.isSafeInteger(end) || offset_bytes < 0) {
    problem = 'its position makes no sense';
  } else if (offset_bytes >= dev.size_bytes) {
    problem = `it begins behind the end of the disk (at ${offset_bytes} of ${dev.size_bytes} bytes)`;
  } else if (end > dev.size_bytes) {
    problem = `it ends ${end - dev.size_bytes} bytes behind the end of the disk: is the image truncated?`;
  }
  const partition: { -readonly [K in keyof Partition]: Partition[K] } = {
    path: entry.path,
    scheme: entry.scheme,
    type: entry.type,
    type_name: entry.type_name,
    offset_bytes: Number.isSafeInteger(offset_bytes) ? offset_bytes : 0,
    size_bytes: Number.isSafeInteger(size_bytes) ? size_bytes : 0,
  };
  if (entry.label !== undefined && entry.label !== '') partition.label = entry.label;
  if (entry.guid !== undefined) partition.guid = entry.guid;
  if (problem !== undefined) partition.problem = problem;
  return partition;
}

/** Those bytes of the disk; undefined if they do not all lie on it. @throws EIO */
export async function readBytes(dev: BlockDevice, offset_bytes: number, length: number): Promise<DataView | undefined> {
  if (!(offset_bytes >= 0 && length > 0 && offset_bytes + length <= dev.size_bytes)) return undefined;
  const bytes = new Uint8Array(length);
  await dev.read(bytes, 0, length, offset_bytes);
  return new DataView(bytes.buffer);
}

/** ASCII text of a fixed field, up to its NUL. */
export function asciiField(view: DataView, offset: number, length: number): string {
  let text = '';
  for (let i = offset; i < offset + length; i++) {
    const byte = view.getUint8(i);
    if (byte === 0) break;
    text += byte < 0x80 ? String.fromCharCode(byte) : '?';
  }
  return printable(text).trim();
}
