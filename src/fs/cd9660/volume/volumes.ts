/** The volumes of a disc: one a session, each described from its own sector 16 on. */
import type { BlockDevice } from '../../../kernel/blkdev.js';
import { ISO_FIRST_DESCRIPTOR, ISO_SECTOR, isonum_733 } from '../disk/iso.js';
import { voldesc_fields, voldesc_parse } from '../disk/voldesc.js';
import type { VolumeDescriptor } from '../disk/voldesc.js';

/** Descriptors of one volume, at most; real ones have up to ten. */
const DESCRIPTORS_MAX = 100;
/** A CD has no more. */
const SESSIONS_MAX = 99;
/**
 * Where the next session begins after the end of the first one, and of a later one: lead-out, lead-in and gap of a CD.
 */
const CD_GAPS: readonly number[] = [11400, 6900];
/** Behind a volume's end, sectors that are searched for the next session: images are padded and aligned. */
const SEARCH_SECTORS = 512;
/**
 * xorriso's first session on media that can be overwritten begins here: sector 16 is kept for the newest descriptors.
 */
const FIRST_OVERWRITABLE = 32;

/** What describes one volume. */
export interface VolumeSet {
  /** Sector that the session begins with. */
  readonly start: number;
  readonly primary: VolumeDescriptor;
  readonly joliet: VolumeDescriptor | undefined;
  readonly enhanced: VolumeDescriptor | undefined;
  readonly boot: readonly VolumeDescriptor[];
}

async function sectors(dev: BlockDevice, first: number, count: number): Promise<Uint8Array> {
  const length = Math.min(count * ISO_SECTOR, Math.max(0, dev.size_bytes - first * ISO_SECTOR));
  const bytes = new Uint8Array(length);
  if (length > 0) await dev.read(bytes, 0, length, first * ISO_SECTOR);
  return bytes;
}

/** The descriptors from sector `start` + 16 on; undefined if no volume begins there. */
export async function volume_set(dev: BlockDevice, start: number): Promise<VolumeSet | undefined> {
  let primary: VolumeDescriptor | undefined;
  let joliet: VolumeDescriptor | undefined;
  let enhanced: VolumeDescriptor | undefined;
  const boot: VolumeDescriptor[] = [];
  for (let i = 0; i < DESCRIPTORS_MAX; i++) {
    const sector = start + ISO_FIRST_DESCRIPTOR + i;
    const bytes = await sectors(dev, sector, 1);
    const vd = bytes.length < ISO_SECTOR ? undefined : voldesc_parse(bytes, sector * ISO_SECTOR);
    if (vd === undefined || vd.kind === 'end') break;
    if (vd.kind === 'primary') primary ??= vd;
    else if (vd.kind === 'joliet') joliet ??= vd;
    else if (vd.kind === 'enhanced') enhanced ??= vd;
    else if (vd.kind === 'boot') boot.push(vd);
  }
  return primary === undefined ? undefined : { start, primary, joliet, enhanced, boot };
}

/** Does the root directory that a descriptor names begin with a record of itself? */
async function rooted(dev: BlockDevice, vd: VolumeDescriptor): Promise<boolean> {
  const { block_size, root } = voldesc_fields(vd);
  const at = isonum_733(vd.view, root + 2) * block_size;
  const bytes = new Uint8Array(34);
  if (at + bytes.length > dev.size_bytes) return false;
  await dev.read(bytes, 0, bytes.length, at);
  return bytes[0]! >= 34 && bytes[32] === 1 && bytes[33] === 0;
}

/** The first session that begins in `from`..`from` + `count`. */
async function search(dev: BlockDevice, from: number, count: number): Promise<VolumeSet | undefined> {
  const bytes = await sectors(dev, from + ISO_FIRST_DESCRIPTOR, count);
  for (let i = 0; (i + 1) * ISO_SECTOR <= bytes.length; i++) {
    const sector = from + ISO_FIRST_DESCRIPTOR + i;
    const vd = voldesc_parse(bytes.subarray(i * ISO_SECTOR, (i + 1) * ISO_SECTOR), sector * ISO_SECTOR);
    if (vd?.kind === 'primary' && (await rooted(dev, vd))) return volume_set(dev, from + i);
  }
  return undefined;
}

/** The session behind this one. */
async function next(dev: BlockDevice, set: VolumeSet): Promise<VolumeSet | undefined> {
  const { space_size, block_size } = voldesc_fields(set.primary);
  const size = Math.ceil((space_size * block_size) / ISO_SECTOR);
  // Some programs count the volume from the start of the disc, others from that of the session.
  const ends = set.start + size === size ? [size] : [set.start + size, size];
  for (const end of ends) {
    if (end <= set.start) continue;
    for (const [gap, count] of [[0, SEARCH_SECTORS], ...CD_GAPS.map((g) => [g, SEARCH_SECTORS])] as [
      number,
      number,
    ][]) {
      const found = await search(dev, end + gap, count);
      if (found !== undefined && found.start > set.start) return found;
    }
  }
  return undefined;
}

async function chain(dev: BlockDevice, first: VolumeSet): Promise<VolumeSet[]> {
  const found = [first];
  for (let at: VolumeSet | undefined = first; found.length < SESSIONS_MAX;) {
    at = await next(dev, at);
    if (at === undefined) break;
    found.push(at);
  }
  return found;
}

/** All volumes, the newest last. Empty: this is no ISO 9660 disc. */
export async function volume_sets(dev: BlockDevice): Promise<VolumeSet[]> {
  const first = await volume_set(dev, 0);
  if (first === undefined) return [];
  const appended = await chain(dev, first);
  if (appended.length > 1) return appended;
  // What lies at sector 16 may be a copy of the newest descriptors, of sessions that begin behind it.
  const overwritten = await volume_set(dev, FIRST_OVERWRITABLE);
  if (overwritten === undefined || !(await rooted(dev, overwritten.primary))) return appended;
  const sets = await chain(dev, overwritten);
  const root = (set: VolumeSet) => isonum_733(set.primary.view, voldesc_fields(set.primary).root + 2);
  return root(sets[sets.length - 1]!) === root(first) ? [...sets.slice(0, -1), first] : appended;
}
