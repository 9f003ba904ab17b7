import t from 'tap';
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { E, errnoOf } from '../../src/kernel/errno.js';
import { errnoOfHostError, errnoOfHostNumber, hostErrno } from '../../src/kernel/rumpuser/node/errno.js';
import { majorMinor } from '../../src/kernel/rumpuser/node/busy.js';
import { memoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import { nodeRumpuser } from '../../src/kernel/rumpuser/node.js';
import type { Rumpuser, Timespec } from '../../src/kernel/rumpuser/rumpuser.js';
import { RUMPUSER_VERSION } from '../../src/kernel/rumpuser/rumpuser.js';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rumpfuse-rumpuser-'));
t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));

let files = 0;
function file(bytes: number, fill = 0): string {
  const name = path.join(folder, `file${files++}`);
  fs.writeFileSync(name, new Uint8Array(bytes).fill(fill));
  return name;
}

/** The errno and message of what a call fails with. */
async function failure(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
  } catch (e) {
    return { code: (e as { code: string }).code, message: (e as Error).message };
  }
  return { code: 'none', message: '' };
}

const linux = process.platform === 'linux';
const haveTool = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

/** Both hosts must do the same. */
const hosts: [string, () => { ru: Rumpuser; image: (bytes: number, fill?: number) => string }][] = [
  ['node', () => ({ ru: nodeRumpuser(), image: file })],
  [
    'memory',
    () => {
      const ru = memoryRumpuser();
      let n = 0;
      return {
        ru,
        image: (bytes, fill = 0) => {
          ru.addFile(`/image${n}`, new Uint8Array(bytes).fill(fill));
          return `/image${n++}`;
        },
      };
    },
  ],
];

for (const [name, make] of hosts) {
  t.test(`${name}: files`, async (t) => {
    const { ru, image } = make();
    t.equal(ru.version, RUMPUSER_VERSION);
    const name = image(10_000, 3);
    const fd = await ru.rumpuser_open(name, { write: true });
    t.same(await ru.rumpuser_getfileinfo(fd), { type: 'file', size_bytes: 10_000, sector_bytes: 512, readonly: false });
    const buf = new Uint8Array(100);
    t.equal(await ru.rumpuser_pread(fd, buf, 10, 80, 9_950), 50, 'short at the end only');
    t.same([buf[9], buf[10], buf[59], buf[60]], [0, 3, 3, 0]);
    t.equal(await ru.rumpuser_pread(fd, buf, 0, 10, 20_000), 0);
    t.equal(await ru.rumpuser_pwrite(fd, new Uint8Array([1, 2, 3, 4]), 1, 2, 12_000), 2);
    t.equal((await ru.rumpuser_getfileinfo(fd)).size_bytes, 12_002);
    await ru.rumpuser_pread(fd, buf, 0, 4, 11_998);
    t.same([...buf.subarray(0, 4)], [0, 0, 2, 3]);
    await ru.rumpuser_syncfd(fd);
    await ru.rumpuser_discard(fd, 4096, 4096);
    t.equal((await ru.rumpuser_getfileinfo(fd)).size_bytes, 12_002);
    await ru.rumpuser_pread(fd, buf, 0, 2, 8191);
    t.same([buf[0], buf[1]], [0, 3], 'discarded bytes read as zeros, the next as before');
    await ru.rumpuser_close(fd);
    t.match(await failure(() => ru.rumpuser_pread(fd, buf, 0, 1, 0)), { code: 'EBADF' });
    t.match(await failure(() => ru.rumpuser_close(fd)), { code: 'EBADF' });

    const ro = await ru.rumpuser_open(name, { write: false });
    t.equal((await ru.rumpuser_getfileinfo(ro)).readonly, true);
    t.match(await failure(() => ru.rumpuser_pwrite(ro, buf, 0, 1, 0)), { code: 'EBADF' });
    await ru.rumpuser_close(ro);
    t.match(await failure(() => ru.rumpuser_open(name + '.none', { write: false })), { code: 'ENOENT' });
  });

  t.test(`${name}: a writer excludes all, readers exclude writers`, async (t) => {
    const { ru, image } = make();
    const name = image(4096);
    const w = await ru.rumpuser_open(name, { write: true, exclusive: true });
    t.equal((await failure(() => ru.rumpuser_open(name, { write: true, exclusive: true }))).code, 'EBUSY');
    t.equal((await failure(() => ru.rumpuser_open(name, { write: false, exclusive: true }))).code, 'EBUSY');
    await ru.rumpuser_close(w);
    const r1 = await ru.rumpuser_open(name, { write: false, exclusive: true });
    const r2 = await ru.rumpuser_open(name, { write: false, exclusive: true });
    t.equal((await failure(() => ru.rumpuser_open(name, { write: true, exclusive: true }))).code, 'EBUSY');
    await ru.rumpuser_close(r1);
    t.equal((await failure(() => ru.rumpuser_open(name, { write: true, exclusive: true }))).code, 'EBUSY');
    await ru.rumpuser_close(r2);
    await ru.rumpuser_close(await ru.rumpuser_open(name, { write: true, exclusive: true }));
  });

  t.test(`${name}: clocks and random numbers`, async (t) => {
    const { ru } = make();
    const a: Timespec = { sec: 0, nsec: 0 };
    const b: Timespec = { sec: 0, nsec: 0 };
    ru.rumpuser_clock_gettime('monotonic', a);
    for (let i = 0; i < 1000; i++) {
      ru.rumpuser_clock_gettime('monotonic', b);
      if (b.sec < a.sec || (b.sec === a.sec && b.nsec < a.nsec)) t.fail('monotonic time ran backwards');
      if (!Number.isInteger(b.sec) || !Number.isInteger(b.nsec) || b.nsec < 0 || b.nsec > 999_999_999) {
        t.fail(`not a time: ${b.sec} ${b.nsec}`);
      }
      a.sec = b.sec;
      a.nsec = b.nsec;
      ru.rumpuser_clock_gettime('realtime', b);
      if (!Number.isInteger(b.sec) || !Number.isInteger(b.nsec) || b.nsec < 0 || b.nsec > 999_999_999) {
        t.fail(`not a time: ${b.sec} ${b.nsec}`);
      }
    }
    const bytes = new Uint8Array(70_000);
    ru.rumpuser_getrandom(bytes);
    t.equal(new Set(bytes).size, 256);
    await ru.rumpuser_clock_sleep(1);
  });
}

