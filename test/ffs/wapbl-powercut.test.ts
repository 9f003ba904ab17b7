import t from 'tap';
import { powercut } from '../../testing/powercut/run.js';

/**
 * Power cuts of volumes that log: after each, the journal in memory and on the disk give the same files, all that was
 * made durable is there, the names are those of one moment, and the checker finds nothing. `npm run powercut` runs it longer.
 */
const POINTS = Number(process.env.FFS_POWERCUT_POINTS ?? 240);

t.setTimeout(0);
t.test('cuts at random events of random workloads', async (t) => {
  const figures = await powercut({ mode: 'log', points: POINTS, seed: Number(process.env.FFS_POWERCUT_FIRST ?? 1), steps: 150, cuts: 60 });
  for (const violation of figures.violations.slice(0, 3)) t.fail(`seed ${violation.seed}, ${violation.cut}:\n${violation.what.join('\n')}`);
  t.equal(figures.violations.length, 0, `${figures.points} points, ${figures.events} events, ${figures.barriers} barriers, ${figures.promises} promises`);
  t.ok(figures.promises > 10, 'something was promised');
});
