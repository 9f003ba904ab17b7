import t from 'tap';
import { formatNames, formatOf } from '../../fuzz/formats.js';
import { fromRecipe, toRecipe } from '../../testing/fuzz/mutant.js';
import type { Mutant, Recipe } from '../../testing/fuzz/mutant.js';
import { Probe } from '../../testing/fuzz/probe.js';
import { LIMITS, tryRecipe } from '../../testing/fuzz/workers.js';
import { E, errno } from '../../src/kernel/errno.js';

/** The harness itself: a fault that it does not see is a fault that stays. */

await t.test('a mutant is the same for the same seed, and survives being kept in a file', async (t) => {
  for (const name of await formatNames()) {
    const format = await formatOf(name);
    await format.prepare();
    for (const index of [0, 1, 17]) {
      const mutant = format.mutant(7, index);
      const text = (m: Mutant): string => JSON.stringify(toRecipe(name, format.digest(mutant.base), m));
      t.ok(text(format.mutant(7, index)) === text(mutant), `${name} ${index}`);
      t.ok(text(format.mutant(8, index)) !== text(mutant), `${name} ${index}, another seed`);
      t.ok(text(fromRecipe(JSON.parse(text(mutant)) as Recipe)) === text(mutant), `${name} ${index}, kept`);
    }
  }
});

await t.test('what counts as broken', async (t) => {
  const probe = new Probe();
  t.equal(await probe.op('answer', () => 5), 5);
  t.equal(await probe.op('errno', () => { throw errno(E.EIO); }), undefined);
  t.same(probe.violations, [], 'an answer or an Errno is fine');
  await probe.op('throw', () => (undefined as unknown as { x: { y: number } }).x.y);
  await probe.op('slow', () => {
    for (const end = process.cpuUsage().user + 1_200_000; process.cpuUsage().user < end;);
  });
  t.same(probe.violations.map((v) => `${v.rule} ${v.op}`), ['throw throw', 'slow slow']);
});

await t.test('a worker that dies is a crash', async (t) => {
  const format = await formatOf('label');
  const recipe = toRecipe('label', format.digest('mbr'), { ...format.mutant(1, 0), base: 'mbr' });
  t.same(await tryRecipe('label', recipe, LIMITS), [], 'it does not, as it is');
  const [found] = await tryRecipe('label', recipe, { ...LIMITS, heap_mib: 4 });
  t.equal(found?.rule, 'crash');
});
