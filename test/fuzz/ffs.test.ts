import t from 'tap';
import { share } from './share.js';

await t.test('mutated FFS volumes', async (t) => {
  const total = await share(t, 'ffs', 1, 48);
  for (const what of ['mounted ro', 'mounted rw', 'repaired', 'clean volumes used']) t.ok((total.get(what) ?? 0) > 10, `${what}: ${total.get(what)}`);
});
