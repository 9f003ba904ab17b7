import t from 'tap';
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../src/kernel/fcntl.js';
import { S_IFDIR } from '../../src/kernel/stat.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { zerofs } from '../../src/fs/zerofs/index.js';
import { names, pattern, put } from '../../testing/matrix/check.js';
import { rumpVolume } from '../../testing/matrix/rumpvolume.js';

t.test('tmpfs: options are in force', async (t) => {
  const volume = await rumpVolume({
    component: tmpfs,
    options: { size: '1m', nodes: '10', mode: '750', uid: '5', gid: '6' },
  });
  const { fs } = volume;
  const root = await fs.stat('');
  t.same([root.mode, root.uid, root.gid], [0o750, 5, 6]);
  const sv = await fs.statvfs('');
  t.same([sv.size, sv.files, sv.ffree], [2 ** 20, 10, 9]);
  for (let i = 0; i < 9; i++) await put(fs, `f${i}`);
  await t.rejects(put(fs, 'f9'), { code: 'ENOSPC' }, 'the tenth file beside the root');
  await fs.unlink('f0');
  await put(fs, 'f9');
  const fd = await fs.open('f9', O_RDWR);
  t.equal(await fs.pwrite(fd, pattern(2 ** 21), 0), 2 ** 20, 'what fits is written');
  await t.rejects(fs.pwrite(fd, pattern(1), 2 ** 20), { code: 'ENOSPC' });
  t.equal((await fs.statvfs('')).free, 0);
  await fs.close(fd);
  await fs.unlink('f9');
  t.equal((await fs.statvfs('')).free, 2 ** 20, 'all room comes back');
  await volume.cleanup();
});

t.test('tmpfs: options that make no sense', async (t) => {
  for (const options of [
    { size: '1x' },
    { size: '-1' },
    { nodes: 'many' },
    { mode: '9' },
    { mode: '17777' },
    { uid: 'root' },
    { size: true as const },
    { colour: 'red' },
  ]) {
    await t.rejects(rumpVolume({ component: tmpfs, options }), { code: 'EINVAL' }, JSON.stringify(options));
  }
});

t.test('tmpfs: extended attributes count and are limited', async (t) => {
  const volume = await rumpVolume({ component: tmpfs, options: { size: '100k' } });
  const { fs } = volume;
  await put(fs, 'file');
  await fs.setxattr('file', 'user.a', pattern(60_000));
  t.ok((await fs.statvfs('')).free < 45_000);
  await t.rejects(fs.setxattr('file', 'user.b', pattern(60_000)), { code: 'ENOSPC' });
  await t.rejects(fs.setxattr('file', 'user.b', pattern(65_537)), { code: 'E2BIG' });
  await fs.setxattr('file', 'user.a', pattern(10));
  await fs.setxattr('file', 'user.b', pattern(60_000));
  await fs.unlink('file');
  t.equal((await fs.statvfs('')).free, 100 * 1024);
  await volume.cleanup();
});

t.test('tmpfs: a small file takes little room, a sparse one only what was written', async (t) => {
  const volume = await rumpVolume({ component: tmpfs, options: { size: '64m' } });
  const { fs } = volume;
  await put(fs, 'small', 'x');
  t.equal((await fs.stat('small')).blocks, 8);
  const fd = await fs.open('sparse', O_WRONLY | O_CREAT);
  await fs.pwrite(fd, pattern(1), 2 ** 50);
  await fs.close(fd);
  const st = await fs.stat('sparse');
  t.same([st.size, st.blocks], [2 ** 50 + 1, 128]);
  await volume.cleanup();
});

t.test('zerofs: the files that were asked for, all zeros', async (t) => {
  const volume = await rumpVolume({
    component: zerofs,
    options: { files: '30', dirs: '4', size: '3m', filesize: '10' },
  });
  const { fs } = volume;
  t.same(await names(fs), ['d0', 'd1', 'd2', 'd3', 'zero']);
  t.same(await names(fs, 'd1'), ['f1', 'f13', 'f17', 'f21', 'f25', 'f29', 'f5', 'f9'].sort());
  t.equal((await fs.stat('d3/f7')).size, 10);
  t.equal((await fs.stat('zero')).size, 3 * 2 ** 20);
  const fd = await fs.open('zero', O_RDONLY);
  t.same(await fs.pread(fd, 100, 3 * 2 ** 20 - 50), new Uint8Array(50), 'up to the end');
  await fs.close(fd);
  await fs.mkdir('new');
  await put(fs, 'new/file', pattern(1000));
  t.same((await fs.stat('new/file')).size, 1000);
  await t.rejects(fs.rmdir('new'), { code: 'ENOTEMPTY' });
  await fs.rename('new/file', 'd0/moved');
  t.equal((await fs.stat('new')).type, S_IFDIR);
  await fs.rmdir('new');
  await fs.unlink('d0/moved');
  await t.rejects(fs.stat('d0/moved'), { code: 'ENOENT' });
  await volume.cleanup();
  await t.rejects(rumpVolume({ component: zerofs, options: { files: '1', dirs: '0' } }), { code: 'EINVAL' });
});
