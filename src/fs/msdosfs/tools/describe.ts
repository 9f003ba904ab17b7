import type { Description, Describe, VolumeFacts } from '../../format.js';
import { sizeInWords } from '../../lib/words.js';
import { readGeometry } from '../disk/bpb.js';
import { FSINFO_BYTES, FSINFO_UNKNOWN, decodeFsInfo } from '../disk/fsinfo.js';
import { volumeState } from '../volume/dirty.js';
import { decodeLabel } from './label.js';
import { findLabel } from './rootlabel.js';

export interface MsdosFacts extends VolumeFacts {
  readonly sector_size: number;
  readonly cluster_size: number;
  readonly clusters: number;
  readonly fats: number;
  /** All FATs are kept equal; else the number of the one in use. */
  readonly active_fat: number | undefined;
  readonly volume_id: string | undefined;
  readonly oem_name: string;
  readonly media: number;
  readonly root_entries: number | undefined;
  readonly data_offset: number;
  /** What the FSInfo sector says; undefined: it does not. */
  readonly free_clusters: number | undefined;
  readonly errors: boolean;
}

export function volumeIdText(id: number): string {
  const hex = id.toString(16).toUpperCase().padStart(8, '0');
  return `${hex.slice(0, 4)}-${hex.slice(4)}`;
}

export const msdosfs_describe: Describe = async (dev): Promise<Description> => {
  const g = await readGeometry(dev);
  const { dirty, errors } = await volumeState(dev, g);
  let free: number | undefined;
  if (g.fsInfoOffset > 0) {
    const sector = new Uint8Array(FSINFO_BYTES);
    await dev.read(sector, 0, sector.length, g.fsInfoOffset);
    const info = decodeFsInfo(new DataView(sector.buffer));
    if (info !== null && info.free !== FSINFO_UNKNOWN && info.free <= g.clusters) free = info.free;
  }
  const root = await findLabel(dev, g).catch(() => undefined);
  const label = decodeLabel(root?.label ?? g.bootLabel ?? '');
  const format = `FAT${g.type}`;
  const facts: MsdosFacts = {
    format,
    label,
    size: g.totalBytes,
    clean: !dirty && !errors,
    errors,
    sector_size: g.sectorBytes,
    cluster_size: g.clusterBytes,
    clusters: g.clusters,
    fats: g.fats,
    active_fat: g.activeFat < 0 ? undefined : g.activeFat,
    volume_id: g.volumeId === undefined ? undefined : volumeIdText(g.volumeId),
    oem_name: g.oemName.trim(),
    media: g.media,
    root_entries: g.type === 32 ? undefined : g.rootBytes / 32,
    data_offset: g.dataOffset,
    free_clusters: free,
    readonly_because: g.totalBytes > dev.size_bytes ? 'the volume is larger than the device' : undefined,
  };
  const lines: [string, string][] = [
    ['format', `${format}${g.activeFat < 0 ? '' : `, FAT ${g.activeFat} of ${g.fats} in use`}`],
    ['label', label === '' ? '(none)' : label],
    ['volume id', facts.volume_id ?? '(none)'],
    ['size', sizeInWords(g.totalBytes)],
    ['sectors', `${g.sectorBytes} bytes`],
    ['clusters', `${g.clusters} of ${sizeInWords(g.clusterBytes)}, the first at byte ${g.dataOffset}`],
    ['FATs', `${g.fats} of ${sizeInWords(g.fatBytes)}`],
    ...(facts.root_entries === undefined
      ? []
      : [['root directory', `${facts.root_entries} entries`] as [string, string]]),
    ...(free === undefined
      ? []
      : [['free', `${sizeInWords(free * g.clusterBytes)} (as the FSInfo sector has it)`] as [string, string]]),
    ['made by', g.oemName.trim()],
    ['state', errors ? 'the disk gave errors; run a check' : dirty ? 'not unmounted properly' : 'clean'],
    ...g.oddities.map((oddity) => ['oddity', oddity] as [string, string]),
    ...(facts.readonly_because === undefined ? [] : [['read-only', facts.readonly_because] as [string, string]]),
  ];
  return { facts, lines };
};
