import t from 'tap';
import { killed } from './killed.js';
import { GEOMETRIES, titleOf } from './write-support.js';

/** A longer run by hand. */
const OPERATIONS = Number(process.env.RUMPFUSE_KILLED_OPERATIONS ?? 80);
if (process.env.RUMPFUSE_KILLED_OPERATIONS !== undefined) t.setTimeout(0);
const SEED = Number(process.env.RUMPFUSE_KILLED_SEED ?? 1);

for (const log of [false, true]) {
  for (const geometry of GEOMETRIES) {
    if (log && geometry.format === 0) continue; // the old superblock has no place for a journal
    t.test(
      `${titleOf(geometry)}${log ? ', journalled' : ''}: a successor goes on where a killed kernel stopped`,
      async (t) => {
        const { kills, inside, recovering, problems } = await killed({
          geometry,
          seed: SEED * 7919 + GEOMETRIES.indexOf(geometry),
          operations: OPERATIONS,
          kills: 0.15,
          log,
        });
        t.same(problems, []);
        t.ok(
          kills > OPERATIONS / 20 && inside > 0,
          `${kills} kills, ${inside} of them inside an operation, ${recovering} during a recovery`,
        );
      },
    );
  }
}

for (const log of [false, true]) {
  t.test(`${log ? 'a journal: ' : ''}more changes than the memory holds, now and then`, async (t) => {
    const { kills, again, problems } = await killed({
      geometry: GEOMETRIES.find(({ format }) => format === 2)!,
      seed: SEED * 7919,
      operations: 3 * OPERATIONS,
      kills: 0.15,
      log,
      outgrown: true,
    });
    t.same(problems, []);
    t.ok(again > 2 && kills > 2, `${kills} kills; what there was fitted in again ${again} times`);
  });
}
