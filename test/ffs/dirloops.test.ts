import t from 'tap';
import { FaultDevice } from '../../testing/devices/fault.js';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { O_CREAT, O_RDONLY, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { witness } from '../vfs/witness.js';
import { Volume } from './damage.js';
import { dice } from './dice.js';
import { V, bytesOf, errnameOf, newdisk, pattern, put, rw } from './write-support.js';
import type { Geometry } from './write-support.js';

/**
 * Directories that lead to each other as they must not: whatever is done there at the same time, every call comes back.
 */

const GEOMETRY: Geometry = { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 };
const DIRS = ['a', 'a/b', 'a/b/c', 'a/b/c/e', 'd', 'd/f'];
const LATE_MS = 600_000;
const DT_DIR = 4;

/** The entry at `path` (under "/") names `ino` from now on, as a directory. */
function lead(v: Volume, path: string, ino: number): void {
  const { at } = v.entry(path).entry;
  v.u32(at, ino);
  v.bytes[at + 6] = DT_DIR;
}

interface Damage {
  readonly name: string;
  readonly apply: (v: Volume) => void;
}

const DAMAGES: readonly Damage[] = [
  { name: 'none', apply: () => undefined },
  {
    name: 'an entry names an ancestor',
    apply: (v) => {
      lead(v, 'a/b/c/x', v.ino('a'));
    },
  },
  {
    name: 'an entry names the directory above',
    apply: (v) => {
      lead(v, 'a/b/x', v.ino('a'));
    },
  },
  {
    name: 'an entry names its own directory',
    apply: (v) => {
      lead(v, 'a/b/x', v.ino('a/b'));
    },
  },
  {
    name: 'a directory in two directories',
    apply: (v) => {
      lead(v, 'd/x', v.ino('a/b'));
    },
  },
  {
    name: 'a directory twice in one',
    apply: (v) => {
      lead(v, 'a/x', v.ino('a/b'));
    },
  },
  {
    name: 'two directories in each other',
    apply: (v) => {
      lead(v, 'a/x', v.ino('d'));
      lead(v, 'd/x', v.ino('a'));
    },
  },
  {
    name: 'the root in two places',
    apply: (v) => {
      lead(v, 'a/b/x', 2);
      lead(v, 'd/x', 2);
    },
  },
  {
    name: '".." is a circle',
    apply: (v) => {
      lead(v, 'a/..', v.ino('a/b/c/e'));
    },
  },
  {
    name: '".." is a circle away from the path',
    apply: (v) => {
      lead(v, 'a/..', v.ino('d/f'));
      lead(v, 'd/..', v.ino('d/f'));
    },
  },
  {
    name: '".." names its own directory',
    apply: (v) => {
      lead(v, 'a/b/..', v.ino('a/b'));
    },
  },
  {
    name: '".." names the directory below',
    apply: (v) => {
      lead(v, 'a/b/..', v.ino('a/b/c'));
    },
  },
  {
    name: '".." names a file',
    apply: (v) => {
      lead(v, 'a/b/..', v.ino('a/file'));
    },
  },
  {
    name: '".." names nothing',
    apply: (v) => {
      lead(v, 'a/b/..', 700);
    },
  },
  {
    name: '"." names the directory above',
    apply: (v) => {
      lead(v, 'a/b/.', v.ino('a'));
    },
  },
  {
    name: 'all at once',
    apply: (v) => {
      lead(v, 'a/b/c/x', v.ino('a'));
      lead(v, 'd/x', v.ino('a/b'));
      lead(v, 'a/x', v.ino('d'));
      lead(v, 'a/..', v.ino('a/b/c/e'));
    },
  },
];

async function looped(damage: Damage): Promise<MemoryDevice> {
  const dev = await newdisk(GEOMETRY, 4 * 2 ** 20);
  const vol = await rw(dev);
  for (const dir of DIRS) {
    await vol.sys.mkdir(`${V}/${dir}`, 0o755);
    await put(vol.sys, `${V}/${dir}/file`, pattern(100, 1));
    await put(vol.sys, `${V}/${dir}/x`, pattern(100, 2));
  }
  await vol.close();
  const v = new Volume(bytesOf(dev));
  damage.apply(v);
  dev.write(v.bytes, 0, v.bytes.length, 0);
  return dev;
}

async function opened(sys: RumpSys, path: string, flags: number): Promise<void> {
  const fd = await sys.open(path, flags, 0o644);
  await sys.close(fd);
}

/** One of several users: calls that change names, in all directories, through all detours. */
async function user(sys: RumpSys, id: number, steps: number): Promise<number> {
  const roll = dice(id * 7919 + 1);
  const detours = ['', '/x', '/x/x', '/..', '/x/..', '/../x', '/b', '/c'];
  const dir = (): string => `${V}/${DIRS[roll(DIRS.length)]!}${detours[roll(detours.length)]!}`;
  const name = (): string => ['x', 'b', 'c', 'e', 'f', 'file', `n${id}`, 'n'][roll(8)]!;
  const path = (): string => (roll(6) === 0 ? dir() : `${dir()}/${name()}`);
  let done = 0;
  for (let i = 0; i < steps; i++) {
    const calls: (() => Promise<unknown>)[] = [
      () => sys.rename(path(), path()),
      () => sys.rename(dir(), path()),
      () => sys.rename(path(), path()),
      () => sys.unlink(path()),
      () => sys.unlink(dir()),
      () => sys.rmdir(path()),
      () => sys.mkdir(path(), 0o755),
      () => sys.link(path(), path()),
      () => opened(sys, path(), O_RDWR | O_CREAT),
      () => opened(sys, dir(), O_RDONLY),
      () => sys.lstat(path()),
      () => sys.symlink('x', path()),
    ];
    if ((await errnameOf(calls[roll(calls.length)]!())) === '') done++;
  }
  return done;
}

const STEPS = Number(process.env.RUMPFUSE_LOOP_STEPS ?? 150);

for (const damage of DAMAGES) {
  await t.test(damage.name, async (t) => {
    const dev = await looped(damage);
    const vol = await rw(new FaultDevice(dev, { slow: true }), 256 * 1024);
    const watch = witness(vol.kernel);
    let timer: NodeJS.Timeout | undefined;
    try {
      const all = Promise.all([1, 2, 3, 4, 5].map((id) => user(watch.sys, id, STEPS)));
      const late = new Promise<undefined>((resolve) => { timer = setTimeout(resolve, LATE_MS, undefined); });
      const done = await Promise.race([all, late]);
      t.ok(done !== undefined, 'every call comes back');
      if (done === undefined) return;
      t.ok(done.reduce((a, b) => a + b) > 20, `${done.join(' ')} calls succeeded`);
      t.same(watch.reversals, [], 'locks are taken in their order');
      t.ok(watch.nested > 100, `${watch.nested} locks by calls that held others`);
    } finally {
      clearTimeout(timer);
      watch.end();
    }
    await vol.close();
    t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
    t.same((await fsck(dev)).problems, []);
  });
}

await t.test('unlink of a directory from which something is moved', async (t) => {
  const dev = await looped(DAMAGES[0]!);
  const vol = await rw(new FaultDevice(dev, { slow: true }));
  const all = Promise.allSettled([
    vol.sys.rename(`${V}/a/b/file`, `${V}/a/moved`),
    vol.sys.unlink(`${V}/a/b`),
    vol.sys.rename(`${V}/a/b/c`, `${V}/a/c`),
    vol.sys.unlink(`${V}/a/b`),
  ]);
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, LATE_MS, undefined).unref());
  const ends = await Promise.race([all, late]);
  t.same(
    ends?.map((end) => (end.status === 'rejected' ? (end.reason as { code: string }).code : 'done')),
    ['done', 'EPERM', 'done', 'EPERM'],
  );
  await vol.close();
});

await t.test('the way up is a circle: said soon', async (t) => {
  const dev = await looped({ name: '', apply: (v) => { lead(v, 'a/..', v.ino('a/b/c')); } });
  const vol = await rw(dev);
  const began = process.cpuUsage();
  t.equal(await errnameOf(vol.sys.rename(`${V}/d`, `${V}/a/b/d`)), 'EIO');
  const { user: us } = process.cpuUsage(began);
  t.ok(us < 300_000, `${us} us`);
  await vol.close();
});
