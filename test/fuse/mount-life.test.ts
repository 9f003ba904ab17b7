import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readMountinfo, topMount } from '../../src/fuse/mount/mountinfo.js';
import { abortConnection } from '../../src/fuse/mount/unmount.js';
import { alive, ended, folder, mountFixture, sleep, until, whyNoMounts } from './fixtures/mounted.js';

const skip = whyNoMounts();

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

t.test(
  'what has to be written is written although nobody asks for anything, and then there is rest',
  { skip },
  async (t) => {
    const m = await mountFixture({ syncer_ms: 1500 });
    fs.writeFileSync(path.join(m.dir, 'x'), 'x');
    t.ok(await until(() => m.record().includes('synced')), 'the syncer ran');
    const switches = () =>
      /^voluntary_ctxt_switches:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${m.server()}/status`, 'latin1'))![1];
    // The last tick finds nothing to do.
    let before: string | undefined;
    const idle = async () => {
      before = switches();
      await sleep(1500);
      return switches() === before;
    };
    for (let tries = 0; !(await idle()) && tries < 100; tries++);
    t.equal(switches(), before, 'an idle server does not wake up');
    t.equal(fs.readFileSync(path.join(m.dir, 'x'), 'utf8'), 'x');
    await m.end();
  },
);

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
