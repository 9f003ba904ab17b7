/** What volumes of others have, and what they must still have when we have written to them. */
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { fsck } from '../../../src/fs/exfat/tools/fsck/index.js';
import { newfs } from '../../../src/fs/exfat/tools/newfs.js';
import { exfat_tune } from '../../../src/fs/exfat/tools/tune.js';
import { describe } from '../../../src/fs/exfat/tools/describe.js';
import {
  EXTATTR_NAMESPACE_USER,
  MNT_RDONLY,
  O_CREAT,
  O_RDWR,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../../src/kernel/fcntl.js';
import { ST_RDONLY } from '../../../src/kernel/stat.js';
import { crafted } from './craft.js';
import { MIB, V, bytesof, get, has, list, mount, pattern, put, same, strangersays } from './volumes.js';

t.setTimeout(0); // the runner has a limit

/** Is the volume written? */
async function writable(dev: MemoryDevice): Promise<{ writable: boolean; log: string[] }> {
  const m = await mount(dev);
  const { f_flag } = await m.sys.statvfs(V);
  await m.close();
  return { writable: (f_flag & ST_RDONLY) === 0, log: m.log };
}

await t.test('every geometry of newfs', async (t) => {
  for (const sectorSize of [512, 1024, 2048, 4096]) {
    for (const clusterSize of [sectorSize, 32768, MIB]) {
      const dev = new MemoryDevice({ size_bytes: 12 * MIB });
      await newfs(dev, { sectorSize, clusterSize, label: 'Ärger 漢字', packBitmap: clusterSize === 32768 });
      t.same((await fsck(dev, 'check')).problems, []);
      const m = await mount(dev);
      t.same(m.log, []);
      await put(m.sys, `${V}/f`, pattern(1, 50_000));
      await m.close();
      if (has('fsck.exfat')) {
        t.equal(await strangersays(dev), undefined, `sectors of ${sectorSize}, clusters of ${clusterSize}`);
      }
    }
  }
  const card = new MemoryDevice({ size_bytes: 64 * 2 ** 30 });
  await newfs(card, { sd: true });
  t.ok((await fsck(card, 'check')).clean, 'a card of 64 GiB');
  const m = await mount(card);
  const st = await m.sys.statvfs(V);
  t.equal(st.f_frsize, 128 << 10);
  await m.close();
  t.rejects(newfs(new MemoryDevice({ size_bytes: MIB - 1 })), { code: 'ENOSPC' });
  t.rejects(newfs(new MemoryDevice({ size_bytes: 8 * MIB }), { clusterSize: 3000 }), { code: 'EINVAL' });
  t.rejects(newfs(new MemoryDevice({ size_bytes: 8 * MIB }), { label: 'twelve chars' }), { code: 'EINVAL' });
});

await t.test('TexFAT: the active FAT and bitmap are used, the others left alone', async (t) => {
  const c = await crafted();
  const { atlas } = c;
  const { boot, bitmapat, bitmapbytes } = atlas;
  // Room for a second FAT is between the first and the clusters.
  const fatbytes = boot.FatLength * 512;
  t.ok(atlas.fatat + 2 * fatbytes <= atlas.heapat);
  c.bytes.copyWithin(atlas.fatat + fatbytes, atlas.fatat, atlas.fatat + fatbytes);
  // The second bitmap: a copy in a cluster of its own.
  const own = 200;
  c.bytes.copyWithin(atlas.heapat + (own - 2) * 4096, bitmapat, bitmapat + 4096);
  for (const at of [bitmapat, atlas.heapat + (own - 2) * 4096]) {
    c.bytes[at + ((own - 2) >>> 3)]! |= 1 << ((own - 2) & 7);
  }
  for (let i = 0; i < 2; i++) c.view.setUint32(atlas.fatat + i * fatbytes + 4 * own, 0xffffffff, true);
  const spare = atlas.unused.find((at) => c.bytes[at] === 0x03)!;
  const first = atlas.groups.find(({ type }) => type === 0x81)!.entries[0]!;
  c.bytes.copyWithin(spare, first, first + 32);
  c.bytes[spare + 1] = 1;
  c.view.setUint32(spare + 20, own, true);
  c.bytes[110] = 2;
  c.bytes[106] = 1;
  c.seal();
  c.bytes.copyWithin(12 * 512, 0, 12 * 512);
  // The first FAT and bitmap are rubbish.
  c.bytes.fill(0x55, atlas.fatat + 8, atlas.fatat + fatbytes);
  c.bytes.fill(0xaa, bitmapat, bitmapat + bitmapbytes);
  const dev = c.dev;
  t.same((await fsck(dev, 'check')).problems, []);
  const m = await mount(dev);
  t.same(m.log, []);
  t.ok(same(await get(m.sys, `${V}/chain`), Buffer.concat([0, 1, 2, 3, 4].map((i) => pattern(i, 5000)))));
  await put(m.sys, `${V}/new`, pattern(9, 100_000));
  await m.sys.unlink(`${V}/other`);
  await m.close();
  t.ok((await fsck(dev, 'check')).clean);
  const after = bytesof(dev);
  t.ok(
    after.subarray(atlas.fatat + 8, atlas.fatat + fatbytes).every((byte) => byte === 0x55),
    'the other FAT is as it was',
  );
  t.ok(
    after.subarray(bitmapat, bitmapat + bitmapbytes).every((byte) => byte === 0xaa),
    'the other bitmap is as it was',
  );
});

await t.test('entries that we do not know', async (t) => {
  const c = await crafted();
  const [first] = c.atlas.unused.filter((at) => c.bytes[at] === 0x03);
  c.bytes.fill(0x77, first! + 1, first! + 32);
  c.bytes[first!] = 0xa5;
  const dev = c.dev;
  t.same(await writable(dev), { writable: true, log: [] }, 'a benign one in the root');
  const m = await mount(dev);
  for (let i = 0; i < 50; i++) await put(m.sys, `${V}/f${i}`, new Uint8Array(1));
  await m.close();
  t.equal(bytesof(dev)[first!], 0xa5, 'stays');
  t.ok((await fsck(dev, 'check')).clean);
  c.bytes[first!] = 0x86;
  const critical = await writable(c.dev);
  t.notOk(critical.writable, 'a critical one');
  t.match(critical.log.join(), /critical entry of unknown type 0x86/);
  t.equal((await fsck(c.dev, 'repair')).exitStatus, 2);
});

await t.test('vendor extensions of a file go where it goes, and go with it', async (t) => {
  const c = await crafted();
  // Behind the entries of "empty", the last of the root, there is room.
  const entries = c.entries('empty');
  const own = 250;
  const at = entries[2]! + 32;
  c.bytes[entries[0]! + 1] = 3;
  c.bytes[at] = 0xe1;
  c.bytes[at + 1] = 3;
  c.bytes.fill(0x42, at + 2, at + 20);
  c.view.setUint32(at + 20, own, true);
  c.view.setUint32(at + 24, 4096, true);
  c.bytes[c.atlas.bitmapat + ((own - 2) >>> 3)]! |= 1 << ((own - 2) & 7);
  c.sum([...entries, at]);
  const dev = c.dev;
  t.same((await fsck(dev, 'check')).problems, []);
  const m = await mount(dev);
  t.same(m.log, []);
  const { f_bfree: before } = await m.sys.statvfs(V);
  await m.sys.rename(`${V}/empty`, `${V}/dir/${'a longer name '.repeat(4)}`);
  await m.sys.sync();
  t.same((await fsck(dev, 'check')).problems, [], 'its cluster still belongs to it');
  await m.sys.unlink(`${V}/dir/${'a longer name '.repeat(4)}`);
  await m.sys.sync();
  t.equal((await m.sys.statvfs(V)).f_bfree, before + 1, 'its cluster is free');
  await m.close();
  t.ok((await fsck(dev, 'check')).clean);
});

await t.test(
  'what lies behind ValidDataLength reads as zeros, and is zeroed when something is written behind it',
  async (t) => {
    const dev = new MemoryDevice({ content: new Uint8Array(4 * MIB).fill(0xdd) });
    await newfs(dev, { clusterSize: 4096 });
    const m = await mount(dev);
    const fd = await m.sys.open(`${V}/f`, O_RDWR | O_CREAT, 0o644);
    await m.sys.write(fd, pattern(1, 1000));
    await m.sys.ftruncate(fd, 100_000);
    t.ok(same((await get(m.sys, `${V}/f`)).subarray(1000), new Uint8Array(99_000)));
    t.equal(await m.sys.lseek(fd, 0, SEEK_HOLE), 1000);
    t.rejects(m.sys.lseek(fd, 2000, SEEK_DATA), { code: 'ENXIO' });
    await m.sys.pwrite(fd, pattern(2, 10), 50_000);
    await m.sys.close(fd);
    await m.close();
    const again = await mount(dev, MNT_RDONLY);
    const content = await get(again.sys, `${V}/f`);
    t.ok(same(content.subarray(1000, 50_000), new Uint8Array(49_000)));
    t.ok(same(content.subarray(50_000, 50_010), pattern(2, 10)));
    t.ok(same(content.subarray(50_010), new Uint8Array(100_000 - 50_010)));
    await again.close();
    if (has('fsck.exfat')) t.equal(await strangersays(dev), undefined);
  },
);

await t.test(
  'dirty flag: set before the first change, cleared by sync and unmount; a volume that is only read stays as it is',
  async (t) => {
    const c = await crafted();
    const dev = c.dev;
    const flag = (): number => bytesof(dev)[106]! & 2;
    const before = bytesof(dev);
    let m = await mount(dev);
    await list(m.sys, V);
    await m.sys.stat(`${V}/row`);
    await m.close();
    t.ok(same(bytesof(dev), before), 'nothing is written when nothing changes');
    m = await mount(dev);
    await put(m.sys, `${V}/new`, pattern(1, 10));
    t.equal(flag(), 2);
    await m.sys.sync();
    t.equal(flag(), 0, 'after a sync it may be pulled out');
    await m.sys.unlink(`${V}/new`);
    t.equal(flag(), 2);
    await m.close();
    t.equal(flag(), 0);
  },
);

await t.test('label, serial number and GUID', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 4 * MIB });
  await newfs(dev, {});
  await exfat_tune(
    dev,
    { label: 'Größe 漢', serial: '12AB-34CD', guid: '01020304-0506-0708-090a-0b0c0d0e0f10' },
    { dryRun: false },
  );
  const { facts } = await describe(dev);
  t.match(facts, {
    format: 'exFAT',
    label: 'Größe 漢',
    serial: '12AB-34CD',
    guid: '01020304-0506-0708-090a-0b0c0d0e0f10',
    clean: true,
  });
  if (has('fsck.exfat')) t.equal(await strangersays(dev), undefined);
  await exfat_tune(dev, { label: '' }, { dryRun: false });
  t.match((await describe(dev)).facts, { label: '' });
  t.ok((await fsck(dev, 'check')).clean);
  t.rejects(exfat_tune(dev, { label: 'x'.repeat(12) }, { dryRun: false }), { code: 'EINVAL' });
});

