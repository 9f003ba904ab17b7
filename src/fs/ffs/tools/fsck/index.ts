/**
 * fsck: is a volume sound, and making it so. The five phases of NetBSD's fsck_ffs with its messages, on code of its
 * own: nothing here is shared with what mounts a volume but the codecs (superblock, endian, journal records), so that a
 * fault there does not hide itself.
 */
import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { FS_ISCLEAN, FS_NEEDSFSCK, FS_UNCLEAN } from '../../disk/fs.js';
import { ffs_nextmtime } from '../../volume/writedialect.js';
import { FsckContext } from './context.js';
import type { FsckMode } from './context.js';
import { pass1, pass1b } from './pass1.js';
import { pass2 } from './pass2.js';
import { pass3 } from './pass3.js';
import { pass4 } from './pass4.js';
import { pass5 } from './pass5.js';
import { FSCK_EXIT_CHECK_FAILED, FSCK_EXIT_OK, FSCK_EXIT_UNRESOLVED, FsckStop } from './report.js';
import type { FsckPhase, FsckProblem, FsckReport } from './report.js';
import { homeOf } from './sbfind.js';
import { setup } from './setup.js';

export type { FsckMode } from './context.js';
export type { FsckCode, FsckPhase, FsckProblem, FsckReport } from './report.js';
export { FSCK_EXIT_CHECK_FAILED, FSCK_EXIT_OK, FSCK_EXIT_UNRESOLVED, FSCK_EXIT_USAGE } from './report.js';

export interface FsckOptions {
  /** Default check: nothing is written. */
  mode?: FsckMode;
  /** Go by the superblock at this byte offset (fsck -b). */
  superblock?: number;
  /** Leave a volume alone that is marked clean, as fsck does without -f. Default: check it all the same. */
  skipClean?: boolean;
}

/**
 * Repairs that change what other repairs rest on call for another run; more than this many do not happen in good faith.
 */
const MAX_RUNS = 6;

/**
 * Checks the volume on `dev`; with mode `preen` or `repair` mends it. A device error is a problem like others; what is
 * thrown is a fault of this program.
 */
export async function fsck(dev: BlockDevice, options: FsckOptions = {}): Promise<FsckReport> {
  const mode = options.mode ?? 'check';
  if (mode === 'check') return reportOf([await run(dev, mode, options)]);
  const runs: Run[] = [];
  // The copy of a superblock that was asked for becomes the standard one in the first run.
  let opts = options;
  for (let repairs = 1; ; repairs++) {
    const repair = await run(dev, mode, opts);
    runs.push(repair);
    opts = { ...opts };
    delete opts.superblock;
    delete opts.skipClean;
    if (repair.again && repairs < MAX_RUNS) continue;
    if (repair.stopped !== undefined || !runs.some((r) => r.ctx.modified)) break;
    // What was written is looked at once more, by a check that cannot write.
    const look = await run(dev, 'check', opts);
    runs.push(look);
    // A repair that thought itself complete and was not goes on from there.
    if (mode !== 'repair' || repair.ctx.unresolved || !look.ctx.unresolved || repairs >= MAX_RUNS) break;
    look.ctx.note('PROBLEMS REMAIN; REPAIRING AGAIN');
  }
  return reportOf(runs);
}

interface Run {
  readonly ctx: FsckContext;
  readonly stopped: number | undefined;
  readonly again: boolean;
}

const PHASES: readonly (readonly [FsckPhase, string, (ctx: FsckContext) => Promise<void>])[] = [
  [1, 'Phase 1 - Check Blocks and Sizes', pass1],
  [1.5, 'Phase 1b - Rescan For More DUPS', pass1b],
  [2, 'Phase 2 - Check Pathnames', pass2],
  [3, 'Phase 3 - Check Connectivity', pass3],
  [4, 'Phase 4 - Check Reference Counts', pass4],
  [5, 'Phase 5 - Check Cyl groups', pass5],
];