t.test('node: the realtime clock is the host\'s', async (t) => {
  const ru = nodeRumpuser();
  const ts: Timespec = { sec: 0, nsec: 0 };
  for (let i = 0; i < 200; i++) {
    const before = Date.now();
    ru.rumpuser_clock_gettime('realtime', ts);
    const ms = ts.sec * 1000 + ts.nsec / 1e6;
    if (ms < before - 4 || ms > Date.now() + 4) t.fail(`${ms} is not between ${before} and now`);
  }
  t.pass();
});

t.test('node: what is no disk', async (t) => {
  const ru = nodeRumpuser();
  t.match(await failure(() => ru.rumpuser_open(folder, { write: false })), {
    code: 'EISDIR',
    message: /is a directory/,
  });
  t.match(await failure(() => ru.rumpuser_open('/dev/null', { write: true })), {
    code: 'ENOTBLK',
    message: /character device/,
  });
  const fifo = path.join(folder, 'fifo');
  if (spawnSync('mkfifo', [fifo]).status === 0) {
    t.match(
      await failure(() => ru.rumpuser_open(fifo, { write: false })),
      { code: 'EINVAL' },
      'does not wait for the other end',
    );
  }
  t.match(await failure(() => ru.rumpuser_open(path.join(folder, 'none'), { write: false })), {
    code: 'ENOENT',
    message: /none: no such file/,
  });
  t.match(await failure(() => ru.rumpuser_open(path.join(file(1), 'x'), { write: false })), { code: 'ENOTDIR' });
});

t.test('node: host errors by name', async (t) => {
  t.equal(errnoOfHostError({ code: 'EAGAIN', errno: -11 }), E.EAGAIN);
  t.equal(errnoOfHostError({ code: 'ENOTSUP' }), E.EOPNOTSUPP);
  t.equal(errnoOfHostError(new Error('what')), E.EIO);
  t.equal(errnoOf(hostErrno({ code: 'ENOSPC' }, 'x')), E.ENOSPC);
  if (linux) {
    t.equal(errnoOfHostNumber(11), E.EAGAIN);
    t.equal(errnoOfHostNumber(40), E.ELOOP);
    t.equal(errnoOfHostNumber(122), E.EDQUOT);
    t.equal(errnoOfHostNumber(123), E.ENXIO);
    t.equal(errnoOfHostError({ code: 'Unknown system error -117', errno: -117 }), E.EIO);
  }
  t.equal(errnoOfHostNumber(99999), E.EIO);
});

