/**
 * Power cuts, judged by e2fsck: what it leaves of a volume has everything that was made durable. A volume with a
 * journal is as it was at one moment, and shows the same to us with the journal replayed into memory.
 * RUMPFUSE_POWERCUT_POINTS and RUMPFUSE_POWERCUT_FIRST for longer.
 */
import t from 'tap';
import type { MemoryDevice } from '../../../src/blockdev/memory.js';
import { MNT_RDONLY } from '../../../src/kernel/fcntl.js';
import { CutDisks, broken, consistentnames, namespaceof, randomcut } from '../../../testing/powercut/examine.js';
import { workload } from '../../../testing/powercut/workload.js';
import type { Workload } from '../../../testing/powercut/workload.js';
import type { Variant } from '../../../testing/variants/variant.js';
import { mountVolume, newDisk } from '../../../testing/variants/volume.js';
import { lcg } from '../../ffs/dice.js';
import { bytesOf } from '../../ffs/write-support.js';
import { cut } from './variants.js';
import { e2fsck } from './volumes.js';

const POINTS = Number(process.env['RUMPFUSE_POWERCUT_POINTS'] ?? 4);
const FIRST = Number(process.env['RUMPFUSE_POWERCUT_FIRST'] ?? 1);
const ONLY = process.argv[2];
const STEPS = 120;
/** Cuts of one workload. */
const CUTS = 30;

/** What is not as it was promised. */
async function looked(variant: Variant, disk: MemoryDevice, work: Workload, at: number): Promise<string[]> {
  const vol = await mountVolume(variant, disk, MNT_RDONLY);
  try {
    const bad = await broken(vol.sys, work.claims, at);
    if (variant.powercut!.promise !== 'log') return bad;
    // e2fsck makes it.
    const names = (await namespaceof(vol.sys)).split('\n').filter((name) => name !== '/lost+found');
    const wrong = consistentnames(work, names.join('\n'), at);
    return wrong === undefined ? bad : [...bad, wrong];
  } finally {
    await vol.close();
  }
}

async function examined(variant: Variant, disk: MemoryDevice, work: Workload, at: number): Promise<string[]> {
  const bad: string[] = [];
  const log = variant.powercut!.promise === 'log';
  if (log) {
    bad.push(...(await looked(variant, disk, work, at)).map((what) => `replayed into memory: ${what}`));
    const ours = disk.clone();
    await (await mountVolume(variant, ours)).close();
    const said = await e2fsck(ours);
    if (said !== '') bad.push(`after our replay: ${said}`);
    bad.push(...(await looked(variant, ours, work, at)).map((what) => `after our replay: ${what}`));
  }
  const mended = await e2fsck(disk, '-fy');
  if (mended !== '' && !mended.startsWith('1:')) bad.push(`e2fsck -fy: ${mended}`);
  if (log && /FIXED|fixed|Fix\?|Clear\?/.test(mended)) bad.push(`e2fsck had to mend: ${mended}`);
  const after = await e2fsck(disk);
  if (after !== '') bad.push(`after e2fsck: ${after}`);
  bad.push(...(await looked(variant, disk, work, at)).map((what) => `after e2fsck: ${what}`));
  if (bad.length > 0) bad.push(`e2fsck: ${mended}`);
  return bad;
}

t.setTimeout(0); // the runner has a limit
for (const variant of cut.filter(({ name }) => ONLY === undefined || name === ONLY)) {
  t.test(variant.name, { timeout: 0 }, async (t) => {
    const figures = { points: 0, promises: 0, bad: 0 };
    for (let seed = FIRST; figures.points < POINTS; seed++) {
      const disk = (await newDisk(variant, variant.powercut!.size_bytes))!;
      const before = bytesOf(disk);
      const work = await workload(variant, disk, seed, STEPS, { flags: 0, orphans: true });
      figures.promises += work.claims.length;
      const random = lcg(seed);
      const cuts = Math.min(CUTS, POINTS - figures.points);
      const at = Array.from({ length: cuts }, () => Math.floor(random() * (work.events.length + 1)));
      at.sort((a, b) => a - b);
      const disks = new CutDisks(before, work.events);
      for (let n = 0; n < cuts; n++) {
        const one = randomcut(work.events, at[n]!, n, random);
        let what: string[];
        try {
          what = await examined(variant, disks.after(one), work, one.events);
        } catch (thrown) {
          what = [thrown instanceof Error ? `${thrown.message} ${thrown.stack}` : String(thrown)];
        }
        figures.points++;
        if (what.length === 0) continue;
        const trace = work.trace.filter((line) => Number(line.split(':')[0]) <= one.events).slice(-10);
        if (figures.bad++ < 3)
          t.fail(`seed ${seed}, cut ${n} at event ${one.events} of ${work.events.length}:\n${[...what, ...trace].join('\n')}`);
      }
    }
    t.equal(figures.bad, 0, `${figures.points} points, ${figures.promises} promises`);
  });
}
