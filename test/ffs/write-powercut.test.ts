import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { lastBarrier, replayUntil } from '../../testing/devices/powercut.js';
import type { PowerCut } from '../../testing/devices/powercut.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { examine } from '../../testing/powercut/examine.js';
import { lcg } from './dice.js';
import { workload } from '../../testing/powercut/workload.js';
import type { Workload } from '../../testing/powercut/workload.js';
import { variants } from '../fs/ffs/variants.js';
import { bytesOf, newdisk, titleOf } from './write-support.js';
import type { Geometry } from './write-support.js';

/**
 * The power goes at any moment: whatever subset of the unflushed writes is on the disk, the checker repairs the volume,
 * finds no block in two files, and everything promised is there.
 * FFS_POWERCUT_SEEDS, FFS_POWERCUT_STEPS, FFS_POWERCUT_CUTS run it longer.
 */
const SEEDS = Number(process.env.FFS_POWERCUT_SEEDS ?? 2);
const FIRST = Number(process.env.FFS_POWERCUT_FIRST ?? 1);
const STEPS = Number(process.env.FFS_POWERCUT_STEPS ?? 120);
const CUTS = Number(process.env.FFS_POWERCUT_CUTS ?? 40);

/** Little more than the files take: space is used again as soon as it may be. */
const SIZE = 1_500_000;

const GEOMETRY: readonly Geometry[] = [
  { format: 2, endian: 'little', blockSize: 4096, fragSize: 512, maxFragsPerGroup: 1024, inodes: 300 },
  { format: 1, endian: 'big', blockSize: 8192, fragSize: 2048, inodes: 300 },
];

const ORDERED = variants.find(({ powercut }) => powercut?.promise === 'ordered')!;

/** What a cut breaks, in words; empty if nothing. */
async function examinecut(before: Uint8Array, work: Workload, cut: PowerCut): Promise<string[]> {
  const disk = new MemoryDevice({ content: before });
  await replayUntil(disk, work.events, cut);
  return examine(ORDERED, disk, work, cut.events);
}

t.setTimeout(0); // the runner has a limit; long runs are asked for by the environment
for (const geometry of GEOMETRY) {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    await t.test(`${titleOf(geometry)}, seed ${seed}`, async (t) => {
      const disk = await newdisk(geometry, SIZE);
      const before = bytesOf(disk);
      const work = await workload(ORDERED, disk, seed, STEPS);
      const end = await fsck(disk);
      t.equal(end.problems.map((p) => p.message).join('\n'), '', 'in order at the end');
      t.ok(work.claims.length > 5, `${work.claims.length} promises, ${work.events.length} events`);
      const random = lcg(seed);
      let violations = 0;
      for (let n = 0; n < CUTS && violations === 0; n++) {
        const events =
          CUTS >= work.events.length ? n % (work.events.length + 1) : Math.floor(random() * (work.events.length + 1));
        // A third of the cuts keeps all writes, the others a random part, one write of it torn.
        const chosen = new Set<number>();
        const share = random();
        const barrier = lastBarrier(work.events, events);
        for (let i = barrier; i < events; i++) if (random() < share) chosen.add(i);
        const torn = barrier + Math.floor(random() * (events - barrier));
        const all = n % 3 === 0;
        const cut: PowerCut = all
          ? { events }
          : { events, keep: (i) => chosen.has(i), torn: { index: torn, bytes: Math.floor(random() * 32) * 512 } };
        const bad = await examinecut(before, work, cut);
        if (bad.length === 0) continue;
        violations++;
        const around = work.trace.filter((line) => Number(line.split(':')[0]) <= events).slice(-12);
        t.fail(
          `cut ${n} at event ${events} of ${work.events.length}, barrier ${barrier}, ` +
            `${all ? 'all' : `kept ${[...chosen].join()} torn ${torn}`}:\n${bad.join('\n')}\nlast ` +
            `steps:\n${around.join('\n')}`,
        );
      }
      t.equal(violations, 0, 'no cut breaks a promise');
    });
  }
}
