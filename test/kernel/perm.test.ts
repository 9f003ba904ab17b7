import t from 'tap';
import { makeCred } from '../../src/kernel/cred.js';
import {
  MNT_RDONLY,
  MNT_UPDATE,
  O_APPEND,
  O_CREAT,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  R_OK,
  UTIME_NOW,
  UTIME_OMIT,
  W_OK,
  X_OK,
} from '../../src/kernel/fcntl.js';
import { SF_IMMUTABLE, S_IFCHR, S_IFSOCK, UF_APPEND, UF_IMMUTABLE, UF_NODUMP } from '../../src/kernel/stat.js';
import { genfs_can_access } from '../../src/kernel/vfs/genfs.js';
import { VDIR, VREG } from '../../src/kernel/vfs/vattr.js';
import { boot, bytes, fails, writeFile } from './support.js';

t.test('one class of mode bits decides', async (t) => {
  // Every mode of three classes, every wish, against the rule written down as a table look-up.
  let wrong = 0;
  for (let mode = 0; mode < 0o1000; mode++) {
    for (const [cls, cred] of [
      [6, makeCred(10, 99)],
      [3, makeCred(11, 20)],
      [3, makeCred(11, 99, [1, 20])],
      [0, makeCred(11, 99)],
    ] as const) {
      for (let want = 0; want < 8; want++) {
        const granted = (mode >> cls) & 7;
        if (genfs_can_access(VREG, mode, 10, 20, want, cred) !== ((granted & want) === want)) wrong++;
      }
    }
    const root = makeCred(0, 0);
    for (let want = 0; want < 8; want++) {
      if (genfs_can_access(VREG, mode, 10, 20, want, root) !== ((want & X_OK) === 0 || (mode & 0o111) !== 0)) wrong++;
      if (!genfs_can_access(VDIR, mode, 10, 20, want, root)) wrong++;
    }
  }
  t.equal(wrong, 0);
});

