import fc from 'fast-check';
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { readGeometry } from '../../../src/fs/msdosfs/disk/bpb.js';
import { newfs } from '../../../src/fs/msdosfs/tools/newfs.js';
import type { NewfsOptions } from '../../../src/fs/msdosfs/tools/newfs.js';
import { MIB, VOL, fsckImage, mountFat, pattern, readFile, run, save, writeFile } from './volumes.js';

const CASES: readonly (readonly [string, number, NewfsOptions])[] = [
  ['1440k floppy', 1440 * 1024, {}],
  ['360k floppy', 360 * 1024, { label: 'FLOPPY' }],
  ['small', 3 * MIB, { fats: 1 }],
  ['fat12 of large sectors', 4 * MIB, { type: 12, sectorBytes: 4096 }],
  ['fat16 by size', 30 * MIB, {}],
  ['fat16 of many entries', 20 * MIB, { type: 16, rootEntries: 2048, clusterBytes: 1024, label: 'many' }],
  ['fat16 2048', 40 * MIB, { type: 16, sectorBytes: 2048 }],
  ['fat32 least', 34 * MIB, { type: 32 }],
  ['fat32 aligned', 70 * MIB, { type: 32, align: MIB, label: 'ALIGNED', volumeId: 0x12345678 }],
  ['fat32 1024', 80 * MIB, { type: 32, sectorBytes: 1024, fats: 1, reserved: 9 }],
];

for (const [name, size, options] of CASES) {
  t.test(`newfs: ${name}`, async (t) => {
    const dev = new MemoryDevice({ content: new Uint8Array(size).fill(0xa5) });
    const { layout } = await newfs(dev, options);
    const g = await readGeometry(dev);
    t.equal(g.type, layout.type);
    t.equal(g.clusters, layout.clusters);
    t.equal(g.volumeId, options.volumeId ?? g.volumeId);
    if (options.align !== undefined) t.equal(g.dataOffset % options.align, 0);
    let file = await save(dev);
    t.equal(fsckImage(file), '');
    t.match(
      run('mdir', ['-i', file, '::']).out,
      options.label === undefined ? /has no label/ : options.label.toUpperCase(),
    );
    const m = await mountFat(dev);
    await writeFile(m.sys, `${VOL}/file`, pattern(10_000, 1));
    t.ok((await readFile(m.sys, `${VOL}/file`)).equals(pattern(10_000, 1)));
    await m.close();
    t.strictSame(m.log, []);
    file = await save(dev);
    t.equal(fsckImage(file), '');
  });
}

t.test('what cannot be is refused, and what is made is legal', async (t) => {
  const small = new MemoryDevice({ size_bytes: 20 * MIB });
  for (const options of [
    { type: 32 },
    { sectorBytes: 300 },
    { clusterBytes: 3000 },
    { fats: 3 },
    { label: 'a*b' },
    { label: 'gr\xc3\xbcn' },
    { label: 'much too long' },
    { media: 1 },
    { type: 12, clusterBytes: 512 },
    { rootEntries: 10 },
  ] as NewfsOptions[]) {
    await t.rejects(newfs(small, options), { code: 'EINVAL' }, JSON.stringify(options));
  }
  await t.rejects(newfs(new MemoryDevice({ size_bytes: 2048 }), {}), { code: 'ENOSPC' });
  const size = fc.integer({ min: 64, max: 24 * 1024 }).map((kib) => kib * 1024);
  const sector = fc.constantFrom(512, 1024, 2048, 4096);
  await fc.assert(
    fc.asyncProperty(size, sector, fc.constantFrom(1, 2), async (size_bytes, sectorBytes, fats) => {
      const dev = new MemoryDevice({ size_bytes });
      const { layout } = await newfs(dev, { sectorBytes, fats });
      const g = await readGeometry(dev);
      return (
        g.type === layout.type &&
        g.clusters === layout.clusters &&
        g.oddities.length === 0 &&
        g.dataOffset + g.clusters * g.clusterBytes <= size_bytes
      );
    }),
    { numRuns: 60 },
  );
});
