import type { JournalSuper } from '../disk/journal.js';
import { JBD2_INCOMPAT } from '../disk/journal.js';
import type { Log } from './find.js';

/**
 * Fast commits: records behind the log, little-endian: tag u16, length u16, content. Source: Linux
 * fs/ext4/fast_commit.h.
 */
const FC_TAG_HEAD = 9;

/** Is there a fast commit behind the last transaction, `end` being the number of the next one? */
export async function fast_commits(log: Log, sb: JournalSuper, end: number): Promise<boolean> {
  if ((sb.s_feature_incompat & JBD2_INCOMPAT.fast_commit) === 0 || sb.last >= sb.s_maxlen) return false;
  const block = await log.read(sb.last);
  const view = new DataView(block.buffer);
  return view.getUint16(0, true) === FC_TAG_HEAD && view.getUint16(2, true) >= 8 && view.getUint32(8, true) === end;
}