t.test('open and access', async (t) => {
  const { kernel, sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  await sys.chown('/f', 5, 50);
  const owner = kernel.newproc(5, 5);
  const group = kernel.newproc(6, 6, [7, 50]);
  const other = kernel.newproc(8, 8);
  await sys.chmod('/f', 0o462);
  await owner.close(await owner.open('/f', O_RDONLY));
  await fails(t, owner.open('/f', O_WRONLY), 'EACCES', 'the owner class only');
  await group.close(await group.open('/f', O_RDWR));
  await other.close(await other.open('/f', O_WRONLY));
  await fails(t, other.open('/f', O_RDONLY), 'EACCES');
  await fails(t, owner.open('/f', O_RDONLY | O_TRUNC), 'EACCES', 'truncating is writing');
  await owner.access('/f', R_OK);
  await fails(t, owner.access('/f', R_OK | W_OK), 'EACCES');
  await fails(t, sys.access('/f', X_OK), 'EACCES', 'nobody may execute it');
  await sys.access('/', X_OK);
  await fails(t, sys.access('/f', 8), 'EINVAL');
  await other.access('/f', 0);
  await sys.mkdir('/closed', 0o755);
  await fails(t, other.open('/closed/new', O_CREAT | O_RDWR, 0o644), 'EACCES', 'directory');
  await owner.open('/f', O_PATH);

  await sys.mkdir('/d', 0o711);
  await writeFile(sys, '/d/f', 'x', 0o644);
  await other.stat('/d/f');
  await fails(t, other.open('/d', O_RDONLY), 'EACCES');
  await sys.chmod('/d', 0o744);
  await fails(t, other.stat('/d/f'), 'EACCES', 'search');
  await fails(t, other.stat('/d/none'), 'EACCES');
  await fails(t, other.stat('/d/.'), 'EACCES');
  await fails(t, other.stat('/d/..'), 'EACCES');
  await fails(t, other.chdir('/d'), 'EACCES');
  await sys.stat('/d/f');
  await fails(t, other.stat('/d/f'), 'EACCES', 'also when the name cache knows it');
});

t.test('chmod, chown, chflags, utimes', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/d', 0o777);
  await sys.chmod('/d', 0o777);
  const owner = kernel.newproc(5, 50, [51]);
  const other = kernel.newproc(6, 60);
  await writeFile(owner, '/d/f', 'x');
  await sys.chown('/d/f', 5, 50);
  await fails(t, other.chmod('/d/f', 0o777), 'EPERM');
  await owner.chmod('/d/f', 0o6755);
  t.equal((await sys.stat('/d/f')).st_mode & 0o7777, 0o6755);
  await fails(t, owner.chmod('/d/f', 0o1644), 'EFTYPE', 'sticky file');
  await sys.chmod('/d/f', 0o1644);
  await owner.mkdir('/d/dir', 0o755);
  await owner.chmod('/d/dir', 0o1755);
  await sys.chown('/d/f', 5, 99);
  await fails(t, owner.chmod('/d/f', 0o2755), 'EPERM', 'set-gid of a foreign group');
  await sys.chown('/d/f', 5, 50);

  await fails(t, owner.chown('/d/f', 6, -1), 'EPERM', 'giving away');
  await fails(t, owner.chown('/d/f', -1, 60), 'EPERM', 'foreign group');
  await fails(t, other.chown('/d/f', -1, 60), 'EPERM');
  await sys.chmod('/d/f', 0o6755);
  await owner.chown('/d/f', -1, 51);
  const st = await sys.stat('/d/f');
  t.equal(st.st_gid, 51);
  t.equal(st.st_mode & 0o7777, 0o755, 'set-id bits go');
  await sys.chmod('/d/f', 0o6755);
  await sys.chown('/d/f', 5, 50);
  t.equal((await sys.stat('/d/f')).st_mode & 0o7777, 0o6755, "but not for the superuser's chown");
  await owner.chown('/d/f', -1, -1);
  t.equal((await sys.stat('/d/f')).st_mode & 0o7777, 0o6755, 'nor for one that changes nothing');
  await fails(t, sys.chown('/d/f', 2 ** 32, 0), 'EINVAL');

  await owner.chflags('/d/f', UF_NODUMP);
  await fails(t, other.chflags('/d/f', 0), 'EPERM');
  await fails(t, owner.chflags('/d/f', SF_IMMUTABLE), 'EPERM');
  await sys.chflags('/d/f', SF_IMMUTABLE);
  await fails(t, owner.chflags('/d/f', 0), 'EPERM');
  await sys.chflags('/d/f', 0);

  await sys.chmod('/d/f', 0o666);
  await fails(t, other.utimes('/d/f', { sec: 1, nsec: 0 }, { sec: 1, nsec: 0 }), 'EPERM');
  await other.utimes('/d/f');
  await other.utimes('/d/f', { sec: 0, nsec: UTIME_NOW }, { sec: 0, nsec: UTIME_NOW });
  await fails(
    t,
    other.utimes('/d/f', { sec: 0, nsec: UTIME_NOW }, { sec: 0, nsec: UTIME_OMIT }),
    'EPERM',
    'half now is not now',
  );
  await sys.chmod('/d/f', 0o644);
  await fails(t, other.utimes('/d/f'), 'EACCES');
  await other.utimes('/d/f', { sec: 0, nsec: UTIME_OMIT }, { sec: 0, nsec: UTIME_OMIT });
  await owner.utimes('/d/f', { sec: -100, nsec: 5 }, { sec: 2 ** 40, nsec: 999_999_999 });
  const times = await sys.stat('/d/f');
  t.same([times.st_atime, times.st_atimensec, times.st_mtime, times.st_mtimensec], [-100, 5, 2 ** 40, 999_999_999]);
  await owner.utimes('/d/f', { sec: 7, nsec: 0 }, { sec: 0, nsec: UTIME_OMIT });
  t.equal((await sys.stat('/d/f')).st_mtime, 2 ** 40);
  await fails(t, owner.utimes('/d/f', { sec: 7, nsec: 1_000_000_000 }, { sec: 0, nsec: 0 }), 'EINVAL');
  await fails(t, owner.utimes('/d/f', { sec: 0.5, nsec: 0 }, { sec: 0, nsec: 0 }), 'EINVAL');
});

