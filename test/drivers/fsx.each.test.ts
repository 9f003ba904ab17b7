import t from 'tap';
import { fsx } from '../../testing/model/fsx.js';
import { randomSettings } from '../../testing/model/random.js';
import { variantsFor } from '../../testing/variants/index.js';
import { targetOf } from '../../testing/variants/volume.js';

const { ops, seeds } = randomSettings({ ops: 1500, runs: 2 });

t.setTimeout(0); // the runner has a limit; long runs are asked for by the environment
for (const variant of await variantsFor('fsx', process.argv[2])) {
  const target = targetOf(variant);
  for (const seed of seeds) {
    await t.test(`fsx: ${target.name}, seed ${seed}, ${ops} operations`, async () => fsx(target, seed, ops));
  }
}
