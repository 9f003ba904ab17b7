import t from 'tap';
import fc from 'fast-check';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { FaultDevice } from '../../testing/devices/fault.js';
import { openImage } from '../../src/blockdev/image.js';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { overlayLayout } from '../../src/blockdev/overlay-format.js';
import { OverlayDevice, openOverlay } from '../../src/blockdev/overlay.js';
import { replayUntil } from '../../testing/devices/powercut.js';
import { E } from '../../src/kernel/errno.js';
import { memoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import { nodeRumpuser } from '../../src/kernel/rumpuser/node.js';
import { failure } from './failure.js';

const SIZE = 300_000; // no multiple of a block

/** A disk whose every byte tells where it is. */
function pattern(size = SIZE): MemoryDevice {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 7 + (i >> 9)) & 0xff;
  return new MemoryDevice({ name: 'base.img', content: bytes });
}

async function content(dev: OverlayDevice): Promise<Uint8Array> {
  const all = new Uint8Array(dev.size_bytes);
  await dev.read(all, 0, all.length, 0);
  return all;
}

t.test('random reads and writes agree with a plain array; the disk is never written', async (t) => {
  const op = fc.record({
    kind: fc.constantFrom('write', 'write', 'write', 'read', 'flush', 'reopen', 'kill', 'discard'),
    at: fc.nat(SIZE - 1),
    length: fc.oneof(fc.nat(600), fc.nat(30_000)),
    value: fc.nat(255),
  });
  const runs = Number(process.env.RUMPFUSE_PROPERTY_RUNS ?? 25);
  await fc.assert(
    fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 30 }), async (ops) => {
      const base = pattern().clone({ readonly: true });
      const model = base.toBytes();
      const before = base.toBytes();
      const ru = memoryRumpuser({ params: new Map([['_RUMPUSER_BOOT_ID', 'boot one']]) });
      let dev = await openOverlay(ru, base, '/over');
      for (const { kind, at, length, value } of ops) {
        const count = Math.min(length, SIZE - at);
        if (kind === 'write') {
          const bytes = new Uint8Array(count + 3).fill(value);
          const writing = dev.write(bytes, 3, count, at);
          bytes.fill(0xaa); // the device has its copy
          await writing;
          model.fill(value, at, at + count);
        } else if (kind === 'read') {
          const got = new Uint8Array(count);
          await dev.read(got, 0, count, at);
          if (Buffer.compare(got, model.subarray(at, at + count)) !== 0) throw new Error(`read of ${count} at ${at}`);
        } else if (kind === 'flush') {
          await dev.flush();
        } else if (kind === 'discard') {
          await dev.discard(at, count);
          // any content is right: the model takes what is there
          await dev.read(model, at, count, at);
        } else {
          // a process that dies leaves its file as it is; its lock ends with it
          if (kind === 'reopen') await dev.close();
          else ru.addFile('/over', ru.fileBytes('/over'));
          dev = await openOverlay(ru, base, '/over');
        }
      }
      if (Buffer.compare(await content(dev), model) !== 0) throw new Error('differs at the end');
      if (Buffer.compare(base.toBytes(), before) !== 0) throw new Error('the disk was written');
    }),
    { numRuns: runs, seed: 3 },
  );
  t.pass(`${runs} runs`);
});

t.test('power cuts: flushed data is there, other blocks are old or new', async (t) => {
  const base = pattern(40_000);
  const layout = overlayLayout(40_000);
  const store = new FaultDevice(new MemoryDevice({ name: 'over', size_bytes: layout.file_bytes }), { record: true });
  const dev = await OverlayDevice.open(base.clone(), store, 'boot one');
  /** Values that each block may show: what it held at the last flush, and everything since. */
  const history: { events: number; flushed: boolean; block: number; value: number }[] = [];
  let seed = 1;
  for (let i = 0; i < 40; i++) {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    const block = seed % 9;
    await dev.write(new Uint8Array(4096).fill(i + 1), 0, 4096, block * 4096);
    history.push({ events: store.events.length, flushed: false, block, value: i + 1 });
    if (i % 7 === 6) {
      await dev.flush();
      history.push({ events: store.events.length, flushed: true, block: -1, value: 0 });
    }
  }
  let cuts = 0;
  for (let events = 0; events <= store.events.length; events++) {
    for (const keep of [() => true, () => false, (i: number) => i % 2 === 0, (i: number) => i % 2 === 1]) {
      const after = new MemoryDevice({ name: 'over', size_bytes: layout.file_bytes });
      await replayUntil(after, store.events, { events, keep });
      const again = await OverlayDevice.open(base.clone(), after, 'boot two');
      const bytes = await content(again);
      for (let block = 0; block < 9; block++) {
        const original = base.toBytes().subarray(block * 4096, block * 4096 + 4096);
        const got = bytes.subarray(block * 4096, block * 4096 + 4096);
        let allowed: (number | 'original')[] = ['original'];
        let since: number[] = [];
        for (const h of history) {
          if (h.flushed && h.events <= events) {
            if (since.length > 0) allowed = [since[since.length - 1]!];
            since = [];
          } else if (h.block === block) {
            since.push(h.value);
          }
        }
        const fits = [...allowed, ...since].some((v) =>
          v === 'original' ? Buffer.compare(got, original) === 0 : got.every((b) => b === v),
        );
        if (!fits) {
          t.fail(
            `cut after ${events} events: block ${block} holds ${got[0]}, allowed ${[...allowed, ...since].join()}`,
          );
        }
      }
      cuts++;
    }
  }
  t.ok(cuts > 200, `${cuts} cuts`);
});

