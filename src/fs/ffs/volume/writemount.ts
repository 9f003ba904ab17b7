import { E, errno } from '../../../kernel/errno.js';
import { ffs_ufsops } from '../dir/ufsops.js';
import { csum_load } from '../disk/csum.js';
import type { FfsMount } from './ffsmount.js';
import { FS_ISCLEAN, FS_WASCLEAN, MAXMNTLEN } from '../disk/fs_const.js';
import { OrderedWrites } from '../order/ordered.js';
import type { WapblReplay } from '../journal/replay.js';
import { NOWISH, wapbl_start, wapbl_stop } from '../journal/start.js';
import type { JournalWish } from '../journal/start.js';
import { ffs_sbwriteback } from '../space/cgupdate.js';
import { ffs_keep, ffs_unkeep } from './keeping.js';
import type { Inherited } from './inherit.js';
import { WriteState, writestate } from './writestate.js';
import { ffs_dialect_start, ffs_dialect_stop } from './writedialect.js';

/**
 * The volume becomes writable: called at the end of a read-write mount or update, with a superblock that is fit for it.
 * Loads the summaries and marks the volume dirty on the disk before anything else can change.
 * @param replay what its journal held; it has been replayed to the disk
 * @param from what a predecessor kept; its blocks and superblock are in place
 * @throws EIO; EROFS if the summaries contradict each other; EINVAL, ENOSPC for a journal that cannot be
 */
export async function ffs_write_start(
  ump: FfsMount,
  wish: JournalWish = NOWISH,
  replay?: WapblReplay,
  from?: Inherited,
): Promise<void> {
  const { um_fs: fs, um_dev: dev } = ump;
  const area = new Uint8Array(fs.fs_ncg * 16);
  await dev.read(area, 0, area.length, fs.fsbtob(fs.fs_csaddr));
  const cs = new Int32Array(fs.fs_ncg * 4);
  csum_load(fs, area, cs);
  if (from !== undefined) for (const [c, counts] of from.cs) cs.set(counts, 4 * c);
  const total = [0, 0, 0, 0];
  for (let i = 0; i < cs.length; i++) total[i & 3]! += cs[i]!;
  const { cs_ndir, cs_nbfree, cs_nifree, cs_nffree } = fs.fs_cstotal;
  if (total[0] !== cs_ndir || total[1] !== cs_nbfree || total[2] !== cs_nifree || total[3] !== cs_nffree) {
    throw errno(
      E.EROFS,
      `${ump.um_mountp.mnt_mntfromname}: the free counts of superblock and summary area differ: run a check ` +
        '(rumpfuse fsck), or mount read-only',
    );
  }
  ump.um_cs = cs;
  const state = new WriteState(ump);
  state.order = new OrderedWrites(state);
  const clean = fs.fs_clean;
  const undo = ffs_dialect_start(ump);
  fs.fs_fsmnt = ump.um_mountp.mnt_mntonname.slice(0, MAXMNTLEN - 1);
  const mark = async (): Promise<void> => {
    // FS_ISCLEAN becomes FS_WASCLEAN; a volume that was not clean has neither until a checker says so.
    fs.fs_clean = (clean & FS_ISCLEAN) !== 0 ? FS_WASCLEAN : clean & FS_WASCLEAN;
    await ffs_sbwriteback(state);
    // The predecessor has marked it.
    if (from === undefined) await state.barrier();
  };
  try {
    ump.um_private = state;
    ump.um_ops = ffs_ufsops;
    await wapbl_start(ump, wish, replay, mark);
    await ffs_keep(state, from);
  } catch (error) {
    undo();
    // The volume is as clean as it was. (What a predecessor kept is as it was, too, and for the next one to take up.)
    if (from === undefined) await ffs_write_stop(ump).catch(() => undefined);
    fs.fs_clean = clean;
    ump.um_private = null;
    ump.um_ops = null;
    throw error;
  }
}

/**
 * The volume stops being writable (unmount, update to read-only): everything goes to the device and it is marked clean.
 * @throws EBUSY for files without a name that are still open (an update only: at unmount nobody is left)
 */
export async function ffs_write_stop(ump: FfsMount): Promise<void> {
  const state = writestate(ump);
  if (state === null) return;
  if (state.orphans > 0) throw errno(E.EBUSY, `${state.orphans} removed files are still open`);
  if (state.order.journalled) await wapbl_stop(ump, true);
  else await endordered(state);
  ump.um_private = null;
  ump.um_ops = null;
  ffs_unkeep(ump);
}

async function endordered(state: WriteState): Promise<void> {
  const { ump } = state;
  const fs = ump.um_fs;
  await state.order.flush(true);
  if (state.broken || (fs.fs_clean & FS_WASCLEAN) === 0) return;
  fs.fs_clean = FS_ISCLEAN;
  const undo = ffs_dialect_stop(ump);
  try {
    await ffs_sbwriteback(state);
    await state.barrier();
  } catch (error) {
    fs.fs_clean = FS_WASCLEAN;
    undo();
    throw error;
  }
}
