import t from 'tap';
import { volumeFuzzer } from '../../testing/fuzz/volume.js';
import { share } from './share.js';

/** The fuzzer of drivers that have none of their own, tried where it is known what is to be found. */
await t.test('mutations that know nothing of the format', async (t) => {
  const fuzzer = await volumeFuzzer('ffs');
  const total = await share(t, fuzzer, 1, 40);
  for (const what of ['mounted ro', 'mounted rw', 'repaired', 'clean volumes used']) {
    t.ok((total.get(what) ?? 0) >= 4, `${what}: ${total.get(what)}`);
  }
  const again = await volumeFuzzer('ffs');
  await again.prepare();
  for (const base of fuzzer.bases) {
    t.equal(again.digest(base), fuzzer.digest(base), `${base} is the same whenever it is made`);
  }
});
