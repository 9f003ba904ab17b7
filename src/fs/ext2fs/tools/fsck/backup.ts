/** The superblock and the descriptors, and their copies where these are damaged. */
import { Errno } from '../../../../kernel/errno.js';
import { COMPAT, INCOMPAT, RO_COMPAT, feature_names } from '../../disk/features.js';
import {
  BG_INODE_UNINIT, BG_INODE_ZEROED, groupdesc, groupdesc_checksum, groupdesc_put, groupdesc_seal,
} from '../../disk/groupdesc.js';
import { SB, put_blocks, superblock_seal } from '../../disk/sbfields.js';
import { Ext2fs, SBOFF, SBSIZE, superblock_marked, superblock_sealed } from '../../disk/superblock.js';
import { Bits } from '../volume/bits.js';
import {
  cluster_of, descriptor_blocks, group_end, group_head, head_blocks, head_shift, table_blocks,
} from '../volume/copies.js';
import type { Checker, Group } from './checker.js';
import { CannotCheck } from './checker.js';

/** Groups that have a copy, whatever sparse_super is about. */
const BACKUPS = [1, 3, 5, 7, 9];
const BLOCK_SIZES = [1024, 2048, 4096, 8192, 16384, 32768, 65536];

interface Super {
  readonly fs: Ext2fs;
  readonly sb: Uint8Array;
}

/** A superblock at byte `at`: as what it can be used, or why not. */
async function super_at(c: Checker, at: number): Promise<Super | string> {
  if (at + SBSIZE > c.dev.size_bytes) return 'it lies behind the end of the device';
  const sb = new Uint8Array(SBSIZE);
  await c.read(sb, SBSIZE, at);
  if (!superblock_marked(new DataView(sb.buffer))) return 'there is no magic number';
  try {
    const fs = new Ext2fs(sb, c.dev.name);
    if (fs.s_blocks_per_group % 8 !== 0 && fs.ngroups > 1) return `s_blocks_per_group ${fs.s_blocks_per_group}`;
    if (fs.s_inodes_per_group % 8 !== 0) return `s_inodes_per_group ${fs.s_inodes_per_group}`;
    const { s_reserved_gdt_blocks: reserved } = fs;
    if (reserved > fs.bsize / 4) return `s_reserved_gdt_blocks ${reserved}`;
    if (fs.s_first_ino < 11 || fs.s_first_ino > fs.s_inodes_count) return `s_first_ino ${fs.s_first_ino}`;
    const need = head_blocks(fs, 0) + 2 + table_blocks(fs);
    if (need > fs.s_blocks_per_group && !fs.incompat(INCOMPAT.flex_bg)) return 'its groups have no room for their own';
    if (descriptor_blocks(fs) >= fs.s_blocks_count) return `${fs.ngroups} groups`;
    if (fs.s_blocks_count * fs.bsize > c.dev.size_bytes)
      return `the volume has ${fs.s_blocks_count * fs.bsize} bytes, the device only ${c.dev.size_bytes}`;
    if (fs.metadata_csum && !superblock_sealed(sb)) return 'checksum is wrong';
    return { fs, sb };
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    return thrown.message.replace(/^.*superblock: /, '');
  }
}

async function find_backup(c: Checker): Promise<Super | undefined> {
  const first = new Uint8Array(SBSIZE);
  if (c.dev.size_bytes >= SBOFF + SBSIZE) await c.read(first, SBSIZE, SBOFF);
  // What the first one says of groups may still be true.
  const said = new DataView(first.buffer).getUint32(SB.s_blocks_per_group, true);
  for (const bsize of BLOCK_SIZES)
    for (const [g, bpg] of BACKUPS.flatMap((n) => [[n, Math.min(8 * bsize, 65528)], [n, said]] as const)) {
      const found = await super_at(c, ((bsize === 1024 ? 1 : 0) + g * bpg) * bsize);
      if (typeof found === 'string' || found.fs.bsize !== bsize) continue;
      if (new DataView(found.sb.buffer).getUint16(SB.s_block_group_nr, true) !== g) continue;
      return found;
    }
  return undefined;
}

/** Inodes of the volume's own. */
const RESERVED = 10;
/** Of others' kernels. */
const STRANGE = RO_COMPAT.btree_dir | RO_COMPAT.snapshot | RO_COMPAT.replica;

