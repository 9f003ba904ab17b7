/**
 * npm run powercut -- [--type FORMAT | --variant NAME] [--promise log|sound|ordered|async] [--points N] [--seed S]
 * [--steps N] [--cuts N]
 *
 * Runs random workloads on disks that remember every write and barrier, cuts the power at N points (with writes since
 * the last barrier lost, kept or torn at random), recovers each volume and checks it. Exit status 1 if a promise is
 * broken.
 */
import { parseArgs } from 'node:util';
import { variantsFor } from '../variants/index.js';
import { powercut } from './run.js';

const { values } = parseArgs({
  options: {
    type: { type: 'string', default: 'ffs' },
    variant: { type: 'string' },
    promise: { type: 'string' },
    points: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '150' },
    cuts: { type: 'string', default: '100' },
  },
});
const all = await variantsFor('powercut', values.variant ?? values.type);
// Without a word about it, those that keep most.
const promise =
  values.promise ?? ['log', 'sound', 'ordered'].find((one) => all.some(({ powercut }) => powercut!.promise === one));
const variants = all.filter((one) => one.powercut!.promise === promise);
if (variants.length === 0) {
  throw new Error(
    `no volume of ${values.variant ?? values.type} promises "${promise}"; there are ` +
      `${all.map((one) => `${one.name} (${one.powercut!.promise})`).join(', ')}`,
  );
}
const started = performance.now();
const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
let reported = 0;
const figures = await powercut({
  variants,
  points: Number(values.points),
  seed: Number(values.seed),
  steps: Number(values.steps),
  cuts: Number(values.cuts),
  progress: (so_far) => {
    for (; reported < Math.min(so_far.violations.length, 5); reported++) {
      const v = so_far.violations[reported]!;
      console.log(`VIOLATION ${v.variant}, seed ${v.seed}, ${v.cut}:\n  ${v.what.join('\n  ')}`);
    }
    if (process.stderr.isTTY) {
      process.stderr.write(`\r${so_far.points} points, ${so_far.violations.length} violations, ${seconds()}   `);
    }
  },
});
if (process.stderr.isTTY) process.stderr.write('\r');
console.log(
  `${variants.map(({ name }) => name).join(', ')}: ${figures.points} cut points in ${figures.workloads} workloads of ${values.steps} steps ` +
    `(${figures.events} events: ${figures.writes} writes, ${figures.barriers} barriers; ${figures.promises} promises): ` +
    `${figures.violations.length} violations, ${seconds()}`,
);
process.exitCode = figures.violations.length === 0 ? 0 : 1;
