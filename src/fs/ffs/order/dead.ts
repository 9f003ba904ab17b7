import { UFS_NDADDR, UFS_NXADDR } from '../../ufs/dinode.js';
import type { Inode } from '../volume/inode.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT } from '../../../kernel/stat.js';
import { ffs_blkfree } from '../space/blkfree.js';
import { ffs_freefile } from '../space/ialloc.js';
import { freetree } from '../file/indir.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { ORDER } from '../volume/writestate.js';
import type { DeadInode } from './pending.js';

/**
 * Files whose pointers are no pointers. (A fifo or socket has none; where damage gave it some, a checker counts them.)
 */
export function holdsnoblocks(mode: number): boolean {
  const type = mode & S_IFMT;
  return type === S_IFCHR || type === S_IFBLK;
}

const NONE: readonly number[] = [];

/** The pointers up to the last one that points somewhere: many inodes may be dead at a time. */
function pointers(addrs: readonly number[]): readonly number[] {
  let n = addrs.length;
  while (n > 0 && addrs[n - 1] === 0) n--;
  return n === 0 ? NONE : addrs.slice(0, n);
}

export function dead_of(ip: Inode): DeadInode {
  const noblocks = holdsnoblocks(ip.i_mode) || ip.i_shortlink !== null;
  return {
    ino: ip.i_number,
    mode: ip.i_mode,
    blocks: ip.i_blocks,
    size: ip.i_size,
    db: noblocks ? NONE : pointers(ip.i_db),
    ib: noblocks ? NONE : pointers(ip.i_ib),
    extsize: ip.i_extsize,
    extb: pointers(ip.i_extb),
  };
}

/**
 * Frees the blocks and then the inode; the disk has it cleared. What cannot be freed (a damaged pointer, an unreadable
 * indirect block) is logged and left to a check of the volume.
 */
export async function dead_release(ump: FfsMount, dead: DeadInode): Promise<void> {
  const order = ORDER(ump);
  const fs = ump.um_fs;
  const free = async (fsb: number, n: number): Promise<void> => {
    try {
      const wait = ffs_blkfree(ump, fsb, n);
      if (wait) await wait;
    } catch {
      // Logged as damage by ffs_blkfree.
    }
  };
  // Pointers behind the end of the file are damage; how long their blocks are cannot be known.
  for (let i = 0; i < dead.db.length && i < UFS_NDADDR && i * fs.fs_bsize < dead.size; i++) {
    const fsb = dead.db[i]!;
    if (fsb === 0) continue;
    const n = fs.sblksize(dead.size, i) / fs.fs_fsize;
    order.binval(fsb, n);
    await free(fsb, n);
  }
  let span = fs.fs_nindir;
  const metadata = (dead.mode & S_IFMT) === S_IFDIR;
  for (const addr of dead.ib) {
    if (addr !== 0) await freetree(ump, addr, span, metadata, free);
    span *= fs.fs_nindir;
  }
  for (let i = 0; i < dead.extb.length && i < UFS_NXADDR && i * fs.fs_bsize < dead.extsize; i++) {
    const n = fs.sblksize(dead.extsize, i) / fs.fs_fsize;
    if (dead.extb[i] === 0) continue;
    order.binval(dead.extb[i]!, n);
    await free(dead.extb[i]!, n);
  }
  try {
    await ffs_freefile(ump, dead.ino, dead.mode);
  } catch {
    // Logged as damage.
  }
}
