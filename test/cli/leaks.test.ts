import t from 'tap';
import { mountAgainAndAgain } from '../../testing/leaks/run.js';
import { Workplace, noMount } from './support.js';

/** `npm run leaks` does the same a thousand times. */
const MOUNTS = Number(process.env['RUMPFUSE_MOUNTS'] ?? 8);

const place = new Workplace();
t.teardown(() => place.end());
t.setTimeout(0); // the runner has a limit; many mounts are asked for by the environment

t.test(`${MOUNTS} mounts leave nothing behind`, { skip: noMount ?? false }, async (t) => {
  const { failures, left } = await mountAgainAndAgain(place, MOUNTS);
  t.strictSame(failures, []);
  for (const [what, found] of Object.entries(left)) t.strictSame(found, [], what);
});
