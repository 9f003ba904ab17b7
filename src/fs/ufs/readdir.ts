import { E, errno } from '../../kernel/errno.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../kernel/vfs/bio.js';
import type { ReaddirEmit } from '../../kernel/vfs/vnops.js';
import { ufs_blkatoff } from './bmap.js';
import {
  UFS_MAXDIRSIZE,
  UFS_WINO,
  dirent_name,
  dirent_namlen,
  dirent_type,
  ufs_badname,
  ufs_dirbadentry,
} from './dir.js';
import type { UfsInode } from './inode.js';
import { ufs_dirbad } from './lookup.js';

/**
 * Hands out the entries from byte offset `cookie` on. Cookies are byte offsets; one that does not fall on an entry (the
 * chunk was compacted meanwhile) goes on with the first entry behind it, so that whoever reads on sees no entry twice.
 * @returns whether the end was reached
 */
export function ufs_readdir(ip: UfsInode, cookie: number, emit: ReaddirEmit): MaybePromise<boolean> {
  if (!(cookie >= 0 && cookie <= UFS_MAXDIRSIZE) || cookie % 1 !== 0) {
    throw errno(E.EINVAL, `directory offset ${cookie}`);
  }
  return readdirfrom(ip, cookie, Math.floor(cookie / ip.i_fs.fs_bsize), emit);
}

function readdirfrom(ip: UfsInode, cookie: number, lbn: number, emit: ReaddirEmit): MaybePromise<boolean> {
  const blocks = Math.ceil(Math.min(ip.i_size, UFS_MAXDIRSIZE) / ip.i_fs.fs_bsize);
  for (; lbn < blocks; lbn++) {
    const bp = ufs_blkatoff(ip, lbn);
    if (bp instanceof Promise) {
      return bp.then((b) => (emitblock(ip, b, cookie, lbn, emit) ? readdirfrom(ip, cookie, lbn + 1, emit) : false));
    }
    if (!emitblock(ip, bp, cookie, lbn, emit)) return false;
  }
  return true;
}

/** Takes the reference to `bp`. @returns false when the caller has no more room */
function emitblock(ip: UfsInode, bp: Buf | null, cookie: number, lbn: number, emit: ReaddirEmit): boolean {
  const base = lbn * ip.i_fs.fs_bsize;
  if (bp === null) {
    ufs_dirbad(ip, base, 'the directory has a hole');
    return true;
  }
  try {
    const fmt = ip.i_ump.um_dirfmt;
    const { b_data, b_view } = bp;
    const valid = Math.min(ip.i_size - base, bp.b_bcount);
    const first = Math.max(cookie - base, 0);
    // From the start of the chunk: only there is an entry for certain.
    for (let chunk = first - (first % fmt.dirblksiz); chunk < valid; chunk += fmt.dirblksiz) {
      const end = Math.min(chunk + fmt.dirblksiz, valid);
      for (let at = chunk; at < end; ) {
        const bad = ufs_dirbadentry(b_data, b_view, at, end, fmt);
        if (bad !== undefined) {
          ufs_dirbad(ip, base + at, bad);
          break;
        }
        const next = at + b_view.getUint16(at + 4, fmt.le);
        const ino = b_view.getUint32(at, fmt.le);
        if (ino > UFS_WINO && at >= first) {
          const namlen = dirent_namlen(b_view, at, fmt);
          if (ino >= ip.i_fs.ninodes) ufs_dirbad(ip, base + at, `names inode ${ino}, beyond ${ip.i_fs.ninodes - 1}`);
          else if (ufs_badname(b_data, at, namlen)) ufs_dirbad(ip, base + at, 'the name contains a slash or a NUL');
          else if (!emit(ino, dirent_type(b_view, at, fmt), dirent_name(b_data, at, namlen), base + next)) return false;
        }
        at = next;
      }
    }
    return true;
  } finally {
    ip.i_ump.um_bufcache.brelse(bp);
  }
}
