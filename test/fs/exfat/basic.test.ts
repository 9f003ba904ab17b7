import t from 'tap';
import { MIB, V, disk, get, list, mkfs, mount, pattern, put, same, strangersays } from './volumes.js';

t.setTimeout(0); // the runner has a limit

for (const args of [[], ['-c', '4K'], ['-c', '512'], ['-c', '128K'], ['-c', '32K', '--pack-bitmap']]) {
  await t.test(`mkfs.exfat ${args.join(' ')}`, async (t) => {
    const dev = disk(await mkfs(40 * MIB, ...args));
    let m = await mount(dev);
    t.same(m.log, []);
    await put(m.sys, `${V}/hello`, pattern(1, 100));
    await m.sys.mkdir(`${V}/dir`, 0o755);
    for (let i = 0; i < 200; i++) await put(m.sys, `${V}/dir/file number ${i} ${'x'.repeat(i)}`, pattern(i, i * 37));
    await put(m.sys, `${V}/big`, pattern(2, 3 * MIB + 17));
    await m.sys.rename(`${V}/hello`, `${V}/dir/hello there`);
    await m.sys.unlink(`${V}/dir/file number 7 ${'x'.repeat(7)}`);
    t.equal((await list(m.sys, `${V}/dir`)).length, 200);
    await m.close();
    t.equal(await strangersays(dev), undefined, 'fsck.exfat');
    m = await mount(dev);
    t.ok(same(await get(m.sys, `${V}/big`), pattern(2, 3 * MIB + 17)));
    t.ok(same(await get(m.sys, `${V}/DIR/HELLO THERE`), pattern(1, 100)));
    for (let i = 0; i < 200; i++)
      if (i !== 7) {
        t.ok(same(await get(m.sys, `${V}/dir/file number ${i} ${'x'.repeat(i)}`), pattern(i, i * 37)));
      }
    await m.close();
    t.same(m.log, []);
  });
}
