import { dinode_ckhash_update } from '../../ufs/dinode.js';
import { ffs_cgrehash, ffs_cgstamp, ffs_cswriteback, ffs_sbwriteback } from '../space/cgupdate.js';
import { dead_clear, dead_release } from './dead.js';
import type { DeadInode } from './dead.js';
import { BK_CG, BK_DIR, BK_INODE } from './dirty.js';
import type { FreeList } from '../space/freelist.js';
import type { Kept } from '../volume/kept.js';
import type { Graveyard, LinkCounts, Order } from './order.js';

/**
 * The phases of a flush. No transaction is open while it runs. After an error what was not written stays dirty and the
 * next flush begins from the front, which is always right: each phase only relies on those before it.
 *
 *   0  what nothing on the disk points to: new indirect blocks, new inode blocks, directory blocks of new directories,
 *      empty chunks where directories grow. (File data went to the device when it was written.)
 *   1  inodes, known indirect blocks, groups that make new inode blocks visible. Links are counted too high rather than
 *      too low; inodes whose names have been gone since the last flush are cleared
 *      -> what files let go of before may be used again
 *   2  directory chunks, by rank
 *      -> an fsync ends here
 *   3  links counted down; inodes whose names are gone are cleared
 *      -> they and their blocks may be used again
 *   4  cylinder groups, summary area, superblock
 *
 * Before a phase that relies on earlier writes there is a barrier, and one at the end (-o async: only at the end of a full
 * flush). What `kept` keeps for a successor is committed before the writes of a phase, so that the disk is never ahead of it.
 */
export async function flushrun(order: Order, full: boolean, kept: Kept | null): Promise<void> {
  const { dirty } = order;
  let cleared: DeadInode[] = [];
  let freed!: FreeList;
  let reusable = false;
  try {
    await section(kept, async () => {
      await order.updateinodes();
      order.epoch++;
      if (order.frees.frags > 0 || order.linksready.size > 0 || order.deadready.size > 0) kept?.moved();
      freed = order.freeing = order.frees.take();
      await lowerlinks(order, order.linksready);
      cleared = [...order.deadready.values()];
      for (const dead of cleared) await dead_clear(order, dead);
    });
    kept?.commit();

    if (await dirty.writenew()) order.newdata = true;
    if (dirty.of(BK_INODE).size > 0 || dirty.initedcg.size > 0) {
      if (order.newdata) await dirty.between();
      await dirty.write(dirty.of(BK_INODE));
      for (const bp of dirty.initedcg) ffs_cgrehash(order.ump.um_fs, bp);
      await dirty.write(dirty.initedcg);
    }
    if (order.newdata || freed.frags > 0 || cleared.length > 0 || dirty.of(BK_DIR).size > 0) await dirty.between();
    order.newdata = false;
    reusable = true;
    await section(kept, async () => {
      if (freed.frags > 0 || cleared.length > 0) kept?.moved();
      await freed.release(order.ump);
      order.freeing = null;
      await exhume(order, cleared, order.deadready);
    });
    kept?.commit();
  } finally {
    if (!reusable && order.freeing !== null) {
      order.freeing = null;
      order.frees.putback(freed);
    }
  }

  await dirty.writedirs();
  await dirty.between();
  order.namesepoch++;
  order.parked.clear();

  if (order.linksdown.size > 0 || order.dead.size > 0) kept?.moved();
  if (!full) {
    for (const [ino, n] of order.linksdown) order.linksready.set(ino, (order.linksready.get(ino) ?? 0) + n);
    order.linksdown.clear();
    for (const [ino, dead] of order.dead) order.deadready.set(ino, dead);
    order.dead.clear();
    return;
  }

  let dead: DeadInode[] = [];
  await section(kept, async () => {
    await lowerlinks(order, order.linksdown);
    dead = [...order.dead.values()];
    for (const one of dead) await dead_clear(order, one);
  });
  kept?.commit();
  await dirty.write(dirty.of(BK_INODE));
  if (dead.length > 0) await dirty.between();
  await section(kept, async () => {
    if (dead.length > 0) kept?.moved();
    await exhume(order, dead, order.dead);
    ffs_cgstamp(order, dirty.of(BK_CG));
  });
  kept?.commit();
  await dirty.write(dirty.of(BK_CG));
  await ffs_cswriteback(order);
  if (order.ump.um_fs.fs_fmod !== 0) await ffs_sbwriteback(order);
  await dirty.barrier();
}

/** Runs changes between which there is no state to go on from. */
async function section(kept: Kept | null, changes: () => Promise<void>): Promise<void> {
  kept?.enter();
  try {
    await changes();
  } finally {
    kept?.leave();
  }
}

/** The disk has lost the names: the inode blocks may count the links right. */
async function lowerlinks(order: Order, counts: LinkCounts): Promise<void> {
  const { um_bufcache, um_dev, um_dinofmt, um_fs, um_le } = order.ump;
  for (const [ino, n] of counts) {
    if (!order.isdead(ino)) {
      const got = um_bufcache.bread(um_dev, um_fs.fsbtob(um_fs.ino_to_fsba(ino)), um_fs.fs_bsize);
      const bp = got instanceof Promise ? await got : got;
      const at = um_fs.ino_to_bo(ino);
      bp.b_view.setUint16(at + 2, Math.max(0, bp.b_view.getUint16(at + 2, um_le) - n), um_le);
      if (um_dinofmt.ckhash === true) dinode_ckhash_update(bp.b_view, at, um_le);
      order.bdwrite(bp, BK_INODE);
      um_bufcache.brelse(bp);
    }
    counts.delete(ino);
  }
}

/** The disk has the inodes cleared: they and their blocks become free. */
async function exhume(order: Order, cleared: readonly DeadInode[], from: Graveyard): Promise<void> {
  for (const dead of cleared) {
    from.delete(dead.ino);
    order.deadblocks -= dead.blocks;
    await dead_release(order, dead);
  }
}