await t.test('many files, long names, a full volume', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 10 * MIB });
  await newfs(dev, { clusterSize: 512 });
  const m = await mount(dev);
  await m.sys.mkdir(`${V}/d`, 0o755);
  const names = Array.from({ length: 2000 }, (_, i) => `${i} ${'ü'.repeat(i % 250)}`);
  for (const name of names) await m.sys.close(await m.sys.open(`${V}/d/${name}`, O_RDWR | O_CREAT, 0o644));
  t.equal((await list(m.sys, `${V}/d`)).length, 2000);
  for (const name of [names[0]!, names[1000]!, names[1999]!]) t.ok(await m.sys.stat(`${V}/d/${name.toUpperCase()}`));
  t.rejects(m.sys.stat(`${V}/d/2000`), { code: 'ENOENT' });
  const fd = await m.sys.open(`${V}/big`, O_RDWR | O_CREAT, 0o644);
  await t.rejects(async () => {
    for (;;) await m.sys.write(fd, pattern(1, 100_000));
  }, { code: 'ENOSPC' });
  await m.sys.close(fd);
  t.equal((await m.sys.statvfs(V)).f_bfree, 0, 'filled to the last cluster');
  for (const name of names) await m.sys.unlink(`${V}/d/${name}`);
  await m.sys.rmdir(`${V}/d`);
  await m.close();
  t.same((await fsck(dev, 'check')).problems, []);
  if (has('fsck.exfat')) t.equal(await strangersays(dev), undefined);
});

