/**
 * A short share of the fuzzing, the same at every run; FUZZ_MUTANTS makes it longer. `npm run fuzz` is the real thing.
 */
import type { Test } from 'tap';
import { formatOf } from '../../fuzz/formats.js';
import type { FuzzFormat } from '../../testing/fuzz/format.js';
import { describeMutant } from '../../testing/fuzz/mutant.js';
import { Probe } from '../../testing/fuzz/probe.js';

/** Tries the first mutants of a seed in this process. @returns what was counted */
export async function share(
  t: Test,
  what: string | FuzzFormat,
  seed: number,
  count: number,
): Promise<ReadonlyMap<string, number>> {
  const format = typeof what === 'string' ? await formatOf(what) : what;
  const { name } = format;
  await format.prepare();
  const total = new Map<string, number>();
  const mutants = Number(process.env['FUZZ_MUTANTS'] ?? count);
  let broken = 0;
  for (let index = 0; index < mutants; index++) {
    const mutant = format.mutant(seed, index);
    const probe = new Probe();
    await format.run(mutant, probe);
    for (const v of probe.violations) {
      t.fail(`${name}, seed ${seed}, mutant ${index}: ${v.rule} in ${v.op}`, {
        where: v.where,
        detail: v.detail,
        mutant: describeMutant(mutant),
      });
    }
    if (probe.violations.length > 0) broken++;
    for (const [what, n] of probe.counts) total.set(what, (total.get(what) ?? 0) + n);
    total.set('operations', (total.get('operations') ?? 0) + probe.operations);
    total.set('failed', (total.get('failed') ?? 0) + probe.failed);
  }
  t.equal(
    broken,
    0,
    `${mutants} mutants, ${total.get('operations')} operations, ${total.get('failed')} of them ended in an errno`,
  );
  return total;
}
