/** All that is done with one mutant. */
import { ffs } from '../../src/fs/ffs/index.js';
import { FaultDevice } from '../../testing/devices/fault.js';
import { describe, dumpfs } from '../../src/fs/ffs/tools/dumpfs.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import type { FsckReport } from '../../src/fs/ffs/tools/fsck/index.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import { ST_RDONLY } from '../../src/kernel/stat.js';
import type { BufCache } from '../../src/kernel/vfs/bio.js';
import { MutantDevice } from '../../testing/fuzz/device.js';
import type { Mutant } from '../../testing/fuzz/mutant.js';
import type { Probe } from '../../testing/fuzz/probe.js';
import { Random } from '../../testing/fuzz/random.js';
import { amendClean, amendHash } from './amend.js';
import { baseOf } from './bases.js';
import type { Mounted } from '../../testing/fuzz/kernel.js';
import { mountVolume } from '../../testing/fuzz/kernel.js';
import { session } from '../../testing/fuzz/session.js';
import { MOUNTPOINT, walk } from '../../testing/fuzz/walk.js';

const WALK_LIMIT = 30;
const CHANGES = 24;
/** What the kernel logs when it has gone wrong itself. */
const BUG = /TypeError|RangeError|ReferenceError|SyntaxError|AssertionError|is not a function|undefined|\bNaN\b/;
/** On a damaged volume one block may be two things at once, which the buffer cache takes for a fault of the driver. */
const BUG_IF_CLEAN = /driver bug/;
/** Of its unmount, when something was not given back. */
const LEAK = /never written|still (?:referenced|busy|held)/;

export async function deviceOf(mutant: Mutant): Promise<MutantDevice> {
  const base = baseOf(mutant.base);
  const dev = new MutantDevice(base.bytes, mutant.mutations);
  if (mutant.how.hash === true) await amendHash(dev);
  return dev;
}

function problemsOf(report: FsckReport): string {
  return report.problems.slice(0, 6).map((p) => `${p.code}: ${p.message}`).join('\n');
}

function wheresOf(report: FsckReport): string {
  return (
    [...new Set(report.problems.filter((p) => p.code !== 'NOT_CLEAN').map((p) => p.code))]
      .sort()
      .slice(0, 3)
      .join(' ') || report.problems.map((p) => p.code).join(' ')
  );
}

/** Ends a mount, and looks at what the kernel had to say. */
async function endMount(probe: Probe, what: string, mounted: Mounted, clean: boolean): Promise<void> {
  const { kernel, sys, log } = mounted;
  lastlog = log;
  await probe.op(`${what}: unmount`, () => sys.unmount(MOUNTPOINT));
  await probe.op(`${what}: halt`, () => kernel.halt());
  const { resident_bytes, dirty_bytes } = kernel.bufcache as BufCache;
  // What a damaged volume leaves unwritten is said, and lost; on a sound one nothing may be.
  const damaged = log.some((line) => line.startsWith('error'));
  for (const line of log) {
    if (BUG.test(line) || (clean && BUG_IF_CLEAN.test(line))) {
      probe.violation('bug', what, line.replace(/\d+/g, 'N').slice(0, 100), line);
    }
    if (LEAK.test(line) && !damaged) probe.violation('leak', what, line.replace(/\d+/g, 'N').slice(0, 100), line);
  }
  if (resident_bytes !== 0 || dirty_bytes !== 0) {
    probe.violation('leak', what, 'buffers', `${resident_bytes} bytes of buffers, ${dirty_bytes} of them dirty`);
  }
}

/** What the kernel said on the last mount: shown with what went wrong. */
let lastlog: readonly string[] = [];

/** The device as it is mounted: a share of them answers later. */
function slow(mutant: Mutant, dev: MutantDevice): BlockDevice {
  return mutant.how.slow === true ? new FaultDevice(dev, { slow: true }) : dev;
}

function optionsOf(mutant: Mutant): Record<string, string> {
  return typeof mutant.how.dialect === 'string' ? { dialect: mutant.how.dialect } : {};
}

