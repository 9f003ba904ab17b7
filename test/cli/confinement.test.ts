/**
 * What the processes of a mount have of their caller, and what is left of them when somebody ends or stops one on its
 * way up.
 */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import t from 'tap';
import { childrenOf, statOf } from '../../src/fuse/sandbox/orphans.js';
import { descendants } from '../../testing/survive/processes.js';
import { ROOT, RUMPFUSE, Workplace, noMount, run, rumpfuse } from './support.js';
import type { Outcome } from './support.js';

const place = new Workplace();
t.teardown(() => place.end());
const real = { skip: noMount ?? false };

function look<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}

function processes(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Processes with that in their environment. */
function marked(mark: string): number[] {
  return processes().filter(
    (pid) =>
      look(() => readFileSync(`/proc/${pid}/environ`, 'latin1'))?.includes(mark) === true && statOf(pid)?.state !== 'Z',
  );
}

async function volume(name: string): Promise<{ image: string; mnt: string }> {
  const image = place.path(`${name}.img`);
  const { status, stderr } = await rumpfuse('newfs', '--size', '16m', image);
  if (status !== 0) throw new Error(stderr);
  return { image, mnt: place.folder(name) };
}

async function supervisorOf(mnt: string): Promise<number> {
  const { stdout } = await rumpfuse('list', '--json');
  return (JSON.parse(stdout) as { mountpoint: string; pid: number }[]).find((mount) => mount.mountpoint === mnt)!.pid;
}

/** Runs `rumpfuse mount` and does something to each wrapper (bubblewrap) as soon as it has a child. */
async function mountAndMeet(
  image: string,
  mnt: string,
  mark: string,
  meet: (wrapper: number) => void,
  times = Infinity,
): Promise<Outcome> {
  const met = new Set<number>();
  let over = false;
  const outcome = run(RUMPFUSE, ['mount', '-o', 'nostandby', image, mnt], { env: { RUMP_MARK: mark } }).finally(
    () => (over = true),
  );
  while (!over) {
    for (const pid of processes()) {
      if (
        met.has(pid) ||
        met.size >= times ||
        !look(() => readFileSync(`/proc/${pid}/comm`, 'latin1'))?.startsWith('bwrap')
      ) {
        continue;
      }
      if (
        !look(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'))?.includes(ROOT) ||
        childrenOf(pid).length === 0 ||
        !marked(mark).includes(pid)
      ) {
        continue;
      }
      met.add(pid);
      meet(pid);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return outcome;
}

t.test('nothing that its caller had open is open in any process of a mount', real, async (t) => {
  const { image, mnt } = await volume('leak');
  const [secret, victim, lock] = [place.file('secret', 'secret'), place.file('victim', ''), place.file('lock', '')];
  const script =
    'exec 5<"$1" 40<"$1" 41>>"$2" 200>"$3" 7<.; exec 9> >(cat >/dev/null; touch "$4"); flock -n 200; shift 4; "$@"';
  t.match(
    await run(
      'bash',
      ['-c', script, 'bash', secret, victim, lock, place.path('pipe-ended'), RUMPFUSE, 'mount', image, mnt],
      { cwd: place.dir },
    ),
    { status: 0, stderr: '' },
  );
  const supervisor = await supervisorOf(mnt);
  // The stand-by, too.
  while (descendants(supervisor).filter(({ title }) => title === 'rumpfuse: stand-by').length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const family = [supervisor, ...descendants(supervisor).map(({ pid }) => pid)];
  t.ok(family.length >= 6, 'supervisor, keeper, two servers, their wrappers');
  const open = family.flatMap((pid) =>
    readdirSync(`/proc/${pid}/fd`).map((fd) => look(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? ''),
  );
  t.same(
    open.filter((target) => target.startsWith(place.dir) && target !== image && !target.endsWith('.log')),
    [],
  );
  t.match(await run('flock', ['-n', lock, 'true']), { status: 0 }, 'a lock of the caller is not held');
  t.match((await rumpfuse('info', mnt)).stdout, /\[on \] descriptors/);
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
});

t.test('in the foreground neither: nor is what its caller reads and writes open in the server', real, async (t) => {
  const { image, mnt } = await volume('foreground');
  const [victim, lock] = [place.file('victim-2', ''), place.file('lock-2', '')];
  const child = spawn(
    'bash',
    [
      '-c',
      'exec 41>>"$1" 200>"$2"; flock -n 200; shift 2; exec "$@"',
      'bash',
      victim,
      lock,
      RUMPFUSE,
      'mount',
      '-f',
      '-o',
      'nostandby',
      image,
      mnt,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const ended = new Promise((resolve) => child.on('close', resolve));
  while ((await run('mountpoint', ['-q', mnt])).status !== 0) await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(await run('flock', ['-n', lock, 'true']), { status: 0 });
  const server = descendants(child.pid!).find(({ title }) => title === `rumpfuse: ${mnt}`)!.pid;
  const given = new Set([0, 1, 2].map((fd) => readlinkSync(`/proc/${child.pid}/fd/${fd}`)));
  t.same(
    readdirSync(`/proc/${server}/fd`).filter((fd) => given.has(readlinkSync(`/proc/${server}/fd/${fd}`))),
    [],
    'the server has nothing of what its caller reads and writes',
  );
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  await ended;
});

t.test('a wrapper that is killed as soon as it has a child takes it along', real, async (t) => {
  const { image, mnt } = await volume('orphan');
  const before = marked('RUMP_MARK=orphan').length;
  const killed: number[] = [];
  const outcome = await mountAndMeet(image, mnt, 'RUMP_MARK=orphan', (wrapper) => {
    killed.push(wrapper);
    process.kill(wrapper, 'SIGKILL');
  });
  t.ok(killed.length >= 2, `${killed.length} were killed`);
  t.match(outcome, { status: 32, stderr: /the file system server ended \(SIGKILL\) before the mount was up/ });
  t.equal(marked('RUMP_MARK=orphan').length, before, 'nothing of it is left');
  t.match(await rumpfuse('fsck', '-n', image), { status: 0 });
});

t.test('a wrapper that is stopped as soon as it has a child does not keep another mount', real, async (t) => {
  const [other, one] = [await volume('other'), await volume('stopped')];
  t.match(await rumpfuse('mount', '-o', 'nostandby', other.image, other.mnt), { status: 0 });
  let umounted: Promise<Outcome> | undefined;
  const outcome = await mountAndMeet(one.image, one.mnt, 'RUMP_MARK=stopped', (wrapper) => {
    process.kill(wrapper, 'SIGSTOP');
    for (const child of childrenOf(wrapper)) look(() => process.kill(child, 'SIGSTOP'));
    umounted = run(RUMPFUSE, ['umount', other.mnt]);
  }, 1);
  t.match(outcome, { status: 0, stderr: '' }, 'it was ended, and another one started');
  t.match(await umounted, { status: 0, stderr: '' });
  t.match((await rumpfuse('info', one.mnt)).stdout, /\[on \] root/, 'as confined as it would have been');
  t.match(await rumpfuse('umount', one.mnt), { status: 0, stderr: '' });
});
