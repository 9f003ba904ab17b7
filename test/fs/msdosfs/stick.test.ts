/** Sticks as people treat them: never unmounted, pulled out while they are written, plugged in again. */
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { fsck } from '../../../src/fs/msdosfs/tools/fsck/index.js';
import { newfs } from '../../../src/fs/msdosfs/tools/newfs.js';
import { MNT_FORCE, MNT_RDONLY, O_CREAT, O_RDWR } from '../../../src/kernel/fcntl.js';
import { FaultDevice } from '../../../testing/devices/fault.js';
import { crafted } from './craft.js';
import { MIB, VOL, fsckFat, mountFat, names, pattern, readFile, writeFile } from './volumes.js';

t.setTimeout(0); // the runner has a limit

for (const type of [12, 16, 32] as const) {
  t.test(`FAT${type}: a dirty volume that is sound is written, and stays dirty`, async (t) => {
    const c = await crafted(type);
    c.bytes[c.g.stateOffset]! |= 1;
    const dev = c.device();
    const m = await mountFat(dev);
    await writeFile(m.sys, `${VOL}/more`, pattern(3000, 1));
    await m.close();
    t.strictSame(m.log, [], 'without a word');
    const byte = new Uint8Array(512);
    await dev.read(byte, 0, 512, 0);
    t.equal(byte[c.g.stateOffset]! & 1, 1, 'nobody has checked it');
    t.match(await fsck(dev, { mode: 'preen' }), { clean: true, exitStatus: 0, problemCount: 0 });
    t.equal(await fsckFat(dev), '');
  });

  t.test(`FAT${type}: a dirty volume with chains that cross is only read`, async (t) => {
    const c = await crafted(type);
    c.bytes[c.g.stateOffset]! |= 1;
    c.set(c.chainOf('/BETA.BIN')[1]!, c.chainOf('/alpha')[3]!);
    const dev = c.device();
    const m = await mountFat(dev);
    t.equal(m.log.length, 1, m.log.join('\n'));
    t.match(m.log[0], /mounted read-only: it was not unmounted properly and .*run a check \(rumpfuse fsck\)/);
    await t.rejects(m.sys.mkdir(`${VOL}/no`, 0o755), { code: 'EROFS' });
    t.equal((await readFile(m.sys, `${VOL}/alpha`)).length, 5 * 512, 'what is sound can be read');
    await m.close();
    await t.rejects(mountFat(c.device(), 0, { 'force-rw': true }), { code: 'EROFS' });
    const bytes = Buffer.alloc(dev.size_bytes);
    await dev.read(bytes, 0, bytes.length, 0);
    t.ok(bytes.equals(c.bytes), 'not a byte was written');
    t.match(await fsck(dev, { mode: 'repair' }), { clean: true, exitStatus: 0 });
    const again = await mountFat(dev);
    t.strictSame(again.log, []);
    await again.sys.mkdir(`${VOL}/yes`, 0o755);
    await again.close();
    t.equal(await fsckFat(dev), '');
  });

  t.test(`FAT${type}: lost clusters and wrong counts do not stop anybody`, async (t) => {
    const c = await crafted(type);
    c.bytes[c.g.stateOffset]! |= 1;
    const [a, b] = c.free(2) as [number, number];
    c.set(a, b);
    c.set(b, c.eoc);
    if (type === 32) c.view.setUint32(c.g.fsInfoOffset + 488, 1, true);
    const m = await mountFat(c.device());
    await writeFile(m.sys, `${VOL}/more`, pattern(3000, 1));
    t.strictSame(m.log, []);
    await m.close();
  });
}

t.test('a dirty volume that is too large to be looked over is only read', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 40 * 1024 * MIB });
  await newfs(dev, { type: 32, clusterBytes: 4096 });
  const byte = new Uint8Array(512);
  await dev.read(byte, 0, 512, 0);
  byte[65] = 1;
  await dev.write(byte, 0, 512, 0);
  const m = await mountFat(dev);
  t.equal(m.log.length, 1);
  t.match(m.log[0], /mounted read-only: .*too large to be looked over.*rumpfuse fsck/);
  await m.close();
});

for (const [name, size, type] of [['fat16', 16 * MIB, 16], ['fat32', 34 * MIB, 32]] as const) {
  t.test(`${name}: pulled out while it is written, and plugged in again`, async (t) => {
    for (const after of [3, 11, 25, 60, 140]) {
      const disk = new MemoryDevice({ size_bytes: size });
      await newfs(disk, { type, ...(type === 32 ? { clusterBytes: 512 } : {}) });
      const dev = new FaultDevice(disk, {});
      const m = await mountFat(dev);
      await writeFile(m.sys, `${VOL}/kept`, pattern(70_000, 1));
      await m.sys.sync();
      const fd = await m.sys.open(`${VOL}/open`, O_RDWR | O_CREAT, 0o644);
      dev.vanish_after = dev.operations + after;
      const codes = new Set<string>();
      for (let i = 0; i < 40; i++) {
        await writeFile(m.sys, `${VOL}/file ${i}`, pattern(9000, i)).catch((e: { code: string }) => codes.add(e.code));
        await m.sys.fsync(fd).catch((e: { code: string }) => codes.add(e.code));
      }
      t.ok(codes.size > 0 && [...codes].every((code) => /^(EIO|ENXIO|EROFS)$/.test(code)), [...codes].join());
      await m.sys.close(fd).catch(() => undefined);
      await m.sys.unmount(VOL, MNT_FORCE).catch(() => undefined);
      // The same stick in another kernel.
      const again = await mountFat(disk);
      t.strictSame(again.log, [], 'it can be written at once');
      t.ok((await readFile(again.sys, `${VOL}/kept`)).equals(pattern(70_000, 1)));
      await writeFile(again.sys, `${VOL}/new`, pattern(5000, 2));
      for (const one of await names(again.sys, `${VOL}/`)) await again.sys.unlink(`${VOL}/${one}`);
      await again.close();
      t.match(await fsck(disk, { mode: 'preen' }), { clean: true, exitStatus: 0 });
      t.equal(await fsckFat(disk), '');
    }
  });
}

t.test('-o flush: what was written is on the stick soon, without a sync', async (t) => {
  const disk = new MemoryDevice({ size_bytes: 16 * MIB });
  await newfs(disk, { type: 16 });
  const m = await mountFat(disk, 0, { flush: true });
  await writeFile(m.sys, `${VOL}/soon`, pattern(50_000, 3));
  for (;;) {
    const copy = disk.clone();
    const other = await mountFat(copy, MNT_RDONLY);
    const got = await readFile(other.sys, `${VOL}/soon`).catch(() => undefined);
    await other.close();
    if (got?.equals(pattern(50_000, 3)) === true) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.pass('it is there');
  await m.close();
});
