/**
 * Beginnings and ends of mounts that people meet: odd names, odd hosts, somebody who kills or unmounts at an odd
 * moment.
 */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { RUMPFUSE, Workplace, noMount, run, rumpfuse } from './support.js';

t.setTimeout(0); // on a busy machine each command may take seconds
const place = new Workplace();
t.teardown(() => place.end());
const real = { skip: noMount ?? false };

async function volume(name: string, ...options: string[]): Promise<{ image: string; mnt: string }> {
  const image = place.path(`${name}.img`);
  const { status, stderr } = await rumpfuse('newfs', '-t', 'ffs', '--size', '16m', ...options, image);
  if (status !== 0) throw new Error(stderr);
  return { image, mnt: place.folder(`${name}.mnt`) };
}

interface Listed {
  readonly mountpoint: string;
  readonly device: string;
  readonly pid: number;
  readonly details: { readonly image: string; readonly log: string; readonly server_pid: number };
}

async function listed(mnt: string): Promise<Listed | undefined> {
  return (JSON.parse((await rumpfuse('list', '--json')).stdout) as Listed[]).find((mount) => mount.mountpoint === mnt);
}

function mounted(mnt: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').some((line) => line.split(' ')[4] === mnt);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

t.test(
  'an image in the directory that it is mounted on, by a name that does not begin at the root',
  real,
  async (t) => {
    const { image } = await volume('here');
    const dir = place.folder('images');
    await run('mv', [image, path.join(dir, 'disk.img')]);
    t.match(await run(RUMPFUSE, ['mount', 'disk.img', '.'], { cwd: dir }), { status: 0, stderr: '' });
    t.equal((await listed(dir))?.details.image, path.join(dir, 'disk.img'));
    t.match(await rumpfuse('umount', dir), { status: 0, stderr: '' });
  },
);

t.test('mounted and unmounted by a symbolic link', real, async (t) => {
  const { image, mnt } = await volume('link');
  symlinkSync(mnt, place.path('link'));
  symlinkSync('link', place.path('link-to-link'));
  t.match(await rumpfuse('mount', image, place.path('link-to-link')), { status: 0, stderr: '' });
  t.ok(mounted(mnt));
  t.match(await rumpfuse('umount', place.path('link-to-link')), { status: 0, stderr: '' });
  t.notOk(mounted(mnt));
});

t.test('a damaged volume that is mounted for reading is unmounted with status 0', real, async (t) => {
  const { image, mnt } = await volume('damaged');
  t.match(await rumpfuse('mount', '-r', image, mnt), { status: 0 });
  const { details: { log } } = (await listed(mnt))!;
  appendFileSync(log, 'rumpfuse: error: a directory is damaged\n');
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: 'rumpfuse: error: a directory is damaged\n' });
});

t.test('a log of any length is neither read as a whole nor told', real, async (t) => {
  const { image, mnt } = await volume('log');
  t.match(await rumpfuse('mount', image, mnt), { status: 0 });
  const { details: { log } } = (await listed(mnt))!;
  writeFileSync(log, `${'rumpfuse: warning: much\n'.repeat(1000)}${'z'.repeat(100_000)}\n`);
  truncateSync(log, 8 * 2 ** 30);
  appendFileSync(log, `\n${'rumpfuse: warning: \u001b[2J more\n'.repeat(200)}${'y'.repeat(50_000)}\n`);
  const { status, stderr } = await rumpfuse('umount', mnt);
  t.equal(status, 0);
  t.ok(stderr.length < 20_000, `${stderr.length} characters`);
  t.notMatch(stderr, '\u001b');
});

t.test('few open files, and a /run that cannot be written', real, async (t) => {
  const { image, mnt } = await volume('poor');
  for (const limit of [20, 24, 32, 64]) {
    const { status, stderr } = await run('sh', [
      '-c',
      'ulimit -n "$1"; shift; exec "$@"',
      'sh',
      String(limit),
      RUMPFUSE,
      'mount',
      image,
      mnt,
    ]);
    t.equal(status, 1);
    t.match(stderr, /^rumpfuse: .*ulimit -n.*\n$/, `${limit}`);
  }
  const { status, stderr } = await run('unshare', [
    '-m',
    'sh',
    '-c',
    'mkdir -p /run/rumpfuse; mount --bind /run /run; mount -o remount,bind,ro /run; exec "$@"',
    'sh',
    RUMPFUSE,
    'mount',
    image,
    mnt,
  ]);
  t.equal(status, 1);
  t.match(
    stderr,
    /^rumpfuse: \/run\/rumpfuse is read-only: the records of mounts and their logs cannot be written there/,
  );
});

t.test('a mount that the host refuses leaves a clean volume clean', real, async (t) => {
  const { image, mnt } = await volume('refused');
  const { status, stderr } = await run('setpriv', [
    '--bounding-set',
    '-sys_admin',
    '--',
    RUMPFUSE,
    'mount',
    '--no-sandbox',
    image,
    mnt,
  ]);
  t.equal(status, 32);
  t.match(stderr, /cannot mount on .*: not permitted/);
  t.match(await rumpfuse('fsck', '-p', image), { status: 0, stdout: /clean/ });
});

