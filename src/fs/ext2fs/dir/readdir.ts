import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { DT_DIR } from '../../../kernel/stat.js';
import type { Cookie, ReaddirEmit } from '../../../kernel/vfs/vnops.js';
import { FL } from '../disk/dinode.js';
import type { Inode } from '../file/inode.js';
import { dx_has, dx_ordered } from './htree.js';
import { dx_readdir } from './treelist.js';
import { ext2_entries, entry_name, entry_type } from './entries.js';
import { ext2_inlineparent } from './lookup.js';
import { nokey_entry } from './nokey.js';
import { ext2_dirwalk } from './piece.js';

/**
 * Cookies of a directory in its inode, behind "." and "..", which it has not; its entries begin behind its parent's
 * number.
 */
const BEHIND_DOT = 1;
const BEHIND_DOTDOT = 2;

/**
 * Hands out the entries from `cookie` on: in the order in which they lie on the disk, cookies being byte offsets; of a
 * directory with a tree on a volume that is written in the order of hashes (treelist.ts).
 * @returns whether the end was reached
 */
export function ext2_readdir(ip: Inode, cookie: Cookie, emit: ReaddirEmit): MaybePromise<boolean> {
  // Splits of a tree move names: they are listed in an order in which that does not matter.
  if (ip.i_em.em_write !== null && dx_has(ip) && !ip.encrypted && !ip.has(FL.CASEFOLD))
    return dx_ordered(ip).then((ordered) => (ordered ? dx_readdir(ip, cookie, emit) : byplace(ip, cookie, emit)));
  return byplace(ip, cookie, emit);
}

function byplace(ip: Inode, cookie: Cookie, emit: ReaddirEmit): MaybePromise<boolean> {
  if (typeof cookie !== 'number' || !(cookie >= 0) || cookie % 1 !== 0)
    throw errno(E.EINVAL, `directory offset ${cookie}`);
  if (ip.i_inline !== null && cookie < BEHIND_DOTDOT) {
    if (cookie < BEHIND_DOT && !emit(ip.i_number, DT_DIR, '.', BEHIND_DOT)) return false;
    const parent = ext2_inlineparent(ip, ip.i_inline);
    if (parent !== null && !emit(parent.ino, DT_DIR, '..', BEHIND_DOTDOT)) return false;
  }
  const from = cookie;
  return ext2_dirwalk(ip, Math.floor(from / ip.i_fs.bsize), (piece) =>
    ext2_entries(ip, piece, (entry) => {
      if (piece.base + entry.at < from) return true;
      const name = ip.encrypted ? nokey_entry(ip, piece, entry) : entry_name(piece, entry);
      return emit(entry.ino, entry_type(ip, piece, entry), name, piece.base + entry.at + entry.reclen);
    }),
  );
}