t.test('a process that died lost nothing; a host that went down lost only what was not flushed', async (t) => {
  const base = pattern();
  const make = async (
    boot: string,
    content?: Uint8Array,
  ): Promise<{ ru: ReturnType<typeof memoryRumpuser>; dev: OverlayDevice }> => {
    const ru = memoryRumpuser({
      params: new Map([['_RUMPUSER_BOOT_ID', boot]]),
      files: content === undefined ? {} : { '/over': content },
    });
    return { ru, dev: await openOverlay(ru, base.clone(), '/over') };
  };
  const one = await make('boot one');
  await one.dev.write(new Uint8Array(10_000).fill(1), 0, 10_000, 5000);
  await one.dev.flush();
  await one.dev.write(new Uint8Array(10_000).fill(2), 0, 10_000, 100_000);
  const left = one.ru.fileBytes('/over');
  const same = await content((await make('boot one', left)).dev);
  t.same([same[5000], same[100_000]], [1, 2]);
  const other = await content((await make('boot two', left)).dev);
  t.same([other[5000], other[100_000]], [1, base.toBytes()[100_000]]);
});

t.test('refuses another disk, a disk that was written to, and files that are no overlays', async (t) => {
  const ru = memoryRumpuser({
    files: {
      '/letter': new TextEncoder().encode('Dear reader,\n'.repeat(1000)),
      '/short': new Uint8Array(10),
      '/dev': { type: 'blockdev', size_bytes: 1 << 20 },
    },
  });
  const base = pattern();
  const dev = await openOverlay(ru, base.clone(), '/over');
  await dev.write(new Uint8Array([1]), 0, 1, 0);
  await dev.close();
  t.match(await failure(openOverlay(ru, pattern(SIZE + 4096), '/over')), {
    code: 'EINVAL',
    message: 'was made over a disk of 300000 bytes; base.img has 304096',
  });
  const changed = base.clone();
  changed.write(new Uint8Array([1]), 0, 1, 8192 + 8);
  t.match(await failure(openOverlay(ru, changed, '/over')), {
    code: 'EINVAL',
    message: 'was made over another disk than base.img, or base.img was written to since',
  });
  const before = ru.fileBytes('/letter');
  t.match(await failure(openOverlay(ru, base.clone(), '/letter')), {
    code: 'EFTYPE',
    message: '/letter is no overlay file; it is left as it is',
  });
  t.same(ru.fileBytes('/letter'), before);
  t.equal((await failure(openOverlay(ru, base.clone(), '/short'))).code, 'EFTYPE');
  t.equal((await failure(openOverlay(ru, base.clone(), '/dev'))).code, 'EINVAL');
  const cut = ru.fileBytes('/over').slice(0, 100_000);
  ru.addFile('/cut', cut);
  t.match(await failure(openOverlay(ru, base.clone(), '/cut')), { code: 'EFTYPE', message: 'cut short' });
  const again = await openOverlay(ru, base.clone(), '/over');
  t.equal((await content(again))[0], 1, 'the right one still opens');
  t.equal((await failure(openOverlay(ru, base.clone(), '/over'))).code, 'EBUSY');
});

t.test('a disk that was written to is refused: where each volume begins that was used over it', async (t) => {
  const base = pattern(8 << 20);
  const store = new MemoryDevice({ name: 'over', size_bytes: overlayLayout(base.size_bytes).file_bytes });
  const [one, two] = [{ start: 1 << 20, end: (5 << 20) + 512 }, { start: (5 << 20) + 512, end: 8 << 20 }];
  for (const volume of [one, two, one]) {
    const dev = await OverlayDevice.open(base.clone(), store, 'boot', volume);
    await dev.write(new Uint8Array([1]), 0, 1, volume.start + 100);
    await dev.close();
  }
  for (const [at, volume] of [
    [one.start + 8192 + 8, one],
    [one.start + 65536 + 8, one],
    [two.start + 65536 + 8, two],
    [two.end - 1, two],
  ] as const) {
    const changed = base.clone();
    changed.write(new Uint8Array([1]), 0, 1, at);
    t.match(
      await failure(OverlayDevice.open(changed, store, 'boot', volume)),
      { code: 'EINVAL', message: /was written to since/ },
      `changed at ${at}`,
    );
  }
  // Nothing but the volume is read: what lies beside it is none of its business.
  const beside = base.clone();
  beside.write(new Uint8Array([1]), 0, 1, 8192 + 8);
  await (await OverlayDevice.open(beside, store, 'boot', one)).close();
  await (await OverlayDevice.open(base.clone(), store, 'boot', two)).close();
});

