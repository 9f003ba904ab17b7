import t from 'tap';
import fc from 'fast-check';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { E, errno } from '../../src/kernel/errno.js';
import { B_DELWRI, B_VALID, BufCache } from '../../src/kernel/vfs/bio.js';
import type { Buf } from '../../src/kernel/vfs/bio.js';

const SIZE = 1 << 20;

/** A disk that answers later, counts its transfers, and fails on demand. */
class SlowDevice implements BlockDevice {
  readonly name = 'slow';
  readonly size_bytes = SIZE;
  readonly sector_bytes = 512;
  readonly readonly = false;
  readonly disk = new MemoryDevice({ size_bytes: SIZE });
  reads = 0;
  writes: { offset: number; length: number }[] = [];
  failing = false;

  async read(into: Uint8Array, into_offset: number, length: number, offset: number): Promise<void> {
    this.reads++;
    await new Promise((r) => setImmediate(r));
    if (this.failing) throw errno(E.EIO, 'injected');
    this.disk.read(into, into_offset, length, offset);
  }

  async write(from: Uint8Array, from_offset: number, length: number, offset: number): Promise<void> {
    this.writes.push({ offset, length });
    const copy = from.slice(from_offset, from_offset + length);
    await new Promise((r) => setImmediate(r));
    if (this.failing) throw errno(E.EIO, 'injected');
    this.disk.write(copy, 0, length, offset);
  }

  flush(): void {}
  discard(): void {}
  close(): void {}
}

/** A disk that answers at once and counts. */
class CountingDevice extends MemoryDevice {
  reads = 0;
  writes: { offset: number; length: number }[] = [];
  failing = false;

  override read(into: Uint8Array, into_offset: number, length: number, offset: number): void {
    this.reads++;
    if (this.failing) throw errno(E.EIO, 'injected');
    super.read(into, into_offset, length, offset);
  }

  override write(from: Uint8Array, from_offset: number, length: number, offset: number): void {
    this.writes.push({ offset, length });
    if (this.failing) throw errno(E.EIO, 'injected');
    super.write(from, from_offset, length, offset);
  }
}

function now(result: Buf | Promise<Buf>): Buf {
  if (result instanceof Promise) throw new Error('expected an answer at once');
  return result;
}

t.test('a hit answers at once with the same buffer', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE, content: new Uint8Array(SIZE).fill(7) });
  const cache = new BufCache();
  const a = now(cache.bread(dev, 4096, 4096));
  t.equal(a.b_data[4095], 7);
  const b = now(cache.bread(dev, 4096, 4096));
  t.equal(a, b);
  t.equal(a.b_refs, 2);
  cache.brelse(a);
  cache.brelse(b);
  cache.brelse(now(cache.bread(dev, 4096, 4096)));
  t.equal(dev.reads, 1);
  t.same([cache.hits, cache.misses], [2, 1]);
  t.throws(() => cache.brelse(a), { code: 'EIO' });
});

t.test('concurrent reads of one block share one transfer', async (t) => {
  const dev = new SlowDevice();
  dev.disk.write(new Uint8Array([42]), 0, 1, 8192);
  const cache = new BufCache();
  const [a, b, c] = await Promise.all([
    cache.bread(dev, 8192, 512),
    cache.bread(dev, 8192, 512),
    cache.bread(dev, 8192, 512),
  ]);
  t.equal(dev.reads, 1);
  t.equal(a, b);
  t.equal(b, c);
  t.equal(a.b_refs, 3);
  t.equal(a.b_data[0], 42);
});

t.test('a failed read leaves nothing behind', async (t) => {
  const dev = new SlowDevice();
  const cache = new BufCache();
  dev.failing = true;
  const results = await Promise.allSettled([cache.bread(dev, 0, 512), cache.bread(dev, 0, 512)]);
  t.same(results.map((r) => r.status), ['rejected', 'rejected']);
  t.equal(cache.resident_bytes, 0);
  dev.failing = false;
  const bp = await cache.bread(dev, 0, 512);
  t.equal(bp.b_flags, B_VALID);
});

