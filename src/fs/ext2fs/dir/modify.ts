import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { FL } from '../disk/dinode.js';
import type { Inode } from '../file/inode.js';
import { WRITE } from '../volume/transact.js';
import { BK_DIR } from '../order/ordering.js';
import { SEAL_DXROOT, SEAL_LEAF } from '../order/seals.js';
import { dx_countat } from '../disk/htree.js';
import { dirblock, newdirblock } from './dirblock.js';
import { dirhash_name } from './dirindex.js';
import { dx_has, dx_insert, dx_make } from './htree.js';
import { leaf_insert, leaf_remove, leaf_rewrite, newname } from './leaf.js';
import type { NewName } from './leaf.js';
import { entry_isdot, ext2_entries } from './entries.js';
import { ext2_dirlookup } from './lookup.js';
import { ext2_dirwalk } from './piece.js';

/** Names of directories, made and taken away. All inside operations; the caller stores the directory's inode. */

/** Where an entry is: its block, referenced, and byte offset in the directory. */
export interface Slot {
  readonly bp: Buf;
  readonly offset: number;
}

/** @throws EACCES the names of an encrypted directory cannot be made; EOPNOTSUPP one that folds */
export function mustaccept(dp: Inode): void {
  if (dp.encrypted) throw errno(E.EACCES, `directory inode ${dp.i_number} is encrypted, and its key is not here`);
  if (dp.has(FL.CASEFOLD))
    throw errno(E.EOPNOTSUPP, `directory inode ${dp.i_number} folds names by a version of Unicode that is not here`);
}

/** Enters a name that is not there. @returns where, referenced @throws ENOSPC EIO */
export async function dir_enter(dp: Inode, name: string, ino: number, type: number): Promise<Slot> {
  const entry = newname(name, ino, type);
  const slot = await place(dp, entry);
  dp.i_dirindex?.add(dirhash_name(name), slot.offset);
  return slot;
}

async function place(dp: Inode, name: NewName): Promise<Slot> {
  if (dx_has(dp)) return dx_insert(dp, name);
  // A tree that Linux will not look at does not stay right.
  dp.i_flags &= ~FL.INDEX;
  const { bsize } = dp.i_fs;
  const blocks = Math.ceil(dp.i_size / bsize);
  for (let lbn = Math.min(dp.i_dirhint, blocks - 1); lbn < blocks; lbn++) {
    const got = dirblock(dp, Math.max(lbn, 0));
    const bp = got instanceof Promise ? await got : got;
    const at = leaf_insert(dp, bp, name);
    if (at >= 0) {
      dp.i_dirhint = lbn;
      return { bp, offset: lbn * bsize + at };
    }
    dp.i_em.em_bufcache.brelse(bp);
  }
  if (blocks === 1 && (await dx_make(dp))) return dx_insert(dp, name);
  const { lbn, bp } = await newdirblock(dp);
  dp.i_dirhint = lbn;
  return { bp, offset: lbn * bsize + leaf_insert(dp, bp, name) };
}

/** The entry `name`, which must name inode `ino`; its block referenced. @throws ENOENT EIO */
export async function dir_slot(dp: Inode, name: string, ino: number): Promise<Slot> {
  const found = ext2_dirlookup(dp, name);
  const hit = found instanceof Promise ? await found : found;
  if (hit === null || (ino !== 0 && hit.ino !== ino)) throw errno(E.ENOENT);
  const got = dirblock(dp, Math.floor(hit.offset / dp.i_fs.bsize));
  return { bp: got instanceof Promise ? await got : got, offset: hit.offset };
}

/** Takes an entry out. The slot stays referenced. @throws EIO */
export function dir_leave(dp: Inode, { bp, offset }: Slot, name: string): void {
  const { bsize } = dp.i_fs;
  const lbn = Math.floor(offset / bsize);
  leaf_remove(dp, bp, offset % bsize);
  dp.i_dirindex?.remove(dirhash_name(name), offset);
  if (lbn < dp.i_dirhint) dp.i_dirhint = lbn;
}

/** Has an entry name another file. */
export function dir_rewrite(dp: Inode, { bp, offset }: Slot, ino: number, type: number): void {
  const state = WRITE(dp.i_em);
  const { bsize } = dp.i_fs;
  leaf_rewrite(dp, bp, offset % bsize, ino, type);
  state.order.dirty(bp, BK_DIR);
  // ".." may lie in the root of a tree.
  const root = dp.has(FL.INDEX) && offset < bsize && dx_countat(bp.b_view, 0, bsize) !== undefined;
  state.seals.mark(bp, root ? SEAL_DXROOT : SEAL_LEAF, dp.csum_seed);
}

/** Are there no names but "." and ".."? @throws EIO */
export async function dir_empty(ip: Inode): Promise<boolean> {
  let empty = true;
  await ext2_dirwalk(ip, 0, (piece) =>
    ext2_entries(ip, piece, (entry) => {
      if (entry_isdot(piece, entry)) return true;
      empty = false;
      return false;
    }),
  );
  return empty;
}