await t.test('a spelling is changed in place; attributes', async (t) => {
  const dev = (await crafted()).dev;
  const m = await mount(dev);
  await m.sys.rename(`${V}/row`, `${V}/ROW`);
  t.ok((await list(m.sys, V)).includes('ROW'));
  t.notOk((await list(m.sys, V)).includes('row'));
  await m.sys.chmod(`${V}/row`, 0o555);
  t.equal((await m.sys.stat(`${V}/ROW`)).st_mode & 0o777, 0o555, 'the read-only attribute');
  t.equal(
    Buffer.from(await m.sys.extattr_get_file(`${V}/row`, EXTATTR_NAMESPACE_USER, 'DOSATTRIB')).toString(),
    '0x21',
  );
  await m.sys.extattr_set_file(`${V}/row`, EXTATTR_NAMESPACE_USER, 'DOSATTRIB', Buffer.from('0x6'));
  t.equal((await m.sys.stat(`${V}/row`)).st_mode & 0o777, 0o755);
  await m.close();
  const again = await mount(dev, MNT_RDONLY, { uid: '7', gid: '8', fmask: '133', dmask: '077' });
  const st = await again.sys.stat(`${V}/row`);
  t.same([st.st_uid, st.st_gid, st.st_mode & 0o777], [7, 8, 0o644]);
  t.equal((await again.sys.stat(`${V}/dir`)).st_mode & 0o777, 0o700);
  t.equal(
    Buffer.from(await again.sys.extattr_get_file(`${V}/row`, EXTATTR_NAMESPACE_USER, 'DOSATTRIB')).toString(),
    '0x6',
  );
  await again.close();
  t.rejects(mount(dev, 0, { nonsense: true }), { code: 'EINVAL' });
});

