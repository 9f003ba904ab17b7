/** What a new volume has of files: root, lost+found, journal, orphan file, and the inode of reserved descriptors. */
import { S_IFDIR, S_IFREG } from '../../../../kernel/stat.js';
import { COMPAT, INCOMPAT } from '../../disk/features.js';
import { TAIL_BYTES, dirent_put, dirent_puttail, dirent_room, dirent_seal } from '../../disk/dirent.js';
import { dinode_seal } from '../../disk/dinode.js';
import { new_journal_super } from '../../disk/journal.js';
import { orphan_block } from '../../disk/orphan.js';
import { SB } from '../../disk/sbfields.js';
import type { Ext2fs } from '../../disk/superblock.js';
import { EXT2_ROOTINO } from '../../disk/superblock.js';
import { descriptor_blocks } from '../volume/copies.js';
import type { FileRun } from '../volume/filemap.js';
import type { NewVolume } from './volume.js';

const RESIZE_INO = 7;
const JOURNAL_INO = 8;
const LOST_INO = 11;
const ORPHAN_INO = 12;
/** Bytes of lost+found, as mke2fs makes it: repairs must not need to make it longer. */
const LOST_BYTES = 16384;
const LOST_BLOCKS_MAX = 12;
/** Blocks of an orphan file. Source: e2fsprogs ext2fs_default_orphan_file_blocks. */
const ORPHAN_BLOCKS = 32;
const FT_DIR = 2;
const DIND = 13;

/** A block of a directory with these entries; the last one has the rest of the room. */
export function directory_block(
  fs: Ext2fs, seed: number, entries: readonly { ino: number; name: Uint8Array; type: number }[],
): Uint8Array {
  const bytes = new Uint8Array(fs.bsize);
  const view = new DataView(bytes.buffer);
  const end = fs.metadata_csum ? fs.bsize - TAIL_BYTES : fs.bsize;
  const type = (t: number): number => (fs.incompat(INCOMPAT.filetype) ? t : 0);
  let at = 0;
  entries.forEach((entry, i) => {
    const length = i === entries.length - 1 ? end - at : dirent_room(entry.name.length);
    dirent_put(bytes, view, at, { ...entry, type: type(entry.type), length }, fs.bsize);
    at += length;
  });
  if (entries.length === 0) {
    dirent_put(bytes, view, 0, { ino: 0, name: new Uint8Array(0), type: 0, length: end }, fs.bsize);
  }
  if (fs.metadata_csum) {
    dirent_puttail(bytes, view);
    dirent_seal(seed, bytes, view);
  }
  return bytes;
}

const name = (text: string): Uint8Array => new TextEncoder().encode(text);

export async function make_root(v: NewVolume, uid: number, gid: number): Promise<void> {
  const { fs } = v;
  const { bsize } = fs;
  const root = v.alloc(1, 0);
  // Of a tiny volume it takes no more than a sixteenth.
  const lostblocks = Math.max(1, Math.floor(Math.min(LOST_BLOCKS_MAX, LOST_BYTES / bsize, v.clusters / 16)));
  const lost = v.alloc(lostblocks, 0);
  const dir = (ino: number, parent: number): { ino: number; name: Uint8Array; type: number }[] => [
    { ino, name: name('.'), type: FT_DIR }, { ino: parent, name: name('..'), type: FT_DIR },
  ];
  const entries = [...dir(EXT2_ROOTINO, EXT2_ROOTINO), { ino: LOST_INO, name: name('lost+found'), type: FT_DIR }];
  await v.bwrite(root[0]!.start, directory_block(fs, v.seed(EXT2_ROOTINO), entries));
  await v.inode(EXT2_ROOTINO, { mode: S_IFDIR | 0o755, links: 3, size: bsize, uid, gid }, root);
  let blocks = 0;
  for (const { start, length } of lost)
    for (let i = 0; i < length; i++, blocks++) {
      const inside = blocks === 0 ? dir(LOST_INO, EXT2_ROOTINO) : [];
      await v.bwrite(start + i, directory_block(fs, v.seed(LOST_INO), inside));
    }
  await v.inode(LOST_INO, { mode: S_IFDIR | 0o700, links: 2, size: blocks * bsize }, lost);
}

