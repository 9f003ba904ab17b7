import t from 'tap';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, Errno, errno } from '../../src/kernel/errno.js';
import { POSTED_BYTES, PostedWrite } from '../../src/kernel/keep/posted.js';
import { MountedDevice, device_failed } from '../../src/kernel/vfs/mntdev.js';

const MIB = 1 << 20;
const LARGE = 64 << 10;

/** A device that tells what is done to it, and can be told to fail. */
function setup(room: (() => number | undefined) | undefined, immediate = true) {
  const events: string[] = [];
  const failing = { write: false };
  const disk: BlockDevice = {
    name: 'disk', size_bytes: 16 * MIB, sector_bytes: 512, readonly: false,
    read: (_into, _at, length, offset) => void events.push(`read ${length} at ${offset}`),
    write(from, at, length, offset) {
      if (failing.write) throw errno(E.ENOSPC);
      events.push(`write ${length} of ${from[at]} at ${offset}`);
    },
    flush: () => void events.push('flush'),
    discard: (offset, length) => void events.push(`discard ${length} at ${offset}`),
    close: () => void events.push('close'),
    immediate, ...(room !== undefined ? { room } : {}),
  };
  const memory = new Uint8Array(4 * MIB);
  const again = () => new PostedWrite(memory.subarray(64, 64 + POSTED_BYTES), memory.subarray(MIB, 2 * MIB));
  const notes = again();
  notes.lasting = true;
  const lost: number[] = [];
  const log: string[] = [];
  const dev = new MountedDevice(disk, (_level, message) => void log.push(message));
  dev.postinto(notes, (owner) => void lost.push(owner));
  notes.requests[100] = 7;
  const post = (length = LARGE, offset = 4096, from = notes.requests) => dev.post(from, 100, length, offset, 42);
  return { dev, notes, again, events, failing, lost, log, post };
}

t.test('a write that is put off is done by settle, and noted until then', async (t) => {
  const { dev, notes, again, events, post } = setup(() => Infinity);
  post();
  t.same(events, []);
  const left = again().left!;
  t.equal(left.bytes.length, LARGE);
  t.equal(left.bytes[0], 7);
  t.equal(left.offset_bytes, 4096);
  t.equal(left.owner, 42);
  dev.settle();
  t.same(events, [`write ${LARGE} of 7 at 4096`]);
  t.equal(notes.left, undefined);
  dev.settle();
  t.equal(events.length, 1, 'once');
});

t.test('whatever else is asked of the device finds it done', async (t) => {
  const done = `write ${LARGE} of 7 at 4096`;
  for (const [what, then] of [
    ['read 1 at 0', (dev: MountedDevice) => dev.read(new Uint8Array(1), 0, 1, 0)],
    ['write 1 of 9 at 0', (dev: MountedDevice) => dev.write(Uint8Array.of(9), 0, 1, 0)],
    ['flush', (dev: MountedDevice) => dev.flush()],
    ['discard 512 at 0', (dev: MountedDevice) => dev.discard(0, 512)],
    ['close', (dev: MountedDevice) => dev.close()],
  ] as const) {
    const { dev, events, post } = setup(() => Infinity);
    post();
    await then(dev);
    t.same(events, [done, what]);
  }
  const { events, post } = setup(() => Infinity);
  post();
  post(LARGE, 8192);
  t.same(events, [done], 'one at a time');
});

t.test('it is done at once where a successor would not know, or it could fail for want of room', async (t) => {
  const done = (length: number) => [`write ${length} of 7 at 4096`];
  const elsewhere = setup(() => Infinity);
  elsewhere.post(LARGE, 4096, new Uint8Array(MIB).fill(7));
  t.same(elsewhere.events, done(LARGE), 'other memory');
  const small = setup(() => Infinity);
  small.post(512);
  t.same(small.events, done(512), 'little');
  const unkept = setup(() => Infinity);
  unkept.notes.lasting = false;
  unkept.post();
  t.same(unkept.events, done(LARGE), 'nothing is kept');
  for (const room of [undefined, () => undefined, () => 64 * MIB]) {
    const full = setup(room);
    full.post();
    t.same(full.events, done(LARGE), `room: ${room === undefined ? 'unknown' : room()}`);
  }
  const later = setup(() => Infinity, false);
  later.post();
  t.same(later.events, done(LARGE), 'a device that answers later');
  const ending = setup(() => Infinity);
  ending.post();
  ending.dev.postinto(null, () => {});
  t.same(ending.events, done(LARGE));
  ending.post();
  t.equal(ending.events.length, 2, 'and no more after the end');
});

t.test('a write that fails after all is lost, its owner hears of it, and no more are put off', async (t) => {
  const { dev, notes, events, failing, lost, log, post } = setup(() => Infinity);
  post();
  failing.write = true;
  dev.settle();
  t.same(lost, [42]);
  t.match(log[0], /writing 65536 bytes at 4096 failed: ENOSPC/);
  t.equal(notes.left, undefined);
  try {
    await post();
    t.fail('the next one is done at once');
  } catch (thrown) {
    t.ok(thrown instanceof Errno && thrown.errno === E.ENOSPC && device_failed(thrown));
  }
  failing.write = false;
  post();
  t.equal(events.length, 1);
});

t.test('what may be allocated on the volume leaves a reserve where the device is kept', async (t) => {
  let room = 200 * MIB;
  const { dev, log } = setup(() => room);
  t.equal(dev.spare(100 * MIB), 100 * MIB, 'more than a step');
  room = 100 * MIB;
  t.equal(dev.spare(60 * MIB), 60 * MIB);
  room = 40 * MIB;
  t.equal(dev.hasspare(30 * MIB), false);
  t.same(log, []);
  t.equal(dev.spare(30 * MIB), 16 * MIB, '24 MiB stay');
  t.match(log, [/no space left where it is kept/]);
  room = 24 * MIB;
  t.equal(dev.spare(1), 0);
  room = Infinity;
  t.equal(dev.spare(1000 * MIB), 1000 * MIB, 'room again');
  t.equal(log.length, 1);
  const small = setup(() => 4 * MIB).dev;
  t.equal(small.spare(4 * MIB), 3 * MIB, 'of little room a quarter stays');
  for (const unknown of [undefined, () => undefined]) t.equal(setup(unknown).dev.spare(1e15), 1e15);
});
