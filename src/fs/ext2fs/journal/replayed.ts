import type { BlockDevice } from '../../../kernel/blkdev.js';
import { Errno } from '../../../kernel/errno.js';
import { COMPAT, INCOMPAT } from '../disk/features.js';
import type { Ext2Mount } from '../volume/ext2mount.js';
import { fast_commits } from './fastcommit.js';
import { external_log, internal_log, log_super } from './find.js';
import { JournalOverlay } from './overlay.js';
import { recover } from './recover.js';

const UNREPLAYED = 'the volume is shown as it is on the disk, which may be inconsistent';

/**
 * The device of a volume as its journal shows it, replayed into memory; the device itself where nothing is to be
 * replayed or nothing can be, which is said in one line.
 * @param journal the device that the journal is on, if it was given
 * @throws EINVAL that is no journal, or another volume's
 */
export async function replayed(em: Ext2Mount, journal: BlockDevice | null, load: boolean): Promise<BlockDevice> {
  const { em_fs: fs, em_dev: dev, em_mountp: mp } = em;
  const say = (level: 'info' | 'warn' | 'error', what: string): void =>
    mp.mnt_kernel.log(level, `${mp.mnt_mntfromname}: ${what}`);
  const outside = fs.compat(COMPAT.has_journal) && fs.s_journal_inum === 0;
  const external = outside && journal !== null ? await external_log(em, journal) : null;
  // Without this flag whatever lies in the log is history.
  if (!fs.compat(COMPAT.has_journal) || !fs.incompat(INCOMPAT.needs_recovery)) return dev;
  if (!load) {
    say('warn', `the journal is not replayed, as asked for: ${UNREPLAYED}`);
    return dev;
  }
  if (outside && external === null) {
    say('warn', `the journal is on another device, and is not replayed; name it with -o journal=: ${UNREPLAYED}`);
    return dev;
  }
  try {
    const log = external ?? (await internal_log(em));
    const sb = await log_super(em, log);
    const found = await recover(log, sb, fs.s_blocks_count);
    if (found.problems.length > 0)
      say(
        'error',
        `the journal is damaged: ${found.problems.join('; ')}; what comes before that is replayed; run e2fsck`,
      );
    if (await fast_commits(log, sb, found.end))
      say(
        'warn',
        'fast commits are not replayed: what was changed last may be missing; e2fsck replays them',
      );
    if (found.copies.size === 0) return dev;
    say(
      'info',
      `journal replayed into memory: ${found.transactions} transactions, ${found.copies.size} blocks`,
    );
    return new JournalOverlay(dev, log, found.copies);
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    say('error', `the journal cannot be replayed (${thrown.message}): ${UNREPLAYED}`);
    return dev;
  }
}
