/** What the VFS layer does about the traits of a mount, shown with the toy drivers. */
import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { toys } from '../../testing/toys/index.js';
import { EXTATTR_NAMESPACE_USER, O_CREAT, O_PATH, O_RDONLY, O_RDWR, RENAME_NOREPLACE } from '../../src/kernel/fcntl.js';
import { S_IFIFO } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import type { Change } from '../../src/kernel/vfs/changes.js';
import { boot, bytes, fails, names, readFile, text, writeFile } from './support.js';

async function mounted(t: Parameters<typeof boot>[0], type: string): Promise<RumpSys> {
  const { sys } = await boot(t, toys);
  await sys.mkdir('/m', 0o755);
  await sys.mount(type, '/m', 0, {});
  return sys;
}

t.test('names that fold', async (t) => {
  const sys = await mounted(t, 'foldfs');
  await fails(t, sys.stat('/m/bar'), 'ENOENT');
  await writeFile(sys, '/m/BAR', 'one');
  t.equal(
    await readFile(sys, '/m/bar'),
    'one',
    'a name known to be missing is found when another spelling of it is made',
  );
  t.same(await names(sys, '/m'), ['BAR'], 'the directory keeps the spelling');
  t.equal((await sys.stat('/m/bAr')).st_ino, (await sys.stat('/m/BAR')).st_ino, 'one file');
  await fails(t, sys.open('/m/Bar', O_CREAT | O_RDWR | 0x800, 0o644), 'EEXIST', 'exclusive create of another spelling');

  await sys.rename('/m/BAR', '/m/bar');
  t.same(await names(sys, '/m'), ['bar'], 'a rename that changes the spelling reaches the driver');
  await sys.renameat2(-100, '/m/bar', -100, '/m/Bar', RENAME_NOREPLACE);
  t.same(await names(sys, '/m'), ['Bar'], 'also one that may replace nothing');

  const fd = await sys.open('/m/bar', O_RDONLY);
  await sys.unlink('/m/baR');
  for (const name of ['bar', 'Bar', 'BAR', 'baR']) await fails(t, sys.stat(`/m/${name}`), 'ENOENT', `${name} is gone`);
  const buf = new Uint8Array(10);
  t.equal(text(buf.subarray(0, await sys.read(fd, buf))), 'one', 'the open file is there');
  await sys.close(fd);
});

t.test('names that fold: renames over others, directories, where one is', async (t) => {
  const sys = await mounted(t, 'foldfs');
  await writeFile(sys, '/m/a', 'a');
  await writeFile(sys, '/m/B', 'b');
  t.equal(await readFile(sys, '/m/b'), 'b');
  await sys.rename('/m/A', '/m/b');
  t.same(await names(sys, '/m'), ['b']);
  t.equal(await readFile(sys, '/m/B'), 'a', 'what was remembered of the replaced file is forgotten');
  await fails(t, sys.stat('/m/a'), 'ENOENT');
  await sys.mkdir('/m/Dir', 0o755);
  await sys.mkdir('/m/dir/Sub', 0o755);
  await sys.chdir('/m/DIR/sub');
  t.equal(
    text(await sys.__getcwd()),
    '/m/Dir/Sub',
    'the path of the current directory is spelled as the directories spell it',
  );
  await sys.rename('/m/dir', '/m/DIR');
  t.equal(text(await sys.__getcwd()), '/m/DIR/Sub');
  const d = await sys.open('/m', O_PATH);
  t.equal(await sys.isspelled(d, 'DIR'), true);
  t.equal(await sys.isspelled(d, 'dir'), false);
  await sys.close(d);
});

t.test('entries with a second name', async (t) => {
  const sys = await mounted(t, 'foldfs');
  await fails(t, sys.stat('/m/@long'), 'ENOENT');
  await writeFile(sys, '/m/long', 'x');
  t.equal(await readFile(sys, '/m/@LONG'), 'x', 'the second name is not taken for missing because it was');
  await sys.unlink('/m/LONG');
  await fails(t, sys.stat('/m/@long'), 'ENOENT', 'with the file both names go');
});

t.test('names in units of the format', async (t) => {
  const sys = await mounted(t, 'foldfs');
  const longest = '\u4e2d'.repeat(255);
  await writeFile(sys, `/m/${longest}`, 'x');
  t.equal(bytes(longest).length, 765);
  t.equal(await readFile(sys, `/m/${longest}`), 'x', 'a name of 255 UTF-16 units, 765 bytes of UTF-8');
  await fails(t, writeFile(sys, `/m/${longest}a`, 'x'), 'ENAMETOOLONG');
  const bad = Uint8Array.of(...bytes('/m/'), 0xff);
  await fails(t, sys.stat(bad), 'ENOENT', 'what is no UTF-8 is not there');
  await fails(t, sys.open(bad, O_CREAT | O_RDWR, 0o644), 'EILSEQ', 'and cannot be made');
  await fails(t, sys.rename(`/m/${longest}`, bad), 'EILSEQ');
  await fails(t, writeFile(sys, `/${'x'.repeat(256)}`, 'x'), 'ENAMETOOLONG', 'elsewhere bytes count');
});

t.test('what a format cannot keep is refused', async (t) => {
  const sys = await mounted(t, 'foldfs');
  await writeFile(sys, '/m/f', 'x');
  await fails(t, sys.link('/m/f', '/m/g'), 'EPERM');
  await fails(t, sys.symlink('f', '/m/g'), 'EPERM');
  await fails(t, sys.mknod('/m/g', S_IFIFO | 0o644, 0n), 'EPERM');
});

