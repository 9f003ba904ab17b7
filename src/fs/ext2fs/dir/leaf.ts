import { bytestrToBytes } from '../../../kernel/bytestr.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import {
  DIRENT_HEADER, TAIL_BYTES, dirent_room, dirent_problem, dirent_putlen, dirent_puttail, dirent_reclen,
} from '../disk/dirent.js';
import { INCOMPAT } from '../disk/features.js';
import type { Inode } from '../file/inode.js';
import { BK_DIR } from '../order/ordering.js';
import { SEAL_LEAF } from '../order/seals.js';
import { BLOCK_DIR } from '../volume/verified.js';
import { WRITE } from '../volume/transact.js';

/** A name to be written into a directory. */
export interface NewName {
  readonly bytes: Uint8Array;
  readonly ino: number;
  /** file_type. */
  readonly type: number;
}

export function newname(name: string, ino: number, type: number): NewName {
  return { bytes: bytestrToBytes(name), ino, type };
}

/** Byte behind the entries of a leaf: with checksums the last entry holds it. */
export function leaf_end(ip: Inode): number {
  return ip.i_fs.bsize - (ip.i_fs.metadata_csum ? TAIL_BYTES : 0);
}

/** A leaf of directory `ip` was changed. */
export function leaf_dirty(ip: Inode, bp: Buf, kind = BK_DIR): void {
  const state = WRITE(ip.i_em);
  state.order.dirty(bp, kind);
  state.seals.mark(bp, SEAL_LEAF, ip.csum_seed);
  bp.b_private = ip.i_number * 8 + BLOCK_DIR;
}

/** Makes a block a leaf with one entry without a name over all of it. */
export function leaf_clear(ip: Inode, bp: Buf): void {
  bp.b_data.fill(0);
  dirent_putlen(bp.b_view, 0, leaf_end(ip), ip.i_fs.bsize);
  if (ip.i_fs.metadata_csum) dirent_puttail(bp.b_data, bp.b_view);
}

export function entry_put(ip: Inode, bp: Buf, at: number, length: number, name: NewName): void {
  const { b_data, b_view } = bp;
  b_view.setUint32(at, name.ino, true);
  dirent_putlen(b_view, at, length, ip.i_fs.bsize);
  b_data[at + 6] = name.bytes.length;
  b_data[at + 7] = ip.i_fs.incompat(INCOMPAT.filetype) ? name.type : 0;
  b_data.set(name.bytes, at + DIRENT_HEADER);
}

/** @throws EIO the entry at byte `at` of a leaf cannot be */
function sound(ip: Inode, bp: Buf, at: number, end: number): void {
  const { bsize, s_inodes_count } = ip.i_fs;
  const bad = dirent_problem(bp.b_view, at, end, bsize, false, s_inodes_count);
  if (bad !== undefined)
    throw ip.i_em.em_damage.error(`directory inode ${ip.i_number}, block ${bp.b_offset / bsize}, byte ${at}: ${bad}`);
}

/** Writes a name where the leaf has room for it. @returns its byte; -1: there is none @throws EIO */
export function leaf_insert(ip: Inode, bp: Buf, name: NewName): number {
  const { b_data, b_view } = bp;
  const { bsize } = ip.i_fs;
  const need = dirent_room(name.bytes.length);
  const end = leaf_end(ip);
  for (let at = 0; at < end; ) {
    sound(ip, bp, at, end);
    const length = dirent_reclen(b_view, at, bsize);
    const used = b_view.getUint32(at, true) === 0 ? 0 : dirent_room(b_data[at + 6]);
    if (length - used >= need) {
      if (used > 0) dirent_putlen(b_view, at, used, bsize);
      entry_put(ip, bp, at + used, length - used, name);
      leaf_dirty(ip, bp);
      return at + used;
    }
    at += length;
  }
  return -1;
}

/** Takes the entry at byte `at` of a leaf out of it. @throws EIO */
export function leaf_remove(ip: Inode, bp: Buf, at: number): void {
  const { b_view } = bp;
  const { bsize } = ip.i_fs;
  const end = leaf_end(ip);
  let before = -1;
  for (let i = 0; i < at; ) {
    sound(ip, bp, i, end);
    before = i;
    i += dirent_reclen(b_view, i, bsize);
  }
  sound(ip, bp, at, end);
  // What the first entry had stays: nobody goes by it.
  if (before < 0) b_view.setUint32(at, 0, true);
  else dirent_putlen(b_view, before, at - before + dirent_reclen(b_view, at, bsize), bsize);
  leaf_dirty(ip, bp);
}

/** Has the entry at byte `at` name another file. */
export function leaf_rewrite(ip: Inode, bp: Buf, at: number, ino: number, type: number): void {
  bp.b_view.setUint32(at, ino, true);
  bp.b_data[at + 7] = ip.i_fs.incompat(INCOMPAT.filetype) ? type : 0;
}
