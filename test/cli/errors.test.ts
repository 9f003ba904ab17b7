import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { truncateSync } from 'node:fs';
import t, { type Test } from 'tap';
import { RUMPFUSE, Workplace, noMount, rumpfuse, run } from './support.js';

/** Bad input gets one clear line on standard error and a non-zero exit; nothing is left behind. */
const place = new Workplace();
t.teardown(() => place.end());
t.setTimeout(0); // on a busy machine each command may take seconds

async function refused(t: Test, args: string[], status: number, says: RegExp): Promise<void> {
  const outcome = await rumpfuse(...args);
  t.equal(outcome.status, status, `rumpfuse ${args.join(' ')}: exit status`);
  t.match(outcome.stderr, says, 'what it says');
  t.equal(outcome.stderr.trimEnd().split('\n').length, 1, `one line, not: ${outcome.stderr}`);
  t.equal(outcome.stdout, '', 'nothing on standard output');
}

t.before(async () => {
  const made = await rumpfuse('newfs', '-s', '16m', place.path('good.img'));
  if (made.status !== 0) throw new Error(made.stderr);
});

t.test('what cannot be mounted', async (t) => {
  const mnt = place.folder('mnt');
  const good = place.path('good.img');
  place.file('empty.img', '');
  place.file('noise.img', Buffer.alloc(200_000, 'noise'));
  await run('cp', [good, place.path('short.img')]);
  truncateSync(place.path('short.img'), 300_000);
  await refused(t, ['mount', place.path('nothing.img'), mnt], 32, /nothing\.img: no such file/);
  await refused(t, ['mount', mnt, mnt], 32, /is a directory: an image file or a block device is needed/);
  await refused(t, ['mount', place.path('empty.img'), mnt], 32, /is empty/);
  await refused(t, ['mount', place.path('noise.img'), mnt], 32, /no file system that rumpfuse knows/);
  await refused(t, ['mount', place.path('short.img'), mnt], 32, /cut off/);
  await refused(t, ['mount', '/dev/null', mnt], 32, /character device/);
  await refused(t, ['mount', '--partition', '3', good, mnt], 32, /no partition table/);
  await refused(t, ['mount', '--offset', '4g', good, mnt], 32, /has only \d+ bytes/);
  await refused(t, ['mount', '--offset', 'x', good, mnt], 1, /'x' is no size/);
  await refused(t, ['mount', good, place.path('nowhere')], 32, /mount point .* does not exist/);
  await refused(t, ['mount', good, good], 32, /not a directory/);
});

t.test('wrong use', async (t) => {
  const good = place.path('good.img');
  await refused(t, ['mount', '-o', 'frobnicate', good, place.folder('mnt')], 1, /-o frobnicate: no such option/);
  await refused(t, ['mount', '-t', 'ext9', good, place.folder('mnt')], 1, /no such file system; there are ffs/);
  await refused(t, ['mount', '--frobnicate', good, place.folder('mnt')], 1, /frobnicate/);
  await refused(t, ['frobnicate'], 1, /frobnicate/);
  await refused(t, [], 1, /which command/);
  await refused(t, ['mount', good], 1, /argument/);
  await refused(t, ['umount', place.folder('mnt')], 32, /is not mounted by rumpfuse/);
  await refused(t, ['newfs', place.path('new.img')], 1, /give its size/);
  await refused(t, ['newfs', '-s', '16m', '-b', '5000', place.path('new2.img')], 1, /5000/);
  await refused(t, ['newfs', good], 1, /good\.img holds a volume of FFSv2 .*--force/);
  await refused(t, ['newfs', '-s', '16m', '--from', '/nonexistent', place.path('new3.img')], 1, /no such directory/);
  await refused(t, ['fsck', '-b', 'first', good], 1, /-b: a number is needed/);
  await refused(t, ['umount', '--timeout', 'long', place.folder('mnt')], 1, /--timeout: a number is needed/);
});

t.test('the mount point is busy', { skip: noMount ?? false }, async (t) => {
  const mnt = place.folder('busy');
  const good = place.path('good.img');
  t.equal((await rumpfuse('mount', good, mnt)).status, 0);
  await refused(t, ['mount', good, mnt], 32, /in use|being written|busy/i);
  t.equal((await rumpfuse('newfs', '-s', '16m', place.path('other.img'))).status, 0);
  await refused(t, ['mount', place.path('other.img'), mnt], 32, /busy/);
  const user = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 3600000); console.log("here")'], {
    cwd: mnt,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(user.stdout, 'data');
  await refused(t, ['umount', mnt], 32, /is in use/);
  user.kill();
  await once(user, 'exit');
  t.equal((await rumpfuse('umount', mnt)).status, 0);
});

t.test('no /dev/fuse', { skip: noMount ?? false }, async (t) => {
  const mnt = place.folder('nodev');
  const good = place.path('good.img');
  // In a mount namespace of its own, where /dev is empty.
  const outcome = await run('unshare', [
    '-m',
    'sh',
    '-c',
    `mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && exec ` +
      `${process.execPath} ${RUMPFUSE} mount ${good} ${mnt}`,
  ]);
  t.equal(outcome.status, 32);
  t.match(outcome.stderr, /\/dev\/fuse is missing.*modprobe fuse/);
});
