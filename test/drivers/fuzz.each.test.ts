import t from 'tap';
import { formatOf, fuzzedFileSystems } from '../../fuzz/formats.js';
import { share } from '../fuzz/share.js';

/** Mutants of each file system's volumes; of drivers that only read, the counts of writing stay at zero. */
const MUTANTS = 48;

t.setTimeout(0); // the runner has a limit
for (const name of process.argv[2] === undefined ? await fuzzedFileSystems() : [process.argv[2]]) {
  await t.test(`mutated volumes: ${name}`, async (t) => {
    const fuzzer = await formatOf(name);
    const total = await share(t, fuzzer, 1, fuzzer.share ?? MUTANTS);
    t.ok(
      (total.get('mounted') ?? 0) + (total.get('mounted ro') ?? 0) > 10,
      `mounted: ${[...total].map(([what, n]) => `${what} ${n}`).join(', ')}`,
    );
    if ((total.get('mounted rw') ?? 0) === 0) return;
    for (const what of ['mounted rw', 'repaired', 'clean volumes used']) {
      t.ok((total.get(what) ?? 0) >= 5, `${what}: ${total.get(what)}`);
    }
  });
}
