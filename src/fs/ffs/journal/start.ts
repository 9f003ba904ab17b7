import { E, errno } from '../../../kernel/errno.js';
import { MNT_LOG } from '../../../kernel/fcntl.js';
import { CSUM_SIZE, FS_DOWAPBL, FS_ISCLEAN, FS_WASCLEAN } from '../disk/fs_const.js';
import { ffs_sbwriteback } from '../space/cgupdate.js';
import { OrderedWrites } from '../order/ordered.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { WRITE } from '../volume/writestate.js';
import { ffs_dialect_stop } from '../volume/writedialect.js';
import { SF_LOG, loadnameless, wapbl_create, wapbl_setplace, wapbl_unfit } from './create.js';
import { UFS_WAPBL_FLAGS_CLEAR_LOG, UFS_WAPBL_FLAGS_CREATE_LOG, wapbl_open, wapbl_place } from './header.js';
import type { WapblLog, WapblPlace } from './header.js';
import { JournalledWrites } from './journal.js';
import { wapbl_finish } from './steps.js';
import type { WapblReplay } from './replay.js';
import { WapblRing } from './ring.js';

/**
 * A volume that is written begins and ends to log here (ffs_wapbl_start, ffs_wapbl_stop of NetBSD's ffs_wapbl.c).
 *
 * On the disk FS_DOWAPBL says that the journal must be replayed. It is set only when both headers are valid and what
 * they name is right, and cleared only when everything is at its place.
 */

/** What a mount wants of the journal. */
export interface JournalWish {
  /**
   * `auto`: log if the volume has a journal; `on`: make one if it has none; `off`: do not log, but leave the journal
   * where it is; `remove`: take it away.
   */
  readonly log: 'auto' | 'on' | 'off' | 'remove';
  /** Bytes of a journal to be made; 0: what suits. */
  readonly bytes: number;
  /** Byte order of a journal to be made; undefined: the volume's. */
  readonly le: boolean | undefined;
}

export const NOWISH: JournalWish = { log: 'auto', bytes: 0, le: undefined };

/** What the superblock asks for with fs_journal_flags, and the size that it suggests. */
function suggested(ump: FfsMount): { create: boolean; clear: boolean; bytes: number; le: boolean } {
  const { view, wide, le, fs_journal_flags: flags } = ump.um_fs;
  const none = { create: false, clear: false, bytes: 0, le };
  if (!wide || flags === 0) return none;
  for (const order of [le, !le]) {
    const told = view.getUint32(868, order);
    if (told === UFS_WAPBL_FLAGS_CLEAR_LOG) return { ...none, clear: true };
    if (told === UFS_WAPBL_FLAGS_CREATE_LOG) {
      return { create: true, clear: false, bytes: Number(view.getBigUint64(880, order)), le: order };
    }
  }
  return none;
}

/**
 * Begins to write a volume: with its journal where the mount is to log, else by ordered writes. Its WriteState has
 * {@link OrderedWrites} with nothing to write; the journal, if it held anything, has been replayed to the disk.
 * @param mark marks the volume as in use, on the disk
 * @throws EINVAL ENOSPC only if a journal was asked for in so many words; EIO
 */
export async function wapbl_start(
  ump: FfsMount,
  wish: JournalWish,
  replay: WapblReplay | undefined,
  mark: () => Promise<void>,
): Promise<void> {
  const fs = ump.um_fs;
  const asked = wish.log === 'on';
  const say = suggested(ump);
  const unfinished = replay !== undefined && replay.inodes.length > 0;
  if (asked && !fs.wide) {
    throw errno(
      E.EINVAL,
      `${ump.um_mountp.mnt_mntfromname}: the superblock is of the old layout, which has no place for a journal`,
    );
  }
  if (asked && ump.um_dialect !== 'netbsd') {
    throw errno(
      E.EINVAL,
      `${ump.um_mountp.mnt_mntfromname}: only NetBSD reads this journal, and the volume is not NetBSD's`,
    );
  }

  const log = await wapbl_open(ump.um_dev, fs);
  let place: WapblPlace | undefined =
    log?.place ?? wapbl_place(fs, fs.le, ump.um_dev.size_bytes) ?? wapbl_place(fs, !fs.le, ump.um_dev.size_bytes);
  if (place !== undefined) {
    const unfit = await wapbl_unfit(ump, place);
    if (unfit !== undefined) {
      if (asked) throw errno(E.EINVAL, `${ump.um_mountp.mnt_mntfromname}: the journal cannot be used: ${unfit}`);
      ump.um_kernel.log(
        'warn',
        `${ump.um_mountp.mnt_mntfromname}: not journalled: the journal cannot be used: ${unfit}`,
      );
      place = undefined;
    }
  }
  const remove = wish.log === 'remove' || (say.clear && wish.log !== 'off');
  const use = place !== undefined && (unfinished || (wish.log !== 'off' && !remove));
  if (use) {
    await enable(ump, place!, log, unfinished ? replay.inodes : []);
    await mark();
    if (wish.log !== 'off' && !remove) return;
    await wapbl_stop(ump, false);
    const state = WRITE(ump);
    state.order = new OrderedWrites(state);
  } else {
    // Everything has been replayed: what follows is not in the journal.
    fs.fs_flags &= ~FS_DOWAPBL;
    await mark();
  }
  if (remove && fs.fs_journal_location !== 0) await removelog(ump, place);
  if (place === undefined || remove) {
    const create = asked || (wish.log === 'auto' && say.create && ump.um_dialect === 'netbsd');
    if (!create) return;
    const bytes = wish.bytes !== 0 ? wish.bytes : say.bytes;
    try {
      place = await wapbl_create(ump, bytes, wish.le ?? say.le);
    } catch (thrown) {
      if (asked) throw thrown;
      ump.um_kernel.log(
        'warn',
        `${ump.um_mountp.mnt_mntfromname}: not journalled: ` +
          `${thrown instanceof Error ? thrown.message : String(thrown)}`,
      );
      return;
    }
    await writesuperblock(ump);
    await enable(ump, place, undefined, []);
  }
}

