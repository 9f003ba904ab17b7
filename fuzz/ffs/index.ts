import type { FuzzFormat } from '../../testing/fuzz/format.js';
import type { Mutant, Mutation } from '../../testing/fuzz/mutant.js';
import { Random } from '../../testing/fuzz/random.js';
import { baseNames, baseOf, prepareBases } from './bases.js';
import { mutate } from './mutations.js';
import { deviceOf, tryMutant } from './scenario.js';

const DIALECTS = ['netbsd', 'freebsd', 'openbsd', '4.2bsd', 'apple', 'solaris'];

function mutant(seed: number, index: number): Mutant {
  const random = new Random(seed, index);
  const name = baseNames[index % baseNames.length]!;
  const base = baseOf(name);
  const other = baseOf(random.pick(baseNames));
  const mutations: Mutation[] = [];
  // Most damage shows best alone; some of it only together.
  const count = random.pick([1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]);
  for (let n = 0; n < count; n++) mutations.push(mutate(base, other, random));
  const how: Record<string, string | boolean> = { slow: random.once(5) };
  if (base.hashed && !random.once(4)) how.hash = true;
  if (random.once(12)) how.dialect = random.pick(DIALECTS);
  return { base: name, mutations, seed: random.u32(), how };
}

export const fuzzFormat: FuzzFormat = {
  name: 'ffs',
  bases: baseNames,
  prepare: () => prepareBases(),
  digest: (base) => baseOf(base).digest,
  mutant,
  run: tryMutant,
  save: async (m, file) => (await deviceOf(m)).save(file),
};
