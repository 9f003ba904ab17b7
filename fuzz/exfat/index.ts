import { FaultDevice } from '../../testing/devices/fault.js';
import { fsck } from '../../src/fs/exfat/tools/fsck/index.js';
import { describe } from '../../src/fs/exfat/tools/describe.js';
import type { CheckReport } from '../../src/fs/format.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import { ST_RDONLY } from '../../src/kernel/stat.js';
import type { BufCache } from '../../src/kernel/vfs/bio.js';
import { MutantDevice } from '../../testing/fuzz/device.js';
import type { FuzzFormat } from '../../testing/fuzz/format.js';
import type { Mutant, Mutation } from '../../testing/fuzz/mutant.js';
import type { Probe } from '../../testing/fuzz/probe.js';
import { Random } from '../../testing/fuzz/random.js';
import { session } from '../ffs/session.js';
import { MOUNTPOINT, walk } from '../../testing/fuzz/walk.js';
import { amend } from './amend.js';
import { baseNames, baseOf, mountExfat, prepareBases } from './bases.js';
import { mutate } from './mutations.js';

const WALK_LIMIT = 30;
const CHANGES = 24;
/** What the kernel logs when it has gone wrong itself. */
const BUG = /TypeError|RangeError|ReferenceError|SyntaxError|AssertionError|is not a function|undefined|\bNaN\b|driver bug/;

function deviceOf(mutant: Mutant): MutantDevice {
  const base = baseOf(mutant.base);
  const dev = new MutantDevice(base.bytes, mutant.mutations);
  if (mutant.how['amended'] === true) amend(dev, base.atlas);
  return dev;
}

function problemsOf(report: CheckReport): string {
  return report.problems.slice(0, 6).map(
    (p) => `${p.message}${p.fixed === undefined ? '' : ` (${p.fixed})`}`,
  ).join('\n');
}

/** What makes two problems the same. */
function whereOf(report: CheckReport): string {
  return (report.problems[0]?.message ?? 'not marked clean').replace(/^\/[^:]*/, 'FILE').replace(/0x[0-9a-f]+|\d+/g, 'N').slice(0, 80);
}

let lastlog: readonly string[] = [];

/** Mounts, looks, changes (where that is possible), unmounts. @returns whether it could be written */
async function use(probe: Probe, what: string, mutant: Mutant, dev: MutantDevice, flags: number): Promise<boolean> {
  const disk: BlockDevice = mutant.how['slow'] === true ? new FaultDevice(dev, { slow: true }) : dev;
  const mounted = await probe.op(`${what}: mount`, () => mountExfat(disk, flags));
  if (mounted === undefined) return false;
  const { kernel, sys, log } = mounted;
  const st = await probe.op('statvfs', () => sys.statvfs(MOUNTPOINT));
  const writable = st !== undefined && (st.f_flag & ST_RDONLY) === 0;
  probe.count(`mounted ${writable ? what : 'ro'}`);
  const found = await walk(probe, sys, writable ? 14 : WALK_LIMIT);
  if (writable) {
    await session(probe, sys, new Random(mutant.seed, 1), found, CHANGES);
    await probe.op('sync', () => sys.sync());
    await walk(probe, sys, 6);
  }
  await probe.op(`${what}: unmount`, () => sys.unmount(MOUNTPOINT));
  await probe.op(`${what}: halt`, () => kernel.halt());
  lastlog = log;
  for (const line of log) {
    if (BUG.test(line)) probe.violation('bug', what, line.replace(/\d+/g, 'N').slice(0, 100), line);
  }
  const { resident_bytes, dirty_bytes } = kernel.bufcache as BufCache;
  if (resident_bytes !== 0 || dirty_bytes !== 0) {
    probe.violation('leak', what, 'buffers', `${resident_bytes} bytes of buffers, ${dirty_bytes} of them dirty`);
  }
  return writable;
}

/** Uses a volume that the checker called clean; it must be so afterwards. */
async function cleanUse(probe: Probe, what: string, mutant: Mutant, dev: MutantDevice): Promise<void> {
  if (!(await use(probe, what, mutant, dev, 0))) return;
  probe.count('clean volumes used');
  const after = await probe.op(`${what}: check afterwards`, () => fsck(dev, 'check'));
  if (after !== undefined && !after.clean) {
    probe.violation(
      'spoiled', what, whereOf(after), `${problemsOf(after)}\nthe kernel's log: ${lastlog.slice(0, 6).join(' | ')}`,
    );
  }
}

async function run(mutant: Mutant, probe: Probe): Promise<void> {
  const pristine = deviceOf(mutant);
  const look = pristine.clone({ readonly: true });
  await probe.op('describe', () => describe(look));
  const report = await probe.op('check', () => fsck(look, 'check'));
  await use(probe, 'ro', mutant, look, MNT_RDONLY);
  if (look.writes !== 0) probe.violation('wrote', 'ro', '', `${look.writes} writes`);
  const dev = pristine.clone();
  if (report?.clean === true) {
    probe.count('clean');
    await cleanUse(probe, 'rw', mutant, dev);
    return;
  }
  await use(probe, 'rw', mutant, dev, 0);
  if (mutant.seed % 4 === 0) await probe.op('preen', () => fsck(pristine.clone(), 'preen'));
  const broken = pristine.clone();
  const repair = await probe.op('repair', () => fsck(broken, 'repair'));
  if (repair === undefined) return;
  const again = await probe.op('check after repair', () => fsck(broken, 'check'));
  if (again === undefined) return;
  if (repair.clean !== again.clean) probe.violation('lied', 'repair', whereOf(again), `repair said ${repair.clean ? 'clean' : 'not clean'}:\n${problemsOf(repair)}\nthe check after it:\n${problemsOf(again)}`);
  if (!again.clean) return;
  probe.count('repaired');
  await cleanUse(probe, 'repaired', mutant, broken);
}

function mutant(seed: number, index: number): Mutant {
  const random = new Random(seed, index);
  const name = baseNames[index % baseNames.length]!;
  const base = baseOf(name);
  const other = baseOf(random.pick(baseNames));
  const mutations: Mutation[] = [];
  // Most damage shows best alone; some of it only together.
  const count = random.pick([1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]);
  for (let n = 0; n < count; n++) mutations.push(mutate(base, other, random));
  return { base: name, mutations, seed: random.u32(), how: { slow: random.once(5), amended: !random.once(4) } };
}

export const exfatFormat: FuzzFormat = {
  name: 'exfat',
  bases: baseNames,
  prepare: () => prepareBases(),
  digest: (base) => baseOf(base).digest,
  mutant,
  run,
  save: async (m, file) => deviceOf(m).save(file),
};
