import t from 'tap';
import {
  FD_CLOEXEC, F_CLOSEM, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_MAXFD, F_SETFD, F_SETFL, O_APPEND, O_CLOEXEC,
  O_CREAT, O_DIRECTORY, O_EMPTY_PATH, O_EXCL, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_REGULAR, O_SEARCH, O_TRUNC,
  O_WRONLY, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
} from '../../src/kernel/fcntl.js';
import { E, errno } from '../../src/kernel/errno.js';
import { Stat } from '../../src/kernel/stat.js';
import { boot, bytes, fails, names, readFile, text, writeFile } from './support.js';

t.test('the lowest free number is handed out', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  const open = (): Promise<number> => sys.open('/f', O_RDONLY);
  t.same([await open(), await open(), await open(), await open()], [0, 1, 2, 3]);
  await sys.close(1);
  await sys.close(2);
  t.equal(await open(), 1);
  t.equal(await sys.fcntl(0, F_DUPFD, 10), 10);
  t.equal(await open(), 2);
  t.equal(await open(), 4);
  t.equal(await sys.fcntl(0, F_DUPFD, 0), 5);
  t.equal(await sys.fcntl(0, F_MAXFD), 10);
  t.equal(await sys.dup2(0, 20), 20);
  t.equal(await sys.dup2(0, 4), 4);
  t.equal(await sys.dup2(0, 0), 0);
  await sys.fcntl(4, F_CLOSEM);
  t.equal(await open(), 4);
  t.equal(await sys.fcntl(0, F_MAXFD), 4);
  await fails(t, sys.close(5), 'EBADF');
  await fails(t, sys.close(-1), 'EBADF');
  await fails(t, sys.dup(77), 'EBADF');
  await fails(t, sys.dup2(77, 1), 'EBADF');
  await fails(t, sys.dup2(0, -1), 'EBADF');
  await fails(t, sys.fcntl(0, F_DUPFD, -1), 'EINVAL');
  await fails(t, sys.fcntl(0, 99, 0), 'EINVAL');
  await fails(t, sys.read(0.5, new Uint8Array(1)), 'EBADF');
});

t.test('close-on-exec and status flags', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  const fd = await sys.open('/f', O_RDWR | O_CLOEXEC);
  t.equal(await sys.fcntl(fd, F_GETFD), FD_CLOEXEC);
  const dup = await sys.dup(fd);
  t.equal(await sys.fcntl(dup, F_GETFD), 0);
  t.equal(await sys.fcntl((await sys.fcntl(fd, F_DUPFD_CLOEXEC, 0)) as number, F_GETFD), FD_CLOEXEC);
  await sys.fcntl(fd, F_SETFD, 0);
  t.equal(await sys.fcntl(fd, F_GETFD), 0);
  t.equal(await sys.fcntl(fd, F_GETFL), O_RDWR);
  await sys.fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY);
  t.equal(await sys.fcntl(dup, F_GETFL), O_RDWR | O_APPEND | O_NONBLOCK, 'shared, and the access mode stays');
  await sys.close(fd);
  t.equal(await sys.open('/f', O_RDONLY), fd);
  t.equal(await sys.fcntl(fd, F_GETFD), 0);
});

t.test('dup shares the position, another open does not', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', '0123456789');
  const a = await sys.open('/f', O_RDWR);
  const b = await sys.dup(a);
  const c = await sys.open('/f', O_RDWR);
  const buf = new Uint8Array(3);
  await sys.read(a, buf);
  await sys.read(b, buf);
  t.equal(text(buf), '345');
  await sys.close(a);
  t.equal(await sys.lseek(b, 0, SEEK_CUR), 6);
  t.equal(await sys.lseek(c, 0, SEEK_CUR), 0);
  t.equal(await sys.pread(b, buf, 8), 2);
  t.equal(await sys.lseek(b, 0, SEEK_CUR), 6, 'pread leaves it');
  t.equal(await sys.readv(b, [new Uint8Array(2), buf, new Uint8Array(5)]), 4);
  t.equal(text(buf.subarray(0, 2)), '89');
  t.equal(await sys.preadv(b, [buf, new Uint8Array(1)], 1), 4);
  t.equal(text(buf), '123');
  t.equal(await sys.writev(b, [bytes('ab'), bytes(''), bytes('c')]), 3);
  t.equal(await sys.pwritev(b, [bytes('X'), bytes('Y')], 0), 2);
  t.equal(await readFile(sys, '/f'), 'XY23456789abc');
  t.equal(await sys.read(c, buf, 1, 1), 1);
  t.equal(text(buf), '1X3');
  await fails(t, sys.read(c, buf, 2, 2), 'EINVAL');
  await fails(t, sys.pread(c, buf, -1), 'EINVAL');
  await fails(t, sys.pwrite(c, buf, 2 ** 53), 'EINVAL');
});

