import t from 'tap';
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, MAXSYMLINKS, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY,
  O_RDWR, O_SEARCH, O_WRONLY, PATH_MAX,
} from '../../src/kernel/fcntl.js';
import { boot, bytes, fails, names, readFile, text, writeFile } from './support.js';

t.test('components and slashes', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/a', 0o755);
  await sys.mkdir('/a/b', 0o755);
  await writeFile(sys, '/a/b/f', 'x');
  const ino = (await sys.stat('/a/b/f')).st_ino;
  for (const path of ['//a///b//f', '/./a/././b/f', '/a/../a/b/../b/f', '/../../a/b/f', 'a/b/f', './/a/b/f']) {
    t.equal((await sys.stat(path)).st_ino, ino, path);
  }
  const root = (await sys.stat('/')).st_ino;
  for (const path of ['/', '//', '/.', '/..', '/../..', '.', '..', 'a/..', '/a/b/../../.']) {
    t.equal((await sys.stat(path)).st_ino, root, path);
  }
  await fails(t, sys.stat(''), 'ENOENT', 'empty path');
  await fails(t, sys.stat('/a/b/f/'), 'ENOTDIR', 'file with a slash');
  await fails(t, sys.stat('/a/b/f/.'), 'ENOTDIR', 'file as a directory');
  await fails(t, sys.stat('/a/b/f/..'), 'ENOTDIR', 'the parent of a file');
  await fails(t, sys.stat('/a/b/f/g'), 'ENOTDIR');
  await fails(t, sys.stat('/a/none/g'), 'ENOENT');
  await fails(t, sys.stat('a\0b'), 'EINVAL', 'NUL');
  t.equal((await sys.stat('/a/b/')).st_ino, (await sys.stat('/a/b')).st_ino, 'directory with a slash');
});

t.test('lengths', async (t) => {
  const { sys } = await boot(t);
  const longest = 'n'.repeat(255);
  await writeFile(sys, `/${longest}`, 'x');
  t.equal(await readFile(sys, longest), 'x');
  await fails(t, sys.stat(`${longest}n`), 'ENAMETOOLONG', 'single component');
  await fails(t, sys.stat(`/${longest}n`), 'ENAMETOOLONG');
  await fails(t, sys.stat(`/${longest}n/x`), 'ENAMETOOLONG', 'in the middle');
  await fails(t, sys.open(`${longest}n`, O_RDWR | O_CREAT, 0o644), 'ENAMETOOLONG');
  await fails(t, sys.mkdir(`${longest}n`, 0o755), 'ENAMETOOLONG');
  await fails(t, sys.rename(longest, `${longest}n`), 'ENAMETOOLONG');
  await fails(t, sys.symlink('x', `${longest}n`), 'ENAMETOOLONG');
  t.equal((await sys.stat(`${'/'.repeat(PATH_MAX - 2)}.`)).st_ino, (await sys.stat('/')).st_ino, 'longest path');
  await fails(t, sys.stat(`${'/'.repeat(PATH_MAX - 1)}.`), 'ENAMETOOLONG', 'path too long');
  await fails(t, sys.symlink('x'.repeat(PATH_MAX), '/l'), 'ENAMETOOLONG', 'target too long');
  await fails(t, sys.symlink('', '/l'), 'ENOENT', 'empty target');
  await sys.symlink('x'.repeat(PATH_MAX - 1), '/l');
  t.equal((await sys.readlink('/l')).length, PATH_MAX - 1);
  await sys.symlink('./'.repeat(400), '/dots');
  await fails(t, sys.stat(`/dots/${'./'.repeat(200)}`), 'ENAMETOOLONG', 'a target that makes the path too long');
});

