import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { MountFailure } from '../../src/fuse/mount/failure.js';
import { readMountinfo, topMount } from '../../src/fuse/mount/mountinfo.js';
import { unmount } from '../../src/fuse/mount/unmount.js';
import { alive, ended, folder, mountFixture, sleep, until, whyNoMounts } from './fixtures/mounted.js';

const skip = whyNoMounts();

async function failure(promise: Promise<unknown>): Promise<MountFailure> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MountFailure) return error;
    throw error;
  }
  throw new Error('no error');
}

t.test('names that are hard to mount', { skip }, async (t) => {
  for (const source of ['/a,b,ro', 'back\\slash and space', 'Gemüse\ttab', 'LABEL=x', '-o']) {
    const m = await mountFixture({}, { source });
    t.equal(topMount(readMountinfo(), m.dir)!.source, source);
    t.notOk(topMount(readMountinfo(), m.dir)!.options.split(',').includes('ro'), 'no option slipped in');
    await m.end();
  }
});

t.test('mount options reach the host', { skip }, async (t) => {
  const m = await mountFixture(
    {},
    { suid: false, dev: false, exec: false, noatime: true, readonly: true, max_read: 65536 },
  );
  const options = topMount(readMountinfo(), m.dir)!.options.split(',');
  for (const option of [
    'ro',
    'nosuid',
    'nodev',
    'noexec',
    'noatime',
    'default_permissions',
    'allow_other',
    'max_read=65536',
  ]) {
    t.ok(options.includes(option), option);
  }
  t.throws(() => fs.writeFileSync(path.join(m.dir, 'x'), ''), { code: 'EROFS' });
  await m.end();
});

t.test('a volume that turns out to be read-only is mounted so', { skip }, async (t) => {
  const m = await mountFixture({ readonly: true });
  t.equal(m.readonly, true);
  t.ok(topMount(readMountinfo(), m.dir)!.options.split(',').includes('ro'));
  await m.end();
});

t.test('what cannot be mounted says why, in one line, and leaves nothing behind', { skip }, async (t) => {
  const source = `unmountable-${process.pid}`;
  const base = folder();
  t.match(await failure(mountFixture({}, { source, mountpoint: path.join(base, 'missing') })), {
    message: /does not exist/,
    code: 'ENOENT',
  });
  fs.writeFileSync(path.join(base, 'file'), '');
  t.match(await failure(mountFixture({}, { source, mountpoint: path.join(base, 'file') })), {
    message: /is not a directory/,
    code: 'ENOTDIR',
  });
  t.match(await failure(mountFixture({ fail: 'no such volume: try another' }, { source })), {
    message: 'no such volume: try another',
  });
  t.match(await failure(mountFixture({ fstype: 'nofs' as 'tmpfs' }, { source })), { message: /^[^\n]+$/ }, 'no driver');
  const m = await mountFixture();
  t.match(await failure(mountFixture({}, { source, mountpoint: m.dir })), { message: /busy.*already/, code: 'EBUSY' });
  await m.end();
  fs.rmSync(base, { recursive: true });
  t.notOk(readMountinfo().some((mount) => mount.source === source));
});

t.test('unmounting never takes another mount', { skip }, async (t) => {
  const m = await mountFixture();
  const { device } = m;
  const server = m.server();
  execFileSync('mount', ['-t', 'tmpfs', 'on-top', m.dir]);
  t.match(await failure(Promise.resolve().then(() => unmount(device))), {
    message: /covered by another mount \(on-top/,
    code: 'EBUSY',
  });
  t.equal(topMount(readMountinfo(), m.dir)!.source, 'on-top', 'it is still there');
  execFileSync('umount', [m.dir]);
  unmount(device);
  await ended(t, m, server);
  execFileSync('mount', ['-t', 'tmpfs', 'later', m.dir]); // the host gives it the number that has become free
  unmount(device);
  t.equal(topMount(readMountinfo(), m.dir)!.source, 'later', 'a later mount stays');
  execFileSync('umount', [m.dir]);
});

t.test('a supervisor whose mount has gone leaves the next one alone', { skip }, async (t) => {
  const first = await mountFixture({ close_ms: 4000 });
  const server = first.server();
  unmount(first.device);
  t.ok(alive(first.pid), 'it waits for its server to write');
  const second = await mountFixture({}, { mountpoint: first.dir });
  process.kill(first.pid, 'SIGTERM');
  t.ok(await until(() => !alive(first.pid) && !alive(server)));
  t.equal(first.record().at(-1), 'closed');
  await sleep(100);
  t.ok(second.isMounted(), 'although it may have the same number and place');
  fs.writeFileSync(path.join(first.dir, 'x'), 'x');
  await second.end();
  await first.end();
});

t.test('unmounting what is in use fails, and says so', { skip }, async (t) => {
  const m = await mountFixture();
  const sleeper = spawn('sleep', ['60'], { cwd: m.dir });
  await sleep(50);
  t.match(await failure(Promise.resolve().then(() => unmount(m.device))), { code: 'EBUSY', message: /is in use/ });
  t.ok(m.isMounted());
  sleeper.kill('SIGKILL');
  await new Promise((resolve) => sleeper.once('exit', resolve));
  const server = m.server();
  unmount(m.device);
  await ended(t, m, server);
  await m.end();
});
