/** From the descriptors of a volume to what is mounted of it: which tree, whose names. */
import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { isodir_bad, isodir_isdir, isodir_load } from '../disk/dirrec.js';
import type { Isodir } from '../disk/dirrec.js';
import { RockRidge, susp_skip } from '../disk/susp.js';
import type { SuspSkip } from '../disk/susp.js';
import { voldesc_fields } from '../disk/voldesc.js';
import type { VolumeDescriptor } from '../disk/voldesc.js';
import type { Flavour, IsoLayout } from './isomount.js';
import type { VolumeSet } from './volumes.js';

/** What decides. */
export interface LayoutWishes {
  readonly rock: boolean;
  readonly joliet: boolean;
  /** Bytes of a logical block; 0: as the volume says. */
  readonly block: number;
}

const NO_SKIP: SuspSkip = { root: 0, others: 0 };
const BLOCK_SIZES: readonly number[] = [2048, 1024, 512];

interface Tree {
  readonly bsize: number;
  /** Of the root directory, by the descriptor. */
  readonly root: Isodir;
}

/** undefined: the descriptor names no root directory that could be read. */
function treeOf(dev: BlockDevice, vd: VolumeDescriptor, block: number): Tree | undefined {
  const fields = voldesc_fields(vd);
  const bsize = block > 0 ? block : BLOCK_SIZES.includes(fields.block_size) ? fields.block_size : 2048;
  const blocks = Math.floor(dev.size_bytes / bsize);
  if (isodir_bad(vd.bytes, fields.root, vd.bytes.length) !== undefined) return undefined;
  const root = isodir_load(vd.bytes, vd.view, fields.root, { high_sierra: vd.high_sierra, blocks });
  const first = root.extent + root.ext_attr_length;
  return isodir_isdir(root) && first > 0 && first < blocks ? { bsize, root } : undefined;
}

/** Where the Rock Ridge fields of this tree's records begin; undefined: they have none. */
async function rockridge(dev: BlockDevice, { bsize, root }: Tree): Promise<SuspSkip | undefined> {
  const bytes = new Uint8Array(bsize);
  const at = (root.extent + root.ext_attr_length) * bsize;
  await dev.read(bytes, 0, bsize, at);
  if (isodir_bad(bytes, 0, bsize) !== undefined) return undefined;
  const view = new DataView(bytes.buffer);
  const fmt = { high_sierra: false, blocks: Math.floor(dev.size_bytes / bsize) };
  const dot = isodir_load(bytes, view, 0, fmt);
  const skip = susp_skip(bytes, dot.use_from, dot.use_to);
  if (skip === undefined) return undefined;
  // The protocol may be there for others' fields alone. ER, which names Rock Ridge, may be missing, or far away.
  for (let place = 0; place < bsize && isodir_bad(bytes, place, bsize) === undefined; place += bytes[place]!) {
    const record = isodir_load(bytes, view, place, fmt);
    const rr = new RockRidge();
    rr.take(bytes, view, record.use_from + (place === 0 ? skip.root : skip.others), record.use_to);
    if (rr.seen) return skip;
  }
  return undefined;
}

/** @throws EFTYPE the volume has no root directory */
export async function iso_layout(dev: BlockDevice, set: VolumeSet, wishes: LayoutWishes): Promise<IsoLayout> {
  const primary = treeOf(dev, set.primary, wishes.block);
  const layout = (flavour: Flavour, vd: VolumeDescriptor, tree: Tree, skip: SuspSkip): IsoLayout => ({
    dev,
    flavour,
    high_sierra: vd.high_sierra,
    skip,
    block_size: tree.bsize,
    space_size: voldesc_fields(vd).space_size,
    root_block: tree.root.extent + tree.root.ext_attr_length,
    root_size: tree.root.size,
  });
  if (primary !== undefined && wishes.rock && !set.primary.high_sierra) {
    const skip = await rockridge(dev, primary);
    if (skip !== undefined) return layout('rockridge', set.primary, primary, skip);
  }
  const others: readonly [Flavour, VolumeDescriptor | undefined][] = [
    ['joliet', wishes.joliet ? set.joliet : undefined],
    ['enhanced', set.enhanced],
  ];
  for (const [flavour, vd] of others) {
    const tree = vd === undefined ? undefined : treeOf(dev, vd, wishes.block);
    if (vd !== undefined && tree !== undefined) return layout(flavour, vd, tree, NO_SKIP);
  }
  if (primary === undefined)
    throw errno(E.EFTYPE, `${dev.name}: ISO 9660 volume without a root directory: the disc is damaged or cut off`);
  return layout('plain', set.primary, primary, NO_SKIP);
}
