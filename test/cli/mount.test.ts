import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, symlinkSync, linkSync, mkdirSync, chmodSync, chownSync, utimesSync } from 'node:fs';
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { RUMPFUSE, Workplace, noMount, rumpfuse, run } from './support.js';

/**
 * The main road, as a user walks it: newfs, mount, work with ordinary programs, umount, check, read back with
 * strangers' tools.
 */
const place = new Workplace();
t.teardown(() => place.end());
const real = { skip: noMount ?? false };

/** A tree with everything that a volume can hold. */
function makeTree(name: string): string {
  const dir = place.folder(name);
  place.file(`${name}/empty`, '');
  place.file(`${name}/small`, 'hello\n');
  place.file(`${name}/tail`, Buffer.alloc(5000, 'tail'));
  place.file(`${name}/big`, Buffer.alloc(3_000_000, Buffer.from('0123456789abcdef')));
  mkdirSync(path.join(dir, 'sub/deeper'), { recursive: true });
  place.file(`${name}/sub/deeper/file`, 'deep');
  place.file(`${name}/${'n'.repeat(255)}`, 'long name');
  place.file(`${name}/grüße-日本`, 'unicode');
  symlinkSync('sub/deeper/file', path.join(dir, 'link'));
  symlinkSync('x'.repeat(700), path.join(dir, 'longlink'));
  linkSync(path.join(dir, 'small'), path.join(dir, 'twin'));
  chmodSync(path.join(dir, 'small'), 0o640);
  chownSync(path.join(dir, 'tail'), 70000, 80000);
  utimesSync(path.join(dir, 'tail'), -1000, -2000.5);
  utimesSync(path.join(dir, 'big'), 5e9, 6e9);
  return dir;
}

/** Everything that can be seen of a tree, a line an entry. */
async function picture(dir: string): Promise<string[]> {
  const lines: string[] = [];
  const pending = [''];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const name of await readdir(path.join(dir, at))) {
      const rel = path.join(at, name);
      const full = path.join(dir, rel);
      const st = await lstat(full, { bigint: true });
      let content = '';
      if (st.isDirectory()) pending.push(rel);
      else if (st.isSymbolicLink()) content = await readlink(full);
      else
        content = createHash('sha256')
          .update(await readFile(full))
          .digest('hex');
      lines.push(
        [
          rel,
          st.mode.toString(8),
          st.uid,
          st.gid,
          st.isDirectory() ? '-' : st.size,
          st.isDirectory() ? '-' : st.nlink,
          st.mtimeNs,
          content,
        ].join(' '),
      );
    }
  }
  return lines.sort();
}

for (const format of [['1', 'le'], ['1', 'be'], ['2', 'le'], ['2', 'be'], ['2ea', 'le']] as const) {
  t.test(`FFS ${format.join(' ')}: ordinary programs at work`, real, async (t) => {
    const [version, order] = format;
    const image = place.path(`ffs-${version}-${order}.img`);
    const mnt = place.folder(`mnt-${version}-${order}`);
    // UFS1 keeps 32-bit seconds: its tree has no time after 2038.
    const tree = makeTree(`tree-${version}-${order}`);
    if (version === '1') utimesSync(path.join(tree, 'big'), 2e9, 2e9);
    t.match(await rumpfuse('newfs', '-O', version, '-B', order, '-s', '64m', image), { status: 0, stderr: '' });
    t.match(await rumpfuse('mount', image, mnt), { status: 0, stderr: '', stdout: '' });
    t.match(
      (await rumpfuse('list')).stdout,
      new RegExp(`ffs-${version}-${order}.img on ${mnt} type ffs \\(read-write, pid \\d+\\)`),
    );
    t.match(await run('cp', ['-a', `${tree}/.`, mnt]), { status: 0, stderr: '' });
    t.strictSame(await picture(mnt), await picture(tree), 'what cp -a wrote is there');
    t.match(await run('tar', ['cf', path.join(mnt, 't.tar'), '-C', tree, '.']), { status: 0 });
    t.match(await run('tar', ['df', path.join(mnt, 't.tar'), '-C', mnt]), { status: 0 }, 'tar finds no difference');
    t.match(await run('git', ['init', '-q', path.join(mnt, 'repo')]), { status: 0 });
    t.match(
      await run(
        'sh',
        ['-c', 'echo text > f && git add f && git -c user.name=n -c user.email=e commit -qm m && git fsck --strict'],
        { cwd: path.join(mnt, 'repo') },
      ),
      { status: 0 },
    );
    t.match(
      await run('python3', [
        '-c',
        [
          'import mmap, sys',
          'f = open(sys.argv[1], "r+b")',
          'm = mmap.mmap(f.fileno(), 0)',
          'm[4000:4004] = b"MMAP"',
          'm.flush()',
          'm.close()',
        ].join('\n'),
        path.join(mnt, 'tail'),
      ]),
      { status: 0 },
      'a program that maps a file',
    );
    t.equal(readFileSync(path.join(mnt, 'tail')).toString('latin1', 3998, 4006), 'ilMMAPta');
    t.match(await run('rm', ['-rf', path.join(mnt, 'repo'), path.join(mnt, 't.tar')]), { status: 0 });
    const before = await picture(mnt);
    t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
    t.match(await rumpfuse('fsck', image), { status: 0, stdout: /clean\n$/ });
    t.match(await rumpfuse('mount', '-o', 'ro', image, mnt), { status: 0, stderr: '' });
    t.strictSame(await picture(mnt), before, 'after a remount all is as it was');
    t.match(await run('touch', [path.join(mnt, 'small')]), { status: 1, stderr: /Read-only/ });
    t.match(await rumpfuse('umount', mnt), { status: 0 });

    // A stranger reads it: sleuthkit knows both versions and both byte orders, but not the newer magic number.
    if (version === '2ea') return;
    const listing = await run('fls', ['-r', '-p', '-f', version === '1' ? 'ufs1' : 'ufs2', image]);
    t.equal(listing.status, 0, listing.stderr);
    const inode = /r\/r (\d+):\tbig\n/.exec(listing.stdout)?.[1];
    t.ok(inode, 'sleuthkit finds the file');
    const sum = await run('sh', ['-c', `icat ${image} ${inode} | sha256sum`]);
    t.equal(
      sum.stdout.split(' ')[0],
      createHash('sha256')
        .update(readFileSync(path.join(tree, 'big')))
        .digest('hex'),
      'and reads it exactly',
    );
  });
}

