/** Slips at the terminal: nothing that is there is destroyed by one. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { RUMPFUSE, Workplace, noMount, run, rumpfuse } from './support.js';

const place = new Workplace();
t.teardown(() => place.end());
const MiB = 1 << 20;

function sparse(name: string, size: number): string {
  const file = place.file(name, '');
  truncateSync(file, size);
  return file;
}

t.test('newfs without --force overwrites nothing', async (t) => {
  const cases: readonly (readonly [string, RegExp, string, ...string[]])[] = [
    ['ext4.img', /holds a volume of ext4/, 'mkfs.ext4', '-q'],
    ['swap.img', /holds swap space/, 'mkswap'],
    ['fat.img', /holds a volume of FAT/, 'mkfs.vfat'],
  ];
  for (const [name, what, program, ...options] of cases) {
    const image = sparse(name, 16 * MiB);
    const made = await run(program, [...options, image], { env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } });
    t.equal(made.status, 0, program);
    const before = readFileSync(image);
    const { status, stderr } = await rumpfuse('newfs', image);
    t.equal(status, 1);
    t.match(stderr, what);
    t.match(stderr, /--force/);
    t.ok(readFileSync(image).equals(before), 'it is as it was');
  }
  const data = place.file(
    'data.img',
    Buffer.concat([Buffer.alloc(3 * MiB), Buffer.from('precious'), Buffer.alloc(5 * MiB)]),
  );
  t.match(await rumpfuse('newfs', data), {
    status: 1,
    stderr: /is not empty: there is something at byte 3145728 that nobody recognises/,
  });
  t.match(await rumpfuse('newfs', '--force', data), { status: 0, stderr: '' });
  t.match(await rumpfuse('newfs', sparse('zeros.img', 16 * MiB)), { status: 0, stderr: '' }, 'zeros are free');
});

t.test(
  'blkid knows what we do not',
  { skip: existsSync('/usr/sbin/blkid') || existsSync('/sbin/blkid') ? false : 'no blkid' },
  async (t) => {
    // The file system of UnixWare: our table has it not.
    const image = sparse('bfs.img', 4 * MiB);
    writeFileSync(image, Buffer.from([0xce, 0xfa, 0xad, 0x1b]), { flag: 'r+' });
    t.match(await rumpfuse('newfs', image), { status: 1, stderr: /holds something that blkid knows as bfs/ });
  },
);

t.test('fsck and tunefs leave alone what is something else as well', async (t) => {
  const image = place.path('two.img');
  await rumpfuse('newfs', '-s', '16m', image);
  // What mkswap leaves of an old FFS shows: only its own header is written here.
  const bytes = readFileSync(image);
  bytes.write('SWAPSPACE2', 4096 - 10, 'latin1');
  writeFileSync(image, bytes);
  for (const args of [
    ['fsck', '-y'],
    ['fsck', '-p', '-f'],
    ['tunefs', '-m', '7'],
  ]) {
    t.match(
      await rumpfuse(...args, image),
      { status: 1, stderr: /swap space as well as a volume of FFSv2.*--force/ },
      args.join(' '),
    );
  }
  t.ok(readFileSync(image).equals(bytes), 'it is as it was');
  t.match(await rumpfuse('fsck', image), { status: 0 }, 'looking is free');
  t.match(await rumpfuse('fsck', '-y', '--force', image), { status: 0 });
});

t.test('newfs --from that fails or is interrupted leaves nothing half-made', async (t) => {
  const from = place.folder('from');
  writeFileSync(`${from}/large`, Buffer.alloc(30 * MiB, 1));
  const existing = sparse('existing.img', 16 * MiB);
  t.match(await rumpfuse('newfs', '--from', from, existing), {
    status: 1,
    stderr: /too small.*; the volume that was begun on .* has been taken away again/,
  });
  t.match(await rumpfuse('info', existing), { status: 1, stderr: /nothing here that rumpfuse can mount/ });

  for (let i = 0; i < 4000; i++) mkdirSync(`${from}/dir${i}`);
  const fresh = place.path('fresh.img');
  const child = spawn(RUMPFUSE, ['newfs', '-s', '512m', '--from', from, fresh], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  while (!existsSync(fresh)) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGINT');
  // Where the machine was faster than the signal, the volume is whole.
  if ((await ended) === 130) {
    t.match(stderr, /interrupted/);
    t.notOk(existsSync(fresh), 'the image that was begun is gone');
  } else {
    t.match(await rumpfuse('fsck', fresh), { status: 0, stdout: /clean/ });
  }
});

const loop = spawnSync('losetup', ['-f'], { encoding: 'utf8' });
t.test(
  '-o rw of a read-only device',
  { skip: noMount ?? (loop.status === 0 ? false : 'there are no loop devices') },
  async (t) => {
    const image = place.path('loop.img');
    await rumpfuse('newfs', '-s', '16m', image);
    const made = await run('losetup', ['-r', '-f', '--show', image]);
    if (made.status !== 0) return void t.pass(`no loop device here: ${made.stderr}`);
    const device = made.stdout.trim();
    t.teardown(() => run('losetup', ['-d', device]));
    const mnt = place.folder('mnt');
    t.match(await rumpfuse('mount', '-o', 'rw', device, mnt), { status: 32, stderr: /is a read-only device/ });
    t.match(await rumpfuse('mount', device, mnt), { status: 0, stderr: /is a read-only device: opened read-only/ });
    t.match(await run('touch', [`${mnt}/x`]), { status: 1, stderr: /Read-only file system/ });
    t.match(await rumpfuse('umount', mnt), { status: 0 });
    t.match(
      await rumpfuse('mount', '-r', device, mnt),
      { status: 0, stderr: '' },
      'who asks for read-only is told nothing',
    );
    t.match(await rumpfuse('umount', mnt), { status: 0 });
  },
);

t.test(
  'what Linux programs ask for, on a real mount: the upper layer of an overlayfs, capabilities, files without a name',
  { skip: noMount ?? false },
  async (t) => {
    const image = place.path('upper.img');
    await rumpfuse('newfs', '-O', '2ea', '-s', '32m', '--log', image);
    const mnt = place.folder('upper');
    t.match(await rumpfuse('mount', image, mnt), { status: 0, stderr: '' });
    const script = `
set -e
cd ${place.dir}
mkdir -p low/d low/e merged upper/up upper/work
echo low > low/f; echo g > low/d/g
mount -t overlay overlay -o lowerdir=low,upperdir=upper/up,workdir=upper/work merged
trap 'umount merged' EXIT
echo new > merged/new; echo more >> merged/f
rm merged/d/g; rmdir merged/d; mkdir merged/d; echo x > merged/d/x; mv merged/f merged/e/f; rm merged/new
cat merged/e/f; ls merged merged/d merged/e
test -c upper/up/f
`;
  const overlay = await run('sh', ['-c', script]);
  t.equal(overlay.stderr, '');
  t.equal(overlay.status, 0);
  t.equal(overlay.stdout, 'low\nmore\nmerged:\nd\ne\n\nmerged/d:\nx\n\nmerged/e:\nf\n');
  const python = `
import os, sys
os.chdir(sys.argv[1])
fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b'nameless')
os.link('/proc/self/fd/%d' % fd, 'named', src_dir_fd=os.open('/', os.O_RDONLY))
os.close(fd)
print(open('named').read(), os.stat('named').st_nlink)
os.setxattr('named', 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000'))
print(os.listxattr('named'))
open('named', 'a').write('x')
print(os.listxattr('named'))
for offset in (-1, 1 << 62):
    try: os.lseek(os.open('named', os.O_RDONLY), offset, os.SEEK_DATA)
    except OSError as e: print(e.errno)
`;
    t.match(await run('python3', ['-c', python, mnt]), {
      status: 0,
      stderr: '',
      stdout: "nameless 1\n['security.capability']\n[]\n6\n6\n",
    });
    t.match(await rumpfuse('umount', mnt), { status: 0 });
    t.match(await rumpfuse('fsck', image), { status: 0, stdout: /clean\n$/ });
  },
);