t.test('symlinks', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/d/f', 'content');
  await sys.symlink('d', '/rel');
  await sys.symlink('/d', '/abs');
  await sys.symlink('../d/f', '/d/up');
  await sys.symlink('f', '/d/same');
  for (const path of ['/rel/f', '/abs/f', '/d/up', '/d/same', '/rel/up', '/abs/same', '/rel/../d/f']) {
    t.equal(await readFile(sys, path), 'content', path);
  }
  t.equal((await sys.lstat('/rel')).st_mode & 0o170000, 0o120000);
  t.equal((await sys.lstat('/rel/')).st_mode & 0o170000, 0o040000, 'a slash follows');
  await fails(t, sys.lstat('/d/same/'), 'ENOTDIR');
  await fails(t, sys.open('/rel', O_NOFOLLOW), 'EFTYPE', 'O_NOFOLLOW');
  const fd = await sys.open('/rel', O_NOFOLLOW | O_PATH);
  t.equal(text(await sys.readlinkat(fd, '')), 'd', 'O_PATH of the link itself');
  await fails(t, sys.readlink('/d'), 'EINVAL');

  await sys.symlink('loop2', '/loop1');
  await sys.symlink('loop1', '/loop2');
  await fails(t, sys.stat('/loop1'), 'ELOOP');
  await fails(t, sys.stat('/loop1/x'), 'ELOOP');
  await fails(t, sys.open('/loop1', O_CREAT | O_RDWR, 0o644), 'ELOOP');
  await fails(t, sys.mkdir('/loop1/x', 0o755), 'ELOOP');
  await writeFile(sys, '/chain0', 'end');
  for (let i = 1; i <= MAXSYMLINKS + 1; i++) await sys.symlink(`chain${i - 1}`, `/chain${i}`);
  t.equal(await readFile(sys, `/chain${MAXSYMLINKS}`), 'end');
  await fails(t, sys.stat(`/chain${MAXSYMLINKS + 1}`), 'ELOOP');
  const appending = await sys.open(`/chain${MAXSYMLINKS}`, O_CREAT | O_RDWR, 0o644);
  await sys.close(appending);
  await fails(t, sys.open(`/chain${MAXSYMLINKS + 1}`, O_CREAT | O_RDWR, 0o644), 'ELOOP');

  await sys.symlink('/d/made', '/dangling');
  await fails(t, sys.open('/dangling', O_RDONLY), 'ENOENT');
  await fails(t, sys.open('/dangling', O_CREAT | O_EXCL | O_RDWR, 0o644), 'EEXIST');
  await fails(t, sys.mkdir('/dangling', 0o755), 'EEXIST');
  await sys.close(await sys.open('/dangling', O_CREAT | O_RDWR, 0o600));
  t.equal((await sys.lstat('/d/made')).st_mode & 0o777, 0o600, 'O_CREAT makes the target');
  await sys.symlink('newdir', '/todir');
  await sys.mkdir('/todir/', 0o755);
  t.equal((await sys.lstat('/newdir')).st_mode & 0o170000, 0o040000, 'mkdir of a dangling link with a slash');
  await sys.unlink('/rel');
  t.ok(await sys.stat('/d'), 'unlink takes the link');
});

t.test('names with a slash behind them', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d/', 0o755);
  await writeFile(sys, '/f', 'x');
  await fails(t, sys.open('/new/', O_CREAT | O_WRONLY, 0o644), 'ENOENT');
  await fails(t, sys.open('/f/', O_CREAT | O_WRONLY, 0o644), 'ENOTDIR');
  await fails(t, sys.open('/f/', O_RDONLY), 'ENOTDIR');
  await fails(t, sys.symlink('x', '/new/'), 'ENOENT');
  await fails(t, sys.mkfifo('/new/', 0o644), 'ENOENT');
  await fails(t, sys.link('/f', '/new/'), 'ENOENT');
  await fails(t, sys.link('/f/', '/new'), 'ENOTDIR');
  await fails(t, sys.unlink('/f/'), 'ENOTDIR');
  await fails(t, sys.rmdir('/f/'), 'ENOTDIR');
  await fails(t, sys.unlink('/d/'), 'EPERM');
  await sys.rmdir('/d//');
  t.same(await names(sys, '/'), ['f']);
});

t.test('"." and ".." as the last name', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await sys.mkdir('/d/e', 0o755);
  await fails(t, sys.mkdir('/d/.', 0o755), 'EEXIST');
  await fails(t, sys.mkdir('/d/..', 0o755), 'EEXIST');
  await fails(t, sys.mkdir('/', 0o755), 'EEXIST');
  await fails(t, sys.mkdir('/none/.', 0o755), 'ENOENT');
  await fails(t, sys.rmdir('/d/.'), 'EINVAL');
  await fails(t, sys.rmdir('/d/e/..'), 'ENOTEMPTY');
  await fails(t, sys.rmdir('/'), 'EBUSY');
  await fails(t, sys.unlink('/d/.'), 'EPERM');
  await fails(t, sys.unlink('/'), 'EPERM');
  await fails(t, sys.open('/d/.', O_CREAT | O_EXCL | O_RDWR, 0o644), 'EEXIST');
  await fails(t, sys.open('/d/..', O_CREAT | O_RDWR, 0o644), 'EISDIR');
  await fails(t, sys.open('/', O_CREAT | O_WRONLY, 0o644), 'EISDIR');
});