/** An empty journal; the superblock gets a copy of where it lies. */
export async function make_journal(v: NewVolume, sb: Uint8Array, blocks: number): Promise<void> {
  const { fs } = v;
  const runs = v.alloc(blocks, Math.floor(fs.ngroups / 2));
  for (const { start, length } of runs) await v.zero(start, length);
  await v.bwrite(runs[0]!.start, new_journal_super(fs.bsize, blocks, fs.s_uuid));
  const size = blocks * fs.bsize;
  await v.inode(JOURNAL_INO, { mode: S_IFREG | 0o600, links: 1, size }, runs);
  put_journal_fields(sb, JOURNAL_INO, v.i_block(JOURNAL_INO), size);
}

/** The superblock's fields about a journal in inode `ino`, whose i_block is given. */
export function put_journal_fields(sb: Uint8Array, ino: number, i_block: Uint8Array, size: number): void {
  const view = new DataView(sb.buffer, sb.byteOffset, sb.byteLength);
  view.setUint32(SB.s_journal_inum, ino, true);
  sb[SB.s_jnl_backup_type] = 1;
  sb.set(i_block, SB.s_jnl_blocks);
  view.setUint32(SB.s_jnl_blocks + 60, Math.floor(size / 2 ** 32), true);
  view.setUint32(SB.s_jnl_blocks + 64, size % 2 ** 32, true);
}

export async function make_orphan_file(v: NewVolume, sb: Uint8Array): Promise<void> {
  const { fs } = v;
  const blocks = Math.max(1, Math.min(ORPHAN_BLOCKS, Math.floor(v.clusters / 64)));
  const runs = v.alloc(blocks, 0);
  for (const { start, length } of runs)
    for (let i = 0; i < length; i++) await v.bwrite(start + i, orphan_block(fs, v.seed(ORPHAN_INO), start + i, []));
  await v.inode(ORPHAN_INO, { mode: S_IFREG | 0o600, links: 1, size: blocks * fs.bsize }, runs);
  new DataView(sb.buffer).setUint32(SB.s_orphan_file_inum, ORPHAN_INO, true);
}

/** The groups besides the first that have copies of the descriptors. */
export function backup_groups(fs: Ext2fs): number[] {
  const groups: number[] = [];
  for (let g = 1; g < fs.ngroups; g++) if (fs.hassuper(g)) groups.push(g);
  return groups;
}

/**
 * Inode 7 owns the blocks that are kept for more descriptors: its map has those behind the descriptors as indirect
 * blocks, and each of them leads to the same block of all copies. Source: e2fsprogs lib/ext2fs/res_gdt.c.
 */
export async function make_resize_inode(v: NewVolume): Promise<void> {
  const { fs } = v;
  const { bsize, s_reserved_gdt_blocks: reserved } = fs;
  const nindir = bsize / 4;
  const { bytes, view, at } = v.dinode(RESIZE_INO, {
    mode: S_IFREG | 0o600, links: 1, size: (nindir * nindir + nindir + 12) * bsize,
  });
  const [run]: FileRun[] = v.alloc(1, 0);
  const dind = new DataView(new ArrayBuffer(bsize));
  const groups = backup_groups(fs);
  const old = descriptor_blocks(fs);
  for (let i = 0; i < reserved; i++) {
    const block = fs.s_first_data_block + 1 + old + i;
    dind.setUint32(4 * ((old + i) % nindir), block, true);
    const copies = new DataView(new ArrayBuffer(bsize));
    groups.forEach((g, k) => copies.setUint32(4 * k, block + g * fs.s_blocks_per_group, true));
    await v.bwrite(block, new Uint8Array(copies.buffer));
  }
  await v.bwrite(run!.start, new Uint8Array(dind.buffer));
  view.setUint32(at + 0x28 + 4 * DIND, run!.start, true);
  v.putblocks(view, at, 1 + reserved * (1 + groups.length));
  dinode_seal(fs, bytes, view, at, RESIZE_INO);
}

export async function make_content(
  v: NewVolume, sb: Uint8Array, journalBlocks: number, owner: { uid: number; gid: number },
): Promise<void> {
  const { fs } = v;
  await make_root(v, owner.uid, owner.gid);
  if (fs.compat(COMPAT.resize_inode)) await make_resize_inode(v);
  if (journalBlocks > 0) await make_journal(v, sb, journalBlocks);
  if (fs.compat(COMPAT.orphan_file)) await make_orphan_file(v, sb);
}
