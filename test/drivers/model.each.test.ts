import t from 'tap';
import { modelTest } from '../../testing/model/modeltest.js';
import { randomSettings } from '../../testing/model/random.js';
import { variantsFor } from '../../testing/variants/index.js';
import { targetOf } from '../../testing/variants/volume.js';

const { ops, seeds } = randomSettings({ ops: 700, runs: 1 });

/** Bytes: the tree of a run wants more. */
const SMALL = 2.5 * 2 ** 20;

t.setTimeout(0); // the runner has a limit; long runs are asked for by the environment
for (const variant of await variantsFor('model', process.argv[2])) {
  const target = targetOf(variant);
  for (const seed of seeds) {
    await t.test(`model: ${target.name}, seed ${seed}, ${ops} operations`, async () => modelTest(target, seed, ops));
    await t.test(`model: ${target.name}, seed ${seed}, ${ops} operations, full`, async () =>
      modelTest(target, seed, ops, SMALL),
    );
  }
}
