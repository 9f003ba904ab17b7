import { E, errno } from '../../../kernel/errno.js';
import { DT_DIR } from '../../../kernel/stat.js';
import type { Cookie, ReaddirEmit } from '../../../kernel/vfs/vnops.js';
import { DIRENT_HEADER } from '../disk/dirent.js';
import type { Inode } from '../file/inode.js';
import { dirblock } from './dirblock.js';
import { entry_isdot, entry_name, entry_type, ext2_entries } from './entries.js';
import { dx_leaf } from './htree.js';
import type { DxLeaf } from './htree.js';
import { ext2_dirlookup } from './lookup.js';
import { piece_of } from './piece.js';

/**
 * Directories with a tree in the order of the hashes of their names, as Linux lists them: a split, which moves names to
 * another block, then shows none of them twice and none not at all. Cookies: 1 is behind ".", 2 behind ".."; of a name
 * its hashes, 31 and 32 bits, and 3.
 */
const FIRST = 3n;

interface Listed {
  readonly key: bigint;
  readonly ino: number;
  readonly type: number;
  readonly name: string;
}

export async function dx_readdir(ip: Inode, cookie: Cookie, emit: ReaddirEmit): Promise<boolean> {
  const from = BigInt(cookie);
  if (from < 0n || from >= 1n << 63n) throw errno(E.EINVAL, `directory offset ${cookie}`);
  if (from < 1n && !emit(ip.i_number, DT_DIR, '.', 1)) return false;
  if (from < 2n) {
    const parent = await ext2_dirlookup(ip, '..');
    if (parent !== null && !emit(parent.ino, DT_DIR, '..', 2)) return false;
  }
  const least = from < FIRST ? 0n : from - FIRST;
  // Each turn goes on in the tree by one leaf at least, and it has fewer leaves than the directory has blocks.
  let value = Number(least >> 32n) * 2;
  for (let left = Math.ceil(ip.i_size / ip.i_fs.bsize); left > 0; left--) {
    let leaf = await dx_leaf(ip, value);
    const listed: Listed[] = [];
    await take(ip, leaf, least, listed);
    // The same hash goes on in the next leaf.
    for (; leaf.next >= 0 && leaf.next % 2 === 1 && left > 0; left--) {
      leaf = await dx_leaf(ip, leaf.next);
      await take(ip, leaf, least, listed);
    }
    listed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    for (const { key, ino, type, name } of listed) if (!emit(ino, type, name, key + FIRST + 1n)) return false;
    if (leaf.next < 0) return true;
    value = leaf.next;
  }
  return true;
}

/** The entries of a leaf whose keys are `least` or above. */
async function take(ip: Inode, { lbn, hash }: DxLeaf, least: bigint, into: Listed[]): Promise<void> {
  const piece = piece_of(ip, lbn, await dirblock(ip, lbn));
  ext2_entries(ip, piece, (entry) => {
    if (entry_isdot(piece, entry)) return true;
    const { hash: major, minor_hash } = hash(piece.data, entry.at + DIRENT_HEADER, entry.namelen);
    const key = (BigInt(major >>> 1) << 32n) | BigInt(minor_hash);
    if (key >= least)
      into.push({ key, ino: entry.ino, type: entry_type(ip, piece, entry), name: entry_name(piece, entry) });
    return true;
  });
}
