/** Where the structures of a sound volume lie. */
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { FL } from '../../src/fs/ext2fs/disk/dinode.js';
import { dx_countat } from '../../src/fs/ext2fs/disk/htree.js';
import type { Ext2fs } from '../../src/fs/ext2fs/disk/superblock.js';
import { check_descriptors, check_super } from '../../src/fs/ext2fs/tools/fsck/backup.js';
import { Checker } from '../../src/fs/ext2fs/tools/fsck/checker.js';
import { file_map } from '../../src/fs/ext2fs/tools/fsck/map.js';

export interface InodeAt {
  readonly ino: number;
  readonly at: number;
  readonly mode: number;
  readonly extents: boolean;
}

export interface BlockAt {
  /** Block of the volume. */
  readonly block: number;
  readonly ino: number;
}

export interface Atlas {
  readonly fs: Ext2fs;
  /** Bytes of the superblock and of its copies. */
  readonly supers: readonly number[];
  /** Where each lies, and the bitmaps it names. */
  readonly descriptors: readonly { readonly at: number; readonly g: number; readonly block: number;
    readonly inode: number }[];
  readonly inodes: readonly InodeAt[];
  readonly leaves: readonly BlockAt[];
  readonly trees: readonly (BlockAt & { readonly countat: number })[];
  readonly extents: readonly BlockAt[];
  readonly pointers: readonly BlockAt[];
  readonly attributes: readonly number[];
  readonly journal: readonly number[];
  /** Bytes of entries of directories. */
  readonly entries: readonly number[];
  /** Blocks with files' data. */
  readonly data: readonly number[];
}

const isdir = (mode: number): boolean => (mode & 0xf000) === 0x4000;

export async function makeAtlas(bytes: Uint8Array): Promise<Atlas> {
  const c = new Checker(new MemoryDevice({ content: bytes, readonly: true }), 'check');
  await check_super(c);
  await check_descriptors(c, true);
  const { fs } = c;
  const inodes: InodeAt[] = [];
  const found = {
    leaves: [] as BlockAt[], trees: [] as (BlockAt & { countat: number })[], extents: [] as BlockAt[],
    pointers: [] as BlockAt[], attributes: [] as number[], journal: [] as number[], entries: [] as number[],
    data: [] as number[],
  };
  for (let ino = 1; ino <= fs.s_inodes_count; ino++) {
    const place = await c.inode(ino);
    const { d } = place;
    if (d.i_mode === 0 || d.i_nlink === 0) continue;
    inodes.push({
      ino, at: place.block * fs.bsize + place.at, mode: d.i_mode, extents: (d.i_flags & FL.EXTENTS) !== 0,
    });
    if (d.i_file_acl !== 0) found.attributes.push(d.i_file_acl);
    const type = d.i_mode & 0xf000;
    if ((d.i_flags & FL.INLINE_DATA) !== 0 || (type !== 0x8000 && type !== 0x4000)) continue;
    const { runs, meta } = await file_map(c, place, false);
    for (const block of meta) ((d.i_flags & FL.EXTENTS) !== 0 ? found.extents : found.pointers).push({ block, ino });
    for (const { lbn, start, length } of runs)
      for (let i = 0; i < length; i++) {
        const block = start + i;
        if (ino === fs.s_journal_inum) {
          if (lbn + i < 64) found.journal.push(block);
        } else if (isdir(d.i_mode)) {
          const v = new DataView(bytes.buffer, bytes.byteOffset + block * fs.bsize, fs.bsize);
          const countat = (d.i_flags & FL.INDEX) !== 0 ? dx_countat(v, lbn + i, fs.bsize) : undefined;
          if (countat !== undefined) found.trees.push({ block, ino, countat });
          else {
            found.leaves.push({ block, ino });
            for (let at = 0; at + 12 <= fs.bsize; ) {
              found.entries.push(block * fs.bsize + at);
              at += Math.max(12, v.getUint16(at + 4, true));
            }
          }
        } else if (found.data.length < 400) found.data.push(block);
      }
  }
  const supers = [1024];
  for (let g = 1; g < fs.ngroups; g++) if (fs.hassuper(g)) supers.push(fs.groupfirst(g) * fs.bsize);
  const descriptors = c.groups.map((d, g) => {
    const { block, at } = fs.descplace(g);
    return { at: block * fs.bsize + at, g, block: d.bg_block_bitmap, inode: d.bg_inode_bitmap };
  });
  return { fs, supers, descriptors, inodes, ...found };
}