/** Only who knows all of a volume's features may say what is wrong with it. @throws CannotCheck */
function understood(fs: Ext2fs): void {
  const known = (table: Readonly<Record<string, number>>): number =>
    Object.values(table).reduce((all, bit) => all | bit, 0);
  const strange = [
    ...feature_names((fs.s_feature_compat & ~known(COMPAT)) >>> 0, COMPAT, 'C'),
    ...feature_names((fs.s_feature_ro_compat & (~known(RO_COMPAT) | STRANGE)) >>> 0, RO_COMPAT, 'R'),
  ];
  if (strange.length > 0) throw new CannotCheck(`features that are not known here: ${strange.join(', ')}`);
  if (fs.incompat(INCOMPAT.casefold) && fs.s_encoding !== 1) throw new CannotCheck(`s_encoding ${fs.s_encoding}`);
}

/** Finds the superblock. @throws CannotCheck */
export async function check_super(c: Checker): Promise<void> {
  let found = await super_at(c, SBOFF);
  if (typeof found === 'string') {
    const why = found;
    const backup = await find_backup(c);
    const sealable = backup === undefined && why === 'checksum is wrong';
    if (backup === undefined && !sealable) throw new CannotCheck(`superblock: ${why}; and no copy of it is of use`);
    const sb = backup?.sb ?? new Uint8Array(SBSIZE);
    if (backup === undefined) await c.read(sb, SBSIZE, SBOFF);
    const view = new DataView(sb.buffer);
    view.setUint16(SB.s_block_group_nr, 0, true);
    superblock_seal(sb);
    found = { fs: new Ext2fs(sb, c.dev.name), sb };
    const fixed = backup === undefined ? 'SEALED' : 'RESTORED FROM BACKUP';
    if (c.problem('damage', 'superblock', `superblock: ${why}`, fixed)) {
      await c.write(sb, SBOFF);
      c.again = true;
    }
  }
  c.fs = found.fs;
  c.sb = found.sb;
  understood(c.fs);
  await check_fields(c);
}

/** Fields of the superblock that say something that cannot be, and do no more harm than that. */
async function check_fields(c: Checker): Promise<void> {
  const { fs } = c;
  const view = new DataView(c.sb.buffer);
  let changed = false;
  const mend = (wrong: boolean, what: string, put: () => void): void => {
    if (!wrong || !c.problem('damage', 'superblock', `superblock: ${what}`, 'SET')) return;
    put();
    changed = true;
  };
  const { s_r_blocks_count: reserved, s_blocks_count: blocks } = fs;
  mend(reserved > blocks / 2, `${reserved} of ${blocks} blocks are reserved`, () =>
    put_blocks(view, SB.s_r_blocks_count_lo, SB.s_r_blocks_count_hi, Math.floor(blocks / 20)));
  const size = view.getUint16(SB.s_desc_size, true);
  mend(!fs.incompat(INCOMPAT['64bit']) && ((size & (size - 1)) !== 0 || size > 1024), `s_desc_size ${size}`, () =>
    view.setUint16(SB.s_desc_size, 0, true));
  if (!fs.ro_compat(RO_COMPAT.bigalloc)) {
    mend(fs.s_log_cluster_size !== fs.s_log_block_size, `s_log_cluster_size ${fs.s_log_cluster_size}`, () =>
      view.setUint32(SB.s_log_cluster_size, fs.s_log_block_size, true));
    const clusters = view.getUint32(SB.s_clusters_per_group, true);
    mend(clusters !== fs.s_blocks_per_group, `s_clusters_per_group ${clusters}`, () =>
      view.setUint32(SB.s_clusters_per_group, fs.s_blocks_per_group, true));
  }
  const resize = fs.compat(COMPAT.resize_inode);
  mend(resize && fs.incompat(INCOMPAT.meta_bg), 'resize_inode, and meta_bg', () => {
    view.setUint32(SB.s_feature_compat, (fs.s_feature_compat & ~COMPAT.resize_inode) >>> 0, true);
    view.setUint16(SB.s_reserved_gdt_blocks, 0, true);
  });
  const quota = fs.ro_compat(RO_COMPAT.quota);
  for (const [field, own] of [['s_usr_quota_inum', 3], ['s_grp_quota_inum', 4], ['s_prj_quota_inum', 0]] as const) {
    const ino = fs[field];
    const fine = ino === 0 || (quota && (ino === own || (ino > fs.s_first_ino && ino <= fs.s_inodes_count)));
    mend(!fine, `${field} ${ino}`, () => view.setUint32(SB[field], 0, true));
  }
  if (!changed) return;
  await put_super(c);
  c.again = true;
}

