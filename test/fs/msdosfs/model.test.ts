import t from 'tap';
import { fsx } from '../../../testing/model/fsx.js';
import { modelTest } from '../../../testing/model/modeltest.js';
import { randomSettings } from '../../../testing/model/random.js';
import { targets } from './target.js';

const { ops, seeds } = randomSettings({ ops: 600, runs: 1 });
/** Bytes: the tree of a run wants more. */
const SMALL = 2.5 * 2 ** 20;

t.setTimeout(0); // the runner has a limit; long runs are asked for by the environment
for (const target of Object.values(targets)) {
  for (const seed of seeds) {
    await t.test(`fsx: ${target.name}, seed ${seed}`, async () => fsx(target, seed, 2 * ops));
    await t.test(`model: ${target.name}, seed ${seed}`, async () => modelTest(target, seed, ops));
    await t.test(`model: ${target.name}, seed ${seed}, full`, async () => modelTest(target, seed, ops, SMALL));
  }
}