t.test('append', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'abc');
  const a = await sys.open('/f', O_RDWR | O_APPEND);
  const b = await sys.open('/f', O_WRONLY | O_APPEND);
  await sys.write(a, bytes('d'));
  await sys.write(b, bytes('e'));
  await sys.write(a, bytes('f'));
  t.equal(await sys.lseek(a, 0, SEEK_CUR), 6);
  t.equal(await sys.pwrite(a, bytes('X'), 0), 1);
  t.equal(await readFile(sys, '/f'), 'Xbcdef', 'a positioned write does not append');
  const writes = Array.from({ length: 20 }, (_, i) => sys.write(i % 2 ? a : b, bytes(`<${i % 10}>`)));
  await Promise.all(writes);
  t.equal((await sys.stat('/f')).st_size, 66);
  t.match(await readFile(sys, '/f'), /^Xbcdef(<\d>){20}$/);
});

t.test('modes of opening', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/f', 'abc');
  await fails(t, sys.open('/d', O_WRONLY), 'EISDIR');
  await fails(t, sys.open('/d', O_RDONLY | O_TRUNC), 'EISDIR');
  await fails(t, sys.open('/f', O_DIRECTORY), 'ENOTDIR');
  await fails(t, sys.open('/f', O_PATH | O_DIRECTORY), 'ENOTDIR');
  await fails(t, sys.open('/f', O_SEARCH), 'ENOTDIR');
  await fails(t, sys.open('/d', O_REGULAR), 'EFTYPE');
  await fails(t, sys.open('/f', O_CREAT | O_EXCL | O_RDWR, 0o644), 'EEXIST');
  await fails(t, sys.open('/d', O_CREAT | O_EXCL | O_RDWR, 0o644), 'EEXIST');
  await fails(t, sys.open('/d', O_CREAT | O_DIRECTORY, 0o644), 'EINVAL');
  await fails(t, sys.open('/f', O_WRONLY | O_RDWR), 'EINVAL');
  const ro = await sys.open('/f', O_RDONLY);
  await fails(t, sys.write(ro, bytes('x')), 'EBADF');
  await fails(t, sys.ftruncate(ro, 0), 'EINVAL');
  const wo = await sys.open('/f', O_WRONLY);
  await fails(t, sys.read(wo, new Uint8Array(1)), 'EBADF');
  const dir = await sys.open('/d', O_RDONLY);
  await fails(t, sys.read(dir, new Uint8Array(1)), 'EISDIR');
  await sys.fsync(dir);
  await sys.close(await sys.open('/f', O_WRONLY | O_TRUNC));
  t.equal((await sys.stat('/f')).st_size, 0);
  const fresh = await sys.open('/readonly', O_RDWR | O_CREAT, 0o000);
  t.equal(await sys.write(fresh, bytes('x')), 1, 'the mode of a new file does not bind its maker');
  const user = sys.withCred(5, 5);
  await sys.chmod('/', 0o777);
  const users = await user.open('/users', O_RDWR | O_CREAT, 0o000);
  t.equal(await user.write(users, bytes('x')), 1);
});

