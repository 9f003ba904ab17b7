/** Traits of a mount as programs see them through the host's own caches of names, attributes and content. */
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { FixtureArgs } from './fixtures/server.js';
import { mountFixture, sleep, until, whyNoMounts } from './fixtures/mounted.js';

const skip = whyNoMounts();

async function mounted(t: Test, fstype: FixtureArgs['fstype']): Promise<(...names: string[]) => string> {
  const m = await mountFixture({ fstype });
  t.teardown(() => m.end());
  return (...names) => path.join(m.dir, ...names);
}

function there(file: string): boolean {
  return fs.existsSync(file);
}

t.test('names that fold, behind a host that compares bytes', { skip }, async (t) => {
  const at = await mounted(t, 'foldfs');
  t.notOk(there(at('bar')));
  fs.writeFileSync(at('BAR'), 'one');
  t.equal(fs.readFileSync(at('bar'), 'utf8'), 'one', 'missing before, found by another spelling');
  t.equal(fs.statSync(at('Bar')).ino, fs.statSync(at('BAR')).ino);
  // Linux itself says that a rename between two names of one file has nothing to do, as it does on its own vfat.
  fs.renameSync(at('BAR'), at('bar'));
  t.same(fs.readdirSync(at()), ['BAR']);
  fs.renameSync(at('BAR'), at('other'));
  fs.renameSync(at('other'), at('bar'));
  t.same(fs.readdirSync(at()), ['bar'], 'another spelling by way of another name');
  // The host remembers bar, which is how the directory spells it; it must not after this.
  t.ok(there(at('bar')));
  fs.unlinkSync(at('BaR'));
  for (const name of ['bar', 'BAR', 'BaR']) t.notOk(there(at(name)), `${name} is gone`);
  fs.writeFileSync(at('x'), 'x');
  fs.writeFileSync(at('Y'), 'y');
  t.equal(fs.readFileSync(at('Y'), 'utf8'), 'y');
  fs.renameSync(at('x'), at('y'));
  t.same(fs.readdirSync(at()), ['y']);
  t.equal(fs.readFileSync(at('y'), 'utf8'), 'x');
  t.equal(fs.readFileSync(at('Y'), 'utf8'), 'x', 'the replaced file is not found by its old spelling');
  fs.mkdirSync(at('Dir'));
  fs.mkdirSync(at('dir', 'Sub'));
  t.ok(there(at('DIR', 'SUB')));
  fs.rmdirSync(at('DIR', 'sub'));
  t.notOk(there(at('Dir', 'Sub')));
  fs.rmdirSync(at('dIR'));
  t.notOk(there(at('Dir')));
  t.throws(() => fs.linkSync(at('y'), at('z')), { code: 'EPERM' });
  t.throws(() => fs.symlinkSync('y', at('z')), { code: 'EPERM' });
});

t.test('entries with a second name', { skip }, async (t) => {
  const at = await mounted(t, 'foldfs');
  t.notOk(there(at('@file')));
  fs.writeFileSync(at('file'), 'x');
  t.ok(there(at('@file')));
  fs.unlinkSync(at('file'));
  t.notOk(there(at('@file')));
  const longest = '\u4e2d'.repeat(255);
  fs.writeFileSync(at(longest), 'x');
  t.same(fs.readdirSync(at()), [longest], 'a name of 765 bytes');
  t.equal(fs.readFileSync(at(longest), 'utf8'), 'x');
  t.throws(() => fs.writeFileSync(at(`${longest}a`), 'x'), { code: 'ENAMETOOLONG' });
});

t.test('who waits for ever can be killed', { skip }, async (t) => {
  const at = await mounted(t, 'stuckfs');
  fs.writeFileSync(at('stuck'), '');
  fs.truncateSync(at('stuck'), 100);
  fs.writeFileSync(at('free'), 'y');
  // A write is a request that Linux waits for where a signal can end the wait; what a read waits for, only SIGKILL
  // ends.
  for (const [signal, args] of [
    ['SIGTERM', ['if=/dev/zero', `of=${at('stuck')}`, 'bs=1', 'count=1', 'conv=notrunc']],
    ['SIGKILL', [`if=${at('stuck')}`, 'of=/dev/null']],
  ] as const) {
    const user = spawn('dd', [...args, 'status=none'], { stdio: 'ignore' });
    const ended = new Promise<NodeJS.Signals | null>((resolve) => user.on('close', (_, by) => resolve(by)));
    await sleep(500);
    t.equal(user.exitCode, null, 'it waits');
    t.equal(execFileSync('cat', [at('free')], { encoding: 'utf8' }), 'y', 'others are served');
    user.kill(signal);
    t.equal(await ended, signal, `${signal} ends it`);
  }
});

t.test('what others change is seen at once', { skip }, async (t) => {
  const at = await mounted(t, 'sharedfs');
  /** Somebody else does something. */
  const elsewhere = (order: string) => fs.appendFileSync(at('.elsewhere'), order);
  fs.writeFileSync(at('.elsewhere'), '');
  t.notOk(there(at('f')));
  elsewhere('put f first');
  t.ok(await until(() => there(at('f'))), 'a name that the host took for missing');
  t.equal(fs.readFileSync(at('f'), 'utf8'), 'first');
  elsewhere('put f the-second');
  t.ok(await until(() => fs.readFileSync(at('f'), 'utf8') === 'the-second'), 'content that the host had read');
  t.equal(fs.statSync(at('f')).size, 10, 'attributes');
  elsewhere('remove f');
  t.ok(await until(() => !there(at('f'))), 'a name that the host knew');
});

t.test('a file keeps its identity wherever its entry lies', { skip }, async (t) => {
  const at = await mounted(t, 'movedfs');
  fs.writeFileSync(at('a'), 'a');
  const { ino } = fs.statSync(at('a'));
  const fd = fs.openSync(at('a'), 'r+');
  fs.mkdirSync(at('d'));
  fs.renameSync(at('a'), at('d', 'b'));
  fs.writeFileSync(at('a'), 'new');
  t.equal(fs.statSync(at('d', 'b')).ino, ino);
  fs.writeSync(fd, 'A', 0);
  fs.fsyncSync(fd);
  t.equal(fs.readFileSync(at('d', 'b'), 'utf8'), 'A');
  t.equal(fs.readFileSync(at('a'), 'utf8'), 'new');
  fs.closeSync(fd);
});
