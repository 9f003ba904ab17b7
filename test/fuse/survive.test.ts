import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { unmount } from '../../src/fuse/mount/unmount.js';
import { mortal } from './fixtures/mortal-mount.js';
import { alive, sleep, until, whyNoMounts } from './fixtures/mounted.js';

const skip = whyNoMounts();

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

for (const [way, said] of [
  ['kill', /SIGKILL/],
  ['throw', /died \(1\)|died \(7\)/],
  ['memory', /SIGABRT|SIGTRAP|SIGILL/],
  ['flood', /SIGKILL/],
] as const) {
  t.test(`a server ends by ${way}`, { skip }, async (t) => {
    const m = await mortal();
    fs.mkdirSync(path.join(m.dir, 'd'));
    fs.writeFileSync(path.join(m.dir, 'd/f'), 'content');
    t.equal(codeOf(() => fs.mkdirSync(path.join(m.dir, 'd', `mortal-${way}-once`))), undefined, 'the call is answered');
    t.ok(fs.existsSync(path.join(m.marks, `${way}-once`)), 'although the server that was at it has died');
    t.ok(fs.statSync(path.join(m.dir, 'd', `mortal-${way}-once`)).isDirectory(), 'and it was done once');
    t.equal(fs.readFileSync(path.join(m.dir, 'd/f'), 'utf8'), 'content');
    t.ok(await until(() => m.log().includes('another one goes on')));
    t.match(m.log(), said);
    t.ok(await until(() => m.standing().restarts === 1 && m.standing().server_pid === m.server()));
    t.same(await m.end(), []);
  });
}

t.test('a request that is the end of every server', { skip }, async (t) => {
  const m = await mortal();
  fs.writeFileSync(path.join(m.dir, 'f'), 'content');
  t.equal(codeOf(() => fs.statSync(path.join(m.dir, 'mortal-kill'))), 'EIO', 'it is answered in the end');
  t.ok(await until(() => m.standing().restarts === 3), 'after three deaths');
  t.ok(await until(() => m.log().includes('error: a request was')), 'said by the server, heard by the supervisor');
  t.match(
    m.log(),
    /error: a request was the end of several servers.*nothing can be changed.*operation=LOOKUP node=1\b/,
  );
  t.equal(fs.readFileSync(path.join(m.dir, 'f'), 'utf8'), 'content', 'the mount goes on');
  t.equal(codeOf(() => fs.writeFileSync(path.join(m.dir, 'g'), '')), 'EROFS', 'read-only');
  t.ok(await until(() => m.standing().turned_readonly === true), 'which is told');
  process.kill(m.server()!, 'SIGKILL');
  t.equal(codeOf(() => fs.mkdirSync(path.join(m.dir, 'd'))), 'EROFS', 'and stays so');
  t.same(await m.end(), []);
});

t.test('a server that hangs', { skip }, async (t) => {
  const m = await mortal({ watchdog_s: 1 });
  const began = performance.now();
  t.equal(codeOf(() => fs.statSync(path.join(m.dir, 'mortal-hang-once'))), 'ENOENT', 'it is answered');
  const seconds = (performance.now() - began) / 1000;
  t.ok(seconds > 0.9, `after ${seconds.toFixed(1)} s`);
  t.ok(await until(() => m.log().includes('another one goes on')));
  t.match(m.log(), /did not answer for 1 s while requests were waiting/);
  const server = m.server();
  await sleep(2500);
  t.equal(m.server(), server, 'an idle server is left alone');
  t.same(await m.end(), []);
});

t.test('a server that somebody has stopped', { skip }, async (t) => {
  const m = await mortal({ watchdog_s: 1 });
  for (let i = 0; i < 3; i++) {
    const server = m.server()!;
    process.kill(server, 'SIGSTOP');
    // With a request before the signal, or only after it: it waits where nobody has read it.
    if (i === 1) await sleep(300);
    fs.mkdirSync(path.join(m.dir, `d${i}`));
    t.notOk(alive(server), 'another one has answered');
    // On a busy machine one that nobody has stopped may be slow to answer, too.
    t.ok(await until(() => m.standing().restarts > i));
  }
  t.same(await m.end(), []);
});

t.test('a host that does not send requests again', { skip }, async (t) => {
  const m = await mortal({}, { RUMP_NORESEND: '1' });
  fs.writeFileSync(path.join(m.dir, 'f'), 'content');
  t.equal(
    codeOf(() => fs.statSync(path.join(m.dir, 'mortal-kill-once'))),
    'EIO',
    'what was under way ends with an error',
  );
  for (let i = 0; i < 3; i++) {
    t.equal(fs.readFileSync(path.join(m.dir, 'f'), 'utf8'), 'content', 'the mount goes on');
    fs.writeFileSync(path.join(m.dir, `g${i}`), 'more');
    const server = m.server()!;
    process.kill(server, 'SIGKILL');
    await until(() => !alive(server)); // what it reads with its last breath ends with it
    t.equal(fs.readFileSync(path.join(m.dir, `g${i}`), 'utf8'), 'more');
    await until(() => m.server() !== undefined);
  }
  t.same(await m.end(), []);
});

