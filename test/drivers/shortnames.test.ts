import t from 'tap';
import type { Component } from '../../src/kernel/rump.js';
import type { Target } from '../../testing/matrix/fs.js';
import { matrix } from '../../testing/matrix/matrix.js';
import { rumpVolume } from '../../testing/matrix/rumpvolume.js';
import { modelTest } from '../../testing/model/modeltest.js';
import { overTmpfs } from '../../testing/toys/wrap.js';
import { UNIX_FEATURES } from '../../testing/variants/variant.js';

/** The harnesses on a format whose names are shorter than those of most. */
const NAMEMAX = 60;
const component: Component = { name: 'shortfs', vfsops: overTmpfs('shortfs', { namemax: NAMEMAX }, () => ({})) };
const target: Target = {
  name: 'shortfs',
  namemax: NAMEMAX,
  features: new Set(UNIX_FEATURES),
  make: () => rumpVolume({ component }),
};

t.test('matrix', async (t) => {
  t.teardown(() => delete process.env['RUMPFUSE_CASE']);
  for (const cases of ['names: ', 'rename: many names', 'readdir: five hundred', 'statvfs: plausible']) {
    process.env['RUMPFUSE_CASE'] = cases;
    await matrix(t, target);
  }
});

t.test('model', async () => modelTest(target, 1, 300));
