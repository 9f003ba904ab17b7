import type { FuzzFormat } from '../../testing/fuzz/format.js';
import type { Mutant, Mutation } from '../../testing/fuzz/mutant.js';
import { Random } from '../../testing/fuzz/random.js';
import { baseNames, baseOf, prepareBases } from './bases.js';
import { mutate } from './mutations.js';
import { deviceOf, tryMutant } from './scenario.js';

const OPTIONS = [
  '',
  '',
  '',
  '',
  'norock',
  'nojoliet',
  'map=off',
  'map=acorn',
  'unhide',
  'cruft',
  'nocompress',
  'check=strict',
  'session=1',
  'sbsector=0',
  'block=512',
];

function mutant(seed: number, index: number): Mutant {
  const random = new Random(seed, index);
  const name = baseNames[index % baseNames.length]!;
  const base = baseOf(name);
  const mutations: Mutation[] = [];
  // Most damage shows best alone; some of it only together.
  for (let count = random.pick([1, 1, 1, 2, 2, 3, 4, 6, 8]); count > 0; count--) mutations.push(mutate(base, random));
  return { base: name, mutations, seed: random.u32(), how: { slow: random.once(6), options: random.pick(OPTIONS) } };
}

export const fuzzFormat: FuzzFormat = {
  name: 'cd9660',
  share: 240,
  bases: baseNames,
  prepare: async () => prepareBases(),
  digest: (base) => baseOf(base).digest,
  mutant,
  run: tryMutant,
  save: async (m, file) => deviceOf(m).save(file),
};