t.test('descriptors as the directory', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/d/f', 'content');
  for (const flags of [O_RDONLY, O_PATH, O_SEARCH, O_RDONLY | O_DIRECTORY]) {
    const fd = await sys.open('/d', flags);
    t.equal((await sys.fstatat(fd, 'f')).st_size, 7);
    t.equal((await sys.fstatat(fd, '../d/f')).st_size, 7);
    await sys.close(fd);
  }
  const file = await sys.open('/d/f', O_RDONLY);
  await fails(t, sys.fstatat(file, 'x'), 'ENOTDIR');
  await fails(t, sys.mkdirat(file, 'x', 0o755), 'ENOTDIR');
  await fails(t, sys.fstatat(99, 'x'), 'EBADF');
  await fails(t, sys.fstatat(file, ''), 'ENOENT');
  t.equal((await sys.fstatat(99, '/d/f')).st_size, 7, 'an absolute path needs no descriptor');
  t.equal((await sys.fstatat(file, '', undefined, AT_EMPTY_PATH)).st_size, 7);
  await sys.chdir('/d');
  t.equal((await sys.fstatat(AT_FDCWD, 'f')).st_size, 7);
  t.equal((await sys.fstatat(AT_FDCWD, '', undefined, AT_EMPTY_PATH)).st_ino, (await sys.stat('/d')).st_ino);
  await sys.symlink('f', 'link');
  const link = await sys.open('link', O_PATH | O_NOFOLLOW);
  await sys.fchownat(link, '', 7, 8, AT_EMPTY_PATH);
  t.equal((await sys.lstat('link')).st_uid, 7);
  t.equal((await sys.stat('f')).st_uid, 0, 'the link, not its target');
  await sys.utimensat(link, '', { sec: 5, nsec: 6 }, { sec: -7, nsec: 8 }, AT_EMPTY_PATH);
  t.equal((await sys.lstat('link')).st_mtime, -7);
  const path = await sys.open('f', O_PATH);
  await sys.fchmodat(path, '', 0o600, AT_EMPTY_PATH);
  t.equal((await sys.stat('f')).st_mode & 0o777, 0o600);
  await sys.linkat(path, '', AT_FDCWD, 'hard', AT_EMPTY_PATH);
  t.equal((await sys.stat('hard')).st_nlink, 2);
  await fails(t, sys.fstatat(AT_FDCWD, 'f/', undefined, AT_SYMLINK_NOFOLLOW), 'ENOTDIR');
});

t.test('a directory opened with O_SEARCH needs no permission any more', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/d', 0o700);
  await sys.mkdir('/d/e', 0o755);
  await writeFile(sys, '/d/e/f', 'x');
  await sys.chown('/d', 5, 5);
  const user = kernel.newproc(5, 5);
  const search = await user.open('/d', O_SEARCH);
  const plain = await user.open('/d', O_RDONLY);
  await fails(t, user.getdents(search), 'EBADF', 'O_SEARCH is not for reading');
  await sys.chmod('/d', 0o600);
  await fails(t, user.open('/d', O_SEARCH), 'EACCES');
  await fails(t, user.fstatat(plain, 'e'), 'EACCES');
  t.ok(await user.fstatat(search, 'e'));
  t.ok(await user.fstatat(search, 'e/f'), 'only the first step is free');
  await sys.chmod('/d/e', 0o600);
  await fails(t, user.fstatat(search, 'e/f'), 'EACCES');
  await user.exit();
});

t.test('chroot', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/jail', 0o755);
  await sys.mkdir('/jail/in', 0o755);
  await writeFile(sys, '/secret', 'x');
  await sys.symlink('/secret', '/jail/escape');
  const p = kernel.newproc();
  await p.chroot('/jail');
  await p.chdir('/');
  t.same(await names(p, '/'), ['escape', 'in']);
  await fails(t, p.stat('/secret'), 'ENOENT');
  await fails(t, p.stat('/../secret'), 'ENOENT');
  await fails(t, p.stat('../../secret'), 'ENOENT');
  await fails(t, p.stat('in/../../secret'), 'ENOENT');
  await fails(t, p.stat('/escape'), 'ENOENT', 'absolute targets begin at the new root');
  await p.chdir('in');
  t.equal(text(await p.__getcwd()), '/in');
  await fails(t, kernel.newproc(1, 1).chroot('/jail'), 'EPERM');
  await p.exit();
  t.equal(await readFile(sys, '/secret'), 'x', 'other processes keep their root');
});

t.test('names are bytes', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir(new Uint8Array([0x2f, 0xff, 0xfe]), 0o755);
  await writeFile(sys, 'grün', 'x');
  t.same(await names(sys, '/'), ['gr\xc3\xbcn', '\xff\xfe'].sort());
  t.equal((await sys.stat(bytes('/grün'))).st_size, 1);
  await sys.chdir(new Uint8Array([0xff, 0xfe]));
  t.same(await sys.__getcwd(), new Uint8Array([0x2f, 0xff, 0xfe]));
});

t.test('getcwd of what is gone', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await sys.chdir('/d');
  await sys.rmdir('/d');
  await fails(t, sys.__getcwd(), 'ENOENT');
  await fails(t, sys.open('x', O_CREAT | O_RDWR, 0o644), 'ENOENT', 'nothing can be made in a removed directory');
  await fails(t, sys.mkdir('x', 0o755), 'ENOENT');
  await sys.chdir('/');
});
