import t from 'tap';
import { survive } from '../../testing/survive/run.js';
import { variantsFor } from '../../testing/variants/index.js';
import { RUMPFUSE, noMount } from '../cli/support.js';

/** A short share of `npm run survive`. */
t.setTimeout(0); // the runner has a limit
for (const [index, variant] of (await variantsFor('survive', process.argv[2])).entries()) {
  await t.test(`servers killed under load: ${variant.name}`, { skip: noMount ?? false }, async (t) => {
    const { errors, wrong, strays, checks, told, operations, kills } = await survive({
      rumpfuse: RUMPFUSE,
      variant,
      kills: 5,
      seconds: 12,
      seed: 11 + index,
      size: '64m',
    });
    t.equal(errors + wrong, 0, told.join('\n'));
    for (const [checker, found] of Object.entries(checks)) t.equal(found, '', checker);
    t.equal(strays, 0);
    t.ok(operations > 0 && kills.server + kills.both > 0, `${operations} operations`);
  });
}
