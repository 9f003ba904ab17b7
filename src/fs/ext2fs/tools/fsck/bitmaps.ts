/** The fifth pass: bitmaps and counts. */
import { S_IFDIR, S_IFMT } from '../../../../kernel/stat.js';
import {
  bitmap_checksum, desc_bitmap_csum, desc_put_bitmap_csum,
} from '../../disk/bitmap.js';
import { RO_COMPAT } from '../../disk/features.js';
import { BG_BLOCK_UNINIT, BG_INODE_UNINIT, groupdesc_seal } from '../../disk/groupdesc.js';
import { SB, put_blocks } from '../../disk/sbfields.js';
import type { Bits } from '../volume/bits.js';
import { clusters_in, table_blocks } from '../volume/copies.js';
import { put_group, put_super } from './backup.js';
import type { Checker, Group } from './checker.js';

/** The bits of a piece with those behind its end set. */
function wanted(bits: Uint8Array | undefined, valid: number, bsize: number): Uint8Array {
  const bytes = new Uint8Array(bsize);
  if (bits !== undefined) bytes.set(bits.subarray(0, bsize));
  for (let i = valid; i < bsize * 8 && (i & 7) !== 0; i++) bytes[i >>> 3]! |= 1 << (i & 7);
  return bytes.fill(0xff, Math.ceil(valid / 8));
}

/** First bit of the first `valid` that differs; -1: none does. */
function differs(a: Uint8Array, b: Uint8Array, valid: number): number {
  for (let i = 0; i < Math.ceil(valid / 8); i++) {
    const x = a[i]! ^ b[i]!;
    if (x === 0) continue;
    for (let k = 0; k < 8; k++) if ((x & (1 << k)) !== 0 && 8 * i + k < valid) return 8 * i + k;
  }
  return -1;
}

export async function check_bitmaps(c: Checker): Promise<void> {
  const { fs } = c;
  const dirs = new Map<number, number>();
  const last = new Map<number, number>();
  for (const { ino, mode } of c.known.values()) {
    const g = Math.floor((ino - 1) / fs.s_inodes_per_group);
    last.set(g, Math.max(last.get(g) ?? 0, ((ino - 1) % fs.s_inodes_per_group) + 1));
    if ((mode & S_IFMT) === S_IFDIR) dirs.set(g, (dirs.get(g) ?? 0) + 1);
  }
  let blocks = 0;
  let inodes = 0;
  for (let g = 0; g < fs.ngroups; g++) {
    const d = c.groups[g]!;
    const free = clusters_in(fs, g) - c.claimed.inpiece(g);
    const unused = fs.s_inodes_per_group - c.inodes.inpiece(g);
    blocks += free;
    inodes += unused;
    await bitmap(c, g, d, 'block');
    await bitmap(c, g, d, 'inode');
    const counts: Partial<Record<'bg_free_blocks_count' | 'bg_free_inodes_count' | 'bg_used_dirs_count', number>> = {};
    if (d.bg_free_blocks_count !== low(c, free)) counts.bg_free_blocks_count = low(c, free);
    if (d.bg_free_inodes_count !== low(c, unused)) counts.bg_free_inodes_count = low(c, unused);
    if (d.bg_used_dirs_count !== (dirs.get(g) ?? 0)) counts.bg_used_dirs_count = dirs.get(g) ?? 0;
    if (Object.keys(counts).length === 0) continue;
    const what = Object.entries(counts).map(([name, n]) => `${name} ${d[name as keyof typeof counts]} should be ${n}`);
    if (!c.problem('preen', 'counts', `group ${g}: ${what.join(', ')}`, 'SET')) continue;
    Object.assign(d, counts);
    await put_group(c, g, d);
  }
  // Linux writes these only when a volume is unmounted: nobody relies on them, and nobody complains.
  blocks *= fs.clusterblocks;
  if ((fs.s_free_blocks_count === blocks && fs.s_free_inodes_count === inodes) || !c.mending || c.unresolved) return;
  const view = new DataView(c.sb.buffer);
  put_blocks(view, SB.s_free_blocks_count_lo, SB.s_free_blocks_count_hi, blocks);
  view.setUint32(SB.s_free_inodes_count, inodes, true);
  await put_super(c);
}

/** Counts of descriptors of 32 bytes have 16 bits. */
function low(c: Checker, n: number): number {
  return c.fs.desc_size >= 64 ? n : Math.min(n, 65535);
}

/** What a group without a bitmap has in use: only what is the volume's own. */
function computed(c: Checker, g: number): boolean {
  const { fs } = c;
  const first = g * fs.s_clusters_per_group;
  const { bg_block_bitmap, bg_inode_bitmap, bg_inode_table } = c.groups[g]!;
  const own = (block: number): boolean =>
    block === bg_block_bitmap || block === bg_inode_bitmap ||
    (block >= bg_inode_table && block < bg_inode_table + table_blocks(fs));
  for (let n = c.claimed.nextset(first, first + clusters_in(fs, g)); n < first + clusters_in(fs, g); ) {
    // Of others' structures that lie here nobody would know.
    const block = fs.s_first_data_block + n * fs.clusterblocks;
    if (!c.head.has(n) && !own(block)) return false;
    n = c.claimed.nextset(n + 1, first + clusters_in(fs, g));
  }
  return true;
}

async function bitmap(c: Checker, g: number, d: Group, kind: 'block' | 'inode'): Promise<void> {
  const { fs } = c;
  const csums = fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg);
  const flag = kind === 'block' ? BG_BLOCK_UNINIT : BG_INODE_UNINIT;
  const set: Bits = kind === 'block' ? c.claimed : c.inodes;
  const valid = kind === 'block' ? clusters_in(fs, g) : fs.s_inodes_per_group;
  const bits = wanted(set.piece(g), valid, fs.bsize);
  const at = kind === 'block' ? d.bg_block_bitmap : d.bg_inode_bitmap;
  // One without a place is to be given one first.
  if (at === 0) return;
  let what: string | undefined;
  if (csums && (d.bg_flags & flag) !== 0) {
    const right = kind === 'block' ? computed(c, g) : set.inpiece(g) === 0;
    if (right) return;
    what = 'is marked as never used, and is not';
  } else {
    const bytes = await c.bread(at);
    const first = differs(bytes, bits, valid);
    if (first >= 0) what = `differs, first at ${g * set.size + first}`;
    else {
      const behind = differs(bytes, bits, fs.bsize * 8);
      const place = fs.descplace(g);
      const desc = await c.bread(place.block);
      const view = new DataView(desc.buffer, desc.byteOffset, desc.length);
      if (behind >= 0) what = 'has bits behind its end that are not set';
      else if (fs.metadata_csum && desc_bitmap_csum(fs, kind, view, place.at) !== bitmap_checksum(fs, kind, bytes))
        what = 'has a wrong checksum';
    }
  }
  if (what === undefined) return;
  if (!c.problem('preen', 'bitmap', `group ${g}: bitmap of ${kind}s ${what}`, 'WRITTEN')) return;
  d.bg_flags &= ~flag;
  await c.bwrite(at, bits);
  await put_group(c, g, d);
  if (!fs.metadata_csum) return;
  const place = fs.descplace(g);
  const desc = await c.bread(place.block);
  const view = new DataView(desc.buffer, desc.byteOffset, desc.length);
  desc_put_bitmap_csum(fs, kind, view, place.at, bitmap_checksum(fs, kind, bits));
  groupdesc_seal(fs, desc, view, place.at, g);
  await c.bwrite(place.block, desc);
}