async function writesuperblock(ump: FfsMount): Promise<void> {
  const state = WRITE(ump);
  await ffs_sbwriteback(state);
  await state.barrier();
}

/** From here on the volume logs. Frees the inodes that a replay has found without a link. */
async function enable(
  ump: FfsMount,
  place: WapblPlace,
  log: WapblLog | undefined,
  inodes: WapblReplay['inodes'],
): Promise<void> {
  const fs = ump.um_fs;
  const now = ump.um_kernel.now();
  const ring = new WapblRing(ump.um_dev, place, log?.generation ?? -1);
  if (inodes.length > 0 && log !== undefined) {
    // The list of inodes outlives the replay: until they are free, another one must find them.
    ring.head = log.head;
    ring.tail = log.tail;
    const list = new Map(inodes.map(({ ino, mode }) => [ino, mode]));
    const same = log.circ_off === ring.circ_off && log.circ_size === ring.circ_size && log.blksize === place.blksize;
    if (same && ring.length(0, 0, 0, list.size) <= ring.free) {
      const head = await ring.append([], { revoked: new Map(), inodes: list });
      await ump.um_dev.flush();
      await ring.commit(head, ring.nextlistat, now);
    } else {
      await ring.clear(now);
    }
  } else {
    await ring.clear(now);
  }
  if ((fs.fs_flags & FS_DOWAPBL) === 0) {
    fs.fs_flags |= FS_DOWAPBL;
    await writesuperblock(ump);
  }
  const state = WRITE(ump);
  const order = new JournalledWrites(state, ring);
  state.order = order;
  ump.um_mountp.mnt_flag |= MNT_LOG;
  for (const { ino, mode } of inodes) if (!order.isorphan(ino)) await finishinode(ump, order, ino, mode);
  if (inodes.length > 0) await order.flush();
}

/** An inode that was without a link when the power went: frees it. */
async function finishinode(ump: FfsMount, order: JournalledWrites, ino: number, mode: number): Promise<void> {
  const fs = ump.um_fs;
  const log = (what: string) =>
    ump.um_kernel.log('warn', `${ump.um_mountp.mnt_mntfromname}: inode ${ino} of the journal's list ${what}`);
  if (!(ino > 2 && ino < fs.ninodes)) return log('does not exist');
  const ip = await loadnameless(ump, ino);
  if (ip.i_mode !== 0 && ip.i_nlink !== 0) return log(`has ${ip.i_nlink} links and stays`);
  order.orphan(ino, ip.i_gen, ip.i_mode === 0 ? mode : ip.i_mode);
  await wapbl_finish(ip, mode);
}

/** Ends logging: everything to its place, the journal empty, FS_DOWAPBL off. @param clean mark the volume clean */
export async function wapbl_stop(ump: FfsMount, clean: boolean): Promise<void> {
  const state = WRITE(ump);
  const order = state.order as JournalledWrites;
  const fs = ump.um_fs;
  if (state.broken) {
    try {
      await order.leavebroken();
    } catch (thrown) {
      ump.um_kernel.log(
        'error',
        `${ump.um_mountp.mnt_mntfromname}: the journal could not be ended: ` +
          `${thrown instanceof Error ? thrown.message : String(thrown)}; the next mount replays what was committed`,
      );
    }
  } else {
    await order.checkpoint();
    forget(ump);
    let undo = (): void => undefined;
    if (clean && (fs.fs_clean & FS_WASCLEAN) !== 0) {
      fs.fs_clean = FS_ISCLEAN;
      undo = ffs_dialect_stop(ump);
    }
    // First the mark, then the flag: in between a replay finds an empty journal.
    try {
      await writesuperblock(ump);
      fs.fs_flags &= ~FS_DOWAPBL;
      await writesuperblock(ump);
    } catch (error) {
      undo();
      fs.fs_flags |= FS_DOWAPBL;
      if (fs.fs_clean === FS_ISCLEAN) fs.fs_clean = FS_WASCLEAN;
      throw error;
    }
  }
  ump.um_mountp.mnt_flag &= ~MNT_LOG;
}

/** Superblock and summaries are buffers only while the volume logs. */
function forget(ump: FfsMount): void {
  const { um_fs: fs, um_dev, um_bufcache } = ump;
  um_bufcache.binval(um_dev, fs.fs_sblockloc, 512);
  um_bufcache.binval(um_dev, fs.fsbtob(fs.fs_csaddr), Math.ceil((fs.fs_ncg * CSUM_SIZE) / fs.fs_fsize) * fs.fs_fsize);
}

/** Takes the journal off the volume: first its place off the superblock, then its inode. */
async function removelog(ump: FfsMount, place: WapblPlace | undefined): Promise<void> {
  const fs = ump.um_fs;
  const ino = place?.ino ?? 0;
  wapbl_setplace(fs, 0, null);
  await writesuperblock(ump);
  if (ino === 0) return;
  const ip = await loadnameless(ump, ino);
  if ((ip.i_flags & SF_LOG) === 0) return;
  const { order } = WRITE(ump);
  const wait = order.begin();
  if (wait) await wait;
  try {
    order.linkdown(ip, ip.i_nlink);
  } finally {
    order.end();
  }
  await order.discard(ip);
  await order.flush(true);
}
