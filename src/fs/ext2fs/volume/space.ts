import { COMPAT, INCOMPAT, RO_COMPAT } from '../disk/features.js';
import type { Ext2fs } from '../disk/superblock.js';
import { journal_blocks } from '../journal/find.js';
import type { Ext2Mount } from './ext2mount.js';

/** In blocks, and inodes. */
export interface Space {
  readonly blocks: number;
  readonly free: number;
  readonly available: number;
  readonly inodes: number;
}

/**
 * Clusters that Linux keeps back for data whose place is not chosen yet, at most, and the share of all. Source:
 * fs/ext4/super.c.
 */
const RESERVED_CLUSTERS = 4096;
const RESERVED_SHARE = 50;

const known = new WeakMap<Ext2Mount, Space>();

/** Of each volume: what changes while it is mounted is not in it. */
const overheads = new WeakMap<Ext2Mount, number>();

/** Room of the volume as Linux counts it: from the group descriptors, which are read once. @throws EIO */
export async function ext2_space(em: Ext2Mount): Promise<Space> {
  const { em_write: state } = em;
  if (state === null) {
    const had = known.get(em);
    if (had !== undefined) return had;
  }
  const fs = em.em_fs;
  let clusters = state?.groups.blocks ?? 0;
  let inodes = state?.groups.inodes ?? 0;
  for (let g = 0; state === null && g < fs.ngroups; g++) {
    const d = em.groupdesc(g);
    const desc = d instanceof Promise ? await d : d;
    clusters += desc.bg_free_blocks_count;
    inodes += desc.bg_free_inodes_count;
  }
  if (state !== null) clusters += Math.floor(state.frees.count / fs.clusterblocks);
  const taken = overheads.get(em) ?? (await overhead(em));
  overheads.set(em, taken);
  const blocks = Math.max(0, fs.s_blocks_count - taken);
  const free = Math.min(clusters * fs.clusterblocks, fs.s_blocks_count);
  const reserved = fs.incompat(INCOMPAT.extents)
    ? Math.min(RESERVED_CLUSTERS, Math.floor(fs.s_blocks_count / fs.clusterblocks / RESERVED_SHARE)) * fs.clusterblocks
    : 0;
  const space = {
    blocks,
    free,
    available: Math.max(0, free - fs.s_r_blocks_count - reserved),
    inodes: Math.min(inodes, fs.s_inodes_count),
  };
  if (state === null) known.set(em, space);
  return space;
}

/** Blocks that files can never have, and that are not counted as the volume's. */
async function overhead(em: Ext2Mount): Promise<number> {
  const fs = em.em_fs;
  if (fs.s_overhead_clusters !== 0) return fs.s_overhead_clusters * fs.clusterblocks;
  const table = Math.ceil(fs.s_inodes_per_group / fs.inodes_per_block);
  let blocks = fs.s_first_data_block;
  for (let g = 0; g < fs.ngroups; g++) blocks += table + 2 + (fs.hassuper(g) ? 1 : 0) + descblocks(fs, g);
  if (fs.compat(COMPAT.has_journal) && fs.s_journal_inum !== 0) blocks += await journal_blocks(em);
  return fs.ro_compat(RO_COMPAT.bigalloc) ? Math.ceil(blocks / fs.clusterblocks) * fs.clusterblocks : blocks;
}

/** Blocks of descriptors in group `g`. */
export function descblocks(fs: Ext2fs, g: number): number {
  const perblock = fs.bsize / fs.desc_size;
  const all = Math.ceil(fs.ngroups / perblock);
  const meta = Math.floor(g / perblock);
  if (!fs.incompat(INCOMPAT.meta_bg) || meta < fs.s_first_meta_bg)
    return fs.hassuper(g) ? (fs.incompat(INCOMPAT.meta_bg) ? fs.s_first_meta_bg : all) : 0;
  const place = g % perblock;
  return place === 0 || place === 1 || place === perblock - 1 ? 1 : 0;
}