await t.test('-o flush: what is closed is on the disk, and it may be pulled out soon', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 8 * MIB });
  await newfs(dev, {});
  const m = await mount(dev, 0, { flush: true });
  await put(m.sys, `${V}/closed`, pattern(3, 200_000));
  const pulled = dev.clone();
  t.same((await fsck(pulled.clone(), 'check')).problems, [], 'nothing to mend');
  const again = await mount(pulled);
  t.ok((await again.sys.statvfs(V)).f_flag === 0 || again.log.every((line) => !line.includes('read-only')));
  t.ok(same(await get(again.sys, `${V}/closed`), pattern(3, 200_000)));
  await put(again.sys, `${V}/goes on`, pattern(4, 1000));
  await again.close();
  t.ok((await fsck(pulled, 'check')).clean, 'clean again once it was found to be spotless');
  await m.close();
});

await t.test('directories whose chain leads in a circle end', async (t) => {
  const c = await crafted();
  const { boot, fatat } = c.atlas;
  const entries = c.entries('dir');
  // As long as the volume lets a directory be.
  const clusters = boot.ClusterCount;
  c.bytes[entries[1]! + 1] = 1;
  for (const at of [8, 24]) c.view.setUint32(entries[1]! + at, clusters * 4096, true);
  c.view.setUint32(fatat + 4 * c.first('dir'), c.first('dir'), true);
  c.sum(entries);
  // Nothing ends the directory within the cluster.
  const at = c.atlas.heapat + (c.first('dir') - 2) * 4096;
  for (let into = 96; into < 4096; into += 32) c.bytes[at + into] = 0x05;
  const m = await mount(c.dev, MNT_RDONLY);
  await t.rejects(list(m.sys, `${V}/dir`), { code: 'EIO' });
  await t.rejects(m.sys.stat(`${V}/dir/nothing`), { code: 'EIO' });
  await m.close();
});
