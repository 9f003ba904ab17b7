import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { Errno, errnoName } from '../../../../kernel/errno.js';
import { CHECK_FAILED, CHECK_OK, CHECK_UNRESOLVED } from '../../../format.js';
import type { CheckMode, CheckReport } from '../../../format.js';
import { backupGeometry } from '../../disk/backup.js';
import { clusterOffset, readGeometry } from '../../disk/bpb.js';
import type { Geometry } from '../../disk/bpb.js';
import { FSINFO_BYTES, decodeFsInfo, encodeFsInfo } from '../../disk/fsinfo.js';
import { CELL_FREE } from '../../space/fat.js';
import { markState, volumeState } from '../../volume/dirty.js';
import { FsckContext } from './context.js';
import type { Budget } from './context.js';
import { keepLost } from './lost.js';
import { walk } from './walk.js';

/** Checks a FAT volume and mends it. */

export interface FsckOptions {
  readonly mode: CheckMode;
  readonly skipClean?: boolean;
}

/** Repairs on which others rest call for another run; more than this many do not happen. */
const RUNS_MAX = 4;

/** The exit status is that of fsck of the BSDs. */
export async function fsck(dev: BlockDevice, { mode, skipClean }: FsckOptions): Promise<CheckReport> {
  let g: Geometry;
  try {
    g = await readGeometry(dev);
  } catch (error) {
    const backup = await backupGeometry(dev).catch(() => undefined);
    return backup === undefined ? failed(error) : fromBackup(dev, backup, mode, (error as Errno).message);
  }
  try {
    const state = await volumeState(dev, g);
    if (skipClean === true && !state.dirty && !state.errors) {
      return {
        clean: true,
        exitStatus: CHECK_OK,
        problems: [],
        problemCount: 0,
        notes: ['marked clean: not checked'],
        modified: false,
      };
    }
    return await check(dev, g, mode, state.dirty || state.errors);
  } catch (error) {
    return failed(error);
  }
}

async function check(dev: BlockDevice, g: Geometry, mode: CheckMode, dirty: boolean): Promise<CheckReport> {
  let ctx = await run(dev, g, mode);
  const problems = [...ctx.problems];
  let { problemCount } = ctx;
  let { modified } = ctx;
  // What was mended may show something else.
  for (let n = 1; modified && mode !== 'check' && n < RUNS_MAX; n++) {
    ctx = await run(dev, g, mode);
    if (!ctx.modified) break;
    problems.push(...ctx.problems);
    problemCount += ctx.problemCount;
  }
  const consistent = ctx.left === 0;
  if (dirty && consistent && mode !== 'check') {
    await dev.flush();
    await markState(dev, g, false);
    await dev.flush();
    modified = true;
  }
  const notes = [...ctx.notes];
  if (dirty && (mode === 'check' || !consistent)) notes.push('the volume was not unmounted properly');
  return {
    clean: consistent && (!dirty || mode !== 'check'),
    exitStatus: consistent ? CHECK_OK : CHECK_UNRESOLVED,
    problems,
    problemCount,
    notes,
    modified,
  };
}

/** The boot sector cannot be read, but its backup. `why`: what is wrong with it. */
async function fromBackup(dev: BlockDevice, g: Geometry, mode: CheckMode, why: string): Promise<CheckReport> {
  const sector = g.backupOffset / g.sectorBytes;
  const message = `the boot sector is damaged (${why}), its backup in sector ${sector} is sound`;
  try {
    if (mode !== 'repair') {
      const report = await check(dev, g, 'check', true);
      return {
        ...report,
        clean: false,
        exitStatus: CHECK_UNRESOLVED,
        problems: [{ message }, ...report.problems],
        problemCount: report.problemCount + 1,
      };
    }
    const boot = new Uint8Array(g.sectorBytes);
    await dev.read(boot, 0, boot.length, g.backupOffset);
    await dev.write(boot, 0, boot.length, 0);
    await dev.flush();
    const report = await check(dev, g, mode, true);
    return {
      ...report,
      problems: [{ message, fixed: 'copied' }, ...report.problems],
      problemCount: report.problemCount + 1,
      modified: true,
    };
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): CheckReport {
  if (!(error instanceof Errno)) throw error;
  return {
    clean: false,
    exitStatus: CHECK_FAILED,
    problems: [{ message: `cannot be checked: ${errnoName(error.errno)}: ${error.message}` }],
    problemCount: 1,
    notes: [],
    modified: false,
  };
}

/** One run over everything. @throws EIO; TooMuch where a budget is given and used up */
export async function run(dev: BlockDevice, g: Geometry, mode: CheckMode, budget?: Budget): Promise<FsckContext> {
  const ctx = new FsckContext(dev, g, mode, budget);
  if (g.totalBytes > dev.size_bytes || clusterOffset(g, g.clusters + 2) > dev.size_bytes) {
    await ctx.problem(
      `the volume has ${g.totalBytes} bytes, but the device only ${dev.size_bytes}: a part of it is missing`,
      { preen: false, serious: true },
    );
  }
  await ctx.loadFat();
  const files = await walk(ctx);
  await keepLost(ctx, files);
  await ctx.writeFat();
  await checkInfo(ctx);
  await checkBackup(ctx);
  if (ctx.modified) await dev.flush();
  const used = countUsed(ctx);
  ctx.notes.push(`${files.length - 1} files and directories, ${used} of ${g.clusters} clusters in use`);
  return ctx;
}

function countUsed(ctx: FsckContext): number {
  let used = 0;
  for (let c = 2; c <= ctx.lastCluster; c++) if (ctx.get(c) !== CELL_FREE) used++;
  return used;
}

async function checkInfo(ctx: FsckContext): Promise<void> {
  const { g, dev } = ctx;
  if (g.fsInfoOffset === 0) return;
  const sector = new Uint8Array(FSINFO_BYTES);
  const view = new DataView(sector.buffer);
  await dev.read(sector, 0, sector.length, g.fsInfoOffset);
  const info = decodeFsInfo(view);
  const free = g.clusters - countUsed(ctx);
  if (info !== null && (info.free === free || info.free === 0xffffffff)) return;
  const what =
    info === null
      ? 'the FSInfo sector has no signature'
      : `the FSInfo sector says that ${info.free} clusters are free, but ${free} are`;
  await ctx.problem(what, {
    preen: true,
    fix: async () => {
      encodeFsInfo(view, { free, next: info === null || info.next > ctx.lastCluster ? 2 : info.next });
      await ctx.patch(g.fsInfoOffset, sector);
      return 'set';
    },
  });
}

/** Bytes of the boot sector in which its backup may differ: the state. */
async function checkBackup(ctx: FsckContext): Promise<void> {
  const { g, dev } = ctx;
  if (g.backupOffset === 0) return;
  const boot = new Uint8Array(512);
  const backup = new Uint8Array(512);
  await dev.read(boot, 0, 512, 0);
  await dev.read(backup, 0, 512, g.backupOffset);
  boot[g.stateOffset] = backup[g.stateOffset]!;
  const different = boot.findIndex((byte, i) => byte !== backup[i]);
  if (different < 0) return;
  await ctx.problem(`the backup of the boot sector differs from it, first at byte ${different}`, {
    preen: true,
    fix: async () => (await ctx.patch(g.backupOffset, boot), 'copied'),
  });
}
