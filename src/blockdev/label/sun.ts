/**
 * Sun's labels: VTOC with 8 slices in sector 0 (SPARC, big-endian), and with 16 slices in sector 1 of the Solaris
 * partition of a PC (little-endian). Source of the format: illumos sys/dklabel.h and sys/vtoc.h, NetBSD
 * sys/dev/sun/disklabel.h.
 */
import type { BlockDevice } from '../../kernel/blkdev.js';
import type { TableEntry } from './partition-table.js';
import { asciiField, readBytes } from './partition-table.js';

const DKL_MAGIC = 0xdabe;
const VTOC_SANE = 0x600ddeee;
const SECTOR_BYTES = 512;
const V_UNASSIGNED = 0;
const V_BACKUP = 5;

const TAGS: readonly string[] = [
  'unassigned', 'boot', 'root', 'swap', 'usr', 'backup (the whole disk)', 'stand',
  'var', 'home', 'alternate sectors', 'cache',
];

export interface SunLabel {
  readonly entries: TableEntry[];
}

/** The exclusive-or of all 16-bit words of a sector, its checksum included, is zero. */
function checksumRight(view: DataView, le: boolean): boolean {
  let sum = 0;
  for (let i = 0; i < SECTOR_BYTES; i += 2) sum ^= view.getUint16(i, le);
  return sum === 0;
}

function slice(
  container: string,
  index: number,
  tag: number | undefined,
  offset_bytes: number,
  size_bytes: number,
  label: string,
): TableEntry {
  const known = tag === undefined ? undefined : (TAGS[tag] ?? 'unknown');
  return {
    path: container + String.fromCharCode(97 + index),
    scheme: 'sun',
    type: tag === undefined ? '-' : String(tag),
    type_name: known ?? TAGS[index === 2 ? V_BACKUP : V_UNASSIGNED]!,
    label: index === 0 ? label : undefined,
    offset_bytes,
    size_bytes,
  };
}

/** The label of a SPARC disk; undefined if there is none. @throws EIO */
export async function readSunLabel(dev: BlockDevice): Promise<SunLabel | undefined> {
  const view = await readBytes(dev, 0, SECTOR_BYTES);
  if (view === undefined || view.getUint16(508, false) !== DKL_MAGIC || !checksumRight(view, false)) return undefined;
  const sectors_per_cylinder = view.getUint16(436, false) * view.getUint16(438, false);
  const has_vtoc = view.getUint32(188, false) === VTOC_SANE;
  const label = has_vtoc ? asciiField(view, 132, 8) : '';
  const entries: TableEntry[] = [];
  for (let i = 0; i < 8; i++) {
    const cylinder = view.getUint32(444 + i * 8, false);
    const sectors = view.getUint32(448 + i * 8, false);
    if (sectors === 0) continue;
    const tag = has_vtoc ? view.getUint16(142 + i * 4, false) : undefined;
    entries.push(slice('', i, tag, cylinder * sectors_per_cylinder * SECTOR_BYTES, sectors * SECTOR_BYTES, label));
  }
  return { entries };
}

/** The label inside a PC's Solaris partition, whose path is `container`; undefined if there is none. @throws EIO */
export async function readSolarisVtoc(
  dev: BlockDevice,
  base_bytes: number,
  container: string,
): Promise<SunLabel | undefined> {
  const view = await readBytes(dev, base_bytes + SECTOR_BYTES, SECTOR_BYTES);
  if (
    view === undefined ||
    view.getUint16(508, true) !== DKL_MAGIC ||
    view.getUint32(12, true) !== VTOC_SANE ||
    !checksumRight(view, true)
  ) {
    return undefined;
  }
  const sector_bytes = view.getUint16(28, true) === 0 ? SECTOR_BYTES : view.getUint16(28, true);
  const label = asciiField(view, 20, 8);
  const entries: TableEntry[] = [];
  for (let i = 0; i < Math.min(view.getUint16(30, true), 16); i++) {
    const at = 72 + i * 12;
    const size = view.getUint32(at + 8, true);
    if (size === 0) continue;
    entries.push(
      slice(
        container,
        i,
        view.getUint16(at, true),
        base_bytes + view.getUint32(at + 4, true) * sector_bytes,
        size * sector_bytes,
        label,
      ),
    );
  }
  return { entries };
}