t.test('least recently used blocks leave first, dirty and held ones stay', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const cache = new BufCache({ limit_bytes: 4 * 4096 });
  const held = now(cache.bread(dev, 0, 4096));
  const dirty = cache.getblk(dev, 4096, 4096);
  cache.bdwrite(dirty);
  cache.brelse(dirty);
  for (let i = 2; i < 10; i++) cache.brelse(now(cache.bread(dev, i * 4096, 4096)));
  t.equal(cache.resident_bytes, 4 * 4096);
  t.equal(cache.evictions, 6);
  const reads = dev.reads;
  cache.brelse(now(cache.bread(dev, 9 * 4096, 4096)));
  t.equal(dev.reads, reads, 'the newest is still there');
  t.ok(cache.incore(dev, 4096), 'the dirty one is still there');
  t.equal(cache.incore(dev, 2 * 4096), undefined, 'the oldest is gone');
  cache.brelse(held);
  t.ok(cache.incore(dev, 0));
  t.equal(cache.dirty_bytes, 4096);
});

t.test('bwrite cleans, a failed bwrite stays dirty', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const cache = new BufCache();
  const bp = cache.getblk(dev, 512, 512);
  bp.b_data.fill(9);
  cache.bdwrite(bp);
  t.equal(cache.dirty_bytes, 512);
  dev.failing = true;
  t.throws(() => cache.bwrite(bp), { code: 'EIO' });
  t.equal(bp.b_flags, B_DELWRI | B_VALID);
  t.equal(cache.dirty_bytes, 512);
  dev.failing = false;
  t.equal(cache.bwrite(bp), undefined, 'at once on a device that is fast');
  t.equal(bp.b_flags, B_VALID);
  t.equal(cache.dirty_bytes, 0);
  t.equal(bp.b_refs, 1);
  t.equal(dev.toBytes()[1023], 9);
});

t.test('a change during a slow write stays dirty', async (t) => {
  const dev = new SlowDevice();
  const cache = new BufCache();
  const bp = cache.getblk(dev, 0, 512);
  bp.b_data.fill(1);
  cache.bdwrite(bp);
  const writing = cache.bwrite(bp);
  bp.b_data.fill(2);
  cache.bdwrite(bp);
  await writing;
  t.equal(bp.b_flags & B_DELWRI, B_DELWRI);
  t.equal(dev.disk.toBytes()[0], 1);
  await cache.bwrite(bp);
  t.equal(dev.disk.toBytes()[0], 2);
  t.equal(cache.dirty_bytes, 0);
});

t.test('bflush writes in order and joins neighbours', async (t) => {
  for (const dev of [new CountingDevice({ size_bytes: SIZE }), new SlowDevice()]) {
    const cache = new BufCache();
    for (const block of [9, 3, 5, 4, 30]) {
      const bp = cache.getblk(dev, block * 1024, 1024);
      bp.b_data.fill(block);
      cache.bdwrite(bp);
      cache.brelse(bp);
    }
    const done = cache.bflush(dev);
    t.equal(done instanceof Promise, dev instanceof SlowDevice);
    await done;
    t.same(dev.writes, [
      { offset: 3 * 1024, length: 3 * 1024 },
      { offset: 9 * 1024, length: 1024 },
      { offset: 30 * 1024, length: 1024 },
    ]);
    const bytes = dev instanceof SlowDevice ? dev.disk.toBytes() : dev.toBytes();
    for (const block of [3, 4, 5, 9, 30]) t.equal(bytes[block * 1024 + 1023], block);
    t.equal(cache.dirty_bytes, 0);
  }
});

t.test('bflush with a filter, and with an error', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const cache = new BufCache();
  for (const block of [1, 2, 3]) {
    const bp = cache.getblk(dev, block * 2048, 512);
    cache.bdwrite(bp);
    cache.brelse(bp);
  }
  await cache.bflush(dev, (bp) => bp.b_offset === 2048);
  t.equal(cache.dirty_bytes, 1024);
  dev.failing = true;
  t.throws(() => cache.bflush(dev), { code: 'EIO' });
  t.equal(dev.writes.length, 3, 'tries the rest');
  t.equal(cache.dirty_bytes, 1024);
});

