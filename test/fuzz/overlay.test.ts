import t from 'tap';
import { share } from './share.js';

await t.test('mutated files of overlays', async (t) => {
  const total = await share(t, 'overlay', 1, 400);
  for (const what of ['opened', 'refused']) t.ok((total.get(what) ?? 0) > 40, `${what}: ${total.get(what)}`);
});
