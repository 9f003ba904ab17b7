import { KERNEL_CONTEXT } from '../../../kernel/context.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import { newdirblock } from '../dir/dirblock.js';
import { entry_put, leaf_end, leaf_insert } from '../dir/leaf.js';
import { FL } from '../disk/dinode.js';
import { DIRENT_HEADER, dirent_filetype, dirent_room } from '../disk/dirent.js';
import { INCOMPAT } from '../disk/features.js';
import { DT_DIR } from '../../../kernel/stat.js';
import { ext2_entries } from '../dir/entries.js';
import { INLINE_PARENT_BYTES } from '../dir/piece.js';
import type { Piece } from '../dir/piece.js';
import { ext_clear } from './exttree.js';
import type { Inode } from './inode.js';
import { inode_put } from './store.js';
import { ext2_writeall } from './writerun.js';
import { xattr_drop_data } from './xattrwrite.js';

/**
 * Data that lie in the inode move to a block of their own: before they change. Inside an operation; the inode is
 * stored. @throws ENOSPC EIO; it is then as before
 */
export async function outline(ip: Inode): Promise<void> {
  const data = ip.i_inline;
  if (data === null) return;
  const before = { flags: ip.i_flags, size: ip.i_size, blocks: ip.i_blocks, map: ip.i_block.slice() };
  ip.i_inline = null;
  ip.i_flags &= ~FL.INLINE_DATA;
  ip.i_block.fill(0);
  if (ip.i_fs.incompat(INCOMPAT.extents)) {
    ip.i_flags |= FL.EXTENTS;
    ext_clear(ip);
  }
  ip.i_size = 0;
  try {
    if ((ip.i_mode & 0xf000) === 0x4000) await directory(ip, data, before.size);
    else if (before.size > 0) {
      const bytes = new Uint8Array(before.size);
      bytes.set(data.subarray(0, before.size));
      await ext2_writeall(ip, new Uio(bytes, 0, bytes.length, 0), KERNEL_CONTEXT);
    }
    await xattr_drop_data(ip);
  } catch (thrown) {
    ip.i_inline = data;
    ip.i_flags = before.flags;
    ip.i_size = before.size;
    ip.i_blocks = before.blocks;
    ip.i_block.set(before.map);
    throw thrown;
  }
  await inode_put(ip);
}

/** A block with "." and "..", and the names that the inode had. */
async function directory(ip: Inode, data: Uint8Array, size: number): Promise<void> {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const { bp } = await newdirblock(ip);
  try {
    const type = dirent_filetype(DT_DIR);
    const name = (text: string, ino: number): { bytes: Uint8Array; ino: number; type: number } => ({
      bytes: Uint8Array.from(text, (c) => c.charCodeAt(0)), ino, type,
    });
    entry_put(ip, bp, 0, dirent_room(1), name('.', ip.i_number));
    const parent = view.getUint32(0, true);
    entry_put(ip, bp, dirent_room(1), leaf_end(ip) - dirent_room(1), name('..', parent));
    const piece: Piece = {
      data, view, from: INLINE_PARENT_BYTES, to: Math.min(size, data.length), base: 0,
    };
    ext2_entries(ip, piece, (entry) => {
      const from = entry.at + DIRENT_HEADER;
      const bytes = data.slice(from, from + entry.namelen);
      leaf_insert(ip, bp, { bytes, ino: entry.ino, type: data[entry.at + 7] });
      return true;
    });
  } finally {
    ip.i_em.em_bufcache.brelse(bp);
  }
}