t.test('node: device numbers', async (t) => {
  t.equal(majorMinor(0x0801), '8:1');
  t.equal(majorMinor(0xfe00), '254:0');
  // glibc's gnu_dev_makedev(0x12345, 0x6789a)
  t.equal(majorMinor(Number((0x12000n << 32n) | (0x67800n << 12n) | (0x345n << 8n) | 0x9an)), `${0x12345}:${0x6789a}`);
});

t.test('node: a log sink gets every line', async (t) => {
  const lines: unknown[] = [];
  const ru = nodeRumpuser({
    log: (level, message, fields) => lines.push([level, message, fields]),
    params: new Map([['a', 'b']]),
  });
  ru.rumpuser_dprintf('warn', 'words', { offset: 1 });
  t.same(lines, [['warn', 'words', { offset: 1 }]]);
  t.equal(ru.rumpuser_getparam('a'), 'b');
  t.match(ru.rumpuser_getparam('_RUMPUSER_NCPU'), /^\d+$/);
});

t.test('node: the lock goes with the descriptor to another process', { skip: !linux }, async (t) => {
  const ru = nodeRumpuser();
  const name = file(4096);
  const fd = await ru.rumpuser_open(name, { write: true, exclusive: true });
  const child = spawn(
    process.execPath,
    ['-e', 'process.stdin.resume(); process.stdin.on("end", () => process.exit()); console.log("up")'],
    { stdio: ['pipe', 'pipe', 'inherit', fd] },
  );
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  await ru.rumpuser_close(fd);
  const busy = await failure(() => ru.rumpuser_open(name, { write: true, exclusive: true }));
  t.equal(busy.code, 'EBUSY');
  t.match(
    busy.message,
    new RegExp(`in use by process ${child.pid} `),
    'says who holds it, although it was not he who took it',
  );
  t.match(await failure(() => ru.rumpuser_open(name, { write: false, exclusive: true })), {
    code: 'EBUSY',
    message: /being written by process/,
  });
  child.stdin!.end();
  await new Promise((resolve) => child.once('exit', resolve));
  await ru.rumpuser_close(await ru.rumpuser_open(name, { write: true, exclusive: true }));
});