t.test('writing takes set-id bits away', async (t) => {
  const { kernel, sys } = await boot(t);
  const user = kernel.newproc(5, 5);
  for (const how of ['write', 'truncate', 'O_TRUNC', 'ftruncate'] as const) {
    await writeFile(sys, '/f', 'content');
    await sys.chmod('/f', 0o6777);
    if (how === 'truncate') {
      await user.truncate('/f', 3);
    } else {
      const fd = await user.open('/f', how === 'O_TRUNC' ? O_WRONLY | O_TRUNC : O_WRONLY);
      if (how === 'write') await user.write(fd, bytes('x'));
      if (how === 'ftruncate') await user.ftruncate(fd, 2);
      await user.close(fd);
    }
    t.equal((await sys.stat('/f')).st_mode & 0o7777, 0o777, how);
  }
  await sys.chmod('/f', 0o6777);
  await sys.truncate('/f', 1);
  t.equal((await sys.stat('/f')).st_mode & 0o7777, 0o6777, 'not by the superuser');
});

t.test('immutable and append-only', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/d/f', 'x');
  await sys.chflags('/d/f', UF_IMMUTABLE);
  await fails(t, sys.open('/d/f', O_RDWR), 'EPERM');
  await fails(t, sys.truncate('/d/f', 0), 'EPERM');
  await fails(t, sys.chmod('/d/f', 0o600), 'EPERM');
  await fails(t, sys.chown('/d/f', 1, 1), 'EPERM');
  await fails(t, sys.utimes('/d/f'), 'EPERM');
  await fails(t, sys.unlink('/d/f'), 'EPERM');
  await fails(t, sys.rename('/d/f', '/d/g'), 'EPERM');
  await fails(t, sys.link('/d/f', '/d/g'), 'EPERM');
  await writeFile(sys, '/d/g', 'x');
  await fails(t, sys.rename('/d/g', '/d/f'), 'EPERM', 'as the target');
  await fails(t, sys.access('/d/f', W_OK), 'EPERM');
  await sys.close(await sys.open('/d/f', O_RDONLY));
  const hosted = sys.withCred(5, 5, [], true);
  await fails(t, hosted.open('/d/f', O_RDWR), 'EPERM', 'the host does not know these flags');
  await fails(t, hosted.unlink('/d/f'), 'EPERM');

  await sys.chflags('/d/f', UF_APPEND);
  await fails(t, sys.open('/d/f', O_RDWR), 'EPERM');
  await fails(t, sys.open('/d/f', O_WRONLY | O_APPEND | O_TRUNC), 'EPERM');
  await fails(t, sys.truncate('/d/f', 0), 'EPERM');
  await fails(t, sys.unlink('/d/f'), 'EPERM');
  const fd = await sys.open('/d/f', O_WRONLY | O_APPEND);
  await sys.pwrite(fd, bytes('y'), 0);
  await sys.close(fd);
  t.equal((await sys.stat('/d/f')).st_size, 2, 'a positioned write appends too');
  await sys.chflags('/d/f', 0);

  await sys.chflags('/d', UF_IMMUTABLE);
  await fails(t, sys.creat('/d/new', 0o644), 'EPERM');
  await fails(t, sys.mkdir('/d/new', 0o755), 'EPERM');
  await fails(t, sys.unlink('/d/f'), 'EPERM');
  await fails(t, sys.rename('/d/f', '/d/h'), 'EPERM');
  await fails(t, sys.link('/d/f', '/d/h'), 'EPERM');
  await sys.chflags('/d', UF_APPEND);
  await sys.close(await sys.creat('/d/new', 0o644));
  await fails(t, sys.unlink('/d/new'), 'EPERM');
  await fails(t, sys.rename('/d/new', '/x'), 'EPERM');
  await sys.chflags('/d', 0);
});

