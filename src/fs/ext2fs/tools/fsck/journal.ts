/** Before anything else: what the journal holds comes to where it belongs. */
import { JBD2_MAGIC, journal_super, journal_super_seal, new_journal_super } from '../../disk/journal.js';
import { COMPAT, INCOMPAT } from '../../disk/features.js';
import { SB } from '../../disk/sbfields.js';
import { fast_commits } from '../../journal/fastcommit.js';
import { Log } from '../../journal/find.js';
import { JournalOverlay } from '../../journal/overlay.js';
import type { Recovery } from '../../journal/recover.js';
import { recover } from '../../journal/recover.js';
import { check_super, put_super } from './backup.js';
import type { Checker } from './checker.js';
import { CannotCheck } from './checker.js';
import { file_map } from './map.js';

const S_IFREG = 0x8000;
const MIN_BLOCKS = 1024;
const S_SEQUENCE = 0x18;
const S_START = 0x1c;
const S_ERRNO = 0x20;

/** Where the journal lies; a text says why it is of no use. */
async function find_log(c: Checker): Promise<Log | string> {
  const { fs } = c;
  const ino = fs.s_journal_inum;
  if (ino < 1 || ino > fs.s_inodes_count || (ino !== 8 && ino < fs.s_first_ino)) return `inode ${ino}`;
  const place = await c.inode(ino);
  const { d } = place;
  if ((d.i_mode & 0xf000) !== S_IFREG || d.i_nlink === 0) return `inode ${ino} is no file`;
  const { runs, problems } = await file_map(c, place, false);
  const blocks = Math.floor(d.i_size / fs.bsize);
  const log = new Log(c.dev, fs.bsize);
  for (const { lbn, start, length, unwritten } of runs) {
    if (lbn !== log.blocks || unwritten === true) break;
    log.add(start * fs.bsize, length);
  }
  if (problems > 0 || log.blocks < blocks || blocks < MIN_BLOCKS)
    return `inode ${ino}: ${log.blocks} of ${blocks} blocks`;
  return log;
}

/** The volume goes on without. */
async function take_away(c: Checker, why: string): Promise<void> {
  if (!c.problem('damage', 'journal', `the journal is of no use: ${why}`, 'TAKEN AWAY')) return;
  const ino = c.fs.s_journal_inum;
  const view = new DataView(c.sb.buffer);
  view.setUint32(SB.s_feature_compat, (c.fs.s_feature_compat & ~(COMPAT.has_journal | COMPAT.fast_commit)) >>> 0, true);
  view.setUint32(SB.s_feature_incompat, (c.fs.s_feature_incompat & ~INCOMPAT.needs_recovery) >>> 0, true);
  view.setUint32(SB.s_journal_inum, 0, true);
  view.setUint32(SB.s_journal_dev, 0, true);
  c.sb.fill(0, SB.s_journal_uuid, SB.s_journal_uuid + 16);
  c.sb.fill(0, SB.s_jnl_backup_type, SB.s_jnl_backup_type + 1);
  c.sb.fill(0, SB.s_jnl_blocks, SB.s_jnl_blocks + 68);
  if (ino === 8) {
    const place = await c.inode(ino);
    place.bytes.fill(0, place.at, place.at + c.fs.s_inode_size);
    await c.bwrite(place.block, place.bytes);
  }
  await put_super(c);
  c.again = true;
}

/** Replays it; a check that may not write looks at the volume as if it had. Called when descriptors are known. */
export async function check_journal(c: Checker): Promise<void> {
  const { fs } = c;
  if (!fs.compat(COMPAT.has_journal)) {
    const named = fs.s_journal_inum !== 0 || fs.s_journal_dev !== 0 || fs.s_journal_uuid.some((byte) => byte !== 0);
    if (named) return take_away(c, 'it is named, and there is no feature has_journal');
    if (!fs.incompat(INCOMPAT.needs_recovery)) return;
    if (!c.problem('damage', 'journal', 'the journal is to be replayed, and there is none', 'CLEARED')) return;
    await clear_recovery(c);
    return;
  }
  if (fs.s_journal_inum === 0) {
    const outside = fs.s_journal_dev !== 0 || fs.s_journal_uuid.some((byte) => byte !== 0);
    if (!outside) return take_away(c, 'nothing says where it is');
    if (fs.incompat(INCOMPAT.needs_recovery))
      throw new CannotCheck('the journal is on another device, and is to be replayed first: mount the volume with it');
    return;
  }
  const log = await find_log(c);
  if (typeof log === 'string') return take_away(c, log);
  const first = await log.read(0);
  const jsb = journal_super(first);
  if (typeof jsb === 'string' || jsb.s_blocksize !== fs.bsize || jsb.s_maxlen > log.blocks || jsb.last < MIN_BLOCKS) {
    const what = typeof jsb === 'string' ? jsb : `${jsb.s_maxlen} blocks of ${jsb.s_blocksize} bytes`;
    if (!c.problem('damage', 'journal', `the journal's superblock: ${what}`, 'MADE ANEW')) return;
    await c.write(new_journal_super(fs.bsize, log.blocks, fs.s_uuid), log.place(0));
    if (fs.incompat(INCOMPAT.needs_recovery)) await clear_recovery(c);
    c.forget();
    c.again = true;
    return;
  }
  if (!fs.incompat(INCOMPAT.needs_recovery)) {
    if (jsb.s_start === 0 && jsb.s_errno === 0) return;
    if (c.problem('damage', 'journal', 'the journal holds something that is not to be replayed', 'EMPTIED'))
      await empty(c, log, first, jsb.s_sequence + 1);
    return;
  }
  const found = await recover(log, jsb, fs.s_blocks_count);
  const what = `the journal is to be replayed: ${found.transactions} transactions`;
  const mend = c.problem('preen', 'replay', what, 'DONE');
  for (const what of found.problems) c.problem('damage', 'journal', `the journal is damaged: ${what}`, 'LEFT OUT');
  if (await fast_commits(log, jsb, found.end))
    c.problem('damage', 'journal', 'fast commits are not replayed', 'LEFT OUT');
  if (!mend) {
    c.dev = new JournalOverlay(c.dev, log, found.copies);
    c.forget();
    await check_super(c);
    return;
  }
  await replay(c, log, found);
  await c.dev.flush();
  await empty(c, log, first, found.end + 1);
  await c.dev.flush();
  c.forget();
  await check_super(c);
  await clear_recovery(c);
}

async function replay(c: Checker, log: Log, { copies }: Recovery): Promise<void> {
  for (const [block, copy] of copies) {
    const bytes = await log.read(copy.block);
    if (copy.escaped) new DataView(bytes.buffer).setUint32(0, JBD2_MAGIC);
    await c.write(bytes, block * c.fs.bsize);
  }
}

/** Says in the log's superblock that it is empty. */
async function empty(c: Checker, log: Log, first: Uint8Array, sequence: number): Promise<void> {
  const view = new DataView(first.buffer);
  view.setUint32(S_SEQUENCE, sequence % 2 ** 32 || 1);
  view.setUint32(S_START, 0);
  view.setUint32(S_ERRNO, 0);
  journal_super_seal(first);
  await c.write(first, log.place(0));
  c.forget();
}

async function clear_recovery(c: Checker): Promise<void> {
  const view = new DataView(c.sb.buffer);
  view.setUint32(SB.s_feature_incompat, (c.fs.s_feature_incompat & ~INCOMPAT.needs_recovery) >>> 0, true);
  await put_super(c);
}
