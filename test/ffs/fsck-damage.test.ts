import t from 'tap';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { Volume, damages } from './damage.js';
import { SparseDevice } from './sparse-device.js';
import { fixture, has } from './volumes.js';

const skip = has('zstd') ? false : 'zstd is not installed';

/** All kinds on these; every third on the others. */
const FULL = ['netbsd-ffs2-le', 'netbsd-ffs1-be'];
const SOME = ['netbsd-ffs0-le', 'netbsd-ffs1-le', 'netbsd-ffs2-be'];

t.test('every kind of damage is found, and mended', { skip }, async (t) => {
  for (const name of [...FULL, ...SOME]) {
    t.test(name, async (t) => {
      const base = SparseDevice.from(fixture(name));
      for (const [n, damage] of damages.entries()) {
        if (SOME.includes(name) && n % 3 !== SOME.indexOf(name)) continue;
        const bytes = fixture(name).slice();
        const volume = new Volume(bytes);
        if (damage.possible?.(volume) === false) continue;
        damage.apply(volume);
        const dev = base.with(bytes);
        const found = await fsck(dev);
        const codes = new Set(found.problems.map((p) => p.code));
        t.ok(
          damage.codes.every((code) => codes.has(code)),
          `${damage.name}: found ${damage.codes.join(' ')} in ${[...codes].join(' ')}`,
        );
        t.equal(found.clean, false, `${damage.name}: not clean`);
        t.equal(dev.writes, 0, `${damage.name}: a check writes nothing`);
        const mended = await fsck(dev, { mode: 'repair' });
        t.ok(mended.clean, `${damage.name}: mended`);
        if (!mended.clean) {
          t.comment(
            mended.problems
              .filter((p) => p.fixed === undefined)
              .slice(0, 8)
              .map((p) => `${p.phase} ${p.code} ${p.message}`)
              .join('\n'),
          );
        }
        const after = await fsck(dev);
        t.strictSame(after.problems, [], `${damage.name}: clean afterwards`);
      }
    });
  }
});