t.test('a read-only mount', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/m', 0o755);
  await sys.mount('tmpfs', '/m', 0);
  await writeFile(sys, '/m/f', 'x');
  await sys.symlink('f', '/m/l');
  await sys.mkdir('/m/d', 0o755);
  await sys.mount('tmpfs', '/m', MNT_UPDATE | MNT_RDONLY);
  await sys.close(await sys.open('/m/f', O_RDONLY));
  await sys.close(await sys.open('/m/f', O_RDONLY | O_CREAT, 0o644));
  for (const [what, call] of Object.entries({
    open: () => sys.open('/m/f', O_RDWR),
    trunc: () => sys.open('/m/f', O_RDONLY | O_TRUNC),
    creat: () => sys.open('/m/new', O_CREAT | O_RDONLY, 0o644),
    mkdir: () => sys.mkdir('/m/new', 0o755),
    mkfifo: () => sys.mkfifo('/m/new', 0o755),
    symlink: () => sys.symlink('x', '/m/new'),
    link: () => sys.link('/m/f', '/m/new'),
    unlink: () => sys.unlink('/m/f'),
    rmdir: () => sys.rmdir('/m/d'),
    rename: () => sys.rename('/m/f', '/m/g'),
    chmod: () => sys.chmod('/m/f', 0o600),
    chown: () => sys.chown('/m/f', 1, 1),
    chflags: () => sys.chflags('/m/f', 0),
    utimes: () => sys.utimes('/m/f'),
    truncate: () => sys.truncate('/m/f', 0),
    access: () => sys.access('/m/f', W_OK),
    setxattr: () => sys.setxattr('/m/f', 'user.x', bytes('x')),
  })) await fails(t, call, 'EROFS', what);
  await fails(t, sys.mkdir('/m/d', 0o755), 'EEXIST', 'what is there is there');
  await fails(t, sys.unlink('/m/none'), 'ENOENT');
  await sys.mount('tmpfs', '/m', MNT_UPDATE);
  await sys.unlink('/m/f');
  await sys.unmount('/m');
});

t.test('special files', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkfifo('/fifo', 0o644);
  await sys.mknod('/dev', S_IFCHR | 0o600, (3n << 32n) | 7n);
  await sys.mknod('/sock', S_IFSOCK | 0o600, 0n);
  await fails(t, sys.open('/fifo', O_RDONLY), 'ENXIO');
  await fails(t, sys.open('/dev', O_RDWR), 'ENXIO');
  await fails(t, sys.open('/sock', O_RDWR), 'EOPNOTSUPP');
  for (const path of ['/fifo', '/dev', '/sock']) {
    const fd = await sys.open(path, O_PATH);
    t.equal((await sys.fstat(fd)).st_ino, (await sys.stat(path)).st_ino);
    await fails(t, sys.read(fd, new Uint8Array(1)), 'EBADF');
    await sys.close(fd);
  }
  t.equal((await sys.stat('/dev')).st_rdev, (3n << 32n) | 7n);
  const user = kernel.newproc(5, 5);
  await sys.mkdir('/u', 0o777);
  await sys.chmod('/u', 0o777);
  await fails(t, user.mknod('/u/dev', S_IFCHR | 0o600, 0n), 'EPERM');
  await user.mkfifo('/u/fifo', 0o600);
  await fails(t, sys.mknod('/x', 0o644, 0n), 'EINVAL');
});

t.test('umask and the group of new files', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/d', 0o777);
  await sys.chmod('/d', 0o777);
  await sys.chown('/d', 0, 77);
  const user = kernel.newproc(5, 5);
  t.equal(user.umask(0o027), 0o022);
  await user.close(await user.creat('/d/f', 0o7777));
  const st = await user.stat('/d/f');
  t.equal(st.st_mode & 0o7777, 0o4750, 'no sticky bit on files; set-gid of a foreign group is not given');
  t.same([st.st_uid, st.st_gid], [5, 77]);
  await user.mkdir('/d/sub', 0o777);
  t.equal((await user.stat('/d/sub')).st_mode & 0o7777, 0o750);
  await user.exit();
});