t.test('binval forgets, and a write through a forgotten buffer is dropped', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const lines: string[] = [];
  const cache = new BufCache({ log: (level, message) => lines.push(`${level} ${message}`) });
  const held = cache.getblk(dev, 0, 1024);
  cache.bdwrite(held);
  const other = cache.getblk(dev, 1024, 1024);
  cache.bdwrite(other);
  cache.brelse(other);
  cache.binval(dev, 0, 1024);
  t.equal(cache.dirty_bytes, 1024);
  held.b_data.fill(1);
  cache.bdwrite(held);
  await cache.bwrite(held);
  cache.brelse(held);
  t.equal(dev.writes.length, 0);
  t.equal(cache.incore(dev, 0), undefined);
  cache.binval(dev, 0, SIZE);
  t.equal(cache.dirty_bytes, 0);
  t.equal(cache.resident_bytes, 0);
  t.match(lines[0], /freed block/);
});

t.test('another size: clean is read anew, dirty is a bug of the driver', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const lines: string[] = [];
  const cache = new BufCache({ log: (level, message) => lines.push(`${level} ${message}`) });
  cache.brelse(now(cache.bread(dev, 0, 1024)));
  const bp = now(cache.bread(dev, 0, 2048));
  t.equal(bp.b_bcount, 2048);
  t.same(lines, []);
  cache.bdwrite(bp);
  t.throws(() => cache.bread(dev, 0, 1024), { code: 'EIO' });
  t.match(lines, [/^error slow: driver bug|^error memory disk: driver bug/]);
});

t.test('overlapping blocks are found when asked for', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const cache = new BufCache({ check_overlap: true });
  cache.brelse(now(cache.bread(dev, 8192, 8192)));
  t.throws(() => cache.bread(dev, 12288, 512), { code: 'EIO' });
  t.throws(() => cache.bread(dev, 4096, 8192), { code: 'EIO' });
  cache.brelse(now(cache.bread(dev, 16384, 512)));
});

t.test('damaged addresses and sizes', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const cache = new BufCache();
  for (const offset of [SIZE, SIZE - 511, -512, NaN, Infinity, 2 ** 60]) {
    t.throws(() => cache.bread(dev, offset, 512), { code: 'EIO' }, String(offset));
  }
  for (const size of [0, -1, NaN, 2 ** 40]) t.throws(() => cache.bread(dev, 0, size), { code: 'EINVAL' }, String(size));
  t.equal(cache.resident_bytes, 0);
  t.equal(dev.reads, 0);
});

t.test('a getblk that is not filled is forgotten; one that meets a read is kept apart from it', async (t) => {
  const dev = new SlowDevice();
  const cache = new BufCache();
  cache.brelse(cache.getblk(dev, 0, 512));
  t.equal(cache.resident_bytes, 0);
  const reading = cache.bread(dev, 0, 512);
  const mine = cache.getblk(dev, 0, 512);
  mine.b_data.fill(5);
  cache.bdwrite(mine);
  const old = await reading;
  t.equal(old.b_data[0], 0);
  t.equal(mine.b_data[0], 5);
  cache.brelse(old);
  const again = await cache.bread(dev, 0, 512);
  t.equal(again, mine);
});

t.test('pressure calls the hook, once at a time, and not in a storm', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const lines: string[] = [];
  const cache = new BufCache({ limit_bytes: 64 * 1024, log: (_, message) => lines.push(message) });
  let calls = 0;
  let works = true;
  cache.onpressure(dev, async () => {
    calls++;
    if (!works) throw errno(E.EIO);
    await cache.bflush(dev);
  });
  const dirty = (i: number): void => {
    const bp = cache.getblk(dev, i * 4096, 4096);
    cache.bdwrite(bp);
    cache.brelse(bp);
  };
  for (let i = 0; i < 12; i++) dirty(i);
  t.equal(calls, 0, 'not inside bdwrite');
  t.type(cache.throttle(dev), Promise);
  await cache.throttle(dev);
  t.equal(calls, 1);
  t.equal(cache.dirty_bytes, 0);
  t.equal(cache.throttle(dev), undefined);
  works = false;
  for (let i = 0; i < 40; i++) {
    dirty(i);
    await new Promise((r) => setImmediate(r));
  }
  t.ok(calls > 1 && calls < 40, `${calls} calls`);
  t.match(lines[0], /EIO/);
});

