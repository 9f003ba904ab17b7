import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { dumpfs } from '../../src/fs/ffs/tools/dumpfs.js';
import { Fs } from '../../src/fs/ffs/disk/fs.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { tunefs } from '../../src/fs/ffs/tools/tunefs.js';
import { wapbl_open } from '../../src/fs/ffs/journal/header.js';
import { freebsdise, look } from './freebsd.js';
import { GEOMETRIES, V, bytesOf, checked, newdisk, pattern, put, rw, titleOf } from './write-support.js';
import { disk, failure, mountFfs } from './volumes.js';

for (const geometry of GEOMETRIES) {
  t.test(titleOf(geometry), async (t) => {
    const dev = await newdisk(geometry, 8 * 2 ** 20);
    const wide = geometry.format !== 0;
    const before = bytesOf(dev);
    const dry = await tunefs(dev, { minfree: 3, optimization: 'space' }, { dryRun: true });
    t.same(dry.lines, [
      'minimum percentage of free space changes from 5% to 3%',
      'optimization preference changes from time to space',
    ]);
    t.ok(dry.changed);
    t.equal(Buffer.compare(bytesOf(dev), before), 0, 'a dry run writes nothing');
    const result = await tunefs(dev, {
      minfree: 3,
      optimization: 'space',
      maxbpg: 77,
      ...(wide ? { label: 'disk one', avgfilesize: 100, avgfpdir: 10 } : {}),
    });
    t.ok(result.changed);
    const fs = await ffs_superblock_search(dev);
    t.match(fs, {
      fs_minfree: 3,
      fs_optim: 1,
      fs_maxbpg: 77,
      ...(wide ? { fs_volname: 'disk one', fs_avgfilesize: 100, fs_avgfpdir: 10 } : {}),
    });
    await checked(t, dev, 'tuned', geometry);
    const again = await tunefs(dev, { minfree: 3 });
    t.notOk(again.changed);
    t.match(again.lines, ['minimum percentage of free space remains 3%']);
    const vol = await mountFfs(dev, 0);
    t.equal((await vol.sys.statvfs(V)).f_bresvd, Math.floor((fs.fs_dsize * 3) / 100), 'in force');
    await vol.close();
    if (!wide) t.match(await failure(tunefs(dev, { label: 'x' })), /^EOPNOTSUPP/, 'no place for a name');
  });
}

t.test('copies', async (t) => {
  const dev = await newdisk({ format: 2, blockSize: 8192, fragSize: 1024 }, 8 * 2 ** 20);
  await tunefs(dev, { label: 'all' }, { alternates: true });
  const image = bytesOf(dev);
  const fs = await ffs_superblock_search(dev);
  for (let c = 0; c < fs.fs_ncg; c++) {
    t.equal(Fs.decode(image.subarray(fs.fsbtob(fs.cgsblock(c))), 65536)?.fs_volname, 'all', `group ${c}`);
  }
  await checked(t, dev, 'copies');
});

t.test('check hashes', async (t) => {
  const image = bytesOf(await newdisk({ format: 2, blockSize: 32768, fragSize: 4096 }, 8 * 2 ** 20));
  freebsdise(image);
  const dev = disk(image);
  await tunefs(dev, { label: 'beastie', minfree: 8 }, { alternates: true });
  const { fs, bad } = look(dev);
  t.same(bad, []);
  t.equal(fs.fs_volname, 'beastie');
  t.ok((await fsck(dev)).clean);
  t.match(await failure(tunefs(dev, { log: true })), /^EOPNOTSUPP/, 'FreeBSD has another journal');
});

