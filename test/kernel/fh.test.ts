import t from 'tap';
import { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR } from '../../src/kernel/fcntl.js';
import { boot, bytes, fails, writeFile } from './support.js';

t.test('a handle names a file without a path', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/d', 0o700);
  await writeFile(sys, '/d/f', 'content');
  const fh = await sys.getfh('/d/f');
  const st = await sys.stat('/d/f');
  t.equal(BigInt(fh.fh_fid.fid_ino), st.st_ino);
  t.equal(fh.fh_fid.fid_gen, st.st_gen, 'stat tells number and generation');
  t.equal(fh.fh_fsid, st.st_dev);
  await sys.rename('/d/f', '/g');
  t.equal((await sys.fhstat(fh)).st_ino, st.st_ino, 'renames do not matter');
  const fd = await sys.fhopen(fh, O_RDWR);
  t.equal(await sys.write(fd, bytes('C')), 1);
  const path = await sys.fhopen(fh, O_PATH);
  t.equal((await sys.fstat(path)).st_size, 7);
  await fails(t, sys.fhopen(fh, O_PATH | O_DIRECTORY), 'ENOTDIR');
  await fails(t, sys.fhopen(fh, O_RDWR | O_CREAT), 'EINVAL');
  t.equal((await sys.fhstatvfs(fh)).f_fsid, fh.fh_fsid);

  await sys.unlink('/g');
  t.equal((await sys.fhstat(fh)).st_nlink, 0, 'while it is open');
  await sys.close(fd);
  await sys.close(path);
  await fails(t, sys.fhopen(fh, O_RDONLY), 'ESTALE');
  await fails(t, sys.fhstat(fh), 'ESTALE');
  await fails(t, sys.fhstatvfs(fh), 'ESTALE');
  await fails(t, sys.fhstat({ fh_fsid: 99, fh_fid: fh.fh_fid }), 'ESTALE');

  const root = await sys.getfh('/');
  t.equal((await sys.fhstat(root)).st_ino, (await sys.stat('/')).st_ino);
  await fails(
    t,
    sys.fhstat({ fh_fsid: root.fh_fsid, fh_fid: { fid_ino: root.fh_fid.fid_ino, fid_gen: root.fh_fid.fid_gen + 1 } }),
    'ESTALE',
  );

  const user = kernel.newproc(5, 5);
  await fails(t, user.getfh('/d'), 'EPERM');
  await fails(t, user.fhopen(root, O_RDONLY), 'EPERM');
  await fails(t, user.fhstat(root), 'EPERM');
  t.ok(await sys.withCred(5, 5, [], true).fhstat(root), 'the host has checked');
});

t.test('a handle of a symlink is of the link', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  await sys.symlink('f', '/l');
  const fh = await sys.getfh('/l');
  t.equal((await sys.fhstat(fh)).st_ino, (await sys.lstat('/l')).st_ino);
  const fd = await sys.fhopen(fh, O_PATH | O_NOFOLLOW);
  t.equal(new TextDecoder().decode(await sys.readlinkat(fd, '')), 'f');
  await fails(t, sys.fhopen(fh, O_RDONLY), 'EFTYPE');
});

t.test('a handle is stale after the unmount, and never another file', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/m', 0o755);
  await sys.mount('tmpfs', '/m', 0);
  await writeFile(sys, '/m/f', 'x');
  const fh = await sys.getfh('/m/f');
  await sys.unmount('/m');
  await fails(t, sys.fhstat(fh), 'ESTALE');
  await sys.mount('tmpfs', '/m', 0);
  await writeFile(sys, '/m/f', 'x');
  await fails(t, sys.fhstat(fh), 'ESTALE');
  await sys.unmount('/m');
});
