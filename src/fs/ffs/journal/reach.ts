import { ufs_bmaprun } from '../../ufs/bmap.js';
import type { Run } from '../../ufs/bmap.js';
import type { Inode } from '../volume/inode.js';
import { UFS_NDADDR } from '../disk/fs_const.js';

/**
 * How much of a file may be freed in one transaction: every cylinder group in which blocks become free is a block of
 * the journal. An indirect block counts as a group of its own.
 */

/** Blocks that a file has, at most. */
export function blocksof(ip: Inode): number {
  return Math.ceil((ip.i_blocks * 512) / ip.i_fs.fs_bsize) + 2;
}

/** Adds the groups of a run to `groups`, unless that makes them more than `most`. The first run is always taken. */
function addgroups(ip: Inode, run: Run, groups: Set<number>, most: number): boolean {
  const fs = ip.i_fs;
  const first = fs.dtog(run.fsb);
  const last = fs.dtog(run.fsb + run.blocks * fs.fs_frag - 1);
  let more = 0;
  for (let c = first; c <= last; c++) if (!groups.has(c)) more++;
  if (groups.size > 0 && groups.size + more > most) return false;
  for (let c = first; c <= last; c++) groups.add(c);
  return true;
}

/** The first block of the row of pointers that names block `lbn`. */
function rowof(ip: Inode, lbn: number): number {
  return lbn < UFS_NDADDR ? 0 : lbn - ((lbn - UFS_NDADDR) % ip.i_fs.fs_nindir);
}

/**
 * The least size, `length` or more, to which a file can be cut so that blocks in at most `most` groups become free.
 * @throws EIO
 */
export async function reachdown(ip: Inode, length: number, most: number): Promise<number> {
  const fs = ip.i_fs;
  const groups = new Set<number>();
  const least = Math.ceil(length / fs.fs_bsize);
  let rows = 0;
  for (let end = Math.ceil(ip.i_size / fs.fs_bsize); end > least; ) {
    const from = Math.max(rowof(ip, end - 1), least);
    const runs: { lbn: number; run: Run }[] = [];
    for (let lbn = from; lbn < end; ) {
      const got = ufs_bmaprun(ip, lbn, end - lbn);
      const run = got instanceof Promise ? await got : got;
      if (run.fsb !== 0) runs.push({ lbn, run });
      lbn += run.blocks;
    }
    if (runs.length > 0) {
      if (rows + groups.size >= most) return end * fs.fs_bsize;
      rows++;
    }
    for (let next = runs.pop(); next !== undefined; next = runs.pop()) {
      if (!addgroups(ip, next.run, groups, most - rows)) return (next.lbn + next.run.blocks) * fs.fs_bsize;
    }
    end = from;
  }
  return length;
}

/**
 * The end of a range from `offset` on, `end` or less, in which blocks of at most `most` groups lie, named by at most
 * `indirects` indirect blocks.
 * @throws EIO
 */
export async function reachup(
  ip: Inode,
  offset: number,
  end: number,
  most: number,
  indirects: number,
): Promise<number> {
  const fs = ip.i_fs;
  const groups = new Set<number>();
  const last = Math.ceil(Math.min(end, ip.i_size) / fs.fs_bsize);
  let rows = 0;
  let row = -1;
  for (let lbn = fs.lblkno(offset); lbn < last; ) {
    const got = ufs_bmaprun(ip, lbn, last - lbn);
    const run = got instanceof Promise ? await got : got;
    // A run does not cross from one row to the next.
    if (run.fsb !== 0 && rowof(ip, lbn) !== row) {
      row = rowof(ip, lbn);
      if (++rows > indirects) return lbn * fs.fs_bsize;
    }
    if (run.fsb !== 0 && !addgroups(ip, run, groups, most - 1)) return lbn * fs.fs_bsize;
    lbn += run.blocks;
  }
  return end;
}
