import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { FAR_MS, Workplace, noMount, rumpfuse, run } from './support.js';

/**
 * Faults from below, through a real mount: an error for the operation, a line in the log, fsync that never lies, an
 * unmount that says so, and no process left.
 */
const place = new Workplace();
t.teardown(() => place.end());
const real = { skip: noMount ?? false };
const MiB = 1 << 20;
const PIECE = 65536;

/**
 * Run by a process of its own: writes a file in pieces, with an fsync after each, to the first error; then tries on.
 */
const WRITER = `
const fs = require('fs'), crypto = require('crypto');
const dir = process.argv[1], pieces = Number(process.argv[2]);
const codes = { write: null, fsync: null, later: [], synced: 0 };
const attempt = (call) => { try { call(); return null; } catch (e) { return e.code; } };
const fd = fs.openSync(dir + '/data', 'w');
for (let i = 0; i < pieces; i++) {
  codes.write ??= attempt(() => fs.writeSync(fd, crypto.randomBytes(65536)));
  codes.fsync ??= attempt(() => fs.fsyncSync(fd));
  if (codes.write !== null || codes.fsync !== null) break;
  codes.synced++;
}
for (let i = 0; i < 3; i++) codes.later.push([attempt(() => fs.writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, i * 4096)), attempt(() => fs.fsyncSync(fd))]);
codes.mkdir = attempt(() => { fs.mkdirSync(dir + '/more'); const d = fs.openSync(dir + '/more'); try { fs.fsyncSync(d); } finally { fs.closeSync(d); } });
attempt(() => fs.closeSync(fd));
process.stdout.write(JSON.stringify(codes));
`;

interface Codes {
  readonly write: string | null;
  readonly fsync: string | null;
  /** Of writes and fsyncs after the first error. */
  readonly later: readonly (readonly [string | null, string | null])[];
  readonly mkdir: string | null;
  /** Pieces of 64 KiB whose fsync succeeded. */
  readonly synced: number;
}

async function write(dir: string, pieces: number): Promise<Codes> {
  const { stdout, stderr } = await run(process.execPath, ['-e', WRITER, dir, String(pieces)], {});
  if (stdout === '') throw new Error(`the writer said nothing: ${stderr}`);
  return JSON.parse(stdout) as Codes;
}

interface Processes {
  readonly pid: number;
  readonly server: number;
  readonly log: string;
}

async function processes(dir: string): Promise<Processes> {
  const { pid, details } = JSON.parse((await rumpfuse('info', '--json', dir)).stdout) as {
    pid: number;
    details: { server_pid: number; log: string };
  };
  return { pid, server: details.server_pid, log: details.log };
}