t.test('a damaged header, and none with blocks behind it', async (t) => {
  const base = pattern();
  const ru = memoryRumpuser();
  const dev = await openOverlay(ru, base.clone(), '/over');
  await dev.write(new Uint8Array([1]), 0, 1, 0);
  await dev.close();
  const good = ru.fileBytes('/over').slice();
  const refused = async (what: string, message: RegExp, change: (bytes: Uint8Array) => void): Promise<void> => {
    const bytes = good.slice();
    change(bytes);
    ru.addFile('/over', bytes.slice());
    t.match(await failure(openOverlay(ru, base.clone(), '/over')), { code: 'EFTYPE', message }, what);
    t.ok(Buffer.from(ru.fileBytes('/over')).equals(bytes), `${what}: left as it is`);
  };
  await refused('no header', /damaged: its header does not say/, (bytes) => bytes.fill(0, 0, 4096));
  for (const at of [13, 17, 24, 29, 33, 73, 512, 600]) {
    await refused(`byte ${at}`, /damaged: the checksum/, (bytes) => void (bytes[at]! ^= 0x40));
  }
  await refused('version', /version \(1\); this program makes and reads version 2/, (bytes) => void (bytes[8] = 1));
});

t.test('in memory', async (t) => {
  const base = new MemoryDevice({ size_bytes: 2 ** 44 });
  const dev = await OverlayDevice.open(
    base,
    new MemoryDevice({ size_bytes: overlayLayout(base.size_bytes).file_bytes }),
    '',
  );
  await dev.write(new Uint8Array([1, 2, 3]), 0, 3, 2 ** 43 - 1);
  const got = new Uint8Array(5);
  await dev.read(got, 0, 5, 2 ** 43 - 2);
  t.same([...got], [0, 1, 2, 3, 0]);
  t.equal(base.resident_bytes, 0);
});

t.test('errors of the overlay are errors of the operation', async (t) => {
  const base = pattern();
  const store = new FaultDevice(new MemoryDevice({ name: 'over', size_bytes: overlayLayout(SIZE).file_bytes }));
  const dev = await OverlayDevice.open(base, store, 'b');
  await dev.write(new Uint8Array(4096).fill(1), 0, 4096, 4096);
  store.fault = (op) => (op === 'write' ? { errno: E.ENOSPC } : undefined);
  t.equal((await failure(dev.write(new Uint8Array(100).fill(2), 0, 100, 50_000))).code, 'ENOSPC');
  t.equal((await failure(dev.flush())).code, 'ENOSPC');
  store.fault = undefined;
  const bytes = await content(dev);
  t.same([bytes[4096], bytes[50_000]], [1, base.toBytes()[50_000]]);
  await dev.flush();
});

t.test('a file on the host: sparse, kept, mounted again', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rumpfuse-overlay-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const image = path.join(folder, 'disk.img');
  const over = path.join(folder, 'disk.overlay');
  fs.writeFileSync(image, pattern().toBytes());
  fs.truncateSync(image, 2 ** 34);
  fs.chmodSync(image, 0o444);
  const before = fs.statSync(image).mtimeMs;
  const ru = nodeRumpuser({ log: () => undefined });
  const open = async (): Promise<OverlayDevice> =>
    openOverlay(ru, await openImage(ru, image, { readonly: true }), over);
  let dev = await open();
  await dev.write(new Uint8Array(1 << 20).fill(3), 0, 1 << 20, 2 ** 33);
  await dev.close();
  dev = await open();
  const got = new Uint8Array(1 << 20);
  await dev.read(got, 0, got.length, 2 ** 33);
  t.ok(got.every((b) => b === 3));
  await dev.read(got, 0, 4096, 0);
  t.same(got.subarray(0, 4096), pattern().toBytes().subarray(0, 4096));
  await dev.close();
  t.equal(fs.statSync(image).mtimeMs, before);
  t.equal(fs.statSync(over).mode & 0o777, 0o600, 'for nobody else to read');
  t.ok(fs.statSync(over).blocks * 512 < 4 << 20, 'takes the room of what was changed');
});

t.test('a file of the right size that begins with zeros and holds something is no new overlay', async (t) => {
  const disk = new MemoryDevice({ size_bytes: 1 << 20 });
  const store = new MemoryDevice({ size_bytes: overlayLayout(1 << 20).file_bytes, name: 'other.img' });
  store.write(Uint8Array.of(7), 0, 1, 700_000);
  await t.rejects(OverlayDevice.open(disk, store, ''), {
    code: 'EFTYPE',
    message: /other\.img is no overlay file: it is not empty/,
  });
});
