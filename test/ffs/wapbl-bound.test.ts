import t from 'tap';
import type { Test } from 'tap';
import { FaultDevice } from '../../testing/devices/fault.js';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { ffs } from '../../src/fs/ffs/index.js';
import { JournalledWrites } from '../../src/fs/ffs/journal/journal.js';
import { wapbl_minimum } from '../../src/fs/ffs/journal/size.js';
import { O_CREAT, O_RDONLY, O_RDWR } from '../../src/kernel/fcntl.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { MemoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { mountFfs } from './volumes.js';
import { journal, stopped, superblock } from './wapbl-support.js';
import { V, checked, errnameOf, ls, newdisk, pattern, put, room, same, get, titleOf } from './write-support.js';
import type { Geometry } from './write-support.js';

/**
 * A transaction always fits into the journal: the smallest legal ones, disks that answer late, several clients at a
 * time, caches so small that files are put away all the time, and operations as large as they get.
 */

/** The most that an operation has changed, of what is kept ready; of the test at work. */
const most = { largest: 0, oproom: 0 };
const orders: JournalledWrites[] = [];
JournalledWrites.measure = true;
const ended = JournalledWrites.prototype.end;
JournalledWrites.prototype.end = function end(this: JournalledWrites): void {
  ended.call(this);
  most.largest = this.largest;
  most.oproom = this.oproom;
  orders[0] = this;
};

const GEOMETRIES: readonly Geometry[] = [
  // Groups of 2 MiB: files have blocks in many.
  { format: 2, endian: 'little', blockSize: 4096, fragSize: 4096, maxFragsPerGroup: 512, maxbpg: 16 },
  { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024 },
  { format: 2, endian: 'big', blockSize: 16384, fragSize: 2048 },
];

interface Volume {
  readonly sys: RumpSys;
  /** Errors that the kernel told. */
  readonly errors: string[];
  readonly close: () => Promise<void>;
}

async function mounted(dev: MemoryDevice, slow: boolean, log: string | undefined): Promise<Volume> {
  const rumpuser = new MemoryRumpuser({ now: 1_800_000_000 });
  const errors: string[] = [];
  rumpuser.rumpuser_dprintf = (level, message) =>
    void (level === 'error' || level === 'warn' ? errors.push(message) : 0);
  const kernel = await RumpKernel.boot({
    rumpuser,
    components: [tmpfs, ffs],
    vnode_limit: 20,
    bufcache_bytes: 2 ** 20,
  });
  await kernel.sys.mkdir(V, 0o755);
  const options = new Map<string, string | true>(log === undefined ? [] : [['log', log]]);
  await kernel.sys.mount('ffs', V, 0, { fspec: slow ? new FaultDevice(dev, { slow: true }) : dev, options });
  return {
    sys: kernel.sys,
    errors,
    close: async () => {
      await kernel.sys.unmount(V);
      await kernel.halt();
    },
  };
}

async function each<T>(of: readonly T[], clients: number, work: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < of.length) await work(of[next++]!);
  };
  await Promise.all(Array.from({ length: clients }, client));
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

async function work(t: Test, sys: RumpSys, bsize: number): Promise<void> {
  const long = (i: number): string => `${'name'.repeat(40)}${i}`;

  // A tree, its files read (which changes inodes outside of operations), moved, removed.
  await each(numbers(6), 3, (d) => sys.mkdir(`${V}/d${d}`, 0o755).then(() => undefined));
  await each(numbers(900), 4, (i) => put(sys, `${V}/d${i % 6}/${long(i)}`, pattern(100 + (i % 50) * 100, i)));
  await sys.sync();
  const read = async (i: number): Promise<void> => {
    if (!same(await get(sys, `${V}/d${i % 6}/${long(i)}`), pattern(100 + (i % 50) * 100, i))) t.fail(`file ${i}`);
  };
  await each(numbers(900), 4, read);
  await Promise.all([
    each(numbers(300), 3, read),
    each(numbers(600), 3, (i) => sys.rename(`${V}/d${(i + 300) % 6}/${long(i + 300)}`, `${V}/d${(i + 1) % 6}/m${i}`)),
    each(numbers(40), 1, async (i) => {
      const fd = await sys.open(`${V}/s${i}`, O_RDWR | O_CREAT, 0o644);
      await sys.fsync(fd);
      await sys.close(fd);
    }),
  ]);
  await sys.mkdir(`${V}/in`, 0o755);
  await each(numbers(6), 3, (d) => sys.rename(`${V}/d${d}`, `${V}/in/d${d}`));
  await each(numbers(600), 5, (i) => sys.unlink(`${V}/in/d${(i + 1) % 6}/m${i}`));
  await each(numbers(300), 5, (i) => sys.unlink(`${V}/in/d${i % 6}/${long(i)}`));
  await each(numbers(40), 5, (i) => sys.unlink(`${V}/s${i}`));
  await each(numbers(6), 3, (d) => sys.rmdir(`${V}/in/d${d}`));
  await sys.rmdir(`${V}/in`);

  // A file in all groups, cut and filled; and one of single blocks under as many indirect blocks.
  const big = await sys.open(`${V}/big`, O_RDWR | O_CREAT, 0o644);
  const bytes = pattern(2 ** 20, 1);
  for (let i = 0; i < 14; i++) await sys.pwrite(big, bytes, i * 2 ** 20);
  await sys.fdiscard(big, 1000, 9 * 2 ** 20);
  await sys.posix_fallocate(big, 2 ** 20, 5 * 2 ** 20);
  await sys.ftruncate(big, 3 * 2 ** 20 + 1);
  const sparse = await sys.open(`${V}/sparse`, O_RDWR | O_CREAT, 0o644);
  const rows = numbers(70).map((i) => i * 2200 * bsize);
  for (const at of rows) await sys.pwrite(sparse, bytes.subarray(0, bsize), at);
  await sys.fdiscard(sparse, 0, 60 * 2200 * bsize);
  for (const at of rows) await sys.pwrite(sparse, bytes.subarray(0, 10), at);
  await sys.ftruncate(sparse, 5);
  for (const at of rows) await sys.pwrite(sparse, bytes.subarray(0, 10), at);
  await sys.unlink(`${V}/sparse`);
  await sys.close(sparse);
  await sys.unlink(`${V}/big`);
  await sys.close(big);
}

