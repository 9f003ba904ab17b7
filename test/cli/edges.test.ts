import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { recordDirectory, removeRecord, writeRecord } from '../../src/cli/mounts.js';
import { ROOT, RUMPFUSE, Workplace, noMount, rumpfuse, run } from './support.js';

/** What people do with a command line besides what it was made for. */
const place = new Workplace();
t.teardown(() => place.end());
t.setTimeout(0); // on a busy machine each command may take seconds
const real = { skip: noMount ?? false };
const optionsOf = (dir: string) =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[4] === dir)
    ?.split(' ');

/** An MBR with one partition of NetBSD's type. */
function divided(name: string): string {
  const disk = Buffer.alloc(8 << 20);
  disk[446 + 4] = 0xa9;
  disk.writeUInt32LE(2048, 446 + 8);
  disk.writeUInt32LE(8192, 446 + 12);
  disk.writeUInt16LE(0xaa55, 510);
  return place.file(name, disk);
}

/** A new volume that is mounted and has been written to. */
async function mounted(name: string): Promise<{ image: string; dir: string }> {
  const image = place.path(`${name}.img`);
  const dir = place.folder(name);
  await rumpfuse('newfs', '-s', '16m', image);
  await rumpfuse('mount', image, dir);
  writeFileSync(path.join(dir, 'file'), 'x');
  return { image, dir };
}

t.test('an option said twice counts as said last', async (t) => {
  const made = await rumpfuse('newfs', '-s', '1x', '-s', '16m', place.path('twice.img'));
  t.match(made, { status: 0, stdout: /: 16 MiB/ });
});

t.test('newfs --log with and without a size, wherever it stands', async (t) => {
  t.match(await rumpfuse('newfs', '-s', '32m', '--log', place.path('log1.img')), { status: 0, stderr: '' });
  t.match(await rumpfuse('newfs', '--log', '2m', '-s', '32m', place.path('log2.img')), { status: 0, stderr: '' });
  t.match(await rumpfuse('newfs', '-s', '32m', place.path('log3.img'), '--log=2m'), { status: 0, stderr: '' });
  for (const option of [['-l'], ['--log'], ['-l', '2m'], ['--log=2m'], ['-l', '0']]) {
    t.match(
      await rumpfuse('tunefs', '-N', ...option, place.path('log3.img')),
      { status: 0, stderr: '' },
      option.join(' '),
    );
  }
});

t.test('a wrong choice names the right ones', async (t) => {
  const { status, stderr } = await rumpfuse('newfs', '-O', '3', '-s', '16m', place.path('x.img'));
  t.equal(status, 1);
  t.match(stderr, /3: choose one of 0, 1, 2, 2ea \(rumpfuse newfs --help/);
  t.match((await rumpfuse('newfs')).stderr, /newfs: an argument is missing/);
});

t.test('from a directory that has been removed', real, async (t) => {
  const image = place.path('removed.img');
  const mnt = place.folder('mnt-removed');
  await rumpfuse('newfs', '-s', '4m', image);
  const gone = (...args: string[]) =>
    run('sh', ['-c', 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', 'sh', RUMPFUSE, ...args], {
      cwd: place.dir,
    });
  t.match(await gone('mount', image, mnt), { status: 0, stderr: '' });
  t.match(await gone('list'), { status: 0, stdout: new RegExp(mnt) });
  t.match(await gone('umount', mnt), { status: 0, stderr: '' });
});

t.test('too few files that may be open: says so', async (t) => {
  const outcome = await run('sh', [
    '-c',
    'ulimit -n 80 && exec "$@"',
    'sh',
    RUMPFUSE,
    'mount',
    place.file('few.img', 'x'),
    place.folder('mnt-few'),
  ]);
  t.match(outcome, {
    status: 1,
    stderr: /^rumpfuse: only 80 files may be open at a time here \(ulimit -n\): 100 are needed\n$/,
  });
});

t.test('files may not grow to the end of the image: says so before anything can be lost', async (t) => {
  const written = await run('sh', [
    '-c',
    'ulimit -f 1000 && exec "$@"',
    'sh',
    RUMPFUSE,
    'mount',
    place.file('large.img', new Uint8Array(2 << 20)),
    place.folder('mnt-large'),
  ]);
  t.match(written, {
    status: 1,
    stderr:
      /large\.img: files may be written up to (512000|1024000) bytes here \(ulimit -f\), which is less than the disk has \(2097152\)/,
  });
});

t.test('no place for the records of mounts: says which', real, async (t) => {
  const image = place.path('no-run.img');
  await rumpfuse('newfs', '-s', '4m', image);
  const script = 'mount -t tmpfs none /run && mount -o remount,ro /run && exec "$@"';
  const outcome = await run('unshare', [
    '-m',
    'sh',
    '-c',
    script,
    'sh',
    RUMPFUSE,
    'mount',
    image,
    place.folder('mnt-no-run'),
  ]);
  t.match(outcome, {
    status: 1,
    stderr: /^rumpfuse: \/run\/rumpfuse is needed for the records of mounts and cannot be made \(.+\)\n$/,
  });
});

t.test('an image that is deleted while it is mounted: said at the end', real, async (t) => {
  const image = place.path('deleted.img');
  const mnt = place.folder('mnt-deleted');
  await rumpfuse('newfs', '-s', '4m', image);
  await rumpfuse('mount', image, mnt);
  rmSync(image);
  writeFileSync(path.join(mnt, 'f'), 'text');
  t.match(await rumpfuse('umount', mnt), {
    status: 0,
    stderr: /^rumpfuse: warning: .*deleted\.img was deleted while it is in use: [^\n]*\n$/,
  });
});

t.test('nobody is left to serve a mount: umount tells what it said, and that is that', real, async (t) => {
  const image = place.path('nobody.img');
  const mnt = place.folder('mnt-nobody');
  await rumpfuse('newfs', '-s', '4m', image);
  await rumpfuse('mount', '-o', 'nostandby', image, mnt);
  const record = (
    JSON.parse((await rumpfuse('info', '--json', mnt)).stdout) as {
      details: { pid: number; server_pid: number; log: string };
    }
  ).details;
  appendFileSync(record.log, 'rumpfuse: warning: something was said\n');
  // All at once: the supervisor, the server, the keeper.
  const family = (await run('pgrep', ['-P', String(record.pid)])).stdout.trim().split('\n').map(Number);
  process.kill(record.pid, 'SIGSTOP');
  for (const pid of [...family, record.server_pid, record.pid]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // With its namespace's first.
    }
  }
  let told = '';
  for (const end = Date.now() + 600_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (
      /not served any more/.test(
        (told = (await rumpfuse('list')).stdout.split('\n').find((line) => line.includes(mnt)) ?? ''),
      )
    ) {
      break;
    }
  }
  t.match(told, /not served any more/);
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: /something was said/ });
  t.notOk(existsSync(record.log));
  t.notMatch((await rumpfuse('list')).stderr, /something was said/, 'told once');
});

