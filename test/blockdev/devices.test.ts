import t from 'tap';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { FaultDevice } from '../../testing/devices/fault.js';
import { createImage, imageFromFd, openImage } from '../../src/blockdev/image.js';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { PartitionDevice } from '../../src/blockdev/partition.js';
import { lastBarrier, replayUntil } from '../../testing/devices/powercut.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, errno } from '../../src/kernel/errno.js';
import { memoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import { nodeRumpuser } from '../../src/kernel/rumpuser/node.js';
import type { Rumpuser } from '../../src/kernel/rumpuser/rumpuser.js';
import { SparseBytes } from '../../src/kernel/sparsebytes.js';
import { failure } from './failure.js';

const code = async (call: () => unknown): Promise<string> => (await failure(call)).code;
const message = async (call: () => unknown): Promise<string> => (await failure(call)).message;

async function bytesAt(dev: BlockDevice, offset: number, length: number): Promise<number[]> {
  const bytes = new Uint8Array(length + 2).fill(0xee);
  await dev.read(bytes, 1, length, offset);
  if (bytes[0] !== 0xee || bytes[length + 1] !== 0xee) throw new Error('wrote outside the range');
  return [...bytes.subarray(1, length + 1)];
}

t.test('sparse bytes', async (t) => {
  const s = new SparseBytes();
  s.write(new Uint8Array(100_000).fill(1), 0, 100_000, 65_000);
  const out = new Uint8Array(6);
  s.read(out, 0, 6, 64_997);
  t.same([...out], [0, 0, 0, 1, 1, 1]);
  s.read(out, 0, 6, 164_997);
  t.same([...out], [1, 1, 1, 0, 0, 0]);
  const copy = s.clone();
  s.zero(65_536, 65_536);
  t.equal(s.resident_bytes, 2 * 65_536);
  s.read(out, 0, 6, 65_533);
  t.same([...out], [1, 1, 1, 0, 0, 0]);
  s.zero(0, 2 ** 52);
  t.equal(s.resident_bytes, 0);
  copy.read(out, 0, 6, 100_000);
  t.same([...out], [1, 1, 1, 1, 1, 1]);
});

t.test('every device refuses what lies outside it', async (t) => {
  const ru = memoryRumpuser({ files: { '/img': new Uint8Array(8192) } });
  const devices: BlockDevice[] = [
    new MemoryDevice({ size_bytes: 8192 }),
    await openImage(ru, '/img'),
    new PartitionDevice(new MemoryDevice({ size_bytes: 16384 }), 4096, 8192, 'partition'),
    new FaultDevice(new MemoryDevice({ size_bytes: 8192 })),
  ];
  const buf = new Uint8Array(16);
  for (const dev of devices) {
    for (const [offset, length] of [
      [8192, 1],
      [8190, 3],
      [-1, 1],
      [0, -1],
      [NaN, 1],
      [2 ** 53, 1],
      [Infinity, 1],
      [0, 8193],
    ] as const) {
      t.equal(await code(() => dev.read(buf, 0, length, offset)), 'EINVAL', `${dev.name}: read ${length} at ${offset}`);
      t.equal(
        await code(() => dev.write(buf, 0, length, offset)),
        'EINVAL',
        `${dev.name}: write ${length} at ${offset}`,
      );
      t.equal(await code(() => dev.discard(offset, length)), 'EINVAL', `${dev.name}: discard ${length} at ${offset}`);
    }
    await dev.write(new Uint8Array([1, 2, 3]), 1, 2, 8190);
    t.same(await bytesAt(dev, 8188, 4), [0, 0, 2, 3]);
    await dev.flush();
    await dev.discard(0, 8192);
    await dev.close();
  }
});

t.test('partition: a window', async (t) => {
  const disk = new MemoryDevice({ name: 'disk', size_bytes: 16384 });
  const part = new PartitionDevice(disk, 4096, 8192, 'disk partition 1');
  part.write(new Uint8Array([7]), 0, 1, 0);
  t.same(await bytesAt(disk, 4095, 3), [0, 7, 0]);
  for (const [offset, size] of [[4096, 16384], [-512, 512], [0, 0], [0.5, 512], [NaN, 512], [16384, 1]] as const) {
    t.equal(await code(() => new PartitionDevice(disk, offset, size, 'p')), 'EINVAL', `${size} at ${offset}`);
  }
});

t.test('read-only and growing memory', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 4096, content: new Uint8Array([5]) }).clone({ readonly: true });
  t.equal(dev.readonly, true);
  t.same(await bytesAt(dev, 0, 1), [5]);
  t.equal(await code(() => dev.write(new Uint8Array(1), 0, 1, 0)), 'EROFS');
  t.equal(await code(() => dev.discard(0, 1)), 'EROFS');
  const big = new MemoryDevice({ size_bytes: 10, growable: true });
  big.write(new Uint8Array(5), 0, 5, 100);
  t.equal(big.size_bytes, 105);
});

