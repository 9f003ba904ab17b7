import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Description, VolumeFacts } from '../../format.js';
import { sizeInWords } from '../../lib/words.js';
import { MEDIA_FAILURE, PERCENT_UNKNOWN, VOLUME_DIRTY } from '../disk/boot.js';
import { S_DATA_LENGTH, S_FIRST_CLUSTER, T_BITMAP, T_GUID, T_LABEL, get_length } from '../disk/entry.js';
import { bits_count } from '../../lib/bits.js';
import { find_boot } from '../volume/openvolume.js';
import { guid_text } from './guid.js';
import { Volume } from './volume.js';

/** Of a larger bitmap only PercentInUse is told. */
const BITMAP_BYTES_MAX = 4 << 20;

export interface ExfatFacts extends VolumeFacts {
  readonly serial: string;
  readonly guid: string | undefined;
  readonly sector_size: number;
  readonly cluster_size: number;
  readonly clusters: number;
  /** undefined: not counted, the bitmap being large or out of reach. */
  readonly free: number | undefined;
  readonly fats: number;
  readonly percent_in_use: number | undefined;
  readonly media_failure: boolean;
}

/** The label of a volume as its entry has it. */
export function label_text(entry: Uint8Array): string {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
  let text = '';
  for (let i = 0; i < Math.min(11, entry[1]); i++) text += String.fromCharCode(view.getUint16(2 + 2 * i, true));
  return text;
}

async function free_bytes(volume: Volume, first: number, bytes: number): Promise<number | undefined> {
  const { boot, clbytes } = volume;
  const needed = Math.ceil(boot.ClusterCount / 8);
  if (needed > BITMAP_BYTES_MAX || bytes < needed) return undefined;
  const content = new Uint8Array(needed);
  let cluster = first;
  for (let done = 0; done < needed; done += clbytes) {
    if (!volume.iscluster(cluster)) return undefined;
    await volume.dev.read(content, done, Math.min(clbytes, needed - done), volume.at(cluster));
    cluster = await volume.cell(cluster);
  }
  return (boot.ClusterCount - bits_count(content, boot.ClusterCount)) * clbytes;
}

/** What exFAT volume is on `dev`. @throws EFTYPE there is none, or its boot sector is damaged; EIO */
export async function describe(dev: BlockDevice): Promise<Description> {
  const { boot, problem } = await find_boot(dev);
  const volume = new Volume(dev, boot);
  let label = '';
  let guid: string | undefined;
  let free: number | undefined;
  for await (const { bytes } of volume.rootentries()) {
    if (bytes === null) break;
    const view = new DataView(bytes.buffer);
    if (bytes[0] === T_LABEL) label = label_text(bytes);
    else if (bytes[0] === T_GUID) guid = guid_text(bytes.subarray(6, 22));
    else if (bytes[0] === T_BITMAP && (bytes[1] & 1) === volume.active) free ??= await free_bytes(
      volume, view.getUint32(S_FIRST_CLUSTER, true), get_length(view, S_DATA_LENGTH),
    );
  }
  const serial = boot.VolumeSerialNumber.toString(16).toUpperCase().padStart(8, '0');
  const facts: ExfatFacts = {
    format: 'exFAT',
    label,
    size: boot.VolumeLength * volume.secbytes,
    clean: (boot.VolumeFlags & VOLUME_DIRTY) === 0,
    readonly_because: problem,
    serial: `${serial.slice(0, 4)}-${serial.slice(4)}`,
    guid,
    sector_size: volume.secbytes,
    cluster_size: volume.clbytes,
    clusters: boot.ClusterCount,
    free,
    fats: boot.NumberOfFats,
    percent_in_use: boot.PercentInUse === PERCENT_UNKNOWN ? undefined : boot.PercentInUse,
    media_failure: (boot.VolumeFlags & MEDIA_FAILURE) !== 0,
  };
  return { facts, lines: lines_of(facts, boot.FileSystemRevision) };
}

function lines_of(facts: ExfatFacts, revision: number): (readonly [string, string])[] {
  const inuse = facts.percent_in_use === undefined ? 'unknown' : `${facts.percent_in_use}% in use`;
  const minor = String(revision & 0xff).padStart(2, '0');
  const cluster = sizeInWords(facts.cluster_size);
  const state = facts.clean === true ? 'clean' : 'not cleanly unmounted';
  const lines: [string, string][] = [
    ['format', `exFAT ${revision >>> 8}.${minor}${facts.fats === 2 ? ', TexFAT (two FATs)' : ''}`],
    ['label', facts.label === '' || facts.label === undefined ? '(none)' : facts.label],
    ['serial', facts.serial],
    ['size', `${sizeInWords(facts.size)}, ${facts.clusters} clusters of ${cluster}, sectors of ${facts.sector_size}`],
    ['free', facts.free === undefined ? inuse : sizeInWords(facts.free)],
    ['state', `${state}${facts.media_failure ? ', the medium has failed' : ''}`],
  ];
  if (facts.guid !== undefined) lines.push(['guid', facts.guid]);
  if (facts.readonly_because !== undefined) lines.push(['read-only', facts.readonly_because]);
  return lines;
}
