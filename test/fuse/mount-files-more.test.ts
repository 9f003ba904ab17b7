import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { code, filesOnMount, lockHolder, sh } from './fixtures/files.js';
import { mountFixture, sleep, until, whyNoMounts } from './fixtures/mounted.js';

const skip = whyNoMounts();

t.test('files on a real mount, with a writeback cache', { skip }, (t) => filesOnMount(t, { writeback_cache: true }));
t.test('without timeouts', { skip }, (t) => filesOnMount(t, { timeouts: { entry: 0, attr: 0, negative: 0 } }));

t.test('locks that the kernel keeps', { skip }, async (t) => {
  const m = await mountFixture({ serve: { remote_locks: true } });
  t.teardown(() => m.end());
  fs.writeFileSync(path.join(m.dir, 'lock'), '');
  const holder = await lockHolder(m.dir);
  t.not(code(() => sh('flock -n lock true', m.dir)), 'no error', 'held');
  t.not(code(() => sh('flock -w 0.1 lock true', m.dir)), 'no error', 'waiting can be interrupted');
  fs.writeFileSync(path.join(m.dir, 'other'), 'meanwhile');
  t.equal(holder.exitCode, null, 'others are served meanwhile');
  const next = spawn('flock', ['lock', 'true'], { cwd: m.dir });
  holder.stdin.end();
  t.ok(await until(() => next.exitCode === 0), 'who waits for the lock gets it when it is free');
  const victim = await lockHolder(m.dir);
  const waiter = spawn('flock', ['lock', 'true'], { cwd: m.dir });
  await sleep(50);
  waiter.kill('SIGKILL');
  victim.kill('SIGKILL'); // its child still has the descriptor
  execFileSync('sh', [
    '-c',
    'for p in /proc/[0-9]*; do if [ "$(readlink $p/cwd)" = "$1" ]; then kill -9 ${p#/proc/}; fi; done',
    'sh',
    m.dir,
  ]);
  await sleep(50);
  sh('flock -w 3 lock true', m.dir);
  t.pass('locks of killed processes are dropped');
});