async function readonlyUse(probe: Probe, mutant: Mutant, dev: MutantDevice): Promise<void> {
  const mounted = await probe.op('mount ro', () => mountVolume(ffs, slow(mutant, dev), MNT_RDONLY, optionsOf(mutant)));
  if (mounted === undefined) return;
  probe.count('mounted ro');
  await probe.op('statvfs', () => mounted.sys.statvfs(MOUNTPOINT));
  await walk(probe, mounted.sys, WALK_LIMIT);
  await endMount(probe, 'ro', mounted, false);
}

/** @returns whether it could be written */
async function readwriteUse(
  probe: Probe,
  what: string,
  mutant: Mutant,
  dev: MutantDevice,
  clean = false,
): Promise<boolean> {
  const mounted = await probe.op(`${what}: mount`, () => mountVolume(ffs, slow(mutant, dev), 0, optionsOf(mutant)));
  if (mounted === undefined) return false;
  const { sys } = mounted;
  const st = await probe.op('statvfs', () => sys.statvfs(MOUNTPOINT));
  const writable = st !== undefined && (st.f_flag & ST_RDONLY) === 0;
  if (writable) {
    probe.count(`mounted ${what}`);
    const random = new Random(mutant.seed, 1);
    const found = await walk(probe, sys, 14);
    await session(probe, sys, random, found, CHANGES);
    await probe.op('sync', () => sys.sync());
    await walk(probe, sys, 6);
  }
  await endMount(probe, what, mounted, clean);
  return writable;
}

async function checked(
  probe: Probe,
  what: string,
  dev: MutantDevice,
  mode: 'check' | 'preen' | 'repair' = 'check',
): Promise<FsckReport | undefined> {
  return probe.op(what, () => fsck(dev, { mode }));
}

/** Uses a volume that the checker called clean; it must be so afterwards. */
async function cleanUse(probe: Probe, what: string, mutant: Mutant, dev: MutantDevice): Promise<boolean> {
  const writable = await readwriteUse(probe, what, mutant, dev, mutant.how.dialect === undefined);
  if (!writable) return false;
  const after = await checked(probe, `${what}: check afterwards`, dev);
  probe.count('clean volumes used');
  // Who insists on a wrong dialect gets what he asked for.
  if (after !== undefined && !after.clean && mutant.how.dialect === undefined) {
    probe.violation(
      'spoiled',
      what,
      wheresOf(after),
      `${problemsOf(after)}\nthe kernel's log: ${lastlog.slice(0, 6).join(' | ')}`,
    );
  }
  return true;
}

async function repaired(probe: Probe, mutant: Mutant): Promise<void> {
  if (mutant.seed % 4 === 0) await checked(probe, 'preen', await deviceOf(mutant), 'preen');
  const dev = await deviceOf(mutant);
  const report = await checked(probe, 'repair', dev, 'repair');
  if (report === undefined) return;
  const again = await checked(probe, 'check after repair', dev);
  if (again === undefined) return;
  if (report.clean !== again.clean) {
    probe.violation(
      'lied',
      'repair',
      wheresOf(again),
      `repair said ${report.clean ? 'clean' : 'not clean'}:\n${problemsOf(report)}\nthe check after ` +
        `it:\n${problemsOf(again)}`,
    );
  }
  if (!again.clean) return;
  probe.count('repaired');
  await cleanUse(probe, 'repaired', mutant, dev);
}

export async function tryMutant(mutant: Mutant, probe: Probe): Promise<void> {
  const pristine = await deviceOf(mutant);
  const look = pristine.clone({ readonly: true });
  await probe.op('describe', () => describe(look));
  await probe.op('dumpfs', () => dumpfs(look, { superblock: true, groups: true, inodes: true, journal: true }));
  const report = await checked(probe, 'check', look);
  await readonlyUse(probe, mutant, look);
  if (look.writes !== 0) probe.violation('wrote', 'ro', '', `${look.writes} writes`);

  const dev = pristine.clone();
  if (report?.clean === true) {
    probe.count('clean');
    await cleanUse(probe, 'rw', mutant, dev);
  } else if (!(await readwriteUse(probe, 'rw', mutant, dev))) {
    const forced = pristine.clone();
    if (await amendClean(forced)) await readwriteUse(probe, 'forced', mutant, forced);
  }
  if (report?.clean !== true) await repaired(probe, mutant);
}
