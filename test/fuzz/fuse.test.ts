import t from 'tap';
import { share } from './share.js';

await t.test('requests of a hostile host', async (t) => {
  const total = await share(t, 'fuse', 1, 60);
  t.ok(total.get('operations')! - total.get('failed')! > 500, 'some are served');
});
