import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { mountFixture, sleep, until, whyNoMounts } from './fixtures/mounted.js';
import type { FixtureArgs } from './fixtures/server.js';

const sh = (command: string, cwd: string) => execFileSync('sh', ['-ec', command], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const code = (call: () => unknown) => {
  try {
    call();
    return 'no error';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

const VARIANTS: Record<string, FixtureArgs['serve']> = { 'by node': {}, 'with handles': { handles: true }, 'with a writeback cache': { writeback_cache: true }, 'without timeouts': { timeouts: { entry: 0, attr: 0, negative: 0 } } };

for (const [name, serve] of Object.entries(VARIANTS)) {
  t.test(`files on a real mount, ${name}`, { skip: whyNoMounts() }, async (t) => {
    const m = await mountFixture({ ...(serve !== undefined ? { serve } : {}) });
    t.teardown(() => m.end());
    const at = (...names: string[]) => path.join(m.dir, ...names);

    t.test('what is written is read', (t) => {
      fs.writeFileSync(at('small'), 'hello\n');
      t.equal(fs.readFileSync(at('small'), 'utf8'), 'hello\n');
      fs.appendFileSync(at('small'), 'more\n');
      t.equal(fs.readFileSync(at('small'), 'utf8'), 'hello\nmore\n');
      fs.writeFileSync(at('small'), 'x');
      t.equal(fs.readFileSync(at('small'), 'utf8'), 'x', 'O_TRUNC');
      const big = Buffer.alloc(5 * 1024 * 1024 + 17);
      for (let i = 0; i < big.length; i += 4) big.writeUInt32LE((i * 2654435761) >>> 0, Math.min(i, big.length - 4));
      fs.writeFileSync(at('big'), big);
      t.ok(fs.readFileSync(at('big')).equals(big), 'through the page cache');
      sh('sync; dd if=big of=/dev/null iflag=nocache count=0 2>/dev/null', m.dir);
      t.ok(fs.readFileSync(at('big')).equals(big), 'from the server');
      fs.truncateSync(at('big'), 100);
      t.ok(fs.readFileSync(at('big')).equals(big.subarray(0, 100)));
      fs.truncateSync(at('big'), 5000);
      t.ok(fs.readFileSync(at('big')).equals(Buffer.concat([big.subarray(0, 100), Buffer.alloc(4900)])), 'a hole reads as zeros');
      const fd = fs.openSync(at('big'), 'r+');
      fs.writeSync(fd, 'patch', 4998);
      fs.fsyncSync(fd);
      fs.fdatasyncSync(fd);
      fs.closeSync(fd);
      t.equal(fs.statSync(at('big')).size, 5003);
      t.end();
    });

    t.test('removed while open', (t) => {
      const fd = fs.openSync(at('open'), 'wx+');
      fs.writeSync(fd, 'content');
      fs.unlinkSync(at('open'));
      t.equal(fs.fstatSync(fd).nlink, 0);
      fs.writeSync(fd, '!', 7);
      const buffer = Buffer.alloc(20);
      t.equal(buffer.toString('utf8', 0, fs.readSync(fd, buffer, 0, 20, 0)), 'content!');
      fs.ftruncateSync(fd, 3);
      t.equal(fs.fstatSync(fd).size, 3);
      fs.fchmodSync(fd, 0o600);
      fs.closeSync(fd);
      fs.writeFileSync(at('a'), 'a');
      fs.writeFileSync(at('b'), 'b');
      const old = fs.openSync(at('b'), 'r');
      fs.renameSync(at('a'), at('b'));
      t.equal(buffer.toString('utf8', 0, fs.readSync(old, buffer, 0, 20, 0)), 'b', 'and replaced while open');
      fs.closeSync(old);
      t.equal(fs.readFileSync(at('b'), 'utf8'), 'a');
      t.end();
    });

    t.test('names, links, directories', (t) => {
      fs.mkdirSync(at('d', 'e', 'f'), { recursive: true });
      fs.writeFileSync(at('d', 'e', 'f', 'ü \t☃'), 'x');
      fs.linkSync(at('d', 'e', 'f', 'ü \t☃'), at('d', 'hard'));
      fs.symlinkSync('e/f', at('d', 'soft'));
      t.same(fs.readdirSync(at('d', 'soft')), ['ü \t☃']);
      t.equal(fs.statSync(at('d', 'hard')).nlink, 2);
      t.equal(fs.statSync(at('d', 'hard')).ino, fs.statSync(at('d', 'soft', 'ü \t☃')).ino);
      t.equal(fs.readlinkSync(at('d', 'soft')), 'e/f');
      t.equal(code(() => fs.rmdirSync(at('d'))), 'ENOTEMPTY');
      t.equal(code(() => fs.renameSync(at('d'), at('d', 'e', 'below'))), 'EINVAL');
      t.equal(code(() => fs.mkdirSync(at('d'))), 'EEXIST');
      t.equal(code(() => fs.readFileSync(at('d', 'nothing'))), 'ENOENT');
      t.equal(code(() => fs.readdirSync(at('d', 'hard'))), 'ENOTDIR');
      t.equal(code(() => fs.writeFileSync(at('n'.repeat(256)), '')), 'ENAMETOOLONG');
      fs.renameSync(at('d', 'e'), at('moved'));
      t.same(fs.readdirSync(at('moved', 'f')), ['ü \t☃']);
      t.equal(code(() => fs.readdirSync(at('d', 'soft'))), 'ENOENT');
      const latin1 = Buffer.concat([Buffer.from(`${m.dir}/`), Buffer.from([0xe4, 0xff])]);
      fs.writeFileSync(latin1, 'not UTF-8');
      t.ok(fs.readdirSync(m.dir, { encoding: 'buffer' }).some((entry) => entry.equals(Buffer.from([0xe4, 0xff]))), 'names are bytes');
      fs.rmSync(at('moved'), { recursive: true });
      sh('mkfifo fifo; mknod null c 1 3; test -p fifo; test -c null; echo lost > null', m.dir);
      t.equal(fs.statSync(at('null')).rdev, 0x103);
      t.end();
    });

    t.test('many entries', (t) => {
      fs.mkdirSync(at('many'));
      for (let i = 0; i < 2000; i++) fs.writeFileSync(at('many', `file-${i}`), '');
      t.equal(new Set(fs.readdirSync(at('many'))).size, 2000);
      t.equal(sh('ls -l many | wc -l', m.dir).trim(), '2001');
      sh('rm -r many', m.dir);
      t.equal(fs.existsSync(at('many')), false);
      t.end();
    });

    t.test('attributes', (t) => {
      fs.writeFileSync(at('attr'), 'x', { mode: 0o640 });
      t.equal(fs.statSync(at('attr')).mode & 0o7777, 0o640);
      t.ok(fs.statSync(at('attr')).birthtimeMs > Date.UTC(2020, 0, 1), 'birth time');
      fs.chmodSync(at('attr'), 0o4711);
      t.equal(fs.statSync(at('attr')).mode & 0o7777, 0o4711);
      sh("setpriv --reuid 1 --regid 1 --clear-groups sh -c 'echo x >> attr' 2>/dev/null || true; chmod 4777 attr; setpriv --reuid 1 --regid 1 --clear-groups sh -c 'echo x >> attr'", m.dir);
      t.equal(fs.statSync(at('attr')).mode & 0o7777, 0o777, 'set-uid goes when a stranger writes');
      fs.chownSync(at('attr'), 12, 4000000000);
      t.match(fs.statSync(at('attr')), { uid: 12, gid: 4000000000 });
      sh("touch -d '1960-01-01 00:00:00.123456789 UTC' attr", m.dir);
      t.equal(fs.statSync(at('attr'), { bigint: true }).mtimeNs, -315619199876543211n, 'before 1970, with nanoseconds');
      sh("touch -d '2345-01-01 00:00:00 UTC' attr", m.dir);
      t.equal(fs.statSync(at('attr')).mtimeMs, Date.UTC(2345, 0, 1));
      const statfs = fs.statfsSync(m.dir);
      t.ok(statfs.blocks > 0 && statfs.bfree <= statfs.blocks);
      t.end();
    });

    t.test('holes and copies', (t) => {
      sh('truncate -s 1M sparse; printf data | dd of=sparse bs=1 seek=524288 conv=notrunc 2>/dev/null; cp --sparse=always sparse copy; cmp sparse copy', m.dir);
      t.equal(fs.statSync(at('copy')).size, 1 << 20);
      sh('fallocate -l 200000 reserved; fallocate -p -o 0 -l 65536 reserved', m.dir);
      t.equal(fs.statSync(at('reserved')).size, 200000);
      fs.copyFileSync(at('sparse'), at('copy2'));
      sh('cmp sparse copy2', m.dir);
      t.end();
    });

    t.test('permissions', (t) => {
      fs.mkdirSync(at('private'), { mode: 0o700 });
      fs.writeFileSync(at('readable'), 'x', { mode: 0o644 });
      const as = (command: string) => code(() => sh(`setpriv --reuid 1 --regid 1 --clear-groups sh -c '${command}'`, m.dir));
      t.equal(as('cat readable'), 'no error');
      t.not(as('echo y > readable'), 'no error');
      t.not(as('ls private'), 'no error');
      fs.chmodSync(at('readable'), 0o660);
      fs.chownSync(at('readable'), 0, 777);
      t.equal(code(() => sh('setpriv --reuid 1 --regid 1 --groups 777 cat readable', m.dir)), 'no error', 'a supplementary group');
      fs.mkdirSync(at('shared'));
      fs.chmodSync(at('shared'), 0o2777);
      fs.chownSync(at('shared'), 0, 4321);
      sh('setpriv --reuid 1 --regid 1 --clear-groups touch shared/mine', m.dir);
      t.match(fs.statSync(at('shared', 'mine')), { uid: 1, gid: 4321 }, 'a set-gid directory passes its group on');
      t.end();
    });

    t.test('locks', async (t) => {
      fs.writeFileSync(at('lock'), '');
      const holder = spawn('flock', ['lock', 'sleep', '0.6'], { cwd: m.dir });
      await sleep(200);
      t.not(code(() => sh('flock -n lock true', m.dir)), 'no error', 'held');
      t.not(code(() => sh('flock -w 0.1 lock true', m.dir)), 'no error', 'waiting can be interrupted');
      sh('flock lock true', m.dir);
      t.ok(await until(() => holder.exitCode !== null, 100), 'waiting for the lock waits for its end');
    });
    t.end();
  });
}

t.test('locks that the kernel keeps', { skip: whyNoMounts() }, async (t) => {
  const m = await mountFixture({ serve: { remote_locks: true } });
  t.teardown(() => m.end());
  fs.writeFileSync(path.join(m.dir, 'lock'), '');
  const holder = spawn('flock', ['lock', 'sleep', '0.6'], { cwd: m.dir });
  await sleep(200);
  t.not(code(() => sh('flock -n lock true', m.dir)), 'no error', 'held');
  t.not(code(() => sh('flock -w 0.1 lock true', m.dir)), 'no error', 'waiting can be interrupted');
  fs.writeFileSync(path.join(m.dir, 'other'), 'meanwhile');
  t.equal(holder.exitCode, null, 'others are served meanwhile');
  sh('flock lock true', m.dir);
  t.ok(await until(() => holder.exitCode !== null), 'waiting for the lock waits for its end');
  const victim = spawn('flock', ['lock', 'sleep', '30'], { cwd: m.dir });
  await sleep(100);
  const waiter = spawn('flock', ['lock', 'true'], { cwd: m.dir });
  await sleep(50);
  waiter.kill('SIGKILL');
  victim.kill('SIGKILL'); // its child still has the descriptor
  execFileSync('sh', ['-c', 'for p in /proc/[0-9]*; do if [ "$(readlink $p/cwd)" = "$1" ]; then kill -9 ${p#/proc/}; fi; done', 'sh', m.dir]);
  await sleep(50);
  sh('flock -w 3 lock true', m.dir);
  t.pass('locks of killed processes are dropped');
});
