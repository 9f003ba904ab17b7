import t from 'tap';
import { survive } from '../survive/run.js';
import { RUMPFUSE, noMount } from './support.js';

/** A short share of `npm run survive`. */
for (const log of [false, true]) {
  t.test(`servers killed under load${log ? ', with a journal' : ''}`, { skip: noMount ?? false }, async (t) => {
    const { errors, wrong, strays, checks, told, operations, kills } = await survive({ rumpfuse: RUMPFUSE, kills: log ? 4 : 6, seconds: 12, seed: log ? 12 : 11, log, size: '64m' });
    t.equal(errors + wrong, 0, told.join('\n'));
    for (const [checker, found] of Object.entries(checks)) t.equal(found, '', checker);
    t.equal(strays, 0);
    t.ok(operations > 100 && kills.server + kills.both > 0, `${operations} operations`);
  });
}
