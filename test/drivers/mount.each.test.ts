import t from 'tap';
import { matrix } from '../../testing/matrix/matrix.js';
import { fsx } from '../../testing/model/fsx.js';
import { modelTest } from '../../testing/model/modeltest.js';
import { randomSettings } from '../../testing/model/random.js';
import { variantsFor } from '../../testing/variants/index.js';
import { hostTargetOf } from '../../testing/variants/volume.js';
import { whyNoMounts } from '../fuse/fixtures/mounted.js';

const why = whyNoMounts();
if (why !== false) t.pass('the matrix through a real mount', { skip: why });
t.setTimeout(0); // the runner has a limit
for (const variant of why === false ? await variantsFor('mount', process.argv[2]) : []) {
  const target = hostTargetOf(variant);
  await t.test(target.name, async (t) => matrix(t, target));
  if (target.reading === true) continue;
  /** Remounts take a second each here; they are tested in the matrix. */
  const lasting = { ...target, features: new Set([...target.features].filter((feature) => feature !== 'remount')) };
  const { ops, seeds } = randomSettings({ ops: 500, runs: 1 });
  for (const seed of seeds) {
    await t.test(`fsx: ${target.name}, seed ${seed}, ${ops} operations`, async () => fsx(lasting, seed, ops));
    await t.test(`model: ${target.name}, seed ${seed}, ${ops} operations`, async () => modelTest(lasting, seed, ops));
  }
}
