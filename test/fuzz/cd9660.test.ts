import t from 'tap';
import { share } from './share.js';

await t.test('mutated discs', async (t) => {
  const total = await share(t, 'cd9660', 1, 240);
  for (const what of ['mounted', 'found by handle', 'files'])
    t.ok((total.get(what) ?? 0) > 100, `${what}: ${total.get(what)}`);
});