t.test('--help breaks lines between words', async (t) => {
  const { stdout } = await rumpfuse('--help');
  t.match(stdout, /when everything is on the disk and the server is\n? *gone/);
});

t.test('a disk with partitions is no volume, and newfs does not wipe it', async (t) => {
  const disk = divided('disk.img');
  for (const [command, ...options] of [['newfs'], ['fsck'], ['dumpfs'], ['tunefs', '--minfree', '7']] as const) {
    const { status, stderr, stdout } = await rumpfuse(command, ...options, disk);
    t.equal(status, 1, command);
    t.match(stderr, /is divided into partitions: choose one with --partition.*1 \(NetBSD, 4 MiB\)/);
    t.equal(stdout, '');
  }
  t.equal((await rumpfuse('newfs', '--partition', '1', disk)).status, 0);
  t.match(await rumpfuse('fsck', '--partition', '1', disk), { status: 0, stdout: /disk\.img: clean\n$/ });
  t.equal((await rumpfuse('newfs', '--force', disk)).status, 0);
});

t.test('newfs --from a directory that does not fit', async (t) => {
  place.folder('large');
  place.file('large/file', Buffer.alloc(8 << 20));
  const { status, stderr } = await rumpfuse(
    'newfs',
    '-s',
    '4m',
    '--from',
    place.path('large'),
    place.path('small.img'),
  );
  t.equal(status, 1);
  t.match(stderr, /small\.img is too small for what .*large holds: give more with --size/);
  t.equal((await run('ls', [place.path('small.img')])).status, 2, 'no half volume is left');
});

t.test('arguments behind --; noatime; who has an image in use', real, async (t) => {
  const image = place.path('plain.img');
  await rumpfuse('newfs', '-s', '16m', image);
  const dir = place.folder('mnt');
  t.equal((await rumpfuse('mount', '-o', 'noatime', '--', image, dir)).status, 0);
  t.ok(optionsOf(dir)?.[5]?.split(',').includes('noatime'));
  t.match(
    (await rumpfuse('mount', image, place.folder('mnt2'))).stderr,
    new RegExp(`in use by process \\d+ \\(mounted on ${dir}\\)`),
  );
  t.notMatch((await rumpfuse('info', dir)).stdout, /options:.*\brw,.*\brw,/);
  t.equal((await rumpfuse('umount', '--', dir)).status, 0);
});

t.test('what info says of an image that is mounted', real, async (t) => {
  const { image, dir } = await mounted('used');
  const { stdout } = await rumpfuse('info', image);
  t.match(stdout, new RegExp(`state: +mounted on ${dir} and being written`));
  t.notMatch(stdout, /fsck/, 'nothing is wrong with it');
  t.same((JSON.parse((await rumpfuse('info', '--json', image)).stdout) as { mounted_on: string[] }).mounted_on, [dir]);
  await rumpfuse('umount', dir);
  t.match((await rumpfuse('info', image)).stdout, /state: +clean\n/);
});

t.test('a reader who has seen enough', async (t) => {
  const image = place.path('long.img');
  await rumpfuse('newfs', '-s', '512m', '-i', '2048', '-b', '4096', '-f', '512', image);
  t.match(await run('sh', ['-c', `"$0" dumpfs --all --freelist "$1" | head -n 1`, RUMPFUSE, image]), {
    status: 0,
    stdout: /^format/,
    stderr: '',
  });
});

