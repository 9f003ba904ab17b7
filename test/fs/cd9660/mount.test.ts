import t from 'tap';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { familyOf } from '../../../testing/survive/processes.js';
import { Workplace, noMount, rumpfuse } from '../../cli/support.js';
import { hostTree, lines, makeSource } from './host.js';
import { missing, run } from './support.js';

/**
 * A disc through the host (--untrusted shows all files as the mounter's): confined, found by looking, and with its
 * server killed again and again.
 */
const skip = noMount ?? missing('xorriso');
const place = new Workplace();
t.teardown(() => place.end());

await t.test('a disc mounted with --untrusted', { skip }, async (t) => {
  const src = place.folder('src');
  makeSource(src);
  mkdirSync(path.join(src, 'tree/a/b'), { recursive: true });
  for (let i = 0; i < 500; i++) writeFileSync(path.join(src, `tree/a/b/${i}`), String(i));
  const image = place.path('disc.iso');
  run('xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-J', '-o', image, src]);
  const mnt = place.folder('mnt');
  t.match(await rumpfuse('mount', '--untrusted', image, mnt), { status: 0, stderr: '' }, 'without -t');
  const { pid } = (JSON.parse((await rumpfuse('list', '--json')).stdout) as { mountpoint: string; pid: number }[]).find(
    ({ mountpoint }) => mountpoint === mnt,
  )!;
  const wanted = lines(hostTree(src), ['type', 'mode', 'size', 'mtime', 'link', 'sha']);
  for (let round = 0; round < 3; round++) {
    t.same(lines(hostTree(mnt), ['type', 'mode', 'size', 'mtime', 'link', 'sha']), wanted, `round ${round}`);
    t.equal(readFileSync(path.join(mnt, 'tree/a/b/77'), 'utf8'), '77');
    t.equal(statSync(path.join(mnt, 'hard')).ino, statSync(path.join(mnt, 'hello.txt')).ino);
    process.kill(familyOf(pid, mnt).server!, 'SIGKILL');
    t.equal(readFileSync(path.join(mnt, 'hard')).length, 100, 'a file with two names, by the number that the host has');
  }
  t.equal(readdirSync(path.join(mnt, 'many')).length, 301);
  t.throws(() => writeFileSync(path.join(mnt, 'new'), ''), { code: 'EROFS' });
  t.match(await rumpfuse('umount', mnt), { status: 0 });

  t.match(await rumpfuse('mount', '-t', 'iso9660', '-o', 'norock,mode=640,uid=7', image, mnt), {
    status: 0,
    stderr: '',
  });
  t.match(statSync(path.join(mnt, 'HELLO.TXT')), { uid: 7, mode: 0o100640 });
  t.match(
    readdirSync(mnt).filter((name) => name.startsWith('hello')),
    ['hello.txt'],
  );
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
  t.match(await rumpfuse('mount', '-o', 'rw', image, mnt), { status: 32, stderr: /read/ });
});
