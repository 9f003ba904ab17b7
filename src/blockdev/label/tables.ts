/** All partition tables of a disk, as one flat list. */
import type { BlockDevice } from '../../kernel/blkdev.js';
import { readApplePartitionMap } from './apm.js';
import type { DisklabelFlavour } from './disklabel.js';
import { readDisklabel } from './disklabel.js';
import { GPT_ENT_TYPE_FREEBSD, GPT_ENT_TYPE_OPENBSD, readGpt } from './gpt.js';
import type { Mbr } from './mbr.js';
import {
  MBR_PTYPE_386BSD,
  MBR_PTYPE_LNXSWAP,
  MBR_PTYPE_NETBSD,
  MBR_PTYPE_OPENBSD,
  MBR_PTYPE_PMBR,
  MBR_PTYPE_SOLARIS,
  readMbr,
} from './mbr.js';
import type { LabelScan, Partition, TableEntry } from './partition-table.js';
import { checkedPartition } from './partition-table.js';
import { readSolarisVtoc, readSunLabel } from './sun.js';

/** What tables are found inside a partition of that type. */
function flavourInside(entry: TableEntry): DisklabelFlavour | undefined {
  if (entry.scheme === 'gpt') {
    return entry.type === GPT_ENT_TYPE_FREEBSD
      ? 'freebsd'
      : entry.type === GPT_ENT_TYPE_OPENBSD
        ? 'openbsd'
        : undefined;
  }
  if (entry.scheme !== 'mbr') return undefined;
  const type = Number(entry.type);
  return type === MBR_PTYPE_386BSD
    ? 'freebsd'
    : type === MBR_PTYPE_OPENBSD
      ? 'openbsd'
      : type === MBR_PTYPE_NETBSD
        ? 'netbsd'
        : undefined;
}

function maySolaris(entry: TableEntry): boolean {
  return (
    entry.scheme === 'mbr' && (Number(entry.type) === MBR_PTYPE_SOLARIS || Number(entry.type) === MBR_PTYPE_LNXSWAP)
  );
}

/**
 * A disk that was given an MBR after it had a GPT keeps the old GPT's header; the protective entry tells which one
 * counts.
 */
function gptCounts(mbr: Mbr | undefined): boolean {
  return mbr === undefined || mbr.entries.some((e) => e.mbrp_type === MBR_PTYPE_PMBR);
}

/**
 * What is partitioned how on this disk. No table at all is an empty list: the disk may be one volume. Damage is a
 * remark, never an error. @throws EIO if the disk cannot be read
 */
export async function scan(dev: BlockDevice): Promise<LabelScan> {
  const remarks: string[] = [];
  const entries: TableEntry[] = [];

  const mbr = await readMbr(dev, dev.sector_bytes);
  const gpt = gptCounts(mbr) ? await readGpt(dev) : undefined;
  const outer: TableEntry[] = [];
  if (gpt !== undefined) {
    outer.push(...gpt.entries);
    remarks.push(...gpt.remarks);
  } else if (mbr !== undefined) {
    outer.push(...mbr.entries);
    remarks.push(...mbr.remarks);
  }

  let nested = false;
  for (const entry of outer) {
    entries.push(entry);
    const flavour = flavourInside(entry);
    if (flavour !== undefined && Number.isSafeInteger(entry.offset_bytes)) {
      const label = await readDisklabel(dev, entry.offset_bytes, entry.path, flavour);
      if (label === undefined) continue;
      nested = true;
      entries.push(...label.entries);
      remarks.push(...label.remarks);
    } else if (maySolaris(entry)) {
      const label = await readSolarisVtoc(dev, entry.offset_bytes, entry.path);
      if (label !== undefined) entries.push(...label.entries);
    }
  }

  if (!nested && gpt === undefined) {
    // Bare, or next to an MBR without BSD partition. NetBSD keeps a disklabel inside Sun's label: it says more.
    const label = await readDisklabel(dev, 0, '');
    const sun = label === undefined && outer.length === 0 ? await readSunLabel(dev) : undefined;
    const apm =
      label === undefined && sun === undefined && outer.length === 0 ? await readApplePartitionMap(dev) : undefined;
    entries.push(...(label?.entries ?? []), ...(sun?.entries ?? []), ...(apm?.entries ?? []));
    remarks.push(...(label?.remarks ?? []), ...(apm?.remarks ?? []));
  }

  const partitions: Partition[] = entries.map((entry) => checkedPartition(dev, entry));
  return { partitions, remarks };
}
