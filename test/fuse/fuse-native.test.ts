import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import t from 'tap';
import { alive, mountFixture, until, whyNoMounts } from './fixtures/mounted.js';
import { readMountinfo, topMount } from '../../src/fuse/mount/mountinfo.js';

/** Loading it is the only way to know that libfuse 2 is there; that must not happen in this process. */
function whyNoPackage(): string | false {
  try {
    createRequire(import.meta.url).resolve('fuse-native');
  } catch {
    return 'the package fuse-native is not installed';
  }
  try {
    execFileSync(process.execPath, ['-e', 'require("fuse-native")'], { stdio: 'ignore' });
    execFileSync('sh', ['-c', 'command -v fusermount'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'fuse-native does not load (libfuse 2, or fusermount, is missing)';
  }
}

const skip = whyNoMounts() || whyNoPackage();
const code = (call: () => unknown) => {
  try {
    call();
    return 'no error';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

t.test('files through the fuse-native channel', { skip }, async (t) => {
  const m = await mountFixture({}, { source: '/a,b', suid: false }, 'fuse-native');
  t.teardown(() => m.end());
  const at = (...names: string[]) => path.join(m.dir, ...names);
  const top = topMount(readMountinfo(), m.dir)!;
  t.match(top, { fstype: 'fuse.rumpfuse', source: '/a,b' });
  t.ok(top.options.split(',').includes('nosuid'));

  const big = Buffer.alloc(3 * 1024 * 1024 + 5, 'abcdefghi');
  fs.writeFileSync(at('big'), big);
  t.ok(fs.readFileSync(at('big')).equals(big));
  fs.truncateSync(at('big'), 10);
  t.equal(fs.readFileSync(at('big'), 'utf8'), 'abcdefghia');
  fs.appendFileSync(at('big'), '!');
  t.equal(fs.statSync(at('big')).size, 11);
  fs.mkdirSync(at('d', 'ü'), { recursive: true });
  fs.renameSync(at('big'), at('d', 'ü', 'file'));
  fs.linkSync(at('d', 'ü', 'file'), at('hard'));
  t.equal(fs.statSync(at('hard')).nlink, 2);
  fs.symlinkSync('d/ü', at('soft'));
  t.same(fs.readdirSync(at('soft')), ['file']);
  fs.chmodSync(at('hard'), 0o640);
  fs.chownSync(at('hard'), 12, 34);
  t.match(fs.statSync(at('hard')), { uid: 12, gid: 34 });
  t.equal(fs.statSync(at('hard')).mode & 0o7777, 0o640);
  fs.utimesSync(at('hard'), 1_000_000_000, 1_000_000_000);
  t.equal(fs.statSync(at('hard')).mtimeMs, 1_000_000_000_000);
  execFileSync('mkfifo', [at('fifo')]);
  t.ok(fs.statSync(at('fifo')).isFIFO());
  t.equal(code(() => fs.rmdirSync(at('d'))), 'ENOTEMPTY');
  t.equal(code(() => fs.readFileSync(at('nothing'))), 'ENOENT');
  t.equal(code(() => fs.mkdirSync(at('d'))), 'EEXIST');
  const fd = fs.openSync(at('hard'), 'r+');
  fs.fsyncSync(fd);
  fs.unlinkSync(at('hard'));
  const buffer = Buffer.alloc(3);
  fs.readSync(fd, buffer, 0, 3, 0);
  t.equal(String(buffer), 'abc', 'removed while open');
  fs.closeSync(fd);
  for (let i = 0; i < 300; i++) fs.writeFileSync(at(`many-${i}`), '');
  t.equal(fs.readdirSync(m.dir).length, 303);
  const statfs = fs.statfsSync(m.dir);
  t.ok(statfs.blocks > 0);
  execFileSync('rm', ['-r', at('d')]);
});

t.test('its end', { skip }, async (t) => {
  for (const how of ['umount', 'SIGTERM', 'SIGKILL']) {
    const m = await mountFixture({}, {}, 'fuse-native');
    const server = m.server();
    fs.writeFileSync(path.join(m.dir, 'x'), 'x');
    if (how === 'umount') execFileSync('umount', [m.dir]);
    else if (how === 'SIGTERM') process.kill(m.pid, 'SIGTERM');
    else process.kill(server, 'SIGKILL');
    t.ok(await until(() => !alive(m.pid) && !alive(server)), how);
    t.notOk(m.isMounted());
    if (how !== 'SIGKILL') t.equal(m.record().at(-1), 'closed');
    await m.end();
  }
});