async function run(dev: BlockDevice, mode: FsckMode, options: FsckOptions): Promise<Run> {
  const ctx = new FsckContext(dev, mode);
  ctx.now = Math.floor(Date.now() / 1000);
  let stopped: number | undefined;
  try {
    await setup(ctx, options);
    ctx.note(`Last Mounted on ${ctx.fs.fs_fsmnt}`);
    for (const [phase, title, pass] of PHASES) {
      if (phase === 1.5 && ctx.blocks.dups.size === 0) continue;
      ctx.phase = phase;
      ctx.note(title);
      await pass(ctx);
    }
    const { cs_nffree, cs_nbfree } = ctx.fs.fs_cstotal;
    ctx.note(
      `${ctx.files} files, ${ctx.usedFrags} used, ${ctx.freeFrags} free (${cs_nffree} frags, ${cs_nbfree} blocks)`,
    );
  } catch (thrown) {
    if (!(thrown instanceof FsckStop)) throw thrown;
    stopped = thrown.exitStatus;
  }
  if (mode !== 'check' && stopped !== FSCK_EXIT_CHECK_FAILED && stopped === undefined) await finish(ctx);
  return { ctx, stopped, again: mode !== 'check' && stopped === undefined && ctx.rerun };
}

/** The superblock goes last: it may say "clean" only when everything else is on the disk. */
async function finish(ctx: FsckContext): Promise<void> {
  const { fs, dev } = ctx;
  const clean = !ctx.unresolved && !ctx.rerun;
  const mark = clean && ((fs.fs_clean & FS_ISCLEAN) === 0 || (fs.fs_flags & (FS_UNCLEAN | FS_NEEDSFSCK)) !== 0);
  if (!ctx.modified && !ctx.sbdirty && !mark) return;
  const barrier = dev.flush();
  if (barrier instanceof Promise) await barrier;
  if (mark) {
    fs.fs_clean = FS_ISCLEAN;
    fs.fs_flags &= ~(FS_UNCLEAN | FS_NEEDSFSCK);
    fs.fs_pendingblocks = 0;
    fs.fs_pendinginodes = 0;
  }
  if (ctx.freebsd && fs.wide) {
    // Takes its validity from a soft-updates journal.
    fs.fs_mtime = ffs_nextmtime(fs.fs_mtime, ctx.now);
  }
  fs.fs_time = ctx.now;
  if (!fs.ufs2) fs.fs_old_time = ctx.now | 0;
  await ctx.writeAt(fs.encode(), fs.fs_sbsize, homeOf(fs));
  const end = dev.flush();
  if (end instanceof Promise) await end;
}

function reportOf(runs: readonly Run[]): FsckReport {
  const last = runs[runs.length - 1]!;
  const { ctx } = last;
  const problems: FsckProblem[] = runs.flatMap((r) => r.ctx.problems);
  const stopped = last.stopped;
  const consistent = stopped === undefined ? !ctx.unresolved : stopped === FSCK_EXIT_OK;
  const markedClean =
    ctx.fs !== undefined &&
    (ctx.fs.fs_clean & FS_ISCLEAN) !== 0 &&
    (ctx.fs.fs_flags & (FS_UNCLEAN | FS_NEEDSFSCK)) === 0 &&
    !ctx.journalReplayed;
  return {
    clean: consistent && markedClean,
    consistent,
    markedClean,
    exitStatus: stopped ?? (consistent ? FSCK_EXIT_OK : FSCK_EXIT_UNRESOLVED),
    problems,
    problemCount: runs.reduce((n, r) => n + r.ctx.problemCount, 0),
    modified: runs.some((r) => r.ctx.modified),
    notes: runs.flatMap((r) => r.ctx.notes),
    files: ctx.files,
    usedFrags: ctx.usedFrags,
    freeFrags: ctx.freeFrags,
  };
}
