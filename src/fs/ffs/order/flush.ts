import { dinode_ckhash_update } from '../../ufs/dinode.js';
import { ffs_cgrehash, ffs_cgstamp, ffs_cswriteback, ffs_sbwriteback } from '../space/cgupdate.js';
import { ffs_clearinode } from '../space/ialloc.js';
import type { FreeList } from '../space/freelist.js';
import { ffs_freeruns } from '../space/blkfree.js';
import type { WriteState } from '../volume/writestate.js';
import { dead_release } from './dead.js';
import type { DirtyBuffers } from './dirty.js';
import { BK_CG, BK_DIR, BK_INODE } from './ordering.js';
import type { DeadInode, DeadInodes, LinkCounts } from './pending.js';
import { ffs_emptyall } from './removeddirs.js';
import { ffs_updateall } from './update.js';

/**
 * The phases of a flush. No transaction is open while it runs. After an error what was not written stays dirty and the
 * next flush begins from the front, which is always right: each phase only relies on those before it.
 *
 *   0  what nothing on the disk points to: new indirect blocks, new inode blocks, directory blocks of new directories,
 *      empty chunks where directories grow. (File data went to the device when it was written.)
 *   1  inodes, known indirect blocks, groups that make new inode blocks visible. Links are counted too high rather than
 *      too low; inodes whose names have been gone since the last flush are cleared
 *      -> what was freed before may be used again
 *   2  directory chunks, by rank
 *      -> an fsync ends here
 *   3  links counted down; inodes whose names are gone are cleared, removed directories that are open are emptied
 *      -> they and their blocks may be used again
 *   4  cylinder groups, summary area, superblock
 *
 * Before a phase that relies on earlier writes there is a barrier, and one at the end (-o async: only at the end of a
 * full flush). What is recorded for a successor is committed before the writes of a phase, so that the disk is never
 * ahead of it.
 */
export async function flushrun(state: WriteState, dirty: DirtyBuffers, full: boolean): Promise<void> {
  await writeinodes(state, dirty);
  await dirty.writedirs();
  await dirty.between();
  state.namesepoch++;
  state.parked.clear();
  const { linksdown, dead } = state.pending;
  if (linksdown.size > 0 || dead.size > 0) state.kept?.moved();
  if (full) await writerest(state, dirty);
  else namesgone(state);
}

/** Phases 0 and 1, and the barrier before phase 2. */
async function writeinodes(state: WriteState, dirty: DirtyBuffers): Promise<void> {
  const { kept, pending, ump } = state;
  let cleared: DeadInode[] = [];
  let freed!: FreeList;
  let reusable = false;
  try {
    await section(state, async () => {
      await ffs_emptyall(pending.toemptyready);
      await ffs_updateall(state);
      state.epoch++;
      if (pending.frees.frags > 0 || pending.linksready.size > 0 || pending.deadready.size > 0) kept?.moved();
      freed = pending.freeing = pending.frees.take();
      await lowerlinks(state, pending.linksready);
      cleared = [...pending.deadready.values()];
      for (const dead of cleared) await ffs_clearinode(ump, dead.ino);
    });
    kept?.commit();

    if (await dirty.writenew()) state.newdata = true;
    if (dirty.of(BK_INODE).size > 0 || dirty.initedcg.size > 0) {
      if (state.newdata) await dirty.between();
      await dirty.write(dirty.of(BK_INODE));
      for (const bp of dirty.initedcg) ffs_cgrehash(ump.um_fs, bp);
      await dirty.write(dirty.initedcg);
    }
    if (state.newdata || freed.frags > 0 || cleared.length > 0 || dirty.of(BK_DIR).size > 0) await dirty.between();
    state.newdata = false;
    reusable = true;
    await section(state, async () => {
      if (freed.frags > 0 || cleared.length > 0) kept?.moved();
      await ffs_freeruns(ump, freed);
      pending.freeing = null;
      await freedead(state, cleared, pending.deadready);
    });
    kept?.commit();
  } finally {
    if (!reusable && pending.freeing !== null) {
      pending.freeing = null;
      pending.frees.putback(freed);
    }
  }
}

/** The disk has lost the names: the next flush lowers the counts and clears the inodes first of all. */
function namesgone({ pending }: WriteState): void {
  const { linksdown, linksready, dead, deadready, toempty, toemptyready } = pending;
  for (const [ino, n] of linksdown) linksready.set(ino, (linksready.get(ino) ?? 0) + n);
  linksdown.clear();
  for (const [ino, one] of dead) deadready.set(ino, one);
  dead.clear();
  for (const ip of toempty) toemptyready.add(ip);
  toempty.clear();
}

/** Phases 3 and 4. */
async function writerest(state: WriteState, dirty: DirtyBuffers): Promise<void> {
  const { kept, pending, ump } = state;
  let dead: DeadInode[] = [];
  await section(state, async () => {
    await ffs_emptyall(pending.toempty);
    await lowerlinks(state, pending.linksdown);
    dead = [...pending.dead.values()];
    for (const one of dead) await ffs_clearinode(ump, one.ino);
  });
  kept?.commit();
  await dirty.write(dirty.of(BK_INODE));
  // What was freed before this flush is free already: these are the blocks of directories that were emptied just now.
  const emptied = pending.frees.frags > 0;
  if (dead.length > 0 || emptied) await dirty.between();
  await section(state, async () => {
    if (dead.length > 0 || emptied) kept?.moved();
    if (emptied) await ffs_freeruns(ump, pending.frees.take());
    await freedead(state, dead, pending.dead);
    ffs_cgstamp(ump, dirty.of(BK_CG));
  });
  kept?.commit();
  await dirty.write(dirty.of(BK_CG));
  await ffs_cswriteback(state);
  if (ump.um_fs.fs_fmod !== 0) await ffs_sbwriteback(state);
  await state.barrier();
}

/** Runs changes between which there is no state to go on from. */
async function section({ kept }: WriteState, changes: () => Promise<void>): Promise<void> {
  kept?.enter();
  try {
    await changes();
  } finally {
    kept?.leave();
  }
}

/** The disk has lost the names: the inode blocks may count the links right. */
async function lowerlinks(state: WriteState, counts: LinkCounts): Promise<void> {
  const { um_bufcache, um_dev, um_dinofmt, um_fs, um_le } = state.ump;
  for (const [ino, n] of counts) {
    if (!state.pending.isdead(ino)) {
      const got = um_bufcache.bread(um_dev, um_fs.fsbtob(um_fs.ino_to_fsba(ino)), um_fs.fs_bsize);
      const bp = got instanceof Promise ? await got : got;
      const at = um_fs.ino_to_bo(ino);
      bp.b_view.setUint16(at + 2, Math.max(0, bp.b_view.getUint16(at + 2, um_le) - n), um_le);
      if (um_dinofmt.ckhash === true) dinode_ckhash_update(bp.b_view, at, um_le);
      state.order.bdwrite(bp, BK_INODE);
      um_bufcache.brelse(bp);
    }
    counts.delete(ino);
  }
}

/** The disk has the inodes cleared: they and their blocks become free. `from` is the list that they leave. */
async function freedead(state: WriteState, cleared: readonly DeadInode[], from: DeadInodes): Promise<void> {
  for (const dead of cleared) {
    from.delete(dead.ino);
    state.pending.deadblocks -= dead.blocks;
    await dead_release(state.ump, dead);
  }
}
