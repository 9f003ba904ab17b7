/**
 * newfs: makes an empty volume on a block device. What it is like is settled in layout.ts, where its tables lie in
 * place.ts; this writes them: first everything else, at last the superblock.
 */
import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { INCOMPAT, RO_COMPAT } from '../../disk/features.js';
import { bitmap_checksum, desc_put_bitmap_csum } from '../../disk/bitmap.js';
import {
  BG_BLOCK_UNINIT, BG_INODE_UNINIT, BG_INODE_ZEROED, groupdesc_put, groupdesc_seal,
} from '../../disk/groupdesc.js';
import { SB, put_blocks, superblock_seal } from '../../disk/sbfields.js';
import { SBOFF, SBSIZE } from '../../disk/superblock.js';
import { clusters_in, group_head, head_shift, table_blocks } from '../volume/copies.js';
import { make_content } from './content.js';
import type { Layout, NewfsOptions } from './layout.js';
import { ext2_layout } from './layout.js';
import { place_groups } from './place.js';
import { NewVolume, zero_bytes } from './volume.js';

/** Marks of other formats lie in the first bytes (FFS up to 262144 + 8192), and in the last ones. */
const HEAD_BYTES = 270336;
const TAIL_BYTES = 65536;

/** A bitmap with all bits behind the first `valid` set. */
function padded(bits: Uint8Array | undefined, valid: number, bsize: number): Uint8Array {
  const bytes = new Uint8Array(bsize);
  if (bits !== undefined) bytes.set(bits.subarray(0, bsize));
  for (let i = valid; i < bsize * 8 && (i & 7) !== 0; i++) bytes[i >>> 3]! |= 1 << (i & 7);
  return bytes.fill(0xff, Math.ceil(valid / 8));
}

/** Bitmap of the inodes of a group of which the first `used` are in use. */
function first_inodes(used: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(used / 8));
  for (let i = 0; i < used; i++) bits[i >>> 3]! |= 1 << (i & 7);
  return bits;
}

interface Counts {
  free: number;
  inodes: number;
}

/** Bitmaps, tables and descriptors of all groups. @returns the descriptors, and what is free */
async function write_groups(v: NewVolume, lazy: boolean): Promise<{ descs: Uint8Array; counts: Counts }> {
  const { fs, places } = v;
  const { bsize, desc_size } = fs;
  const perblock = bsize / desc_size;
  const descs = new Uint8Array(Math.ceil(fs.ngroups / perblock) * bsize);
  const view = new DataView(descs.buffer);
  const counts: Counts = { free: 0, inodes: 0 };
  const csums = fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg);
  for (let g = 0; g < fs.ngroups; g++) {
    const at = g * desc_size;
    const place = places[g]!;
    const used = v.inodes.get(g) ?? 0;
    const free = clusters_in(fs, g) - v.used.inpiece(g);
    const bg_free_inodes_count = fs.s_inodes_per_group - used;
    // The bitmap of the last group has bits behind its end, which nobody could compute.
    const blockuninit = csums && g < fs.ngroups - 1 && g > 0 && v.untouched(g);
    const inodeuninit = csums && used === 0;
    const unused = csums ? fs.s_inodes_per_group - used : 0;
    groupdesc_put(fs, view, at, {
      ...place,
      bg_free_blocks_count: free,
      bg_free_inodes_count,
      bg_used_dirs_count: v.dirs.get(g) ?? 0,
      bg_flags:
        (blockuninit ? BG_BLOCK_UNINIT : 0) |
        (inodeuninit ? BG_INODE_UNINIT : 0) |
        (csums && !lazy ? BG_INODE_ZEROED : 0),
      bg_itable_unused: unused,
    });
    if (!blockuninit) {
      const bits = padded(v.used.piece(g), clusters_in(fs, g), bsize);
      await v.bwrite(place.bg_block_bitmap, bits);
      if (fs.metadata_csum) desc_put_bitmap_csum(fs, 'block', view, at, bitmap_checksum(fs, 'block', bits));
    }
    if (!inodeuninit) {
      const bits = padded(first_inodes(used), fs.s_inodes_per_group, bsize);
      await v.bwrite(place.bg_inode_bitmap, bits);
      if (fs.metadata_csum) desc_put_bitmap_csum(fs, 'inode', view, at, bitmap_checksum(fs, 'inode', bits));
    }
    groupdesc_seal(fs, descs, view, at, g);
    const needed = csums && lazy ? Math.ceil(used / fs.inodes_per_block) : table_blocks(fs);
    if (needed > 0) await v.zero(place.bg_inode_table, needed);
    counts.free += free;
    counts.inodes += bg_free_inodes_count;
  }
  return { descs, counts };
}

