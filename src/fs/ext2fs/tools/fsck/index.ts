/**
 * fsck: is a volume sound, and making it so. The passes are those of e2fsck: superblock, descriptors and journal;
 * inodes; directories; paths; links; bitmaps and counts. A repair on which others rest calls for another look at all.
 */
import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { Errno } from '../../../../kernel/errno.js';
import type { CheckMode, CheckReport } from '../../../format.js';
import { INCOMPAT } from '../../disk/features.js';
import { SB } from '../../disk/sbfields.js';
import { Ext2fs, SBOFF, SBSIZE, STATE_ERROR, STATE_VALID } from '../../disk/superblock.js';
import { Attributes } from './attributes.js';
import { check_descriptors, check_super, put_super } from './backup.js';
import { check_bitmaps } from './bitmaps.js';
import { CannotCheck, Checker } from './checker.js';
import { check_links, check_lost, check_paths } from './connect.js';
import { check_directories } from './directories.js';
import { check_journal } from './journal.js';
import { check_orphans } from './orphans.js';
import { InodePass } from './pass1.js';
import { check_shared } from './remap.js';

/** Exit status as e2fsck has it. */
export const FSCK_OK = 0;
export const FSCK_MENDED = 1;
export const FSCK_UNCORRECTED = 4;
export const FSCK_FAILED = 8;

/** Repairs call for another look; more than this many do not happen in good faith. */
const RUNS_MAX = 12;

interface Run {
  readonly c: Checker;
  /** Why the check went no further. */
  readonly failed: string | undefined;
}

async function passes(c: Checker, cut: ReadonlySet<number>): Promise<void> {
  for (const ino of cut) c.cut.add(ino);
  await check_super(c);
  await check_descriptors(c, true);
  await check_journal(c);
  c.forget();
  if (c.again) return;
  await check_descriptors(c, false);
  await check_orphans(c);
  const attributes = new Attributes(c);
  await new InodePass(c, attributes).go();
  for (const work of c.later) await work();
  await check_shared(c);
  if (c.again) return;
  await attributes.finish();
  if (c.again) return;
  await check_directories(c);
  if (c.again) return;
  await check_paths(c);
  if (c.again) return;
  await check_lost(c);
  if (c.again) return;
  await check_links(c);
  if (c.again) return;
  await check_bitmaps(c);
}

async function run(dev: BlockDevice, mode: CheckMode, cut: ReadonlySet<number>): Promise<Run> {
  const c = new Checker(dev, mode);
  try {
    await passes(c, cut);
    const files = [...c.known.values()].length - c.dirs.size;
    const blocks = `${c.claimed.count * c.fs.clusterblocks} of ${c.fs.s_blocks_count} blocks`;
    c.notes.push(`${files} files, ${c.dirs.size} directories, ${blocks} in use`);
    return { c, failed: undefined };
  } catch (thrown) {
    if (thrown instanceof CannotCheck) return { c, failed: thrown.message };
    if (thrown instanceof Errno) return { c, failed: thrown.message };
    throw thrown;
  }
}

/** Says on the disk that the volume is clean; at last, when everything else is there. */
async function mark(c: Checker, modified: boolean): Promise<boolean> {
  const view = new DataView(c.sb.buffer);
  const state = view.getUint16(SB.s_state, true);
  const clean = ((state | STATE_VALID) & ~STATE_ERROR) >>> 0;
  const errors = view.getUint32(SB.s_error_count, true);
  if (state === clean && errors === 0 && !modified) return false;
  await c.dev.flush();
  view.setUint16(SB.s_state, clean, true);
  view.setUint32(SB.s_error_count, 0, true);
  const now = Math.floor(Date.now() / 1000);
  view.setUint32(SB.s_lastcheck, now % 2 ** 32, true);
  c.sb[SB.s_lastcheck_hi] = Math.floor(now / 2 ** 32);
  view.setUint16(SB.s_mnt_count, 0, true);
  await put_super(c);
  await c.dev.flush();
  return true;
}

/** Checks the volume on `dev`, and mends it as `mode` allows. */
export async function fsck(dev: BlockDevice, mode: CheckMode, skipClean = false): Promise<CheckReport> {
  const markedClean = await marked(dev);
  if (skipClean && markedClean) {
    const nothing = { problems: [], problemCount: 0, notes: ['marked clean'], modified: false, markedClean };
    return { clean: true, exitStatus: FSCK_OK, ...nothing };
  }
  const cut = new Set<number>();
  const runs = [await run(dev, mode, cut)];
  while (mode !== 'check' && runs.length < RUNS_MAX) {
    const { c, failed } = runs[runs.length - 1]!;
    if (failed !== undefined || !c.modified) break;
    for (const ino of c.cut) cut.add(ino);
    runs.push(await run(dev, mode, cut));
  }
  const { c, failed } = runs[runs.length - 1]!;
  const consistent = failed === undefined && !c.unresolved && (mode === 'check' || !c.modified);
  let modified = runs.some((one) => one.c.modified);
  if (mode !== 'check' && consistent) modified = (await mark(c, modified)) || modified;
  const problems: { message: string; code?: string; fixed?: string }[] = runs.flatMap((one) => one.c.problems);
  if (failed !== undefined) problems.push({ message: failed, code: 'failed' });
  const status = failed !== undefined ? FSCK_FAILED : !consistent ? FSCK_UNCORRECTED : modified ? FSCK_MENDED : FSCK_OK;
  return {
    clean: consistent && (await marked(dev)),
    markedClean,
    exitStatus: status,
    problems,
    problemCount: runs.reduce((count, one) => count + one.c.problemCount, failed === undefined ? 0 : 1),
    notes: c.notes,
    modified,
  };
}

/** Does the volume say of itself that it is sound? */
async function marked(dev: BlockDevice): Promise<boolean> {
  if (dev.size_bytes < SBOFF + SBSIZE) return false;
  const sb = new Uint8Array(SBSIZE);
  try {
    await dev.read(sb, 0, SBSIZE, SBOFF);
    const fs = new Ext2fs(sb, dev.name);
    return (fs.s_state & (STATE_VALID | STATE_ERROR)) === STATE_VALID && !fs.incompat(INCOMPAT.needs_recovery);
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    return false;
  }
}