t.test('a supervisor that is killed as soon as there is a mount leaves none', real, async (t) => {
  for (const options of [[], ['-f']]) {
    const { image, mnt } = await volume(`k${options.length}`);
    let over = false;
    const mounting = run(RUMPFUSE, ['mount', ...options, image, mnt]).finally(() => (over = true));
    // The supervisor is the one with /dev/fuse and a title, or a command line, with the directory in it.
    const supervisor = () =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .find((pid) => {
          try {
            const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
            const title = line.split('\0')[0]!; // as much of it as there is room for
            return options.length === 0
              ? title.startsWith(`rumpfuse: supervisor of ${path.dirname(mnt)}/k`) &&
                  `rumpfuse: supervisor of ${mnt}`.startsWith(title)
              : line.includes(`\0${mnt}\0`) && line.includes('\0-f\0');
          } catch {
            return false;
          }
        });
    await until(() => mounted(mnt) || over);
    const pid = supervisor();
    if (pid !== undefined) process.kill(Number(pid), 'SIGKILL');
    await mounting;
    await until(() => !mounted(mnt));
    t.pass('the mount is gone');
    t.match(await rumpfuse('fsck', '-p', image), { status: 0 }, 'and so is whoever served it');
  }
});

t.test('an abort by fusectl ends the mount without a false word', real, async (t) => {
  const { image, mnt } = await volume('abort');
  t.match(await rumpfuse('mount', image, mnt), { status: 0 });
  writeFileSync(path.join(mnt, 'file'), 'content');
  const { device, pid, details: { log } } = (await listed(mnt))!;
  const script = 'mount -t fusectl none /sys/fs/fuse/connections && echo 1 > "/sys/fs/fuse/connections/$1/abort"';
  t.match(await run('unshare', ['-m', 'sh', '-c', script, 'sh', device.split(':')[1]!]), { status: 0 });
  await until(() => !existsSync(`/proc/${pid}`) && !mounted(mnt));
  t.equal(existsSync(log) ? readFileSync(log, 'utf8') : '', '');
  t.match(await rumpfuse('fsck', '-p', image), { status: 0, stdout: /clean/ });
});

t.test(
  'after umount(8) the same image can be checked and mounted at once: both wait for the server that is still writing',
  real,
  async (t) => {
    const { image, mnt } = await volume('early');
    const content = Buffer.alloc(6 << 20, 'content');
    for (const command of [
      ['fsck', '-p', image],
      ['mount', image, mnt],
    ]) {
      t.match(await rumpfuse('mount', image, mnt), { status: 0, stderr: '' });
      const { pid } = (await listed(mnt))!;
      writeFileSync(path.join(mnt, 'file'), content);
      // It holds the image, and does not end before it is let.
      process.kill(pid, 'SIGSTOP');
      t.match(await run('umount', [mnt]), { status: 0 });
      const going = rumpfuse(...command);
      setTimeout(() => process.kill(pid, 'SIGCONT'), 500);
      t.match(await going, { status: 0 }, command[0]!);
    }
    t.same(readFileSync(path.join(mnt, 'file')), content);
    t.match(await rumpfuse('umount', mnt), { status: 0 });
  },
);

t.test('who uses an image is found without asking file systems that do not answer', real, async (t) => {
  const [hung, used] = [await volume('hung'), await volume('used')];
  t.match(await rumpfuse('mount', '-o', 'nosurvive', hung.image, hung.mnt), { status: 0 });
  writeFileSync(path.join(hung.mnt, 'file'), 'content');
  const {
    details: { server_pid },
  } = (await listed(hung.mnt))!;
  const holder = spawn('sh', ['-c', 'exec 5<"$1"; echo open; exec sleep 600', 'sh', path.join(hung.mnt, 'file')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  t.match(await rumpfuse('mount', used.image, used.mnt), { status: 0 });
  process.kill(server_pid, 'SIGSTOP');
  try {
    const { status, stderr } = await run(RUMPFUSE, ['fsck', '-p', used.image]);
    t.not(status, null, 'it comes to an end');
    t.match(stderr, /in use by/);
  } finally {
    process.kill(server_pid, 'SIGCONT');
  }
  holder.kill();
  await new Promise((resolve) => holder.once('close', resolve));
  for (const { mnt } of [hung, used]) t.match(await rumpfuse('umount', mnt), { status: 0 });
});


t.test('a process that only calls itself the supervisor of a mount is not taken for it', real, async (t) => {
  const { image, mnt } = await volume('title');
  // They are there first, and are met first.
  const title = `rumpfuse: supervisor of ${mnt}`;
  const impostors = ['65534', '65533'].map((uid) =>
    spawn('setpriv', ['--reuid', uid, '--clear-groups', 'bash', '-c', 'exec -a "$1" cat', 'bash', title], {
      stdio: ['pipe', 'ignore', 'ignore'],
    }),
  );
  const shown = (child: { readonly pid?: number | undefined }) => readFileSync(`/proc/${child.pid}/cmdline`, 'latin1');
  await until(() => impostors.every((child) => shown(child).startsWith(title)));
  t.match(await rumpfuse('mount', '-o', 'nostandby', image, mnt), { status: 0 });
  const { pid, device } = (await listed(mnt))!;
  for (const name of readdirSync('/run/rumpfuse')) {
    if (name.endsWith('.json') && name.startsWith(`${device.replace(':', '-')}-`)) rmSync(path.join('/run/rumpfuse', name));
  }
  t.equal((await listed(mnt))?.pid, pid, 'it is its owner\'s process');
  t.match(await rumpfuse('umount', mnt), { status: 0 }, 'nor is it waited for');
  for (const child of impostors) child.kill();
});