t.test('suid and dev are root\'s', { skip: process.getuid?.() !== 0 }, async (t) => {
  for (const option of ['suid', 'dev']) {
    t.match(
      await run('setpriv', [
        '--reuid',
        '65534',
        '--regid',
        '65534',
        '--clear-groups',
        RUMPFUSE,
        'mount',
        '-o',
        option,
        place.path('long.img'),
        place.folder('mnt'),
      ]),
      { status: 1, stderr: new RegExp(`-o ${option}: only root may`) },
    );
  }
});

t.test('mount(8)\'s helper', real, async (t) => {
  const image = place.path('helper.img');
  await rumpfuse('newfs', '-s', '16m', image);
  const dir = place.folder('helped');
  const helper = path.join(ROOT, 'packaging/mount.rumpfuse');
  t.match(await run(helper, [image, dir, '-n', '-o', 'rw,noauto,nofail,x-systemd.automount']), {
    status: 0,
    stderr: '',
  });
  writeFileSync(path.join(dir, 'file'), 'x');
  t.equal((await rumpfuse('umount', dir)).status, 0);
  t.match(await run(helper, [image, dir, '-o', 'ro', '-t', 'rumpfuse.ffs']), { status: 0, stderr: '' });
  t.throws(() => writeFileSync(path.join(dir, 'file'), 'y'), { code: 'EROFS' });
  t.equal((await rumpfuse('umount', image)).status, 0, 'by its image');
  t.equal((await run(helper, [image, dir, '-f'])).status, 0, 'a fake mount');
  t.notOk(optionsOf(dir));
  t.equal((await run(helper, [place.path('nothing.img'), dir])).status, 32);
});

t.test('an unmount while another mount namespace has the mount still', real, async (t) => {
  const { image, dir } = await mounted('elsewhere');
  const other = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', 'echo here; read -r line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(other.stdout, 'data');
  const umount = spawn(RUMPFUSE, ['umount', dir], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(umount, 'exit');
  t.match(
    String(((await once(umount.stderr, 'data')) as [Buffer])[0]),
    new RegExp(`is unmounted here, but process ${other.pid} is in a mount namespace that has it still`),
  );
  t.equal(umount.exitCode, null, 'it waits');
  other.stdin.end('\n');
  t.same(await ended, [0, null]);
  t.match(await rumpfuse('fsck', image), { status: 0, stdout: /clean\n$/ });
});

t.test('what info says of a mount that will not survive', real, async (t) => {
  const image = place.path('mortal.img');
  await rumpfuse('newfs', '-s', '16m', image);
  const dir = place.folder('mortal');
  await rumpfuse('mount', '-o', 'nostandby', image, dir);
  const { details } = JSON.parse((await rumpfuse('info', '--json', dir)).stdout) as {
    details: { standing: string; server_pid: number };
  };
  t.match((await rumpfuse('info', dir)).stdout, new RegExp(`server: +process ${details.server_pid}\n`));
  writeFileSync(details.standing, JSON.stringify({ server_pid: details.server_pid, restarts: 0, outgrown: true }));
  t.match(
    (await rumpfuse('info', dir)).stdout,
    /server: +process \d+; its death would end the mount now: there are more changes/,
  );
  await rumpfuse('umount', dir);
});

t.test('the record of a mount whose device number is another one\'s by now', real, (t) => {
  const device = `99999:${process.pid}`; // which no mount has
  const record = { pid: 1, image: 'img', mountpoint: '/mnt', type: 'ffs', readonly: false, since: '', sandbox: [] };
  const files = () => readdirSync(recordDirectory()).filter((name) => name.startsWith(device.replace(':', '-')));
  writeRecord(device, record);
  writeRecord(device, { ...record, pid: 2 });
  t.equal(files().length, 2);
  removeRecord(device, 1);
  t.same(files(), [`${device.replace(':', '-')}-2.json`], 'the newer one keeps its own');
  removeRecord(device, 2);
  t.same(files(), []);
  t.end();
});

t.test('a mount whose server was killed: list and umount tell', real, async (t) => {
  const image = place.path('killed.img');
  await rumpfuse('newfs', '-s', '16m', image);
  const dir = place.folder('dead');
  t.equal((await rumpfuse('mount', '-o', 'nosurvive', image, dir)).status, 0);
  const { details } = JSON.parse((await rumpfuse('info', '--json', dir)).stdout) as {
    details: { pid: number; server_pid: number };
  };
  process.kill(details.server_pid, 'SIGKILL');
  for (let i = 0; i < 10_000 && (optionsOf(dir) !== undefined || existsSync(`/proc/${details.pid}`)); i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.match((await rumpfuse('list')).stderr, `${image} was mounted on `);
  const first = await rumpfuse('umount', dir);
  t.equal(first.status, 32);
  t.match(
    first.stderr,
    /killed\.img was mounted on .*dead and is not any more; it said:\n.*ended unexpectedly \(SIGKILL\)/,
  );
  t.notMatch((await rumpfuse('list')).stderr, image);
});
