import t from 'tap';
import { share } from './share.js';

await t.test('mutated partition tables', async (t) => {
  const total = await share(t, 'label', 1, 400);
  for (const what of ['with partitions', 'volumes described']) {
    t.ok((total.get(what) ?? 0) > 10, `${what}: ${total.get(what)}`);
  }
});
