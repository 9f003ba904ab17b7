import t from 'tap';
import { FaultDevice } from '../../testing/devices/fault.js';
import { E } from '../../src/kernel/errno.js';
import { O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { dice } from './dice.js';
import { MOUNTPOINT, mountFfs } from './volumes.js';
import {
  GEOMETRIES,
  V,
  checked,
  errnameOf,
  get,
  ls,
  newdisk,
  pattern,
  put,
  rw,
  same,
  titleOf,
} from './write-support.js';

/** One of several users of the volume: his own files, and names in a directory of all. */
async function user(sys: RumpSys, id: number, steps: number): Promise<string> {
  const roll = dice(id * 7919 + 1);
  const mine = new Map<string, Uint8Array>();
  const home = `${V}/user${id}`;
  await sys.mkdir(home, 0o755);
  for (let i = 0; i < steps; i++) {
    const name = `${roll(2) === 0 ? home : `${V}/common`}/u${id}-${roll(30)}`;
    const kind = roll(10);
    if (kind < 5) {
      const content = pattern(roll(4) === 0 ? roll(200_000) : roll(5000), i);
      await put(sys, name, content);
      mine.set(name, content);
    } else if (kind === 5 && mine.has(name)) {
      await sys.unlink(name);
      mine.delete(name);
    } else if (kind === 6 && mine.has(name)) {
      const to = `${V}/common/u${id}-${roll(30)}`;
      if (to !== name) {
        await sys.rename(name, to);
        mine.set(to, mine.get(name)!);
        mine.delete(name);
      }
    } else if (kind === 7) {
      const fd = await sys.open(home, 0);
      await sys.fsync(fd);
      await sys.close(fd);
    } else if (kind === 8 && roll(4) === 0) {
      await sys.sync();
    } else if (mine.has(name)) {
      if (!same(await get(sys, name), mine.get(name)!)) return `${name} is wrong at step ${i}`;
    }
  }
  for (const [name, content] of mine) if (!same(await get(sys, name), content)) return `${name} is wrong at the end`;
  return '';
}

/** Many at once, on a disk that answers later, with a cache so small that it presses for flushes all the time. */
for (const geometry of GEOMETRIES.slice(0, 3)) {
  await t.test(`${titleOf(geometry)}: six users`, async (t) => {
    const disk = await newdisk(geometry, 32 * 2 ** 20);
    const vol = await rw(new FaultDevice(disk, { slow: true }), 512 * 1024);
    await vol.sys.mkdir(`${V}/common`, 0o755);
    const outcome = await Promise.all([1, 2, 3, 4, 5, 6].map((id) => user(vol.sys, id, 120)));
    t.same(outcome, ['', '', '', '', '', '']);
    await vol.close();
    t.equal(vol.log.join('\n'), '');
    await checked(t, disk, 'used', geometry);
  });
}

await t.test('write errors: the call fails, fsync tells, nothing is crossed', async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const disk = await newdisk(GEOMETRIES[2]!, 8 * 2 ** 20);
    const roll = dice(seed);
    let failing = false;
    const dev = new FaultDevice(disk, {
      fault: (op) => (failing && op === 'write' && roll(3) === 0 ? { errno: E.EIO } : undefined),
    });
    const vol = await rw(dev);
    const { sys } = vol;
    await put(sys, `${V}/good`, pattern(50_000, 1));
    await sys.sync();
    failing = true;
    for (let i = 0; i < 60; i++) {
      await errnameOf(put(sys, `${V}/f${roll(20)}`, pattern(roll(60_000), i)));
      await errnameOf(sys.unlink(`${V}/f${roll(20)}`));
      if (roll(5) === 0) await errnameOf(sys.sync());
      await errnameOf(sys.rename(`${V}/f${roll(20)}`, `${V}/g${roll(20)}`));
    }
    failing = false;
    for (const name of await ls(sys, V)) {
      // Files whose last write failed may be cut, never mixed with others: the checker would find that.
      await errnameOf(get(sys, `${V}/${name}`));
    }
    t.ok(same(await get(sys, `${V}/good`), pattern(50_000, 1)), `seed ${seed}: others are untouched`);
    await vol.close();
    const report = await fsck(disk);
    t.equal(report.problems.map((p) => p.message).join('\n'), '', `seed ${seed}: in order once the disk works again`);
  }
});

await t.test('removed files in use hold off a change to read-only, and go when their last user does', async (t) => {
  const disk = await newdisk(GEOMETRIES[1]!, 8 * 2 ** 20);
  const vol = await mountFfs(disk, 0);
  const { sys } = vol;
  const fd = await sys.open(`${V}/f`, O_RDWR | O_CREAT, 0o644);
  await sys.write(fd, pattern(30_000, 1));
  await sys.sync();
  await sys.unlink(`${V}/f`);
  await sys.sync();
  const bytes = new Uint8Array(30_000);
  t.equal(await sys.pread(fd, bytes, 0), 30_000);
  t.ok(same(bytes, pattern(30_000, 1)), 'still there');
  await sys.pwrite(fd, pattern(10, 2), 29_995);
  await sys.close(fd);
  await sys.sync();
  t.same(await ls(sys, MOUNTPOINT), []);
  await vol.close();
  await checked(t, disk, 'after');
});
