import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { COMPAT, INCOMPAT } from '../disk/features.js';
import { SB } from '../disk/sbfields.js';
import { STATE_ERROR, STATE_VALID } from '../disk/superblock.js';
import { journal_super, journal_super_upgrade } from '../disk/journal.js';
import { volume_log } from '../journal/find.js';
import { Journalled } from '../journal/journalled.js';
import { LogWriter } from '../journal/logwriter.js';
import { recover } from '../journal/recover.js';
import { Ordered } from '../order/ordered.js';
import type { Ext2Mount } from './ext2mount.js';
import { inherit, stale_groups } from './inherit.js';
import { orphans_cleanup } from './recovery.js';
import { WriteState } from './writestate.js';

/**
 * The volume becomes writable; its journal, if it has one, has been replayed to the disk. It is marked as in use before
 * anything else changes. @throws EIO; EROFS it contradicts itself
 */
export async function start_writing(em: Ext2Mount, journal: BlockDevice | null): Promise<void> {
  const { em_fs: fs, em_mountp: mp } = em;
  const state = new WriteState(em);
  const inherited = mp.mnt_kept?.inherited;
  const adopted = inherited?.has(0) === true;
  const problem = await state.groups.load(adopted ? stale_groups(inherited) : new Set());
  if (problem !== undefined) throw errno(E.EROFS, `${problem}; run e2fsck`);
  state.order = fs.compat(COMPAT.has_journal)
    ? new Journalled(state, await open_log(em, journal))
    : new Ordered(state);
  em.em_write = state;
  try {
    await mark(state, adopted);
    if (state.rows !== null) {
      state.rows.volume(false);
      state.posting = mp.mnt_dev;
    }
    if (adopted) await inherit(state, inherited);
    else await orphans_cleanup(state);
  } catch (thrown) {
    em.em_write = null;
    em.em_bufcache.purge(em.em_dev);
    throw thrown;
  }
}

/** The log, empty. What lies in it is at its place, or history. */
async function open_log(em: Ext2Mount, journal: BlockDevice | null): Promise<LogWriter> {
  const log = await volume_log(em, journal);
  const bytes = await log.read(0);
  const before = journal_super(bytes);
  if (typeof before === 'string') throw em.em_damage.error(`journal: superblock: ${before}`);
  if (before.s_blocksize !== log.bsize || before.s_maxlen > log.blocks)
    throw em.em_damage.error(`journal: superblock: s_maxlen ${before.s_maxlen}, s_blocksize ${before.s_blocksize}`);
  const { end } = await recover(log, before, em.em_fs.s_blocks_count);
  journal_super_upgrade(bytes, em.em_fs);
  const sb = journal_super(bytes);
  if (typeof sb === 'string') throw em.em_damage.error(`journal: superblock: ${sb}`);
  // Behind what was not committed, too: a later replay must not take it for ours.
  return new LogWriter(log, sb, bytes, (end + 1) >>> 0);
}

/** Says on the disk that the volume is in use. */
async function mark(state: WriteState, adopted: boolean): Promise<void> {
  const { em, order } = state;
  const { em_fs: fs, em_mountp: mp } = em;
  // What lies in the log is history: it must not be taken for more once the superblock asks for a replay.
  if (order instanceof Journalled) await settail(order, true);
  const { sec } = em.em_kernel.now();
  await state.sb.now((view, at) => {
    if (order.journalled) {
      view.setUint32(at + SB.s_feature_incompat, fs.s_feature_incompat | INCOMPAT.needs_recovery, true);
    } else view.setUint16(at + SB.s_state, view.getUint16(at + SB.s_state, true) & ~STATE_VALID, true);
    if (adopted) return;
    view.setUint32(at + SB.s_mtime, sec >>> 0, true);
    view.setUint32(at + SB.s_wtime, sec >>> 0, true);
    view.setUint16(at + SB.s_mnt_count, (view.getUint16(at + SB.s_mnt_count, true) + 1) & 0xffff, true);
    const name = mp.mnt_mntonname;
    for (let i = 0; i < 64; i++) view.setUint8(at + SB.s_last_mounted + i, i < 63 ? name.charCodeAt(i) || 0 : 0);
  });
  if (order instanceof Journalled) await settail(order, false);
}

async function settail({ log }: Journalled, empty: boolean): Promise<void> {
  await log.settail(empty);
  await log.log.dev.flush();
}

/**
 * Everything goes to the disk, which says then that it is clean. @throws EIO; EBUSY for files without a name that are
 * still open
 */
export async function stop_writing(em: Ext2Mount): Promise<void> {
  const state = em.em_write;
  if (state === null) return;
  if (state.broken !== undefined) return leave_broken(state);
  if (state.orphans.count > 0) throw errno(E.EBUSY, `${state.orphans.count} removed files are still open`);
  const { order } = state;
  if (order instanceof Journalled) {
    await order.checkpoint();
    await settail(order, true);
  } else await order.flush(true);
  await state.sb.now((view, at) => {
    const incompat = view.getUint32(at + SB.s_feature_incompat, true);
    view.setUint32(at + SB.s_feature_incompat, (incompat & ~INCOMPAT.needs_recovery) >>> 0, true);
    view.setUint16(at + SB.s_state, view.getUint16(at + SB.s_state, true) | STATE_VALID, true);
    view.setUint32(at + SB.s_wtime, em.em_kernel.now().sec >>> 0, true);
  });
  em.em_write = null;
}

/** What was changed since the last commit is given up; the superblock asks for a check. */
async function leave_broken(state: WriteState): Promise<void> {
  const { em } = state;
  em.em_write = null;
  em.em_bufcache.binval(em.em_dev, 0, em.em_dev.size_bytes);
  try {
    await state.sb.now((view, at) => {
      view.setUint16(at + SB.s_state, view.getUint16(at + SB.s_state, true) | STATE_ERROR, true);
    });
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    em.em_kernel.log('error', `${em.em_mountp.mnt_mntfromname}: it could not be marked as damaged: ${why}`);
  }
}