/** The descriptors that stand at the head of group `g`: those of its metagroup, or all of them. */
function own_descriptors({ fs }: NewVolume, g: number, descs: Uint8Array, blocks: number): Uint8Array {
  const n = Math.floor(g / (fs.bsize / fs.desc_size));
  const first = fs.incompat(INCOMPAT.meta_bg) && n >= fs.s_first_meta_bg ? n : 0;
  return descs.subarray(first * fs.bsize, (first + blocks) * fs.bsize);
}

/** The superblock and the descriptors at the head of each group that has them; those of the first group at last. */
async function write_heads(v: NewVolume, sb: Uint8Array, descs: Uint8Array): Promise<void> {
  const { fs } = v;
  for (let g = fs.ngroups - 1; g >= 0; g--) {
    const { superblock, descriptors } = group_head(fs, g);
    const first = fs.groupfirst(g) + head_shift(fs, g) + superblock;
    if (descriptors > 0) await v.bwrite(first, own_descriptors(v, g, descs, descriptors));
    if (superblock === 1 && g > 0) await v.dev.write(copy_of(sb, g), 0, SBSIZE, fs.groupfirst(g) * fs.bsize);
  }
  await v.dev.flush();
  await v.dev.write(copy_of(sb, 0), 0, SBSIZE, SBOFF);
  await v.dev.flush();
}

/** The superblock as group `g` has it. */
function copy_of(sb: Uint8Array, g: number): Uint8Array {
  const copy = sb.slice();
  new DataView(copy.buffer).setUint16(SB.s_block_group_nr, Math.min(g, 65535), true);
  superblock_seal(copy);
  return copy;
}

/** @throws EINVAL ENOSPC EIO EROFS */
export async function newfs(dev: BlockDevice, options: NewfsOptions = {}): Promise<Layout> {
  const layout = ext2_layout(dev.size_bytes, options);
  const { fs, sb, journalBlocks } = layout;
  const size = fs.s_blocks_count * fs.bsize;
  const v = new NewVolume(dev, fs, place_groups(fs), options.time ?? Math.floor(Date.now() / 1000));
  // What was there before is no volume any more, whatever becomes of this.
  await zero_bytes(dev, 0, Math.min(HEAD_BYTES, size));
  await zero_bytes(dev, Math.max(0, size - TAIL_BYTES), size);
  await make_content(v, sb, journalBlocks, { uid: options.uid ?? 0, gid: options.gid ?? 0 });
  const { descs, counts } = await write_groups(v, options.lazy ?? true);
  await v.writetables();
  const view = new DataView(sb.buffer);
  put_blocks(view, SB.s_free_blocks_count_lo, SB.s_free_blocks_count_hi, counts.free * fs.clusterblocks);
  view.setUint32(SB.s_free_inodes_count, counts.inodes, true);
  view.setUint32(SB.s_kbytes_written, Math.ceil(v.written / 1024) % 2 ** 32, true);
  await write_heads(v, sb, descs);
  return layout;
}

/** Takes the volume off the device again: there is no superblock any more. @throws EIO */
export async function unmake(dev: BlockDevice): Promise<void> {
  await zero_bytes(dev, SBOFF, SBOFF + SBSIZE);
  await dev.flush();
}
