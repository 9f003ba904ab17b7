import t from 'tap';
import { powercut } from '../../testing/powercut/run.js';
import { variantsFor } from '../../testing/variants/index.js';
import type { Variant } from '../../testing/variants/index.js';

/**
 * Power cuts at random events of random workloads: afterwards holds what the variant promises. Volumes that log give
 * the same files with the journal in memory and on the disk, all that was made durable is there, the names are those of
 * one moment, and the checker finds nothing. `npm run powercut` runs it longer; of what is only promised to be repaired
 * a share is enough here.
 */
const POINTS: Readonly<Record<string, number>> = { log: 240, sound: 120, ordered: 24, async: 12 };
const FIRST = Number(process.env['RUMPFUSE_POWERCUT_FIRST'] ?? 1);

const byPromise = new Map<string, Variant[]>();
for (const variant of await variantsFor('powercut', process.argv[2])) {
  const { promise } = variant.powercut!;
  byPromise.set(promise, [...(byPromise.get(promise) ?? []), variant]);
}

t.setTimeout(0); // the runner has a limit
for (const [promise, variants] of byPromise) {
  await t.test(`${promise}: ${variants.map(({ name }) => name).join(', ')}`, async (t) => {
    const points = Number(process.env['RUMPFUSE_POWERCUT_POINTS'] ?? POINTS[promise]);
    const figures = await powercut({ variants, points, seed: FIRST, steps: 150, cuts: Math.ceil(points / 4) });
    for (const { variant, seed, cut, what } of figures.violations.slice(0, 3)) {
      t.fail(`${variant}, seed ${seed}, ${cut}:\n${what.join('\n')}`);
    }
    t.equal(
      figures.violations.length,
      0,
      `${figures.points} points, ${figures.events} events, ${figures.barriers} barriers, ${figures.promises} promises`,
    );
    t.ok(figures.promises > 10, 'something was promised');
  });
}
