import { MutantDevice } from '../../testing/fuzz/device.js';
import type { FuzzFormat } from '../../testing/fuzz/format.js';
import type { Mutant, Mutation } from '../../testing/fuzz/mutant.js';
import { Random } from '../../testing/fuzz/random.js';
import { Scenario } from '../../testing/fuzz/scenario.js';
import { ext2fsFormat } from '../../src/fs/ext2fs/format.js';
import { amend } from './amend.js';
import { bases } from './bases.js';
import { mutate } from './mutations.js';

const scenario = new Scenario(ext2fsFormat);

function deviceOf(mutant: Mutant): MutantDevice {
  const base = bases.of(mutant.base);
  const dev = new MutantDevice(base.bytes, mutant.mutations);
  if (mutant.how['amended'] === true) amend(dev, base.atlas);
  return dev;
}

function mutant(seed: number, index: number): Mutant {
  const random = new Random(seed, index);
  const name = bases.names[index % bases.names.length]!;
  const base = bases.of(name);
  const mutations: Mutation[] = [];
  // Most damage shows best alone; some of it only together.
  const count = random.pick([1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]);
  for (let n = 0; n < count; n++) mutations.push(mutate(base, random));
  return { base: name, mutations, seed: random.u32(), how: { slow: random.once(5), amended: !random.once(4) } };
}

export const fuzzFormat: FuzzFormat = {
  name: 'ext2fs',
  share: 32,
  bases: bases.names,
  async prepare() {
    await scenario.load();
    await bases.prepare();
  },
  digest: (base) => bases.of(base).digest,
  mutant,
  run: (m, probe) => scenario.run(m, deviceOf(m), probe),
  save: async (m, file) => deviceOf(m).save(file),
};