t.setTimeout(0); // the runner has a limit
for (const geometry of GEOMETRIES) {
  for (const slow of geometry.blockSize === 4096 ? [false, true] : [geometry.blockSize === 8192]) {
    await t.test(`${titleOf(geometry)}${slow ? ', a slow disk' : ''}`, async (t) => {
      const dev = await newdisk(geometry, 40 * 2 ** 20);
      const fs = await superblock(dev);
      const vol = await mounted(dev, slow, `${Math.ceil(wapbl_minimum(fs) / fs.fs_bsize) * fs.fs_bsize}`);
      await vol.sys.sync();
      const empty = await room(vol.sys);
      await work(t, vol.sys, fs.fs_bsize);
      await vol.sys.sync();
      t.equal(await room(vol.sys), empty, 'all room is back');
      t.ok(
        most.largest > fs.fs_bsize && most.largest <= most.oproom,
        `one operation has changed ${most.largest} bytes, ${most.oproom} are kept ready`,
      );
      await vol.close();
      t.equal(vol.errors.join('\n'), '', 'no complaints');
      await checked(t, dev, 'unmounted', geometry);
    });
  }
}

t.test('files without a name fill the journal', async (t) => {
  const geometry = { format: 2, endian: 'little', blockSize: 4096, fragSize: 512 } as const;
  const dev = await newdisk(geometry, 24 * 2 ** 20);
  const fs = await superblock(dev);
  const vol = await mounted(dev, false, `${wapbl_minimum(fs)}`);
  const { sys } = vol;
  await put(sys, `${V}/other`, pattern(5000, 1));
  const fds: number[] = [];
  let refused = '';
  for (let i = 0; i < 12_000 && refused === ''; i++) {
    const fd = await sys.open(`${V}/f`, O_RDWR | O_CREAT, 0o644);
    refused = await errnameOf(sys.unlink(`${V}/f`));
    fds.push(fd);
  }
  t.equal(refused, 'ENOSPC', `refused after ${fds.length}`);
  t.ok(fds.length > 1000, 'not too early');
  await sys.mkdir(`${V}/d`, 0o755);
  await sys.chmod(`${V}/other`, 0o600);
  t.equal(await errnameOf(sys.unlink(`${V}/other`)), 'ENOSPC', 'other work goes on');
  await sys.sync();
  for (const fd of fds) await sys.close(fd);
  t.equal(await errnameOf(sys.unlink(`${V}/f`)), '', 'when they are closed there is room again');
  const fd = await sys.open(`${V}/other`, O_RDONLY);
  await sys.fsync(fd);
  await sys.close(fd);
  await vol.close();
  t.equal(vol.errors.join('\n'), '', 'no complaints');
  await checked(t, dev, 'unmounted', geometry);
});

t.test('blocks that change whenever they could go home', async (t) => {
  const geometry = { format: 2, endian: 'little', blockSize: 4096, fragSize: 512 } as const;
  const dev = await newdisk(geometry, 24 * 2 ** 20);
  await (await mounted(dev, false, `${wapbl_minimum(await superblock(dev))}`)).close();
  const { place } = await journal(dev);
  let replays = 0;
  // Every write of the journal finds a block of the volume changed again, as no operation could.
  const restless = new FaultDevice(dev, {
    slow: true,
    fault(op, _number, offset) {
      const inside = offset >= place.start && offset < place.start + place.bytes;
      if (op === 'read' && inside) replays++;
      if (op !== 'write' || !inside || orders[0] === undefined) return undefined;
      const { ump } = orders[0].state;
      const bp = ump.um_bufcache.incore(ump.um_dev, ump.um_fs.fsbtob(ump.um_fs.ino_to_fsba(2)));
      if (bp === undefined) return undefined;
      orders[0].bdwrite(bp);
      ump.um_bufcache.brelse(bp);
      return undefined;
    },
  });
  orders.length = 0;
  const vol = await mountFfs(restless, 0);
  const at = replays;
  let cut = dev;
  for (let i = 0; i < 150; i++) {
    await put(vol.sys, `${V}/f${i}`, pattern(3000, i));
    const fd = await vol.sys.open(`${V}/f${i}`, O_RDONLY);
    await vol.sys.fsync(fd);
    await vol.sys.close(fd);
    if (i === 100) cut = stopped(dev);
  }
  t.ok(replays > at, 'the journal was replayed while it was written');
  orders.length = 0;
  await vol.close();
  t.equal(vol.log.filter((line) => !line.startsWith('info')).join('\n'), '', 'no complaints');
  await checked(t, dev, 'unmounted', geometry);
  const after = await mountFfs(cut, 0);
  t.equal((await ls(after.sys, V)).length, 101, 'nothing of what was fsynced is missing after a power cut');
  await after.close();
  await checked(t, cut, 'after a power cut', geometry);
});
