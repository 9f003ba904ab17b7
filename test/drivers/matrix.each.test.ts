import t from 'tap';
import { matrix } from '../../testing/matrix/matrix.js';
import { variantsFor } from '../../testing/variants/index.js';
import { targetOf } from '../../testing/variants/volume.js';

t.setTimeout(0); // the runner has a limit
for (const variant of await variantsFor('matrix', process.argv[2])) {
  await t.test(variant.name, async (t) => matrix(t, targetOf(variant)));
}
