import type { BlockDevice } from '../../../kernel/blkdev.js';
import { Errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import { COMPAT, INCOMPAT } from '../disk/features.js';
import type { Ext2Mount } from '../volume/ext2mount.js';
import { fast_commits } from './fastcommit.js';
import { external_log, internal_log, log_super } from './find.js';
import { JournalOverlay } from './overlay.js';
import { recover } from './recover.js';

const UNREPLAYED = 'the volume is shown as it is on the disk, which may be inconsistent';

/** A volume as its journal shows it. */
export interface Replayed {
  /** The device, with the journal replayed into memory; the device itself where nothing is to be replayed or can be. */
  readonly dev: BlockDevice;
  /** Why the journal keeps the volume from being written; undefined: it does not. */
  readonly unfit?: string;
}

/**
 * Replays the journal of a volume into memory. What cannot be is said in one line.
 * @param journal the device that the journal is on, if it was given
 * @throws EINVAL that is no journal, or another volume's
 */
export async function replayed(em: Ext2Mount, journal: BlockDevice | null, load: boolean): Promise<Replayed> {
  const { em_fs: fs, em_dev: dev, em_mountp: mp } = em;
  const say = (level: 'info' | 'warn' | 'error', what: string): void =>
    mp.mnt_kernel.log(level, `${mp.mnt_mntfromname}: ${what}`);
  if (!fs.compat(COMPAT.has_journal)) return { dev };
  const outside = fs.s_journal_inum === 0;
  const external = outside && journal !== null ? await external_log(em, journal) : null;
  const missing = outside && external === null;
  // Without this flag whatever lies in the log is history.
  if (!fs.incompat(INCOMPAT.needs_recovery))
    return missing ? { dev, unfit: 'its journal is on another device; name it with -o journal=' } : { dev };
  if (!load) {
    say('warn', `the journal is not replayed, as asked for: ${UNREPLAYED}`);
    return { dev, unfit: 'its journal has not been replayed' };
  }
  if (missing) {
    say('warn', `the journal is on another device, and is not replayed; name it with -o journal=: ${UNREPLAYED}`);
    return { dev, unfit: 'its journal is on another device' };
  }
  try {
    const log = external ?? (await internal_log(em));
    const sb = await log_super(em, log);
    const found = await recover(log, sb, fs.s_blocks_count);
    let unfit: string | undefined;
    if (found.problems.length > 0) {
      unfit = 'its journal is damaged; run e2fsck';
      say(
        'error',
        `the journal is damaged: ${found.problems.join('; ')}; what comes before that is replayed; run e2fsck`,
      );
    }
    if (await fast_commits(log, sb, found.end)) {
      unfit ??= 'its journal has fast commits; run e2fsck, or mount and unmount it with Linux';
      say('warn', 'fast commits are not replayed: what was changed last may be missing; e2fsck replays them');
    }
    const why = unfit === undefined ? {} : { unfit };
    if (found.copies.size === 0) return { dev, ...why };
    const where = (mp.mnt_flag & MNT_RDONLY) !== 0 || unfit !== undefined ? 'into memory' : 'to the disk';
    say('info', `journal replayed ${where}: ${found.transactions} transactions, ${found.copies.size} blocks`);
    return { dev: new JournalOverlay(dev, log, found.copies), ...why };
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    say('error', `the journal cannot be replayed (${thrown.message}): ${UNREPLAYED}`);
    return { dev, unfit: 'its journal cannot be replayed; run e2fsck' };
  }
}