t.test('newfs --from fills the volume', real, async (t) => {
  const tree = makeTree('from');
  const image = place.path('from.img');
  const mnt = place.folder('mnt-from');
  t.match(await rumpfuse('newfs', '-s', '32m', '--label', 'Größe', '--from', tree, image), {
    status: 0,
    stderr: '',
    stdout: /copied 1[0-9] entries/,
  });
  t.match(await rumpfuse('fsck', image), { status: 0 });
  t.match((await rumpfuse('info', image)).stdout, /label: +Größe\n[^]*last mounted: +\(never/);
  t.match(await rumpfuse('mount', '-r', image, mnt), { status: 0 });
  t.strictSame(await picture(mnt), await picture(tree));
  t.match(await rumpfuse('umount', mnt), { status: 0 });
});

t.test('a volume in a partition, and behind an offset', real, async (t) => {
  const disk = place.path('disk.img');
  const mnt = place.folder('mnt-part');
  t.equal((await run('truncate', ['-s', '64m', disk])).status, 0);
  t.equal(
    (
      await run('sh', [
        '-c',
        `printf 'label: gpt\\nsize=16M\\nsize=32M,name=netbsd,type=49F48D5A-B10E-11DC-B99B-0019D1879648\\n' | sfdisk ` +
          `-q ${disk}`,
      ])
    ).status,
    0,
  );
  t.match(await rumpfuse('newfs', '--partition', '2', disk), { status: 0, stderr: '' });
  t.match((await rumpfuse('info', disk)).stdout, /2 +32 MiB at 17825792 .*\n +format: +FFSv2/);
  t.match(await rumpfuse('mount', disk, mnt), { status: 32, stderr: /partition/ }, 'which one?');
  t.match(await rumpfuse('mount', '--partition', '2', disk, mnt), { status: 0 });
  t.match(await run('sh', ['-c', `echo here > ${mnt}/file`]), { status: 0 });
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.match(await rumpfuse('mount', '-o', 'ro,offset=17m', disk, mnt), { status: 0 });
  t.equal(readFileSync(path.join(mnt, 'file'), 'utf8'), 'here\n');
  t.match(await rumpfuse('umount', disk), { status: 0 }, 'by the name of the image');
  t.match(await rumpfuse('mount', '--partition', '9', disk, mnt), {
    status: 32,
    stderr: /no partition 9; it has 1 .*, 2 \("netbsd"/,
  });
});

t.test('--foreground and --trace', real, async (t) => {
  const image = place.path('fg.img');
  const mnt = place.folder('mnt-fg');
  t.match(await rumpfuse('newfs', '-s', '16m', image), { status: 0 });
  const child = spawn(RUMPFUSE, ['mount', '--trace', image, mnt], { stdio: ['ignore', 'ignore', 'pipe'] });
  let trace = '';
  child.stderr.on('data', (chunk: Buffer) => (trace += chunk.toString()));
  for (let i = 0; i < 10_000 && !(await rumpfuse('list')).stdout.includes(mnt); i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.match(await run('mkdir', [path.join(mnt, 'traced')]), { status: 0 });
  child.kill('SIGTERM');
  const [status] = await once(child, 'exit') as [number];
  t.equal(status, 0, 'SIGTERM unmounts and ends it');
  t.match(trace, /MKDIR.*traced/);
  t.notMatch((await rumpfuse('list')).stdout, mnt);
  t.match(await rumpfuse('fsck', image), { status: 0 });
});

t.test('the mount of a volume that may not be written', real, async (t) => {
  const image = place.path('dirty.img');
  const mnt = place.folder('mnt-dirty');
  t.match(await rumpfuse('newfs', '-s', '16m', image), { status: 0 });
  // fs_clean = 0: as a system that lost power leaves it.
  t.equal(
    (await run('sh', ['-c', `printf '\\0' | dd of=${image} bs=1 seek=$((65536 + 209)) conv=notrunc status=none`]))
      .status,
    0,
  );
  t.match(await rumpfuse('info', image), { status: 0, stdout: /state: +(not clean|dirty|unclean)/i });
  t.match(
    await rumpfuse('mount', image, mnt),
    { status: 0, stderr: /^rumpfuse: .*mounted read-only: .*\n$/ },
    'one line says why',
  );
  t.match(await run('touch', [path.join(mnt, 'x')]), { status: 1, stderr: /Read-only/ });
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.match(
    await rumpfuse('mount', '-o', 'rw', image, mnt),
    { status: 32, stderr: /cannot be mounted read-write/ },
    'rw in so many words',
  );
});
