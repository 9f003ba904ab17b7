import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Description, VolumeFacts } from '../../format.js';
import { dateInWords, sizeInWords } from '../../lib/words.js';
import { eltorito_images } from '../disk/eltorito.js';
import type { BootImage } from '../disk/eltorito.js';
import { isodate_17 } from '../disk/iso.js';
import { raw_device } from '../disk/rawsectors.js';
import { udf_bridge } from '../disk/udf.js';
import { voldesc_fields, voldesc_texts } from '../disk/voldesc.js';
import type { VolumeTexts } from '../disk/voldesc.js';
import { iso_layout } from '../volume/layout.js';
import type { Flavour, IsoLayout } from '../volume/isomount.js';
import { volume_sets } from '../volume/volumes.js';
import type { VolumeSet } from '../volume/volumes.js';

/** What a disc says of itself, for programs. Sizes in bytes, times in seconds since 1970. */
export interface IsoFacts extends VolumeFacts {
  readonly block_size: number;
  /** Whose names are shown by default. */
  readonly names: Flavour;
  /** There are names of these kinds. */
  readonly rock_ridge: boolean;
  readonly joliet: boolean;
  readonly enhanced: boolean;
  readonly udf: boolean;
  readonly publisher: string;
  readonly preparer: string;
  readonly application: string;
  readonly system: string;
  readonly volume_set: string;
  readonly created: number | undefined;
  readonly modified: number | undefined;
  /** Sectors of 2048 bytes that the sessions begin with. */
  readonly sessions: readonly number[];
  readonly boot_images: readonly BootImage[];
  /** How sectors are recorded, if not plainly. */
  readonly raw_sectors: string | undefined;
}

const NAMES: Readonly<Record<Flavour, string>> = {
  rockridge: 'Rock Ridge',
  joliet: 'Joliet',
  enhanced: 'ISO 9660:1999',
  plain: 'ISO 9660 (in lower case)',
};
const READ_ONLY = 'the format is written as a whole, and only read afterwards';

async function layoutOf(dev: BlockDevice, set: VolumeSet, rock: boolean): Promise<IsoLayout> {
  return iso_layout(dev, set, { rock, joliet: true, block: 0 });
}

/** Of the newest session. @throws EFTYPE EIO */
export async function iso_describe(device: BlockDevice): Promise<Description> {
  const { dev, layout: raw_sectors } = await raw_device(device);
  const sets = await volume_sets(dev);
  const set = sets[sets.length - 1];
  if (set === undefined) throw errno(E.EFTYPE, `${device.name}: no ISO 9660 volume`);
  const layout = await layoutOf(dev, set, true);
  const texts = await textsOf(dev, set, layout);
  const boot_images: BootImage[] = [];
  for (const record of set.boot) boot_images.push(...(await eltorito_images(dev, record)));
  const { bytes } = set.primary;
  const facts: IsoFacts = {
    format: set.primary.high_sierra ? 'High Sierra' : 'ISO 9660',
    label: texts.volume,
    size: voldesc_fields(set.primary).space_size * layout.block_size,
    readonly_because: READ_ONLY,
    block_size: layout.block_size,
    names: layout.flavour,
    rock_ridge: layout.flavour === 'rockridge',
    joliet: set.joliet !== undefined,
    enhanced: set.enhanced !== undefined,
    udf: await udf_bridge(dev),
    publisher: texts.publisher,
    preparer: texts.preparer,
    application: texts.application,
    system: texts.system,
    volume_set: texts.volume_set,
    created: isodate_17(bytes, set.primary.layout.creation),
    modified: set.primary.high_sierra ? undefined : isodate_17(bytes, set.primary.layout.creation + 17),
    sessions: sets.map(({ start }) => start),
    boot_images,
    raw_sectors,
  };
  return { facts, lines: linesOf(facts, device) };
}

/** Joliet's texts are longer and in Unicode; they are used where its names are. */
async function textsOf(dev: BlockDevice, set: VolumeSet, layout: IsoLayout): Promise<VolumeTexts> {
  return voldesc_texts(layout.flavour === 'joliet' && set.joliet !== undefined ? set.joliet : set.primary);
}

function linesOf(facts: IsoFacts, device: BlockDevice): (readonly [string, string])[] {
  const lines: [string, string][] = [];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') lines.push([name, value]);
  };
  const also = [
    facts.rock_ridge ? 'Rock Ridge' : '',
    facts.joliet ? 'Joliet' : '',
    facts.enhanced ? 'ISO 9660:1999' : '',
  ].filter((kind) => kind !== '');
  add('format', [facts.format, ...also].join(', '));
  add('label', facts.label);
  const cut = facts.size > device.size_bytes ? `; the image has only ${sizeInWords(device.size_bytes)}` : '';
  add('size', `${sizeInWords(facts.size)} in blocks of ${facts.block_size}${cut}`);
  add('names from', NAMES[facts.names]);
  add('volume set', facts.volume_set);
  add('publisher', facts.publisher);
  add('prepared by', facts.preparer);
  add('application', facts.application);
  add('system', facts.system);
  add('created', facts.created === undefined ? undefined : dateInWords(facts.created));
  add(
    'modified',
    facts.modified === undefined || facts.modified === facts.created ? undefined : dateInWords(facts.modified),
  );
  if (facts.sessions.length > 1)
    add('sessions', `${facts.sessions.length}, at sectors ${facts.sessions.join(', ')}; the last one is shown`);
  for (const image of facts.boot_images) {
    const load = `${image.load_count * 512} bytes loaded from sector ${image.sector}`;
    add('boots', `${image.platform}, ${image.emulation}, ${load}${image.bootable ? '' : ', marked as not bootable'}`);
  }
  add('sectors', facts.raw_sectors);
  if (facts.udf) add('also', 'a UDF volume, whose files may be others');
  return lines;
}
