import { extra_isize } from '../disk/dinode.js';
import type { Ext2fs } from '../disk/superblock.js';
import { XATTR_IBODY_HEADER, XATTR_MAGIC } from '../disk/xattr.js';

/** Bytes of an inode before i_extra_isize. */
const OLD_SIZE = 128;

/** The area of attributes in an inode's bytes, from the first entry on; null: it has none. */
export function ibody(fs: Ext2fs, bytes: Uint8Array, view: DataView, at: number): Uint8Array | null {
  const extra = extra_isize(fs, view, at);
  const start = at + OLD_SIZE + extra;
  const end = at + fs.s_inode_size;
  if (extra === 0 || start + XATTR_IBODY_HEADER + 4 > end || view.getUint32(start, true) !== XATTR_MAGIC) return null;
  return bytes.slice(start + XATTR_IBODY_HEADER, end);
}
