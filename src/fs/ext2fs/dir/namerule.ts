import { FL } from '../disk/dinode.js';
import { DIRENT_HEADER } from '../disk/dirent.js';
import type { Inode } from '../file/inode.js';
import { casefold_key } from './casefold.js';
import { dirhash_bytes, dirhash_name } from './dirindex.js';
import { entry_name } from './entries.js';
import type { Entry } from './entries.js';
import { nokey_entry } from './nokey.js';
import type { Piece } from './piece.js';

/** Which entries of a directory a name finds. */
export interface NameRule {
  /** Names that are the same have the same. */
  hash(piece: Piece, entry: Entry): number;
  hashname(name: string): number;
  matcher(name: string): (piece: Piece, entry: Entry) => boolean;
}

const BYTES: NameRule = {
  hash: (piece, entry) => dirhash_bytes(piece.data, entry.at + DIRENT_HEADER, entry.namelen),
  hashname: dirhash_name,
  matcher:
    (name) =>
    ({ data }, { at, namelen }) => {
      if (namelen !== name.length) return false;
      for (let i = 0; i < namelen; i++) if (data[at + DIRENT_HEADER + i] !== name.charCodeAt(i)) return false;
      return true;
    },
};

const FOLDED: NameRule = {
  hash: (piece, entry) => dirhash_name(casefold_key(entry_name(piece, entry))),
  hashname: (name) => dirhash_name(casefold_key(name)),
  matcher: (name) => {
    const key = casefold_key(name);
    return (piece, entry) => casefold_key(entry_name(piece, entry)) === key;
  },
};

/** Names are what is shown for them. */
function encrypted(ip: Inode): NameRule {
  return {
    hash: (piece, entry) => dirhash_name(nokey_entry(ip, piece, entry)),
    hashname: dirhash_name,
    matcher: (name) => (piece, entry) => nokey_entry(ip, piece, entry) === name,
  };
}

export function namerule(ip: Inode): NameRule {
  if (ip.encrypted) return encrypted(ip);
  return ip.has(FL.CASEFOLD) ? FOLDED : BYTES;
}
