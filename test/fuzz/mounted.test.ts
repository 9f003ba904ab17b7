import t from 'tap';
import { formatOf } from '../../fuzz/formats.js';
import { describeMutant } from '../../testing/fuzz/mutant.js';
import { tryMounted } from '../../testing/fuzz/mounted.js';
import { noMount } from '../cli/support.js';

// The share of `npm run fuzz -- --fuse N`: the real command, ordinary programs on the mount.
await t.test('mutants through FUSE', { skip: noMount ?? false }, async (t) => {
  const format = await formatOf('ffs');
  await format.prepare();
  let mounted = 0;
  for (const index of [3]) {
    const mutant = format.mutant(3, index);
    const tried = await tryMounted((file) => format.save!(mutant, file));
    t.same(tried.violations, [], describeMutant(mutant));
    mounted += tried.did.length - 1;
  }
  t.ok(mounted > 0, `${mounted} mounts`);
});
