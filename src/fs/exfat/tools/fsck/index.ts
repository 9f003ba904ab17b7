/**
 * fsck: is a volume sound, and making it so. Boot regions, then the files of the system, then all directories with
 * their files,
 * then the bitmap. Nothing here is shared with what mounts a volume but the codecs of disk/ and dir/fileset.ts.
 */
import type { BlockDevice } from '../../../../kernel/blkdev.js';
import type { CheckMode, CheckReport } from '../../../format.js';
import { CHECK_FAILED, CHECK_OK, CHECK_UNRESOLVED } from '../../../format.js';
import { MEDIA_FAILURE, PERCENT_IN_USE_AT, VOLUME_DIRTY, VOLUME_FLAGS_AT } from '../../disk/boot.js';
import { CHAIN_END } from '../../space/fat.js';
import { check_bitmap, keep_lost } from './bitmap.js';
import type { Budget } from './checker.js';
import { CannotCheck, Checker, TooMuch } from './checker.js';
import { copy_shared } from './content.js';
import { check_boot, check_fathead, check_system, mend_system } from './setup.js';
import { check_directories } from './walk.js';

/** Repairs on which others rest call for another run; more than this many do not happen in good faith. */
const RUNS_MAX = 5;
const BOOT_BYTES = 512;

interface Run {
  readonly c: Checker;
  /** Why the check went no further. */
  readonly failed: string | undefined;
}

async function run(dev: BlockDevice, mode: CheckMode, budget?: Budget): Promise<Run> {
  const c = new Checker(dev, mode, budget);
  try {
    await check_boot(c);
    await check_fathead(c);
    const system = await check_system(c);
    const { shared } = await check_directories(c, system.rootclusters);
    // A copy must not go where something lies that is still to be copied.
    for (const { clusters } of shared) for (const cluster of clusters) c.used.add(cluster, 1);
    for (const one of shared) await copy_shared(c, one);
    for (const cluster of c.ends) await c.setcell(cluster, CHAIN_END);
    await mend_system(c, system);
    // Without a bitmap that is right nobody is known to be without a file.
    if (system.bitmap !== null && !c.again) await keep_lost(c, await check_bitmap(c, system.bitmap));
    const inuse = `${c.used.count} of ${c.volume.boot.ClusterCount} clusters in use`;
    if ((c.volume.boot.VolumeFlags & MEDIA_FAILURE) !== 0) {
      c.notes.push('MediaFailure is set: somebody met clusters that could not be read or written, and it stays so');
    }
    c.notes.push(`${c.files} files, ${c.directories} directories, ${inuse}`);
    return { c, failed: undefined };
  } catch (thrown) {
    if (!(thrown instanceof CannotCheck)) throw thrown;
    return { c, failed: thrown.message };
  }
}

/** Says on the disk that the volume is clean; at last, when everything else is there. */
async function mark(dev: BlockDevice, c: Checker): Promise<boolean> {
  const sector = new Uint8Array(BOOT_BYTES);
  await c.read(sector, BOOT_BYTES, 0);
  const view = new DataView(sector.buffer);
  const flags = view.getUint16(VOLUME_FLAGS_AT, true);
  const percent = Math.floor((c.used.count * 100) / c.volume.boot.ClusterCount);
  if ((flags & VOLUME_DIRTY) === 0 && sector[PERCENT_IN_USE_AT] === percent) return false;
  await dev.flush();
  view.setUint16(VOLUME_FLAGS_AT, flags & ~VOLUME_DIRTY, true);
  sector[PERCENT_IN_USE_AT] = percent;
  await c.write(sector, 0);
  await dev.flush();
  return true;
}

/** Checks the volume on `dev`, and mends it as `mode` allows. */
export async function fsck(
  dev: BlockDevice, mode: CheckMode, skipClean = false,
): Promise<CheckReport & { readonly unsafe: boolean }> {
  if (skipClean && (await markedclean(dev))) {
    const nothing = { problems: [], problemCount: 0, notes: ['marked clean'], modified: false, unsafe: false };
    return { clean: true, exitStatus: CHECK_OK, ...nothing };
  }
  const runs = [await run(dev, mode)];
  while (mode !== 'check' && runs.length < RUNS_MAX) {
    const { c, failed } = runs[runs.length - 1];
    if (failed !== undefined || !c.modified) break;
    runs.push(await run(dev, mode));
  }
  const { c, failed } = runs[runs.length - 1];
  const consistent = failed === undefined && !c.unresolved;
  if (mode !== 'check' && consistent) await mark(dev, c);
  const problems = runs.flatMap(
    (one) => one.c.problems.map(({ message, fixed }) => (fixed === undefined ? { message } : { message, fixed })),
  );
  if (failed !== undefined) problems.push({ message: failed });
  return {
    clean: consistent && (await markedclean(dev)),
    exitStatus: failed !== undefined ? CHECK_FAILED : consistent ? CHECK_OK : CHECK_UNRESOLVED,
    problems,
    problemCount: runs.reduce((count, one) => count + one.c.problemCount, failed === undefined ? 0 : 1),
    notes: c.notes,
    modified: runs.some((one) => one.c.modified),
    unsafe: c.unsafe,
  };
}

async function markedclean(dev: BlockDevice): Promise<boolean> {
  const sector = new Uint8Array(BOOT_BYTES);
  if (dev.size_bytes < BOOT_BYTES) return false;
  await dev.read(sector, 0, BOOT_BYTES, 0);
  return (sector[VOLUME_FLAGS_AT] & VOLUME_DIRTY) === 0;
}

/** What a quick look has found. */
export interface QuickLook {
  /** Why the volume must not be written as it is; undefined: it may be. */
  readonly refused: string | undefined;
  /** Nothing at all is wrong. */
  readonly spotless: boolean;
}

/**
 * A look at a volume that was not unmounted: may it be written as it is? Reads all directories and follows all chains,
 * within a
 * budget; what is only lost stays lost until a real check.
 */
export async function quick_check(dev: BlockDevice, budget: Budget): Promise<QuickLook> {
  try {
    const { c, failed } = await run(dev, 'check', budget);
    const bad = failed ?? (c.unsafe ? c.problems.find(({ severity }) => severity !== 'safe')?.message : undefined);
    return { refused: bad, spotless: failed === undefined && c.problemCount === 0 };
  } catch (thrown) {
    if (!(thrown instanceof TooMuch)) throw thrown;
    return { refused: `${thrown.what} that looking at all of them would take long`, spotless: false };
  }
}
