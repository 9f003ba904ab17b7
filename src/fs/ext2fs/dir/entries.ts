import { bytestrFromBytes } from '../../../kernel/bytestr.js';
import { FL } from '../disk/dinode.js';
import { DIRENT_HEADER, dirent_badname, dirent_problem, dirent_reclen, dirent_type } from '../disk/dirent.js';
import { INCOMPAT } from '../disk/features.js';
import type { Inode } from '../file/inode.js';
import type { Piece } from './piece.js';
import { ext2_dirbad } from './piece.js';

/** An entry of a piece, for as long as that is valid. */
export interface Entry {
  ino: number;
  /** Byte of the entry in the piece. */
  at: number;
  namelen: number;
  /** Bytes of the whole. */
  reclen: number;
}

/**
 * Calls `visit` for each entry of a piece that names something, in order; it says whether to go on. Damage is logged,
 * and the rest of the piece left out. The entry is one object, filled anew each time.
 * @returns false: visit had enough
 */
export function ext2_entries(ip: Inode, piece: Piece, visit: (entry: Entry) => boolean): boolean {
  const { data, view, to, base } = piece;
  const { bsize, s_inodes_count } = ip.i_fs;
  const hashed = ip.encrypted && ip.has(FL.CASEFOLD);
  const entry: Entry = { ino: 0, at: 0, namelen: 0, reclen: 0 };
  for (let at = piece.from; at < to;) {
    const bad = dirent_problem(view, at, to, bsize, hashed, s_inodes_count);
    if (bad !== undefined) {
      ext2_dirbad(ip, base + at, bad);
      return true;
    }
    entry.at = at;
    entry.reclen = dirent_reclen(view, at, bsize);
    entry.ino = view.getUint32(at, true);
    entry.namelen = data[at + 6];
    at += entry.reclen;
    if (entry.ino === 0) continue;
    if (!ip.encrypted && dirent_badname(data, entry.at, entry.namelen)) {
      ext2_dirbad(ip, base + entry.at, 'the name is empty, or contains a slash or a NUL');
      continue;
    }
    if (!visit(entry)) return false;
  }
  return true;
}

/** The name of an entry as the disk has it. */
export function entry_name(piece: Piece, entry: Entry): string {
  return bytestrFromBytes(piece.data, entry.at + DIRENT_HEADER, entry.at + DIRENT_HEADER + entry.namelen);
}

/** Is it "." or ".."? */
export function entry_isdot({ data }: Piece, { at, namelen }: Entry): boolean {
  return namelen <= 2 && data[at + DIRENT_HEADER] === 0x2e && (namelen === 1 || data[at + DIRENT_HEADER + 1] === 0x2e);
}

/** DT_*. */
export function entry_type(ip: Inode, piece: Piece, entry: Entry): number {
  return ip.i_fs.incompat(INCOMPAT.filetype) ? dirent_type(piece.data[entry.at + 7]) : 0;
}