t.test('purge forgets a device and says what is lost', async (t) => {
  const dev = new CountingDevice({ size_bytes: SIZE });
  const other = new CountingDevice({ size_bytes: SIZE });
  const lines: string[] = [];
  const cache = new BufCache({ log: (level, message) => lines.push(`${level} ${message}`) });
  cache.brelse(now(cache.bread(other, 0, 512)));
  const bp = cache.getblk(dev, 0, 512);
  cache.bdwrite(bp);
  cache.brelse(bp);
  cache.purge(dev);
  t.match(lines, [/^error .*512 bytes/]);
  t.equal(cache.dirty_bytes, 0);
  t.equal(cache.resident_bytes, 512);
  t.ok(cache.incore(other, 0));
});

t.test('random use agrees with a plain array, on fast and slow devices', async (t) => {
  const BLOCK = 512;
  const BLOCKS = 24;
  const op = fc.oneof(
    fc.record({ op: fc.constant('read' as const), n: fc.nat(BLOCKS - 1) }),
    fc.record({
      op: fc.constant('write' as const),
      n: fc.nat(BLOCKS - 1),
      v: fc.integer({ min: 1, max: 255 }),
      now: fc.boolean(),
    }),
    fc.record({ op: fc.constant('flush' as const) }),
    fc.record({ op: fc.constant('free' as const), n: fc.nat(BLOCKS - 1) }),
  );
  const runs = Number(process.env.RUMPFUSE_PROPERTY_RUNS ?? 60);
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 60 }), fc.boolean(), async (ops, slow) => {
      const slowdev = new SlowDevice();
      const fastdev = new CountingDevice({ size_bytes: SIZE });
      const dev = slow ? slowdev : fastdev;
      const cache = new BufCache({ limit_bytes: 6 * BLOCK, check_overlap: true });
      // undefined: freed, its content may be anything that was ever there
      const model: (number | undefined)[] = new Array<number | undefined>(BLOCKS).fill(0);
      for (const o of ops) {
        if (o.op === 'read') {
          const bp = await cache.bread(dev, o.n * BLOCK, BLOCK);
          if (model[o.n] !== undefined && bp.b_data[BLOCK - 1] !== model[o.n]) throw new Error(`block ${o.n}`);
          cache.brelse(bp);
        } else if (o.op === 'write') {
          const bp = cache.getblk(dev, o.n * BLOCK, BLOCK);
          bp.b_data.fill(o.v);
          model[o.n] = o.v;
          if (o.now) await cache.bwrite(bp);
          else cache.bdwrite(bp);
          cache.brelse(bp);
        } else if (o.op === 'free') {
          cache.binval(dev, o.n * BLOCK, BLOCK);
          model[o.n] = undefined;
        } else {
          await cache.bflush(dev);
          if (cache.dirty_bytes !== 0) throw new Error('dirty after bflush');
        }
        if (cache.resident_bytes > Math.max(cache.limit_bytes, cache.dirty_bytes + BLOCK)) {
          throw new Error('over the limit');
        }
      }
      await cache.bflush(dev);
      cache.purge(dev);
      if (cache.resident_bytes !== 0) throw new Error('bytes left after purge');
      const bytes = slow ? slowdev.disk.toBytes() : fastdev.toBytes();
      model.forEach((v, n) => {
        if (v !== undefined && bytes[n * BLOCK] !== v) throw new Error(`block ${n} on the disk`);
      });
    }),
    { numRuns: runs, seed: 20 },
  );
  t.pass(`${runs} runs`);
});
