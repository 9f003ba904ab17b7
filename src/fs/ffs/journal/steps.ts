import { UFS_NXADDR } from '../../ufs/dinode.js';
import type { Cg } from '../disk/cg.js';
import { ffs_shrink } from '../file/truncate.js';
import { release, transact } from '../order/changes.js';
import { holdsnoblocks } from '../order/dead.js';
import { ffs_cgread } from '../space/cgupdate.js';
import { ffs_clearinode, ffs_freefile } from '../space/ialloc.js';
import type { Inode } from '../volume/inode.js';
import { WRITE } from '../volume/writestate.js';
import { reachdown } from './reach.js';
import { OPGROUPS } from './size.js';

/** What could change more than one transaction may hold, in as many as it takes. */

/** Cuts a file to at least `length` bytes, so far that one more transaction can do the rest. @throws EIO */
export async function wapbl_cutdown(ip: Inode, length: number): Promise<void> {
  for (;;) {
    const to = await reachdown(ip, length, OPGROUPS);
    if (to <= length) return;
    await transact(ip.i_ump, () => ffs_shrink(ip, to));
  }
}

/** Frees an inode without links and users, and its blocks. Outside of transactions. @throws EIO */
export async function wapbl_discard(ip: Inode): Promise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  const { order } = state;
  const mode = ip.i_mode;
  const blocks = !holdsnoblocks(mode) && ip.i_shortlink === null;
  if (blocks) await order.reduce(ip, 0);
  const wait = order.begin();
  if (wait) await wait;
  try {
    if (blocks) await ffs_shrink(ip, 0);
    for (let i = 0; i < UFS_NXADDR && i * fs.fs_bsize < ip.i_extsize; i++) {
      const fsb = ip.i_extb[i]!;
      if (fsb === 0) continue;
      const frags = fs.sblksize(ip.i_extsize, i) / fs.fs_fsize;
      order.binval(fsb, frags);
      const freed = release(ip, fsb, frags);
      if (freed) await freed;
    }
    await ffs_clearinode(ump, ip.i_number);
    await ffs_freefile(ump, ip.i_number, mode);
    state.unqueue(ip);
    ip.i_mode = 0;
    ip.i_flag = 0;
    order.unorphan(ip.i_number);
  } finally {
    order.end();
  }
}

/**
 * Frees an inode of a replayed list. @param mode what it was to become, if the power went before it became it
 * @throws EIO
 */
export async function wapbl_finish(ip: Inode, mode: number): Promise<void> {
  if (ip.i_mode !== 0) return wapbl_discard(ip);
  const { i_ump: ump, i_fs: fs } = ip;
  const { order } = WRITE(ump);
  const wait = order.begin();
  if (wait) await wait;
  try {
    const bp = await ffs_cgread(ump, fs.ino_to_cg(ip.i_number));
    const used = (bp.b_private as Cg).inosused(ip.i_number % fs.fs_ipg);
    ump.um_bufcache.brelse(bp);
    if (used) await ffs_freefile(ump, ip.i_number, mode);
    order.unorphan(ip.i_number);
  } finally {
    order.end();
  }
}
