import { sha256 } from '../../lib/sha256.js';
import { FL } from '../disk/dinode.js';
import { DIRENT_HEADER } from '../disk/dirent.js';
import { COMPAT } from '../disk/features.js';
import { FLAGS_UNSIGNED_HASH } from '../disk/superblock.js';
import type { Inode } from '../file/inode.js';
import type { Dirhash } from './dirhash.js';
import { NO_HASH, dirhash, dirhash_version } from './dirhash.js';
import { entry_isdot, entry_name } from './entries.js';
import type { Entry } from './entries.js';
import type { Piece } from './piece.js';

/**
 * What a name is shown as that is encrypted and whose key is not there: the two hashes of the directory's tree, the
 * first 149 bytes, and the SHA-256 of the rest; in base64 for URLs, without padding. Source: Linux fs/crypto/fname.c,
 * struct fscrypt_nokey_name.
 */
const PLAIN_BYTES = 149;
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function base64url(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = (bytes[i] << 16) | ((left > 1 ? bytes[i + 1] : 0) << 8) | (left > 2 ? bytes[i + 2] : 0);
    text +=
      DIGITS[word >> 18] +
      DIGITS[(word >> 12) & 63] +
      (left > 1 ? DIGITS[(word >> 6) & 63] : '') +
      (left > 2 ? DIGITS[word & 63] : '');
  }
  return text;
}

/** The text for an encrypted name. */
export function nokey_name(name: Uint8Array, hash: number, minor_hash: number): string {
  const rest = name.length > PLAIN_BYTES ? sha256(name.subarray(PLAIN_BYTES)) : new Uint8Array(0);
  const first = name.subarray(0, PLAIN_BYTES);
  const raw = new Uint8Array(8 + first.length + rest.length);
  const view = new DataView(raw.buffer);
  view.setUint32(0, hash, true);
  view.setUint32(4, minor_hash, true);
  raw.set(first, 8);
  raw.set(rest, 8 + first.length);
  return base64url(raw);
}

/** What an entry of an encrypted directory is shown as. */
export function nokey_entry(ip: Inode, piece: Piece, entry: Entry): string {
  const name = entry_name(piece, entry);
  if (entry_isdot(piece, entry)) return name;
  const { hash, minor_hash } = entry_hash(ip, piece, entry);
  const from = entry.at + DIRENT_HEADER;
  return nokey_name(piece.data.subarray(from, from + entry.namelen), hash, minor_hash);
}

/**
 * The hashes of an entry as a reading of the directory in the order of its tree has them: that is how Linux reads one
 * that has a tree, or could have one. A directory that is encrypted and folds keeps them with each entry, since they
 * need the key.
 */
function entry_hash(ip: Inode, piece: Piece, entry: Entry): Dirhash {
  const from = entry.at + DIRENT_HEADER;
  if (ip.has(FL.CASEFOLD)) {
    const at = (from + entry.namelen + 3) & ~3;
    return at + 8 <= piece.data.length
      ? { hash: piece.view.getUint32(at, true), minor_hash: piece.view.getUint32(at + 4, true) }
      : NO_HASH;
  }
  const fs = ip.i_fs;
  const tree = fs.compat(COMPAT.dir_index) && (ip.has(FL.INDEX) || ip.i_size === fs.bsize || ip.i_inline !== null);
  if (!tree) return NO_HASH;
  return dirhash(
    dirhash_version(fs.s_def_hash_version, (fs.s_flags & FLAGS_UNSIGNED_HASH) !== 0),
    fs.s_hash_seed,
    piece.data,
    from,
    entry.namelen,
  );
}