t.test('image: opening', async (t) => {
  const ru = memoryRumpuser({
    files: {
      '/img': new Uint8Array(1000),
      '/empty': new Uint8Array(0),
      '/cd': { size_bytes: 2048, readonly: true },
      '/dir': { type: 'directory' },
    },
  });
  t.match(await message(() => openImage(ru, '/empty')), '/empty is empty: no disk image');
  t.equal(await code(() => openImage(ru, '/dir')), 'EISDIR');
  t.equal(await code(() => openImage(ru, '/none')), 'ENOENT');
  const cd = await openImage(ru, '/cd');
  t.equal(cd.readonly, true);
  t.match(ru.log, [{ level: 'warn', message: '/cd is on read-only media: opened read-only' }]);
  t.equal(await code(() => cd.write(new Uint8Array(1), 0, 1, 0)), 'EROFS');
  t.equal(await code(() => openImage(ru, '/cd', { writable: true })), 'EROFS');
  const img = await openImage(ru, '/img');
  t.equal(await code(() => openImage(ru, '/img')), 'EBUSY');
  t.equal(await code(() => openImage(ru, '/img', { readonly: true })), 'EBUSY');
  await img.close();
  await img.close();
  const ro = await openImage(ru, '/img', { readonly: true });
  t.equal(ro.readonly, true);
  await ro.close();
  t.equal(await code(() => ro.read(new Uint8Array(1), 0, 1, 0)), 'ENXIO');
  // /empty was closed again: nobody holds it
  await (await createImage(ru, '/empty', 4096)).close();
});

t.test('image: made at a size, sparse, on the host', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rumpfuse-image-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const ru = nodeRumpuser();
  const file = path.join(folder, 'new.img');
  const dev = await createImage(ru, file, 1 << 30);
  t.equal(dev.size_bytes, 1 << 30);
  await dev.write(new Uint8Array(1 << 20).fill(9), 0, 1 << 20, 1 << 20);
  await dev.flush();
  t.ok(fs.statSync(file).blocks * 512 < 8 << 20, 'sparse');
  const before = fs.statSync(file).blocks;
  await dev.discard((1 << 20) + 100, (1 << 20) - 200);
  await dev.flush();
  t.same(await bytesAt(dev, (1 << 20) + 99, 1), [9], 'not more than was asked for');
  t.ok(fs.statSync(file).blocks < before, 'room is given back');
  const handed = fs.openSync(file, 'r');
  const second = await imageFromFd(ru, handed, 'handed over');
  t.same([second.readonly, second.size_bytes], [true, 1 << 30]);
  await second.close();
  await dev.close();
  t.equal(await code(() => createImage(ru, file, 4096)), 'EEXIST');
  t.equal(fs.statSync(file).size, 1 << 30, 'left alone');
  await (await createImage(ru, file, 2 ** 31)).close();
  t.equal(fs.statSync(file).size, 2 ** 31);
});

t.test('image: errors of the host, and a flush that failed once fails for ever', async (t) => {
  const ru = memoryRumpuser({ files: { '/img': new Uint8Array(4096) } });
  const host: Rumpuser = Object.assign(Object.create(ru) as Rumpuser, {
    rumpuser_syncfd: () => {
      if (broken) throw errno(E.EIO, 'flush: input/output error');
    },
    rumpuser_pread: (fd: number, into: Uint8Array, at: number, length: number, offset: number) =>
      broken ? Math.min(length, 10) : ru.rumpuser_pread(fd, into, at, length, offset),
    rumpuser_pwrite: () => {
      throw errno(broken ? E.ENODEV : E.ENOSPC, 'write');
    },
    rumpuser_discard: () => {
      discards++;
      throw errno(E.EOPNOTSUPP);
    },
  });
  let broken = false;
  let discards = 0;
  const dev = await openImage(host, '/img');
  await dev.flush();
  t.equal(await code(() => dev.write(new Uint8Array(8), 0, 8, 0)), 'ENOSPC');
  await dev.discard(0, 4096);
  await dev.discard(0, 4096);
  t.equal(discards, 1, 'not asked again');
  broken = true;
  t.equal(await code(() => dev.flush()), 'EIO');
  t.match(await message(() => dev.read(new Uint8Array(512), 0, 512, 0)), '/img: 10 of 512 bytes at 0 read');
  t.equal(await code(() => dev.write(new Uint8Array(8), 0, 8, 0)), 'ENXIO', 'a device that is gone');
  broken = false;
  t.equal(
    await code(() => dev.flush()),
    'EIO',
    'the data of the failed flush is lost: no later one may call it written',
  );
});