t.test('a call can be given up', async (t) => {
  const sys = await mounted(t, 'stuckfs');
  await writeFile(sys, '/m/free', 'x');
  const fd = await sys.open('/m/stuck', O_CREAT | O_RDWR, 0o644);
  const stop = new AbortController();
  const reading = sys.withSignal(stop.signal).read(fd, new Uint8Array(1));
  t.equal(await readFile(sys, '/m/free'), 'x', 'others go on');
  stop.abort();
  await fails(t, reading, 'EINTR');
  await fails(
    t,
    sys.withSignal(stop.signal).read(fd, new Uint8Array(1)),
    'EINTR',
    'also one that was given up before it began',
  );
  await sys.close(fd);
});

t.test('a volume that others change', async (t) => {
  const sys = await mounted(t, 'sharedfs');
  const heard: Change[] = [];
  sys.onchange((change) => heard.push(change));
  await writeFile(sys, '/m/.elsewhere', '');
  await fails(t, sys.stat('/m/f'), 'ENOENT');
  await writeFile(sys, '/m/.elsewhere', 'put f hello');
  t.equal(await readFile(sys, '/m/f'), 'hello', 'a missing name is looked up again');
  t.same(heard.map((change) => change.kind), ['file', 'name'], 'who serves the mount is told');
  await writeFile(sys, '/m/.elsewhere', 'remove f');
  await fails(t, sys.stat('/m/f'), 'ENOENT');
});

t.test('files that are called by places', async (t) => {
  const sys = await mounted(t, 'movedfs');
  await writeFile(sys, '/m/a', 'a');
  const fh = await sys.getfh('/m/a');
  const before = await sys.stat('/m/a');
  const fd = await sys.open('/m/a', O_RDONLY);
  await sys.rename('/m/a', '/m/b');
  await writeFile(sys, '/m/a', 'new');
  await sys.rename('/m/b', '/m/c');
  t.equal((await sys.fhstat(fh)).st_ino, before.st_ino, 'the handle finds the file wherever it went');
  t.equal((await sys.stat('/m/c')).st_ino, before.st_ino, 'it keeps its number');
  t.equal(await readFile(sys, '/m/c'), 'a');
  t.equal(await readFile(sys, '/m/a'), 'new');
  const buf = new Uint8Array(4);
  t.equal(text(buf.subarray(0, await sys.pread(fd, buf, 0))), 'a', 'and its users');
  await sys.close(fd);
});

t.test('attributes in pieces, where the driver only takes whole ones', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  const fd = await sys.open('/f', O_RDWR);
  const NS = EXTATTR_NAMESPACE_USER;
  await sys.extattr_set_fd(fd, NS, 'stream', bytes('0123456789'));
  const buf = new Uint8Array(4);
  t.equal(await sys.extattr_pread_fd(fd, NS, 'stream', buf, 3), 4);
  t.equal(text(buf), '3456');
  t.equal(await sys.extattr_pread_fd(fd, NS, 'stream', buf, 8), 2, 'less at the end');
  t.equal(await sys.extattr_pwrite_fd(fd, NS, 'stream', bytes('abcd'), 8), 4);
  t.equal(await sys.extattr_size_fd(fd, NS, 'stream'), 12);
  t.equal(text(await sys.extattr_get_fd(fd, NS, 'stream')), '01234567abcd');
  await fails(t, sys.extattr_pwrite_fd(fd, NS, 'none', bytes('a'), 0), 'ENOATTR');
  await sys.close(fd);
});

t.test('places in a directory have 64 bits', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/d/a', '');
  const fd = await sys.open('/d', O_RDONLY);
  await sys.lseek(fd, 2n ** 64n - 1n, 0);
  t.same(await sys.getdents(fd), [], 'behind everything');
  await sys.lseek(fd, 0, 0);
  t.equal((await sys.getdents(fd)).length, 3);
  await fails(t, sys.lseek(fd, 2n ** 64n, 0), 'EINVAL');
  await fails(t, sys.lseek(fd, 1, 1), 'EINVAL', 'a place is no number to add to');
  await sys.close(fd);
});

t.test('a volume on two disks', async (t) => {
  const { kernel, sys } = await boot(t, toys);
  await sys.mkdir('/m', 0o755);
  const [first, second] = [1, 2].map(() => new MemoryDevice({ size_bytes: 65536 })) as [MemoryDevice, MemoryDevice];
  await fails(t, sys.mount('pairfs', '/m', 0, { fspec: first }), 'EINVAL', 'one is not enough');
  await sys.mount('pairfs', '/m', 0, { fspec: first, disks: new Map([['second', second]]) });
  await sys.mkdir('/n', 0o755);
  await fails(t, sys.mount('tmpfs', '/n', 0, { fspec: second }), 'EBUSY', 'the second one is in use, too');
  const fd = await sys.open('/m/both', O_RDWR);
  const content = Uint8Array.from({ length: 131072 }, (_, i) => i >> 12);
  await sys.pwrite(fd, content, 0);
  await sys.close(fd);
  const sector = new Uint8Array(512);
  for (const [disk, at, stripe] of [[first, 0, 0], [second, 0, 1], [first, 4096, 2], [second, 61440, 31]] as const) {
    await disk.read(sector, 0, 512, at);
    t.equal(sector[0], stripe);
  }
  await sys.unmount('/m', 0);
  await sys.mount('pairfs', '/m', 0, { fspec: first, disks: new Map([['second', second]]) });
  const again = await sys.open('/m/both', O_RDONLY);
  const buf = new Uint8Array(131072);
  t.equal(await sys.pread(again, buf, 0), 131072);
  t.same(buf, content);
  await sys.close(again);
  await kernel.sys.unmount('/m', 0);
});
