import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Workplace, noMount, rumpfuse } from './support.js';

const place = new Workplace();
t.teardown(() => place.end());
const real = { skip: noMount ?? false };

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function flagsOf(mnt: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[4] === mnt)!
    .split(' ')[5]!
    .split(',');
}

/** A volume with files of somebody else's. */
async function volume(name: string): Promise<string> {
  const image = place.path(`${name}.img`);
  const dir = place.folder(name);
  place.file(`${name}/secret`, 'content');
  chmodSync(path.join(dir, 'secret'), 0o600);
  chownSync(path.join(dir, 'secret'), 4321, 4321);
  const { status, stderr } = await rumpfuse('newfs', '--size', '16m', '--from', dir, image);
  if (status !== 0) throw new Error(stderr);
  return image;
}

t.test('-o overlay: the disk stays as it is, what was written is kept in the file', real, async (t) => {
  const image = await volume('overlaid');
  const overlay = place.path('overlay');
  const mnt = place.folder('mnt');
  const before = digest(image);
  t.match(await rumpfuse('mount', '-o', `overlay=${overlay}`, image, mnt), { status: 0, stderr: '' });
  appendFileSync(path.join(mnt, 'secret'), ' and more');
  writeFileSync(path.join(mnt, 'new'), Buffer.alloc(300_000, 'new'));
  t.match(
    (await rumpfuse('info', mnt)).stdout,
    /\[on \] disk +bytes 0 to \d+, reading only; bytes 0 to \d+, reading and writing/,
  );
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
  t.equal(digest(image), before);

  t.match(await rumpfuse('mount', '-o', `ro,overlay=${overlay}`, image, mnt), { status: 0, stderr: '' });
  t.equal(readFileSync(path.join(mnt, 'secret'), 'utf8'), 'content and more');
  t.same(readFileSync(path.join(mnt, 'new')), Buffer.alloc(300_000, 'new'));
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.match(await rumpfuse('mount', image, mnt), { status: 0 });
  t.same(readdirSync(mnt), ['secret'], 'without the file there is what was there');
  unlinkSync(path.join(mnt, 'secret'));
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.match(
    await rumpfuse('mount', '-o', `overlay=${overlay}`, image, mnt),
    { status: 32, stderr: /^rumpfuse: the overlay .* was made over another disk than .*\n$/ },
    'a disk that was written to since',
  );
  t.match(await rumpfuse('mount', '-o', `overlay=${place.file('text', 'text')}`, image, mnt), {
    status: 32,
    stderr: /^rumpfuse: .*text is no overlay file; it is left as it is\n$/,
  });
  t.match(await rumpfuse('mount', '-t', 'tmpfs', '-o', `overlay=${overlay}`, 'none', mnt), {
    status: 1,
    stderr: /no disk to put it over/,
  });
});

t.test('-o overlay over partitions: one file for all of them, refused when one was written to; the partition table is the disk\'s', real, async (t) => {
  const image = place.path('parted.img');
  const overlay = place.path('overlay-parted');
  const mnt = place.folder('mnt-parted');
  const table = Buffer.alloc(512);
  [[2048, 16384], [20480, 12288]].forEach(([start, size], i) => {
    table[446 + 16 * i + 4] = 0xa9;
    table.writeUInt32LE(start!, 446 + 16 * i + 8);
    table.writeUInt32LE(size!, 446 + 16 * i + 12);
  });
  table.writeUInt16LE(0xaa55, 510);
  writeFileSync(image, table);
  truncateSync(image, 16 << 20);
  for (const n of ['1', '2']) t.match(await rumpfuse('newfs', '--partition', n, image), { status: 0 });
  const on = (n: string, over = overlay) => rumpfuse('mount', '-o', `partition=${n},overlay=${over}`, image, mnt);
  for (const n of ['1', '2']) {
    t.match(await on(n), { status: 0, stderr: '' });
    writeFileSync(path.join(mnt, `file${n}`), n);
    t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
  }
  // Who hands the file on puts another table into it: block 0, marked as written.
  const bytes = readFileSync(overlay);
  const evil = Buffer.from(table);
  evil.writeUInt32LE(20480, 446 + 8);
  evil.writeUInt32LE(12288, 446 + 12);
  bytes[4096]! |= 3;
  evil.copy(bytes, bytes.length - (16 << 20));
  t.match(await on('1', place.file('overlay-evil', bytes)), { status: 0, stderr: '' });
  t.same(readdirSync(mnt), ['file1'], 'not what lies in partition 2');
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });

  t.match(await rumpfuse('mount', '-o', 'partition=2', image, mnt), { status: 0 });
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
  t.match(await on('2'), { status: 32, stderr: /was written to since; take a new overlay file\n$/ });
  t.match(await on('1'), { status: 0, stderr: '' }, 'nothing beside the volume is looked at');
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
});

