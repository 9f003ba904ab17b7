/** Makes checksums right again, so that damage is met behind them, too. */
import { bitmap_checksum, desc_put_bitmap_csum } from '../../src/fs/ext2fs/disk/bitmap.js';
import { dinode_seal, inode_seed } from '../../src/fs/ext2fs/disk/dinode.js';
import { dirent_seal } from '../../src/fs/ext2fs/disk/dirent.js';
import { extent_seal, extent_tail } from '../../src/fs/ext2fs/disk/extent.js';
import { groupdesc_seal } from '../../src/fs/ext2fs/disk/groupdesc.js';
import { dx_seal } from '../../src/fs/ext2fs/disk/htree.js';
import { journal_super_seal } from '../../src/fs/ext2fs/disk/journal.js';
import { superblock_seal } from '../../src/fs/ext2fs/disk/sbfields.js';
import { H_CHECKSUM, xattr_checksum } from '../../src/fs/ext2fs/disk/xattr.js';
import type { MutantDevice } from '../../testing/fuzz/device.js';
import type { Atlas } from './atlas.js';

/** Reads bytes, lets `work` change them, and writes them if it did. Behind the end there is nothing. */
function change(
  dev: MutantDevice, at: number, length: number, work: (bytes: Uint8Array, view: DataView) => void,
): void {
  if (at + length > dev.size_bytes) return;
  const bytes = new Uint8Array(length);
  dev.read(bytes, 0, length, at);
  const before = bytes.slice();
  work(bytes, new DataView(bytes.buffer));
  if (bytes.some((byte, i) => byte !== before[i])) dev.write(bytes, 0, length, at);
}

export function amend(dev: MutantDevice, atlas: Atlas): void {
  const { fs } = atlas;
  const { bsize } = fs;
  for (const at of atlas.supers) change(dev, at, 1024, (bytes) => superblock_seal(bytes));
  if (atlas.journal.length > 0) change(dev, atlas.journal[0]! * bsize, bsize, (bytes) => journal_super_seal(bytes));
  for (const { at, g, block, inode } of atlas.descriptors)
    change(dev, at, fs.desc_size, (bytes, view) => {
      if (fs.metadata_csum)
        for (const [kind, place] of [['block', block], ['inode', inode]] as const)
          change(dev, place * bsize, bsize, (bitmap) => {
            // What never was in use has no checksum.
            if ((view.getUint16(0x12, true) & (kind === 'block' ? 2 : 1)) === 0)
              desc_put_bitmap_csum(fs, kind, view, 0, bitmap_checksum(fs, kind, bitmap));
          });
      groupdesc_seal(fs, bytes, view, 0, g);
    });
  if (!fs.metadata_csum) return;
  const seeds = new Map<number, number>();
  for (const { ino, at } of atlas.inodes)
    change(dev, at, fs.s_inode_size, (bytes, view) => {
      dinode_seal(fs, bytes, view, 0, ino);
      seeds.set(ino, inode_seed(fs, ino, view.getUint32(0x64, true)));
    });
  const seed = (ino: number): number => seeds.get(ino) ?? 0;
  for (const { block, ino } of atlas.leaves)
    change(dev, block * bsize, bsize, (bytes, view) => dirent_seal(seed(ino), bytes, view));
  for (const { block, ino, countat } of atlas.trees)
    change(dev, block * bsize, bsize, (bytes, view) => {
      if (countat + view.getUint16(countat, true) * 8 + 8 <= bsize) dx_seal(seed(ino), bytes, view, countat);
    });
  for (const { block, ino } of atlas.extents)
    change(dev, block * bsize, bsize, (bytes, view) => {
      if (extent_tail(view) + 4 <= bsize) extent_seal(seed(ino), bytes, view);
    });
  for (const block of atlas.attributes)
    change(dev, block * bsize, bsize, (bytes, view) =>
      view.setUint32(H_CHECKSUM, xattr_checksum(fs, bytes, block), true));
}