t.test('the journal', async (t) => {
  const dev = await newdisk({ format: 2, blockSize: 8192, fragSize: 1024 }, 24 * 2 ** 20);
  t.match(await failure(tunefs(dev, { log: 1000 })), /^EINVAL/, 'too small');
  const { lines } = await tunefs(dev, { log: 2 * 2 ** 20 });
  t.match(lines, [/journal of 2097152 bytes will be made by the next mount/]);
  await checked(t, dev, 'asked for');
  const vol = await rw(dev);
  await put(vol.sys, `${V}/file`, pattern(1000, 1));
  await vol.sys.sync();
  const fs = await ffs_superblock_search(dev);
  const log = await wapbl_open(dev, fs);
  t.ok(log !== undefined && log.place.bytes === 2 * 2 ** 20, 'made by the mount');
  const crashed = disk(bytesOf(dev));
  await vol.close();
  if (log?.head !== log?.tail) {
    t.match(await failure(tunefs(crashed, { minfree: 9 })), /^EBUSY/, 'not while it holds work');
  }
  t.match(await failure(tunefs(dev, { log: true })), /^EINVAL: .*remove it first/);
  t.match((await tunefs(dev, { log: 0 })).lines, [/will be removed by the next mount/]);
  const last = await rw(dev);
  await last.close();
  t.equal(await wapbl_open(dev, await ffs_superblock_search(dev)), undefined, 'removed');
  await checked(t, dev, 'without');
});

t.test('refused', async (t) => {
  const dev = await newdisk({ format: 2 }, 8 * 2 ** 20);
  t.match(await failure(tunefs(dev, { minfree: 100 })), /^EINVAL/);
  t.match(await failure(tunefs(dev, { minfree: 1.5 })), /^EINVAL/);
  t.match(await failure(tunefs(dev, { label: 'x'.repeat(32) })), /^EINVAL/);
  t.match(await failure(tunefs(dev, { label: 'a\0b' })), /^EINVAL/);
  t.match(await failure(tunefs(disk(bytesOf(dev), true), { minfree: 7 })), /^EROFS/);
  t.match(await failure(tunefs(new MemoryDevice({ size_bytes: 2 ** 20 }), { minfree: 7 })), /^EFTYPE/);
});

t.test('dumpfs', async (t) => {
  const dev = await newdisk({ format: 1, endian: 'big', blockSize: 8192, fragSize: 1024, label: 'dump' }, 8 * 2 ** 20);
  const vol = await rw(dev);
  await put(vol.sys, `${V}/file`, pattern(5000, 1));
  await vol.close();
  const fs = await ffs_superblock_search(dev);
  const all = await dumpfs(dev);
  t.match(all, /^format FFSv1\nendian big/);
  t.match(all, /cs\[\]\.cs_\(nbfree,ndir,nifree,nffree\):/);
  t.match(all, /\ncg 0:\n/);
  t.match(await dumpfs(dev, { superblock: true }), /volname dump/);
  t.notMatch(await dumpfs(dev, { superblock: true }), /cg 0/);
  const copies = await dumpfs(dev, { alternates: true });
  t.equal(copies.split('superblock of cg ').length - 1, fs.fs_ncg);
  t.notMatch(copies, /none\n\n/);
  t.match(await dumpfs(dev, { inodes: true }), / 3 100644 +1 /);
  t.match(await dumpfs(dev, { journal: true }), /none/);
  const free = (await dumpfs(dev, { freelist: true })).trim().split('\n').map((line) => line.split('-').map(Number));
  const frags = free.reduce((sum, [from, to]) => sum + (to ?? from!) - from! + 1, 0);
  t.equal(frags, fs.fs_cstotal.cs_nbfree * 8 + fs.fs_cstotal.cs_nffree, 'all that is free');
  t.match(
    await dumpfs(dev, { newfs: true }),
    /rumpfuse newfs --format 1 --byte-order be --size 8388608 --block-size 8192 --frag-size 1024 .*--label dump IMAGE/,
  );
  const image = bytesOf(await newdisk({ format: 2 }, 8 * 2 ** 20));
  freebsdise(image, { flags: 2 });
  t.match(await dumpfs(disk(image)), /metackhash 0x7[\s\S]*providersize[\s\S]*flags soft updates, check hashes/);
});
