import t from 'tap';
import { FAULT_KINDS, runFaulty } from '../../testing/faults/workload.js';
import { variantsFor } from '../../testing/variants/index.js';
import { newDisk } from '../../testing/variants/volume.js';

/**
 * Errors of the device at any place of a workload: each call ends, in an error if it was not carried out; nothing that
 * was fsynced is lost; what is left can be mended; the log says so once. RUMPFUSE_FAULTS=1 tries every place.
 */
const EVERY = process.env.RUMPFUSE_FAULTS !== undefined;
/** Places tried for each kind of error otherwise. */
const PLACES = 12;

t.setTimeout(0); // the runner has a limit
for (const variant of await variantsFor('faults', process.argv[2])) {
  await t.test(variant.name, { timeout: 0 }, async (t) => {
    const empty = (await newDisk(variant))!;
    for (const slow of [false, true]) {
      const sound = await runFaulty(variant, empty.clone(), { slow });
      t.same(sound.verdict, [], 'nothing goes wrong without errors');
      t.same(sound.failed, [], 'and no call fails');
      t.ok(sound.promised >= 4, `${sound.operations} operations of the device, ${sound.promised} files kept`);
      if (slow) continue;
      for (const kind of FAULT_KINDS) {
        const stride = EVERY ? 1 : Math.max(1, Math.floor(sound.operations / PLACES));
        let wrong = '';
        let tried = 0;
        // Another offset for each kind, so that together they touch more places.
        for (
          let at = EVERY ? 0 : FAULT_KINDS.indexOf(kind) % stride;
          at < sound.operations && wrong === '';
          at += stride, tried++
        ) {
          const run = await runFaulty(variant, empty.clone(), { ...kind.faults(at), slow: tried % 3 === 2 });
          if (run.verdict.length > 0) {
            wrong = `at operation ${at}: ${run.verdict.join(' | ')}\nfailed: ${run.failed.join(', ')}\nlog: ` +
              `${run.log.join('\n')}`;
          }
        }
        t.equal(wrong, '', `${kind.name}: ${tried} places`);
      }
    }
  });
}
