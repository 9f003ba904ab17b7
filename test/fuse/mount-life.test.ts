import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { MountFailure } from '../../src/fuse/mount/failure.js';
import { readMountinfo, topMount } from '../../src/fuse/mount/mountinfo.js';
import { abortConnection, unmount } from '../../src/fuse/mount/unmount.js';
import { alive, folder, mountFixture, sleep, until, whyNoMounts } from './fixtures/mounted.js';
import type { Mounted } from './fixtures/mounted.js';

const skip = whyNoMounts();

/** Supervisor and server are gone, the mount point is free, everything was written. */
async function ended(t: Test, m: Mounted, server: number, closed = true): Promise<void> {
  t.ok(await until(() => !m.isMounted()), 'unmounted');
  t.ok(await until(() => !alive(server)), 'the server is gone');
  t.ok(await until(() => !alive(m.pid)), 'the supervisor is gone');
  if (closed) t.equal(m.record().at(-1), 'closed', 'the volume was closed');
  t.same(fs.readdirSync(m.dir), [], 'the mount point is free');
}

async function failure(promise: Promise<unknown>): Promise<MountFailure> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MountFailure) return error;
    throw error;
  }
  throw new Error('no error');
}

t.test('umount from outside', { skip }, async (t) => {
  const m = await mountFixture();
  const server = m.server();
  fs.writeFileSync(path.join(m.dir, 'x'), 'x');
  t.match(topMount(readMountinfo(), m.dir), { fstype: 'fuse.rumpfuse', source: 'rumpfuse-test', device: m.device });
  t.equal(fs.readFileSync(`/sys/class/bdi/${m.device}/read_ahead_kb`, 'utf8').trim(), '1024');
  execFileSync('umount', [m.dir]);
  await ended(t, m, server);
  await m.end();
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  t.test(`${signal} to the supervisor`, { skip }, async (t) => {
    const m = await mountFixture();
    const server = m.server();
    process.kill(m.pid, signal);
    await ended(t, m, server);
    await m.end();
  });
}

t.test('a signal while the mount is in use: detached, ends with its last user', { skip }, async (t) => {
  const m = await mountFixture();
  const server = m.server();
  fs.writeFileSync(path.join(m.dir, 'file'), 'content');
  const fd = fs.openSync(path.join(m.dir, 'file'), 'r+');
  process.kill(m.pid, 'SIGTERM');
  t.ok(await until(() => !m.isMounted()), 'the mount point is free');
  t.ok(alive(m.pid) && alive(server));
  const buffer = Buffer.alloc(7);
  fs.readSync(fd, buffer, 0, 7, 0);
  t.equal(String(buffer), 'content', 'who has a file open can use it');
  fs.writeSync(fd, 'CONTENT', 0);
  fs.closeSync(fd);
  await ended(t, m, server);
  await m.end();
});

t.test('signals again and again cut the connection', { skip }, async (t) => {
  const m = await mountFixture();
  const server = m.server();
  fs.writeFileSync(path.join(m.dir, 'file'), 'content');
  const fd = fs.openSync(path.join(m.dir, 'file'), 'r+');
  for (let i = 0; i < 4 && alive(m.pid); i++) {
    process.kill(m.pid, 'SIGTERM');
    await sleep(200);
  }
  t.throws(() => fs.fsyncSync(fd), 'who has a file open gets an error');
  fs.closeSync(fd);
  await ended(t, m, server);
  await m.end();
});

t.test('SIGTERM to the server', { skip }, async (t) => {
  const m = await mountFixture();
  const server = m.server();
  await sleep(300); // it blocks in a read
  process.kill(server, 'SIGTERM');
  await ended(t, m, server);
  await m.end();
});

t.test('the server dies', { skip }, async (t) => {
  const m = await mountFixture();
  const server = m.server();
  process.kill(server, 'SIGKILL');
  await ended(t, m, server, false);
  await m.end();
});

t.test('the supervisor dies', { skip }, async (t) => {
  const m = await mountFixture();
  const server = m.server();
  fs.writeFileSync(path.join(m.dir, 'x'), 'x');
  await sleep(300);
  process.kill(m.pid, 'SIGKILL');
  await ended(t, m, server);
  await m.end();
});

t.test('the connection is aborted', { skip }, async (t) => {
  const m = await mountFixture();
  const server = m.server();
  t.ok(abortConnection(m.device));
  await ended(t, m, server);
  await m.end();
});

t.test('what has to be written is written although nobody asks for anything, and then there is rest', { skip }, async (t) => {
  const m = await mountFixture({ syncer_ms: 1500 });
  fs.writeFileSync(path.join(m.dir, 'x'), 'x');
  t.notOk(m.record().includes('synced'));
  t.ok(await until(() => m.record().includes('synced'), 6000), 'the syncer ran');
  await sleep(1200); // the last tick finds nothing to do
  const switches = () => /^voluntary_ctxt_switches:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${m.server()}/status`, 'latin1'))![1];
  const before = switches();
  await sleep(1500);
  t.equal(switches(), before, 'an idle server does not wake up');
  t.equal(fs.readFileSync(path.join(m.dir, 'x'), 'utf8'), 'x');
  await m.end();
});

t.test('names that are hard to mount', { skip }, async (t) => {
  for (const source of ['/a,b,ro', 'back\\slash and space', 'Gemüse\ttab', 'LABEL=x', '-o']) {
    const m = await mountFixture({}, { source });
    t.equal(topMount(readMountinfo(), m.dir)!.source, source.replace('LABEL=', './LABEL='));
    t.notOk(topMount(readMountinfo(), m.dir)!.options.split(',').includes('ro'), 'no option slipped in');
    await m.end();
  }
});

t.test('mount options reach the host', { skip }, async (t) => {
  const m = await mountFixture({}, { suid: false, dev: false, exec: false, noatime: true, readonly: true, max_read: 65536 });
  const options = topMount(readMountinfo(), m.dir)!.options.split(',');
  for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'default_permissions', 'allow_other', 'max_read=65536']) t.ok(options.includes(option), option);
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
  t.match(await failure(mountFixture({}, { source, mountpoint: path.join(base, 'missing') })), { message: /does not exist/, code: 'ENOENT' });
  fs.writeFileSync(path.join(base, 'file'), '');
  t.match(await failure(mountFixture({}, { source, mountpoint: path.join(base, 'file') })), { message: /is not a directory/, code: 'ENOTDIR' });
  t.match(await failure(mountFixture({ fail: 'no such volume: try another' }, { source })), { message: 'no such volume: try another' });
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
  t.match(await failure(Promise.resolve().then(() => unmount(device))), { message: /covered by another mount \(on-top/, code: 'EBUSY' });
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
  const first = await mountFixture({ close_ms: 1000 });
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

t.test('a bind mount is the same mount', { skip }, async (t) => {
  const m = await mountFixture();
  const other = folder();
  const server = m.server();
  execFileSync('mount', ['--bind', m.dir, other]);
  process.kill(m.pid, 'SIGTERM');
  await ended(t, m, server);
  fs.rmdirSync(other);
  await m.end();
});