/** Writes the superblock as it stands in c.sb, sealed. */
export async function put_super(c: Checker): Promise<void> {
  superblock_seal(c.sb);
  c.fs = new Ext2fs(c.sb, c.dev.name);
  await c.write(c.sb, SBOFF);
}

/** The descriptors at the head of group `copy`, all in a row; undefined: it has none, or not of all groups. */
async function copied_descriptors(c: Checker, copy: number): Promise<Uint8Array | undefined> {
  const { fs } = c;
  if (copy >= fs.ngroups || !fs.hassuper(copy) || fs.incompat(INCOMPAT.meta_bg)) return undefined;
  const { descriptors } = group_head(fs, copy);
  const at = fs.groupfirst(copy) + head_shift(fs, copy) + 1;
  if (at + descriptors > fs.s_blocks_count) return undefined;
  const bytes = new Uint8Array(descriptors * fs.bsize);
  await c.read(bytes, bytes.length, at * fs.bsize);
  return bytes;
}

/** Clusters of the volume's structures, and who else wants them. */
function claim(c: Checker, block: number, count: number): void {
  for (let k = cluster_of(c.fs, block); k <= cluster_of(c.fs, block + count - 1); k++) {
    c.claimed.add(k);
    c.system.add(k);
  }
}

/** Can a structure of group `g` lie there? Blocks that others have already are not free for it. */
function placeable(c: Checker, g: number, taken: Bits, block: number, count: number): boolean {
  const { fs } = c;
  if (!c.usable(block, count)) return false;
  if (!fs.incompat(INCOMPAT.flex_bg) && (block < fs.groupfirst(g) || block + count > group_end(fs, g))) return false;
  return taken.nextset(block, block + count) === block + count;
}

function places_fit(c: Checker, g: number, d: Group, taken: Bits): boolean {
  return (
    d.bg_block_bitmap !== d.bg_inode_bitmap &&
    bitmap_fits(c, g, d, taken, d.bg_block_bitmap) &&
    bitmap_fits(c, g, d, taken, d.bg_inode_bitmap) &&
    placeable(c, g, taken, d.bg_inode_table, table_blocks(c.fs))
  );
}

function bitmap_fits(c: Checker, g: number, d: Group, taken: Bits, block: number): boolean {
  const behind = d.bg_inode_table + table_blocks(c.fs);
  return !(block >= d.bg_inode_table && block < behind) && placeable(c, g, taken, block, 1);
}

/** Bitmaps that lie where they cannot are 0, and get another place when it is known what is free. */
function move_bitmaps(c: Checker, g: number, d: Group, taken: Bits): void {
  if (!bitmap_fits(c, g, d, taken, d.bg_block_bitmap)) d.bg_block_bitmap = 0;
  if (d.bg_inode_bitmap === d.bg_block_bitmap || !bitmap_fits(c, g, d, taken, d.bg_inode_bitmap)) d.bg_inode_bitmap = 0;
  if (!c.mending) return;
  c.later.push(async () => {
    for (const field of ['bg_block_bitmap', 'bg_inode_bitmap'] as const)
      if (d[field] === 0) d[field] = c.balloc(c.fs.incompat(INCOMPAT.flex_bg) ? undefined : g);
    await put_group(c, g, d);
    c.again = true;
  });
}

/**
 * Reads the descriptors of all groups, mends those that are wrong from their copies.
 * @param quiet only so that the journal is found; nothing is said, and nothing mended
 * @throws CannotCheck
 */