t.test('more changes than the memory holds', { skip }, async (t) => {
  // Less than any mount gets: the buffer cache writes early enough for that.
  const m = await mortal({ memory_bytes: 40 << 20 }, { RUMP_LATE: '1' }, 256 << 20);
  const made = (count: number): string => path.join(m.dir, `directory-${count}`);
  let count = 0;
  // Each is a block of its own and an inode; written are they only when it is time.
  for (; count < 20_000 && m.standing().outgrown !== true; count++) fs.mkdirSync(made(count));
  t.ok(await until(() => m.standing().outgrown === true), `told after ${count} directories`);
  t.match(m.log(), /have outgrown the memory for them/);
  fs.mkdirSync(made(count++));
  t.equal(fs.readdirSync(m.dir).filter((name) => name.startsWith('directory-')).length, count, 'the mount goes on');
  const fd = fs.openSync(made(0), 'r'); // syncfs(2) does not reach us
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  t.ok(await until(() => m.standing().outgrown !== true), 'when they are on the disk, another one could go on again');
  process.kill(m.server()!, 'SIGKILL');
  fs.mkdirSync(made(count++));
  t.equal(fs.readdirSync(m.dir).filter((name) => name.startsWith('directory-')).length, count, 'and does');
  t.same(await m.end(), []);
});

t.test('open files without a name, directories being read', { skip }, async (t) => {
  const m = await mortal();
  const file = path.join(m.dir, 'file');
  fs.writeFileSync(file, 'content');
  const fd = fs.openSync(file, 'r+');
  fs.unlinkSync(file);
  const names = Array.from({ length: 500 }, (_, i) => `a-rather-long-name-${i}`);
  fs.mkdirSync(path.join(m.dir, 'd'));
  for (const name of names) fs.writeFileSync(path.join(m.dir, 'd', name), '');
  const listing = fs.opendirSync(path.join(m.dir, 'd'), { bufferSize: 1 });
  const listed: string[] = [];
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 20; j++) listed.push(listing.readSync()!.name);
    const server = m.server()!;
    process.kill(server, 'SIGKILL');
    t.equal(fs.writeSync(fd, `${i}`, 7 + i), 1);
    t.equal(fs.fstatSync(fd).nlink, 0);
    t.equal(fs.readFileSync(`/proc/self/fd/${fd}`, 'utf8'), 'content012'.slice(0, 8 + i));
    t.not(m.server(), server);
  }
  for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) listed.push(entry.name);
  listing.closeSync();
  t.same(listed.sort(), names.sort(), 'every name once');
  fs.closeSync(fd);
  t.same(await m.end(), []);
});

t.test('the stand-by dies; both die; nobody is left when the mount ends', { skip }, async (t) => {
  const m = await mortal();
  t.ok(await until(() => m.standby() !== undefined), 'there is one');
  const first = m.standby()!;
  process.kill(first, 'SIGKILL');
  t.ok(await until(() => m.standby() !== undefined && m.standby() !== first), 'another one comes');
  let both: (number | undefined)[] = [];
  t.ok(await until(() => !(both = [m.server(), m.standby()]).includes(undefined)));
  for (const pid of both) process.kill(pid!, 'SIGKILL');
  fs.writeFileSync(path.join(m.dir, 'f'), 'content');
  t.equal(fs.readFileSync(path.join(m.dir, 'f'), 'utf8'), 'content');
  t.same(await m.end(), []);
});

t.test('the server dies while it writes what is left, after the mount has ended', { skip }, async (t) => {
  const m = await mortal();
  for (let i = 0; i < 200; i++) fs.writeFileSync(path.join(m.dir, `f${i}`), 'content');
  process.kill(m.server()!, 'SIGSTOP');
  const server = m.server()!;
  unmount(m.device, { lazy: true });
  process.kill(server, 'SIGKILL');
  t.same(await m.end(), [], 'another one writes it');
});

t.test('nobody can go on', { skip }, async (t) => {
  const m = await mortal({ standby: false });
  fs.writeFileSync(path.join(m.dir, 'f'), 'content');
  fs.writeFileSync(path.join(m.marks, 'stillborn'), '');
  process.kill(m.server()!, 'SIGKILL');
  t.ok(await until(() => !alive(m.pid)), 'the supervisor ends');
  t.match(m.log(), /error: the file system server of .* ended unexpectedly \(SIGKILL\); check the volume/);
  t.same(fs.readdirSync(m.dir), [], 'the mount point is free');
});