t.test(
  '-o overlay by a name that leads nowhere yet: what was made for nothing is removed, the name is not',
  real,
  async (t) => {
    const name = place.path('overlay-name');
    symlinkSync(place.path('overlay-target'), name);
    t.match(
      await rumpfuse(
        'mount',
        '-o',
        `overlay=${name}`,
        place.file('no-volume', Buffer.alloc(65536, 1)),
        place.folder('mnt-name'),
      ),
      { status: 32 },
    );
    t.ok(lstatSync(name).isSymbolicLink());
    t.notOk(existsSync(place.path('overlay-target')));
  },
);

t.test('--untrusted', real, async (t) => {
  const image = await volume('untrusted');
  const mnt = place.folder('mnt-untrusted');
  t.match(await rumpfuse('mount', '--untrusted', '-o', 'suid,dev,exec', image, mnt), { status: 0, stderr: '' });
  const flags = flagsOf(mnt);
  for (const flag of ['ro', 'nosuid', 'nodev', 'noexec']) t.ok(flags.includes(flag), flag);
  t.notMatch((await rumpfuse('info', mnt)).stdout, /\[OFF\]/);
  t.match(await rumpfuse('umount', mnt), { status: 0 });

  t.match(await rumpfuse('mount', '--untrusted', '-o', `overlay=${place.path('overlay-untrusted')}`, image, mnt), {
    status: 0,
    stderr: '',
  });
  writeFileSync(path.join(mnt, 'mine'), 'mine');
  chownSync(path.join(mnt, 'mine'), 4321, 4321);
  for (const name of readdirSync(mnt)) {
    t.match(
      statSync(path.join(mnt, name)),
      { uid: process.getuid!(), gid: process.getgid!() },
      `${name} is the mounting user's`,
    );
  }
  t.ok(flagsOf(mnt).includes('rw'), 'what is written goes to the overlay');
  t.match(await rumpfuse('umount', mnt), { status: 0 });

  t.match(await rumpfuse('mount', '--untrusted', '-o', 'rw', image, mnt), { status: 0, stderr: '' });
  t.ok(flagsOf(mnt).includes('rw'), 'it was told otherwise');
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.match(await rumpfuse('mount', '--untrusted', '--no-sandbox', image, mnt), {
    status: 1,
    stderr: /--no-sandbox contradicts --untrusted/,
  });
});

t.test('--no-sandbox, --require-sandbox', real, async (t) => {
  const image = await volume('confined');
  const mnt = place.folder('mnt-sandbox');
  t.match(await rumpfuse('mount', '--no-sandbox', image, mnt), { status: 0, stderr: '' });
  t.match((await rumpfuse('info', mnt)).stdout, /sandbox: +none/);
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.match(await rumpfuse('mount', '--require-sandbox', image, mnt), { status: 0, stderr: '' });
  t.match((await rumpfuse('info', mnt)).stdout, /\[on \] system-calls/);
  t.match(JSON.parse((await rumpfuse('info', '--json', mnt)).stdout), {
    details: {
      sandbox: [
        { name: 'descriptors', on: true },
        { name: 'namespaces', on: true },
      ],
    },
  });
  t.match(await rumpfuse('umount', mnt), { status: 0 });
});
