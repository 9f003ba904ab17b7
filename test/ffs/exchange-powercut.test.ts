/**
 * The power goes at every write of an exchange, of a rename with a whiteout, and of the removal of an open directory.
 */
import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import { AT_FDCWD, O_RDONLY, RENAME_EXCHANGE, RENAME_WHITEOUT } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { FaultDevice } from '../../testing/devices/fault.js';
import { lastBarrier, replayUntil } from '../../testing/devices/powercut.js';
import { names, readFile, writeFile } from '../kernel/support.js';
import { mountFfs } from './volumes.js';
import type { MountedVolume } from './volumes.js';

interface Scene {
  readonly name: string;
  prepare(sys: RumpSys): Promise<void>;
  /** Returns the descriptors that stay open. */
  act(sys: RumpSys): Promise<number[] | void>;
  /** What is wrong, after the journal's replay or a repair; undefined: nothing. */
  judge(sys: RumpSys, atomic: boolean): Promise<string | undefined>;
}

async function content(sys: RumpSys, path: string): Promise<string> {
  const st = await sys.lstat(path).catch(() => undefined);
  if (st === undefined || (st.st_mode & 0o170000) !== 0o100000) return '-';
  return readFile(sys, path).catch(() => '-');
}

/** Everything that is in lost+found. */
async function found(sys: RumpSys): Promise<string[]> {
  const all: string[] = [];
  for (const name of await names(sys, '/vol/lost+found').catch(() => [])) {
    all.push(await content(sys, `/vol/lost+found/${name}`));
  }
  return all;
}

function exchangeOf(a: string, b: string): Scene['judge'] {
  return async (sys, atomic) => {
    const now = [await content(sys, a), await content(sys, b)];
    if (now.join() === 'A,B' || now.join() === 'B,A') return undefined;
    if (atomic) return `${a} and ${b} hold ${now.join()}`;
    // Of the two writes only the first was there.
    const all = [...now, ...(await found(sys))];
    return all.includes('A') && all.includes('B') && !now.includes('-')
      ? undefined
      : `${a} and ${b} hold ${now.join()}, lost+found ${(await found(sys)).join()}`;
  };
}

/** Names that fill more than a sector, so that the first and the last lie in different ones. */
async function crowd(sys: RumpSys, dir: string): Promise<void> {
  for (let i = 0; i < 40; i++) await writeFile(sys, `${dir}/filler-with-a-long-name-${i}`, '');
}

const SCENES: readonly Scene[] = [
  {
    name: 'an exchange in one directory',
    async prepare(sys) {
      await writeFile(sys, '/vol/a', 'A');
      await crowd(sys, '/vol');
      await writeFile(sys, '/vol/b', 'B');
    },
    act: (sys) => sys.renameat2(AT_FDCWD, '/vol/a', AT_FDCWD, '/vol/b', RENAME_EXCHANGE),
    judge: exchangeOf('/vol/a', '/vol/b'),
  },
  {
    name: 'an exchange between directories, right after other renames',
    async prepare(sys) {
      for (const dir of ['one', 'two']) await sys.mkdir(`/vol/${dir}`, 0o755);
      await writeFile(sys, '/vol/one/before', 'A');
      await writeFile(sys, '/vol/two/b', 'B');
    },
    async act(sys) {
      await sys.rename('/vol/one/before', '/vol/one/a');
      await sys.renameat2(AT_FDCWD, '/vol/one/a', AT_FDCWD, '/vol/two/b', RENAME_EXCHANGE);
    },
    async judge(sys, atomic) {
      if ((await content(sys, '/vol/one/before')) === 'A' && (await content(sys, '/vol/two/b')) === 'B') {
        return undefined;
      }
      if (atomic) return exchangeOf('/vol/one/a', '/vol/two/b')(sys, true);
      const all = [
        await content(sys, '/vol/one/before'),
        await content(sys, '/vol/one/a'),
        await content(sys, '/vol/two/b'),
        ...(await found(sys)),
      ];
      return all.includes('A') && all.includes('B') ? undefined : `lost: ${all.join()}`;
    },
  },
  {
    name: 'a rename with a whiteout',
    async prepare(sys) {
      await sys.mkdir('/vol/dir', 0o755);
      await writeFile(sys, '/vol/a', 'A');
    },
    act: (sys) => sys.renameat2(AT_FDCWD, '/vol/a', AT_FDCWD, '/vol/dir/a', RENAME_WHITEOUT),
    async judge(sys, atomic) {
      const [old, moved] = [await content(sys, '/vol/a'), await content(sys, '/vol/dir/a')];
      const white = await sys.lstat('/vol/a').then(
        (st) => st.st_rdev === 0n && (st.st_mode & 0o170000) === 0o020000,
        () => false,
      );
      if (old === 'A' && moved === '-' && !white) return undefined;
      if (moved === 'A' && (white || (!atomic && old === 'A'))) return undefined;
      return `a holds ${old}, dir/a holds ${moved}, whiteout ${white}`;
    },
  },
  {
    name: 'an open directory is removed',
    async prepare(sys) {
      await sys.mkdir('/vol/gone', 0o755);
      await writeFile(sys, '/vol/gone/inside', 'A');
      await writeFile(sys, '/vol/other', '');
    },
    async act(sys) {
      const fd = await sys.open('/vol/gone', O_RDONLY);
      await sys.rename('/vol/gone/inside', '/vol/saved');
      await sys.rmdir('/vol/gone');
      const other = await sys.open('/vol/other', O_RDONLY);
      await sys.fsync(other);
      await sys.sync();
      return [fd, other];
    },
    async judge(sys) {
      const all = [await content(sys, '/vol/gone/inside'), await content(sys, '/vol/saved'), ...(await found(sys))];
      return all.includes('A') ? undefined : `the file that was moved out is gone: ${all.join()}`;
    },
  },
];

