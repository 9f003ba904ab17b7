import t from 'tap';
import { share } from './share.js';

await t.test('mutated exFAT volumes', async (t) => {
  const total = await share(t, 'exfat', 1, 60);
  for (const what of ['mounted ro', 'mounted rw', 'repaired', 'clean volumes used']) t.ok((total.get(what) ?? 0) > 10, `${what}: ${total.get(what)}`);
});