export async function check_descriptors(c: Checker, quiet: boolean): Promise<void> {
  const { fs } = c;
  c.claimed = new Bits(fs.s_clusters_per_group);
  c.system = new Bits(fs.s_clusters_per_group);
  c.head = new Bits(fs.s_clusters_per_group);
  c.shared = new Bits(fs.s_clusters_per_group);
  c.inodes = new Bits(fs.s_inodes_per_group);
  c.groups = [];
  const taken = new Bits(fs.s_blocks_per_group);
  for (let g = 0; g < fs.ngroups; g++) {
    const head = Math.min(head_blocks(fs, g), group_end(fs, g) - fs.groupfirst(g));
    if (head === 0) continue;
    claim(c, fs.groupfirst(g), head);
    for (let k = cluster_of(fs, fs.groupfirst(g)); k <= cluster_of(fs, fs.groupfirst(g) + head - 1); k++) c.head.add(k);
    for (let i = 0; i < head; i++) taken.add(fs.groupfirst(g) + i);
  }
  let copy: { bytes: Uint8Array | undefined } | undefined;
  const backup = async (g: number): Promise<Group | undefined> => {
    if (copy === undefined) {
      copy = { bytes: undefined };
      for (const from of BACKUPS) copy.bytes ??= await copied_descriptors(c, from);
    }
    if (copy.bytes === undefined) return undefined;
    const at = g * fs.desc_size;
    const view = new DataView(copy.bytes.buffer);
    const found = groupdesc(fs, view, at);
    const sum = groupdesc_checksum(fs, copy.bytes, at, g);
    return sum === undefined || sum === found.bg_checksum ? { ...found } : undefined;
  };
  if (fs.incompat(INCOMPAT.mmp) && c.usable(fs.s_mmp_block)) {
    claim(c, fs.s_mmp_block, 1);
    taken.add(fs.s_mmp_block);
  }
  const table = table_blocks(fs);
  const csums = fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg);
  const own = Math.min(fs.s_inodes_per_group, RESERVED);
  for (let g = 0; g < fs.ngroups; g++) {
    const { block, at } = fs.descplace(g);
    if (block >= fs.s_blocks_count) throw new CannotCheck(`descriptor of group ${g} lies in block ${block}`);
    const bytes = await c.bread(block);
    const view = new DataView(bytes.buffer);
    const d: Group = { ...groupdesc(fs, view, at) };
    const sum = groupdesc_checksum(fs, bytes, at, g);
    let wrong: string | undefined;
    if (sum !== undefined && sum !== d.bg_checksum) wrong = 'checksum is wrong';
    else if (!places_fit(c, g, d, taken))
      wrong = `bitmaps at ${d.bg_block_bitmap} and ${d.bg_inode_bitmap}, table at ${d.bg_inode_table}`;
    if (wrong === undefined && csums && d.bg_itable_unused > fs.s_inodes_per_group)
      wrong = `bg_itable_unused ${d.bg_itable_unused}`;
    if (wrong === undefined && csums && g === 0 &&
      ((d.bg_flags & BG_INODE_UNINIT) !== 0 || fs.s_inodes_per_group - d.bg_itable_unused < own))
      wrong = 'the first inodes are marked as never used';
    if (wrong === undefined && !csums && ((d.bg_flags & 3) !== 0 || d.bg_itable_unused !== 0))
      wrong = 'marked as never used, without a checksum';
    if (wrong !== undefined) {
      const other = await backup(g);
      if (other !== undefined && places_fit(c, g, other, taken)) {
        d.bg_block_bitmap = other.bg_block_bitmap;
        d.bg_inode_bitmap = other.bg_inode_bitmap;
        d.bg_inode_table = other.bg_inode_table;
      }
      if (!placeable(c, g, taken, d.bg_inode_table, table))
        throw new CannotCheck(`descriptor of group ${g}: ${wrong}; no copy is of use`);
      const moved = !places_fit(c, g, d, taken);
      // What is not in use is found anew by looking at all inodes.
      d.bg_flags &= BG_INODE_ZEROED;
      d.bg_itable_unused = 0;
      if (!quiet && c.problem('damage', 'descriptor', `descriptor of group ${g}: ${wrong}`, 'MENDED')) {
        if (!moved) await put_group(c, g, d);
      }
      if (moved) move_bitmaps(c, g, d, taken);
    }
    c.groups.push(d);
    for (const [first, count] of [[d.bg_block_bitmap, 1], [d.bg_inode_bitmap, 1], [d.bg_inode_table, table]] as const) {
      if (first === 0) continue;
      claim(c, first, count);
      for (let i = 0; i < count; i++) taken.add(first + i);
    }
  }
}

/** Writes the descriptor of a group, sealed. */
export async function put_group(c: Checker, g: number, d: Group): Promise<void> {
  const { block, at } = c.fs.descplace(g);
  const bytes = await c.bread(block);
  const view = new DataView(bytes.buffer);
  groupdesc_put(c.fs, view, at, d);
  groupdesc_seal(c.fs, bytes, view, at, g);
  await c.bwrite(block, bytes);
}