function running(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

/** Unmounts, and sees that everything has gone. */
async function ended(
  t: Test,
  dir: string,
  { pid, server }: Processes,
): Promise<{ status: number | null; stderr: string }> {
  const outcome = await rumpfuse('umount', dir);
  for (let i = 0; i < 10_000 && [pid, server].some(running); i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.notOk([pid, server].some(running), 'no process is left');
  t.notOk(fs.readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${dir} `), 'the mount point is free');
  return outcome;
}

/** A file system of that size on the host. */
async function smallHost(name: string, bytes: number): Promise<string> {
  const dir = place.folder(name);
  const { status, stderr } = await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]);
  if (status !== 0) throw new Error(stderr);
  return dir;
}

/** After the first error nothing that goes to the disk may be called a success that is none. */
function honest(t: Test, codes: Codes, allowed: RegExp): void {
  t.match(
    codes.write ?? codes.fsync ?? 'nothing failed',
    allowed,
    `the first error: write ${codes.write}, fsync ${codes.fsync} after ${codes.synced} pieces`,
  );
  for (const [w, f] of codes.later) t.ok(w !== null || f !== null, `afterwards: write ${w}, fsync ${f}`);
}

/** What does not fit is refused when it is written; what was taken can be brought to the disk. */
function full(t: Test, codes: Codes, log: string): void {
  t.match(codes, { write: 'ENOSPC', fsync: null });
  t.ok(codes.synced > 0, `${codes.synced} pieces`);
  for (const [, fsync] of codes.later) t.equal(fsync, null);
  t.match(fs.readFileSync(log, 'latin1'), /warning.*no space left where it is kept/, 'the log says why');
}

await t.test('a sparse image on a host that is full', real, async (t) => {
  const host = await smallHost('full', 3 * MiB);
  const image = `${host}/disk.img`;
  await rumpfuse('newfs', '-s', '16m', image);
  const mnt = place.folder('mnt-full');
  t.match(await rumpfuse('mount', image, mnt), { status: 0 });
  const served = await processes(mnt);
  const codes = await write(mnt, 128);
  full(t, codes, served.log);
  t.match(await ended(t, mnt, served), { status: 0 }, 'all that was taken is on the disk');
  t.match(await rumpfuse('fsck', '-n', image), { status: 0 });
  t.match(await rumpfuse('mount', image, mnt), { status: 0 });
  // The last piece may have been written in part.
  t.ok(fs.statSync(`${mnt}/data`).size > (codes.synced - 1) * PIECE);
  await run('mount', ['-o', `remount,size=${32 * MiB}`, host]);
  t.match(await write(mnt, 32), { write: null, fsync: null, synced: 32 }, 'when there is room it goes on');
  t.match(await rumpfuse('umount', mnt), { status: 0 });
});

await t.test('an overlay on a host that is full', real, async (t) => {
  const host = await smallHost('full-overlay', 2 * MiB);
  const image = place.path('under.img');
  await rumpfuse('newfs', '-s', '16m', image);
  const before = fs.readFileSync(image);
  const mnt = place.folder('mnt-overlay');
  t.match(await rumpfuse('mount', '-o', `overlay=${host}/over`, image, mnt), { status: 0 });
  const served = await processes(mnt);
  const codes = await write(mnt, 128);
  full(t, codes, served.log);
  t.match(await ended(t, mnt, served), { status: 0 }, 'all that was taken is in the overlay');
  t.match(await rumpfuse('mount', '-o', `ro,overlay=${host}/over`, image, mnt), { status: 0 });
  // The last piece may have been written in part.
  t.ok(fs.statSync(`${mnt}/data`).size > (codes.synced - 1) * PIECE);
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.ok(fs.readFileSync(image).equals(before), 'the disk is as it was');
});

for (const kept of [64 * 1024 + 4096, 4 * MiB]) {
  await t.test(`an image that is cut to ${kept} bytes under its mount`, real, async (t) => {
    const image = place.path(`cut-${kept}.img`);
    await rumpfuse('newfs', '-s', '16m', image);
    const mnt = place.folder(`mnt-cut-${kept}`);
    t.match(await rumpfuse('mount', image, mnt), { status: 0 });
    const served = await processes(mnt);
    fs.writeFileSync(`${mnt}/old`, Buffer.alloc(MiB, 'old'));
    t.equal((await run('sync', ['-f', mnt])).status, 0);
    fs.truncateSync(image, kept);
    const codes = await write(mnt, 64);
    honest(t, codes, /^(EIO|EROFS)$/);
    t.equal(codes.synced, 0, 'not one fsync succeeds');
    t.match(
      fs.readFileSync(served.log, 'latin1'),
      /error.* was cut short while it is in use: it has \d+ of 16777216 bytes/,
      'the log says why',
    );
    const outcome = await ended(t, mnt, served);
    t.ok(outcome.status !== 0, 'umount fails');
    t.match(outcome.stderr, /cut short/);
    t.ok(fs.statSync(image).size < 16 * MiB, 'it is not made longer again');
  });
}

/** Devices that vanish need loop devices. */
const loop = spawnSync('losetup', ['-f'], { encoding: 'utf8' });
const noLoop =
  noMount ?? (loop.status === 0 && fs.existsSync('/dev/loop-control') ? undefined : 'there are no loop devices');

await t.test('a device whose medium is cut off', { skip: noLoop ?? false }, async (t) => {
  const backing = place.path('backing.img');
  await rumpfuse('newfs', '-s', '16m', backing);
  const made = await run('losetup', ['-f', '--show', backing]);
  if (made.status !== 0) return void t.pass(`no loop device here: ${made.stderr}`);
  const device = made.stdout.trim();
  try {
    const mnt = place.folder('mnt-loop');
    t.match(await rumpfuse('mount', device, mnt), { status: 0 });
    const served = await processes(mnt);
    fs.writeFileSync(`${mnt}/old`, Buffer.alloc(MiB, 'old'));
    t.equal((await run('sync', ['-f', mnt])).status, 0);
    fs.truncateSync(backing, 0);
    t.equal((await run('losetup', ['-c', device])).status, 0, 'the device has no sectors any more');
    const codes = await write(mnt, 64);
    honest(t, codes, /^(EIO|ENXIO|ENOSPC|EROFS)$/);
    t.equal(codes.synced, 0, 'not one fsync succeeds');
    t.match(fs.readFileSync(served.log, 'latin1'), /error/, 'the log says why');
    const outcome = await ended(t, mnt, served);
    t.ok(outcome.status !== 0, `umount: ${outcome.stderr}`);
  } finally {
    await run('losetup', ['-d', device]);
  }
});

await t.test('the programs on a mount whose disk fails are not left waiting', real, async (t) => {
  const image = place.path('wait.img');
  await rumpfuse('newfs', '-s', '16m', image);
  const mnt = place.folder('mnt-wait');
  t.match(await rumpfuse('mount', image, mnt), { status: 0 });
  const served = await processes(mnt);
  const writers = [1, 2, 3].map((n) =>
    spawn(
      '/bin/sh',
      [
        '-c',
        `i=0; while [ $i -lt 60 ]; do dd if=/dev/zero of="$1/f${n}-$i" bs=64k count=2 conv=fsync 2>/dev/null; cat ` +
          '"$1"/f* > /dev/null 2>&1; i=$((i + 1)); done',
        'sh',
        mnt,
      ],
      { stdio: 'ignore' },
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  fs.truncateSync(image, MiB);
  const done = await Promise.all(writers.map((child) => new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve(false);
    }, FAR_MS);
    child.on('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
  })));
  t.same(done, [true, true, true], 'each came to its end');
  t.ok((await ended(t, mnt, served)).status !== 0);
});

await t.test('an overlay file is not left behind by a mount that was refused', real, async (t) => {
  const text = place.file('text.img', Buffer.alloc(MiB, 'no volume'));
  const over = place.path('left');
  t.match(await rumpfuse('mount', '-o', `overlay=${over}`, text, place.folder('mnt-refused')), { status: 32 });
  t.notOk(fs.existsSync(over), 'it was made for nothing');
  const image = place.path('good.img');
  await rumpfuse('newfs', '-s', '4m', image);
  t.match(await rumpfuse('mount', '-o', `overlay=${over}`, image, place.path('mnt-refused')), { status: 0 });
  t.match(await rumpfuse('umount', place.path('mnt-refused')), { status: 0 });
  t.match(await rumpfuse('mount', '-o', `overlay=${over}`, text, place.path('mnt-refused')), { status: 32 });
  t.ok(fs.existsSync(over), 'one that was there stays');
});