t.test('descriptors that only name a file', async (t) => {
  const { kernel, sys } = await boot(t);
  await writeFile(sys, '/f', 'abc');
  const fd = await sys.open('/f', O_PATH);
  for (const call of [
    sys.read(fd, new Uint8Array(1)),
    sys.write(fd, new Uint8Array(1)),
    sys.lseek(fd, 0, SEEK_SET),
    sys.fsync(fd),
    sys.getdents(fd),
    sys.flock(fd, 1),
    sys.posix_fallocate(fd, 0, 1),
  ]) await fails(t, call, 'EBADF');
  t.equal((await sys.fstat(fd)).st_size, 3);
  await sys.fchmod(fd, 0o600);
  await sys.fchown(fd, 5, 5);
  await sys.ftruncate(fd, 2);
  await fails(t, sys.withCred(6, 6).ftruncate(fd, 0), 'EACCES');
  await fails(t, sys.openat(fd, '', O_RDONLY), 'ENOENT');
  const opened = await sys.withCred(5, 5).openat(fd, '', O_RDWR | O_EMPTY_PATH);
  t.equal(await sys.read(opened, new Uint8Array(9)), 2);
  await fails(t, sys.withCred(6, 6).openat(fd, '', O_RDONLY | O_EMPTY_PATH), 'EACCES');
  await sys.unlink('/f');
  const again = await sys.openat(fd, '', O_RDONLY | O_EMPTY_PATH);
  t.equal(await sys.read(again, new Uint8Array(9)), 2, 'also when it has no name any more');
  for (const each of [fd, opened, again]) await sys.close(each);
  t.equal(kernel.rootvnode.v_usecount, 3);
});

t.test('a file without a name stays usable', async (t) => {
  const { sys } = await boot(t);
  const fd = await sys.open('/f', O_RDWR | O_CREAT, 0o644);
  await sys.unlink('/f');
  await sys.write(fd, bytes('hello'));
  t.equal((await sys.fstat(fd)).st_nlink, 0);
  await sys.ftruncate(fd, 3);
  const buf = new Uint8Array(9);
  t.equal(await sys.pread(fd, buf, 0), 3);
  await sys.close(fd);
});

t.test('closing while a call is at work', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'abc');
  const fd = await sys.open('/f', O_RDWR);
  const buf = new Uint8Array(3);
  const [read] = await Promise.all([sys.read(fd, buf), sys.close(fd)]);
  t.equal(read, 3);
  await fails(t, sys.fstat(fd), 'EBADF');
});

t.test('lseek', async (t) => {
  const { sys } = await boot(t);
  const fd = await sys.open('/f', O_RDWR | O_CREAT, 0o644);
  await sys.pwrite(fd, bytes('end'), 200_000);
  t.equal(await sys.lseek(fd, -3, SEEK_END), 200_000);
  t.equal(await sys.lseek(fd, 7, SEEK_CUR), 200_007);
  await fails(t, sys.lseek(fd, -1, SEEK_SET), 'EINVAL');
  await fails(t, sys.lseek(fd, -300_000, SEEK_END), 'EINVAL');
  await fails(t, sys.lseek(fd, 0, 9), 'EINVAL');
  await fails(t, sys.lseek(fd, 1.5, SEEK_SET), 'EINVAL');
  t.equal(await sys.lseek(fd, 0, SEEK_CUR), 200_007, 'failures leave it');
  const data = await sys.lseek(fd, 0, SEEK_DATA);
  t.ok(data > 0 && data <= 200_000);
  t.equal(await sys.lseek(fd, 0, SEEK_HOLE), 0);
  t.equal(await sys.lseek(fd, 200_001, SEEK_HOLE), 200_003);
  await fails(t, sys.lseek(fd, 200_003, SEEK_DATA), 'ENXIO');
});

t.test('reading directories in pieces', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  const expected: string[] = [];
  for (let i = 0; i < 300; i++) {
    await writeFile(sys, `/d/f${i}`, '');
    expected.push(`f${i}`);
  }
  t.same(await names(sys, '/d'), expected.sort());
  const fd = await sys.open('/d', O_RDONLY);
  const all = await sys.getdents(fd, 1000);
  t.equal(all.length, 302);
  t.same(await sys.getdents(fd), []);
  await sys.lseek(fd, all[99]!.d_off, SEEK_SET);
  t.same((await sys.getdents(fd, 1))[0]!.d_name, all[100]!.d_name);
  t.same((await sys.getdents(fd, 2)).map((e) => e.d_name), [all[101]!.d_name, all[102]!.d_name]);
  await sys.lseek(fd, 0, SEEK_SET);
  t.equal((await sys.getdents(fd, 1))[0]!.d_name, '.');
  await fails(t, sys.getdents(await sys.open('/d/f0', O_RDONLY)), 'EINVAL');
  await fails(t, sys.getdents(fd, 0), 'EINVAL');
});

