import t from 'tap';
import { whyNoMounts } from '../fuse/fixtures/mounted.js';
import type { Feature, Target } from '../../testing/matrix/fs.js';
import { hostVolume } from '../../testing/matrix/hostvolume.js';
import { matrix } from '../../testing/matrix/matrix.js';
import { fsx } from '../../testing/model/fsx.js';
import { modelTest } from '../../testing/model/modeltest.js';
import { randomSettings } from '../../testing/model/random.js';

/** What a host shows of FFS: no file flags, no file handles, and mount -u is not passed on. */
const features: readonly Feature[] = [
  'hardlinks', 'symlinks', 'devices', 'fifos', 'owners', 'modes', 'nstimes', 'times64', 'holes', 'seekhole', 'fallocate', 'fdiscard', 'flock',
  'recordlocks', 'bytenames', 'limited', 'readonly', 'remount', 'processes', 'linkcounts', 'blocks', 'bsdgroups',
];

const target: Target = {
  name: 'mount-ffs2',
  features: new Set(features),
  shared: true,
  make: (size_bytes = 16 * 2 ** 20) => hostVolume(['-O', '2', '-B', 'le'], 'allow_other', size_bytes),
};
/** Remounts take a second each here; they are tested in the matrix. */
const lasting: Target = { ...target, features: new Set(features.filter((feature) => feature !== 'remount')) };

const why = whyNoMounts();
if (why !== false) {
  t.pass('the matrix through a real mount', { skip: why });
} else {
  t.setTimeout(0); // the runner has a limit
  await matrix(t, target);
  const { ops, seeds } = randomSettings({ ops: 500, runs: 1 });
  for (const seed of seeds) {
    await t.test(`fsx: mount, seed ${seed}, ${ops} operations`, async () => fsx(lasting, seed, ops));
    await t.test(`model: mount, seed ${seed}, ${ops} operations`, async () => modelTest(lasting, seed, ops));
  }
}