t.test('node: locks of qemu are respected', { skip: !linux || !haveTool('python3') }, async (t) => {
  // qemu holds shared locks on 100 + permission and 200 + what it does not share; 1 is the permission to write.
  const script =
    'import fcntl,struct,sys,os\nf=open(sys.argv[1],"r+b")\nfor b in (100,101,201):\n ' +
      'fcntl.fcntl(f,37,struct.pack("hhqqi4x",0,0,b,1,0))\nprint("up",flush=True)\nsys.stdin.read()';
  const ru = nodeRumpuser();
  const name = file(4096);
  const child = spawn('python3', ['-c', script, name], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  t.match(await failure(() => ru.rumpuser_open(name, { write: true, exclusive: true })), {
    code: 'EBUSY',
    message: /python3/,
  });
  t.match(await failure(() => ru.rumpuser_open(name, { write: false, exclusive: true })), {
    code: 'EBUSY',
    message: /being written/,
  });
  await ru.rumpuser_close(await ru.rumpuser_open(name, { write: true }));
  child.stdin.end();
  await new Promise((resolve) => child.once('exit', resolve));
  await ru.rumpuser_close(await ru.rumpuser_open(name, { write: true, exclusive: true }));
});

t.test('node: block devices', { skip: !linux || process.getuid!() !== 0 || !haveTool('losetup') }, async (t) => {
  const backing = file(3 << 20, 5);
  const attached = spawnSync('losetup', ['--find', '--show', backing], { encoding: 'utf8' });
  if (attached.status !== 0) {
    t.skip('no loop device', () => undefined);
    return;
  }
  const device = attached.stdout.trim();
  const lines: string[] = [];
  const ru = nodeRumpuser({ log: (_, message) => lines.push(message) });
  try {
    t.match(await failure(() => ru.rumpuser_open(backing, { write: true, exclusive: true })), {
      code: 'EBUSY',
      message: `attached to ${device}`,
    });
    await ru.rumpuser_close(await ru.rumpuser_open(backing, { write: false, exclusive: true }));
    t.match(lines, [`attached to ${device}`]);

    const fd = await ru.rumpuser_open(device, { write: true, exclusive: true });
    t.same(await ru.rumpuser_getfileinfo(fd), {
      type: 'blockdev',
      size_bytes: 3 << 20,
      sector_bytes: 512,
      readonly: false,
    });
    t.equal((await failure(() => ru.rumpuser_open(device, { write: true, exclusive: true }))).code, 'EBUSY');
    t.equal((await failure(() => ru.rumpuser_open(device, { write: false, exclusive: true }))).code, 'EBUSY');
    const buf = new Uint8Array(8);
    t.equal(await ru.rumpuser_pread(fd, buf, 0, 8, (3 << 20) - 4), 4);
    await ru.rumpuser_discard(fd, 4096, 4096);
    await ru.rumpuser_pread(fd, buf, 0, 2, 8191);
    t.same([buf[0], buf[1]], [0, 5]);
    t.match(await failure(() => ru.rumpuser_pwrite(fd, buf, 0, 8, 3 << 20)), { code: 'ENOSPC' });
    await ru.rumpuser_syncfd(fd);
    await ru.rumpuser_close(fd);

    const ro = await ru.rumpuser_open(device, { write: false, exclusive: true });
    await ru.rumpuser_close(await ru.rumpuser_open(device, { write: false, exclusive: true }));
    t.equal((await ru.rumpuser_getfileinfo(ro)).readonly, true);
    await ru.rumpuser_close(ro);

    // Whoever had the file before it was attached.
    spawnSync('losetup', ['-d', device]);
    const user = await ru.rumpuser_open(backing, { write: true, exclusive: true });
    t.equal(spawnSync('losetup', [device, backing]).status, 0);
    for (const write of [true, false]) {
      t.match(await failure(() => ru.rumpuser_open(device, { write, exclusive: true })), {
        code: 'EBUSY',
        message: new RegExp(`${device} is attached to a file that is in use: ${backing} is `),
      });
    }
    await ru.rumpuser_close(user);
    await ru.rumpuser_close(await ru.rumpuser_open(device, { write: true, exclusive: true }));

    if (haveTool('mkfs.ext4')) {
      spawnSync('mkfs.ext4', ['-q', '-F', device]);
      const mountpoint = path.join(folder, 'mnt');
      fs.mkdirSync(mountpoint);
      if (spawnSync('mount', ['-t', 'ext4', device, mountpoint]).status === 0) {
        t.match(await failure(() => ru.rumpuser_open(device, { write: true, exclusive: true })), {
          code: 'EBUSY',
          message: new RegExp(`mounted on ${mountpoint}`),
        });
        t.match(await failure(() => ru.rumpuser_open(device, { write: false, exclusive: true })), { code: 'EBUSY' });
        spawnSync('mount', ['-o', 'remount,ro', mountpoint]);
        t.match(await failure(() => ru.rumpuser_open(device, { write: true, exclusive: true })), { code: 'EBUSY' });
        await ru.rumpuser_close(await ru.rumpuser_open(device, { write: false, exclusive: true }));
        spawnSync('umount', [mountpoint]);
      }
    }
  } finally {
    spawnSync('losetup', ['-d', device]);
  }
});

t.test(
  'node: a disk and its partitions',
  { skip: !linux || process.getuid!() !== 0 || !haveTool('losetup') || !haveTool('addpart') || !haveTool('mkfs.ext4') },
  async (t) => {
    const backing = file(8 << 20);
    const attached = spawnSync('losetup', ['--find', '--show', backing], { encoding: 'utf8' });
    const disk = attached.stdout.trim();
    const added =
      attached.status === 0 &&
      [
        ['1', '2048', '4096'],
        ['2', '8192', '4096'],
      ].every((part) => spawnSync('addpart', [disk, ...part]).status === 0);
    try {
      if (!added || !fs.existsSync(`${disk}p1`)) {
        t.skip('no partitions on loop devices here', () => undefined);
        return;
      }
      const ru = nodeRumpuser({ log: () => undefined });
      const busy = (path: string, write: boolean): Promise<{ code: string; message: string }> =>
        failure(async () => ru.rumpuser_close(await ru.rumpuser_open(path, { write, exclusive: true })));
      const fd = await ru.rumpuser_open(`${disk}p2`, { write: true, exclusive: true });
      t.match(await ru.rumpuser_getfileinfo(fd), { size_bytes: 4096 * 512, sector_bytes: 512, readonly: false });
      t.equal((await busy(disk, true)).code, 'EBUSY');
      t.match(await busy(disk, false), {
        code: 'EBUSY',
        message: /its disk or one of its partitions is being written/,
      });
      t.equal((await busy(`${disk}p1`, true)).code, 'none', 'another partition is free');
      await ru.rumpuser_close(fd);

    const mountpoint = path.join(folder, 'partition');
    fs.mkdirSync(mountpoint);
    spawnSync('mkfs.ext4', ['-q', `${disk}p1`]);
    if (spawnSync('mount', [`${disk}p1`, mountpoint]).status === 0) {
      t.match(await busy(disk, true), { code: 'EBUSY', message: `the host has ${disk}p1 mounted on ${mountpoint}` });
      t.equal((await busy(disk, false)).code, 'EBUSY');
      t.equal((await busy(`${disk}p2`, true)).code, 'none');
      spawnSync('umount', [mountpoint]);
      t.equal((await busy(disk, true)).code, 'none');
    }
  } finally {
    // Partitions that were added by hand outlive the attachment.
    for (const part of ['1', '2']) if (attached.status === 0) spawnSync('delpart', [disk, part]);
    if (attached.status === 0) spawnSync('losetup', ['-d', disk]);
  }
});

t.test('memory: the same seed gives the same numbers, the clock is the caller\'s', async (t) => {
  const numbers = (seed: number): number[] => {
    const bytes = new Uint8Array(32);
    memoryRumpuser({ seed }).rumpuser_getrandom(bytes);
    return [...bytes];
  };
  t.same(numbers(7), numbers(7));
  t.notSame(numbers(7), numbers(8));

  const ru = memoryRumpuser({ now: 500, tick_ns: 0 });
  const ts: Timespec = { sec: 0, nsec: 0 };
  const fired: number[] = [];
  ru.rumpuser_timer(20, () => fired.push(20));
  ru.rumpuser_timer(10, () => fired.push(10));
  ru.rumpuser_timer(15, () => fired.push(15)).cancel();
  ru.advance(9.5);
  t.same(fired, []);
  await ru.rumpuser_clock_sleep(1500);
  t.same(fired, [10, 20]);
  ru.rumpuser_clock_gettime('realtime', ts);
  t.same(ts, { sec: 501, nsec: 509_500_000 });
  ru.setRealtime(-2);
  ru.rumpuser_clock_gettime('realtime', ts);
  t.same(ts, { sec: -2, nsec: 0 });
  ru.setRealtime(7.25);
  ru.advance(800);
  ru.rumpuser_clock_gettime('realtime', ts);
  t.same(ts, { sec: 8, nsec: 50_000_000 });
  ru.rumpuser_dprintf('info', 'hello');
  t.same(ru.log, [{ level: 'info', message: 'hello' }]);

  const patient = memoryRumpuser({ autoadvance: false });
  let woke = false;
  const sleeping = patient.rumpuser_clock_sleep(10).then(() => (woke = true));
  await new Promise((r) => setImmediate(r));
  t.equal(woke, false);
  patient.advance(10);
  await sleeping;
  t.equal(woke, true);
});

t.test('memory: a device, and a file larger than memory', async (t) => {
  const ru = memoryRumpuser({
    files: {
      '/dev/sd0': { type: 'blockdev', size_bytes: 4096, sector_bytes: 2048 },
      '/big': { size_bytes: 2 ** 50, content: new Uint8Array([1]) },
      '/cd': { readonly: true, size_bytes: 10 },
      '/tty': { type: 'chardev' },
      '/d': { type: 'directory' },
    },
  });
  const dev = ru.rumpuser_open('/dev/sd0', { write: true });
  t.match(ru.rumpuser_getfileinfo(dev), { type: 'blockdev', size_bytes: 4096, sector_bytes: 2048 });
  t.equal(ru.rumpuser_pwrite(dev, new Uint8Array(10), 0, 10, 4090), 6);
  t.equal((await failure(() => ru.rumpuser_pwrite(dev, new Uint8Array(10), 0, 10, 4096))).code, 'ENOSPC');
  const big = ru.rumpuser_open('/big', { write: true });
  ru.rumpuser_pwrite(big, new Uint8Array([9, 9]), 0, 2, 2 ** 49);
  ru.rumpuser_discard(big, 0, 2 ** 49);
  const buf = new Uint8Array(2);
  ru.rumpuser_pread(big, buf, 0, 1, 0);
  ru.rumpuser_pread(big, buf, 1, 1, 2 ** 49);
  t.same([...buf], [0, 9]);
  t.throws(() => ru.rumpuser_open('/cd', { write: true }), { code: 'EROFS' });
  t.throws(() => ru.rumpuser_open('/tty', { write: true }), { code: 'ENOTBLK' });
  t.throws(() => ru.rumpuser_open('/d', { write: true }), { code: 'EISDIR' });
});
