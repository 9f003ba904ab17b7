import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { fsck } from '../../../src/fs/exfat/tools/fsck/index.js';
import type { NewfsOptions } from '../../../src/fs/exfat/tools/newfs.js';
import { newfs } from '../../../src/fs/exfat/tools/newfs.js';
import { MNT_RDONLY } from '../../../src/kernel/fcntl.js';
import { lcg } from '../../ffs/dice.js';
import type { PowerCut } from '../../../testing/devices/powercut.js';
import { CutDisks, broken, randomcut } from '../../../testing/powercut/examine.js';
import type { Workload } from '../../../testing/powercut/workload.js';
import { workload } from '../../../testing/powercut/workload.js';
import { bytesof, has, mount, strangersays } from './volumes.js';

/**
 * The power goes at any moment: whatever subset of the unflushed writes is on the disk, nothing is worse than what unplugging may
 * leave, and everything promised is there.
 * EXFAT_POWERCUT_SEEDS, _FIRST, _STEPS, _CUTS run it longer.
 */
const SEEDS = Number(process.env['EXFAT_POWERCUT_SEEDS'] ?? 1);
const FIRST = Number(process.env['EXFAT_POWERCUT_FIRST'] ?? 1);
const STEPS = Number(process.env['EXFAT_POWERCUT_STEPS'] ?? 120);
const CUTS = Number(process.env['EXFAT_POWERCUT_CUTS'] ?? 60);
/** Little more than the files take: space is used again as soon as it may be. */
const SIZE = 1_900_000;
/** Every so many cuts fsck.exfat looks, too. */
const STRANGER = 20;

const GEOMETRIES: readonly NewfsOptions[] = [{ clusterSize: 512 }, { clusterSize: 4096 }];

async function examine(disk: MemoryDevice, work: Workload, cut: PowerCut, stranger: boolean): Promise<string[]> {
  const bad: string[] = [];
  const preened = await fsck(disk, 'preen');
  for (const { message, fixed } of preened.problems) if (fixed === undefined) bad.push(`not mended without asking: ${message}`);
  const after = await fsck(disk, 'check');
  if (!after.clean) bad.push(`after the repair: ${after.problems[0]?.message ?? 'not marked clean'}`);
  if (stranger) {
    const says = await strangersays(disk);
    if (says !== undefined) bad.push(`fsck.exfat: ${says}`);
  }
  const vol = await mount(disk, MNT_RDONLY);
  try {
    bad.push(...vol.log, ...(await broken(vol.sys, work.claims, cut.events)));
  } finally {
    await vol.close();
  }
  return bad;
}

/** As it is after the cut: mounted for writing without a check, if a look at it allows that. */
async function remounts(disk: MemoryDevice, work: Workload, cut: PowerCut): Promise<string[]> {
  const vol = await mount(disk);
  try {
    return await broken(vol.sys, work.claims, cut.events);
  } finally {
    await vol.close();
  }
}

t.setTimeout(0); // the runner has a limit; long runs are asked for by the environment
for (const geometry of GEOMETRIES) {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    await t.test(`clusters of ${geometry.clusterSize}, seed ${seed}`, async (t) => {
      const disk = new MemoryDevice({ size_bytes: SIZE });
      await newfs(disk, geometry);
      const before = bytesof(disk);
      const work = await workload(disk, seed, STEPS, { orphans: true, hardlinks: false, open: (dev) => mount(dev) });
      const end = await fsck(disk, 'check');
      t.same(end.problems, [], 'in order at the end');
      t.ok(end.clean, 'and marked clean');
      t.ok(work.claims.length > 5, `${work.claims.length} promises, ${work.events.length} events`);
      const random = lcg(seed);
      const cuts = Array.from({ length: CUTS }, (_, n) => (CUTS >= work.events.length ? n % (work.events.length + 1) : Math.floor(random() * (work.events.length + 1)))).sort((a, b) => a - b);
      const disks = new CutDisks(before, work.events);
      for (let n = 0; n < CUTS; n++) {
        const cut = randomcut(work.events, cuts[n], n, random);
        const left = disks.after(cut);
        const stranger = n % STRANGER === 0 && has('fsck.exfat');
        const bad = [...(await remounts(left.clone(), work, cut)), ...(await examine(left, work, cut, stranger))];
        if (bad.length === 0) continue;
        const around = work.trace.filter((line) => Number(line.split(':')[0]) <= cut.events).slice(-12);
        t.fail(`cut ${n} at event ${cut.events} of ${work.events.length}:\n${bad.join('\n')}\nlast steps:\n${around.join('\n')}`);
        return;
      }
      t.pass('no cut breaks a promise');
    });
  }
}