t.test('entries with their attributes', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await sys.mkdir('/d/sub', 0o700);
  await sys.mkdir('/d/covered', 0o755);
  for (let i = 0; i < 30; i++) await writeFile(sys, `/d/f${i}`, 'x'.repeat(i), 0o640);
  await sys.symlink('f1', '/d/link');
  await sys.mount('tmpfs', '/d/covered', 0, {});
  const fd = await sys.open('/d', O_RDONLY);
  const st = new Stat();
  const listed = new Map<string, string | null>();
  const one = async (as = sys, max = 7) => as.getdirentriesattr(fd, max, st, (entry, known) => {
    listed.set(entry.d_name, known ? `${st.st_ino} ${st.st_mode.toString(8)} ${st.st_size} ${st.st_nlink}` : null);
    return true;
  });
  const all = async (as = sys) => {
    await sys.lseek(fd, 0, SEEK_SET);
    listed.clear();
    while ((await one(as)) > 0);
  };
  await all();
  t.equal(listed.size, 35);
  for (const [name, said] of listed) {
    if (name === '.' || name === '..' || name === 'covered') {
      t.equal(said, null, `${name}: to be asked for`);
      continue;
    }
    const { st_ino, st_mode, st_size, st_nlink } = await sys.lstat(`/d/${name}`);
    t.equal(said, `${st_ino} ${st_mode.toString(8)} ${st_size} ${st_nlink}`, name);
  }

  await sys.lseek(fd, 0, SEEK_SET);
  const order: string[] = [];
  const upto = (n: number) =>
    sys.getdirentriesattr(fd, 100, st, (entry) => order.length < n && order.push(entry.d_name) > 0);
  t.equal(await upto(5), 5);
  t.equal(await upto(8), 3, 'goes on behind the last entry that was taken');
  t.equal(new Set(order).size, 8);

  await sys.chmod('/d', 0o644);
  await all(sys.withCred(1000, 100));
  t.same([...listed.values()].filter((said) => said !== null), [], 'who may not search learns names only');
  await all();
  t.ok(listed.get('f3'), 'the superuser may');
  await fails(t, sys.getdirentriesattr(await sys.open('/d/f0', O_RDONLY), 1, st, () => true), 'EINVAL');
  await fails(t, one(sys, 0), 'EINVAL');
  await sys.lseek(fd, 0, SEEK_SET);
  await fails(t, sys.getdirentriesattr(fd, 1, st, () => { throw errno(E.ENOMEM); }), 'ENOMEM');
  await sys.close(fd);
  await sys.unmount('/d/covered'); // nothing holds a reference
});

t.test('processes do not share descriptors; credentials of one process do', async (t) => {
  const { kernel, sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  const fd = await sys.open('/f', O_RDONLY);
  const p = kernel.newproc();
  await fails(t, p.fstat(fd), 'EBADF');
  const user = sys.withCred(5, 6, [7]);
  t.equal(user, sys.withCred(5, 6, [7]), 'remembered');
  t.not(user, sys.withCred(5, 6, [8]));
  t.not(user, sys.withCred(5, 6, [7], true));
  t.equal(user.withCred(0, 0), sys.withCred(0, 0));
  t.equal((await user.fstat(fd)).st_size, 1);
  for (let i = 0; i < 1000; i++) sys.withCred(i, i);
  t.not(user, sys.withCred(5, 6, [7]), 'but not for ever');
  const pfd = await p.open('/f', O_RDONLY);
  await p.exit();
  await fails(t, p.fstat(pfd), 'EBADF');
  t.equal(kernel.procs.size, 1);
  const used = kernel.rootvnode.v_usecount;
  await fails(t, p.stat('/f'), 'ENOTDIR', 'a call that comes too late');
  await fails(t, p.stat('f'), 'ENOTDIR');
  await fails(t, p.mkdir('/d', 0o755), 'ENOTDIR');
  await fails(t, p.__getcwd(), 'ENOENT');
  await p.exit();
  t.equal(kernel.rootvnode.v_usecount, used);
});