const KEEPS: readonly ((i: number) => boolean)[] = [() => true, () => false, (i) => i % 2 === 0, (i) => i % 2 === 1];

for (const log of [true, false]) {
  for (const scene of SCENES) {
    t.test(`${scene.name}, ${log ? 'with' : 'without'} a journal`, async (t) => {
      const base = new MemoryDevice({ size_bytes: 8 << 20 });
      await newfs(base, { format: 2, ...(log ? { log: true as const } : {}) });
      const options = log ? { log: true as const } : {};
      const before = await mountFfs(base, 0, options);
      await scene.prepare(before.sys);
      await before.close();
      const start = base.clone();
      const dev = new FaultDevice(base, { record: true });
      const volume = await mountFfs(dev, 0, options);
      const first = dev.events.length;
      const open = (await scene.act(volume.sys)) ?? [];
      await volume.sys.sync();
      const last = dev.events.length;
      for (const fd of open) await volume.sys.close(fd);
      await volume.close();
      let cuts = 0;
      for (let events = first; events <= last; events++) {
        for (const keep of lastBarrier(dev.events, events) < events ? KEEPS : KEEPS.slice(0, 1)) {
          const disk = start.clone();
          await replayUntil(disk, dev.events, { events, keep });
          const wrong = await afterCut(disk, scene, log);
          if (wrong !== undefined) t.fail(`after ${events - first} of ${last - first} events: ${wrong}`);
          cuts++;
        }
      }
      t.ok(cuts > 4, `${cuts} cuts`);
    });
  }
}

async function afterCut(disk: MemoryDevice, scene: Scene, log: boolean): Promise<string | undefined> {
  if (!log) {
    const report = await fsck(disk, { mode: 'repair' });
    if (!report.clean) return `the repair is not complete: ${report.problems.map((p) => p.message).join('; ')}`;
  }
  let volume: MountedVolume;
  try {
    volume = await mountFfs(disk, 0, log ? { log: true } : {});
  } catch (thrown) {
    return `no mount: ${String(thrown)}`;
  }
  const wrong = await scene.judge(volume.sys, log);
  await volume.close();
  if (wrong !== undefined) return wrong;
  const report = await fsck(disk);
  return report.clean ? undefined : report.problems.map((p) => p.message).join('; ');
}

t.test('what is left of an open directory that was removed is nothing that a checker brings back', async (t) => {
  for (const log of [true, false]) {
    const base = new MemoryDevice({ size_bytes: 8 << 20 });
    await newfs(base, { format: 2, ...(log ? { log: true as const } : {}) });
    const volume = await mountFfs(base, 0, log ? { log: true } : {});
    const { sys } = volume;
    await sys.mkdir('/vol/d', 0o755);
    await sys.mkdir('/vol/e', 0o755);
    await sys.mkdir('/vol/f', 0o755);
    for (let i = 0; i < 2000; i++) await writeFile(sys, `/vol/d/name-${i}`, '');
    for (let i = 0; i < 2000; i++) await sys.unlink(`/vol/d/name-${i}`);
    await writeFile(sys, '/vol/other', '');
    await sys.sync();
    const open = [await sys.open('/vol/d', O_RDONLY), await sys.open('/vol/f', O_RDONLY)];
    await sys.rmdir('/vol/d');
    await sys.rename('/vol/e', '/vol/f');
    const other = await sys.open('/vol/other', O_RDONLY);
    await sys.fsync(other);
    if (!log) await sys.sync();
    for (const fd of open) t.equal((await sys.fstat(fd)).st_size, 0, 'as NetBSD leaves them');
    const disk = base.clone();
    // The journal's list of inodes is for the kernel; a checker that is told to go by the disk sees the inodes
    // themselves.
    if (log) {
      const again = await mountFfs(disk.clone(), 0, { log: true });
      t.same((await names(again.sys, '/vol')).sort(), ['f', 'other']);
      await again.close();
    }
    const report = await fsck(disk, { mode: 'repair' });
    t.notOk(
      report.problems.some((p) => /RECONNECT|UNREF DIR/.test(p.message)),
      `${log}: ${report.problems.map((p) => p.message).join('; ')}`,
    );
    for (const fd of [...open, other]) await sys.close(fd);
    await volume.close();
    t.equal((await fsck(base)).clean, true, 'and unmounted it is clean');
  }
});

t.test('nor of one that the disk never knew by a name', async (t) => {
  for (const log of [true, false]) {
    const base = new MemoryDevice({ size_bytes: 8 << 20 });
    await newfs(base, { format: 2, ...(log ? { log: true as const } : {}) });
    const volume = await mountFfs(base, 0, log ? { log: true } : {});
    const { sys } = volume;
    await writeFile(sys, '/vol/other', 'content');
    await sys.mkdir('/vol/d', 0o755);
    const open = await sys.open('/vol/d', O_RDONLY);
    await sys.rmdir('/vol/d');
    // Its inode lies in the same block of inodes as the directory's.
    const other = await sys.open('/vol/other', O_RDONLY);
    await sys.fsync(other);
    const report = await fsck(base.clone(), { mode: 'repair' });
    t.notOk(
      report.problems.some((p) => /RECONNECT|UNREF DIR/.test(p.message)),
      `${log}: ${report.problems.map((p) => p.message).join('; ')}`,
    );
    for (const fd of [open, other]) await sys.close(fd);
    await volume.close();
    t.equal((await fsck(base)).clean, true, 'and unmounted it is clean');
  }
});