t.test('faults: errors, short transfers, a disk pulled out', async (t) => {
  for (const slow of [false, true]) {
    const disk = new MemoryDevice({ size_bytes: 8192 });
    const dev = new FaultDevice(disk, {
      slow,
      fault: (op, number, offset) =>
        op === 'write' && offset === 512
          ? { short_bytes: 100 }
          : op === 'read' && number === 3
            ? { errno: E.EIO }
            : undefined,
    });
    await dev.write(new Uint8Array(512).fill(1), 0, 512, 0);
    t.equal(await code(() => dev.write(new Uint8Array(512).fill(2), 0, 512, 512)), 'EIO');
    t.same(await bytesAt(disk, 611, 2), [2, 0], 'the first 100 bytes are there');
    await bytesAt(dev, 0, 1);
    t.equal(await code(() => dev.read(new Uint8Array(1), 0, 1, 0)), 'EIO');
    await bytesAt(dev, 0, 1);
    dev.vanish_after = dev.operations;
    for (const call of [
      () => dev.read(new Uint8Array(1), 0, 1, 0),
      () => dev.write(new Uint8Array(1), 0, 1, 0),
      () => dev.flush(),
      () => dev.discard(0, 1),
    ]) {
      t.equal(await code(call), 'ENXIO');
    }
    t.same([dev.reads, dev.writes, dev.flushes], [4, 3, 1]);
  }
});

t.test('faults: the slow disk has copied what it writes, and keeps the order', async (t) => {
  const disk = new MemoryDevice({ size_bytes: 8192 });
  const dev = new FaultDevice(disk, { slow: true });
  const bytes = new Uint8Array([1]);
  const first = dev.write(bytes, 0, 1, 0);
  bytes[0] = 2;
  const second = dev.write(bytes, 0, 1, 0);
  const read = bytesAt(dev, 0, 1);
  bytes[0] = 3;
  await Promise.all([first, second]);
  t.same(await read, [2]);
});

t.test('power cut: what is flushed stays, the rest is the disk\'s choice', async (t) => {
  const start = new MemoryDevice({ size_bytes: 8192, content: new Uint8Array(8192).fill(9) });
  const dev = new FaultDevice(start.clone(), { record: true });
  const put = (offset: number, value: number): unknown => dev.write(new Uint8Array(1024).fill(value), 0, 1024, offset);
  await put(0, 1);
  await dev.flush();
  await put(1024, 2);
  await put(0, 3);
  await dev.discard(4096, 512);
  await dev.flush();
  await put(2048, 4);
  t.equal(dev.events.length, 7);
  t.same([0, 1, 2, 4, 6, 7, 99].map((n) => lastBarrier(dev.events, n)), [0, 0, 2, 2, 6, 6, 6]);
  const after = async (cut: Parameters<typeof replayUntil>[2]): Promise<number[]> => {
    const disk = start.clone();
    await replayUntil(disk, dev.events, cut);
    const bytes = disk.toBytes();
    return [bytes[0]!, bytes[1023]!, bytes[1024]!, bytes[2048]!, bytes[4096]!];
  };
  t.same(await after({ events: 0 }), [9, 9, 9, 9, 9]);
  t.same(await after({ events: 4 }), [3, 3, 2, 9, 9]);
  t.same(await after({ events: 4, keep: () => false }), [1, 1, 9, 9, 9], 'the first write was flushed');
  t.same(await after({ events: 4, keep: (i) => i === 3 }), [3, 3, 9, 9, 9]);
  t.same(await after({ events: 4, torn: { index: 3, bytes: 512 } }), [3, 1, 2, 9, 9]);
  t.same(await after({ events: 7, keep: () => false }), [3, 3, 2, 9, 0]);
  t.same(await after({ events: 7 }), [3, 3, 2, 4, 0]);
});
