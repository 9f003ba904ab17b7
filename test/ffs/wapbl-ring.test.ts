import t from 'tap';
import { FaultDevice } from '../../testing/devices/fault.js';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import type { WapblLog } from '../../src/fs/ffs/journal/header.js';
import { wapbl_replay } from '../../src/fs/ffs/journal/replay.js';
import { WapblRing } from '../../src/fs/ffs/journal/ring.js';
import { E } from '../../src/kernel/errno.js';
import { failure } from './volumes.js';

t.test('records of the ring', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 2 ** 20 });
  const place = { le: true, start: 512 * 100, bytes: 512 * 66, blksize: 512, ino: 0 };
  const ring = new WapblRing(dev, place, -1);
  await ring.clear({ sec: 1, nsec: 2 });
  const block = (at: number, bytes: number, value: number) => {
    const b_data = new Uint8Array(bytes).fill(value);
    return {
      bp: {
        b_dev: dev,
        b_offset: at,
        b_bcount: bytes,
        b_data,
        b_view: new DataView(b_data.buffer),
        b_flags: 0,
        b_refs: 1,
        b_private: null,
      },
      from: 0,
      length: bytes,
    };
  };
  const parsed = (): WapblLog => ({
    le: true,
    place,
    start: place.start,
    blksize: 512,
    fsblksize: 512,
    generation: 0,
    head: ring.head,
    tail: ring.tail,
    circ_off: ring.circ_off,
    circ_size: ring.circ_size,
  });
  let tail = 0;
  for (let n = 0; n < 200; n++) {
    const size = 512 * (1 + (n % 9));
    const at = 200 + 10 * (n % 40);
    const before = 200 + 10 * ((n + 39) % 40);
    const blocks = [block(512 * at, size, n + 1), block(512 * 1000, 512, n + 1)];
    const revoked = new Map(n > 0 && n % 3 === 0 ? [[512 * before, 512 * (1 + ((n - 1) % 9))]] : []);
    const inodes = new Map(Array.from({ length: n % 70 }, (_, i) => [i + 3, n] as const));
    const length = ring.length(2, size + 512, revoked.size, inodes.size);
    // Only the last transaction is kept.
    if (length > ring.free) {
      await ring.commit(0, 0, { sec: 1, nsec: 2 });
      tail = 0;
    }
    const from = ring.head === 0 ? ring.circ_off : ring.head;
    const head = await ring.append(blocks, { revoked, inodes });
    if ((head - from + ring.circ_size) % ring.circ_size !== length % ring.circ_size) {
      t.fail(`transaction ${n}: ${length} bytes foretold, written ${from}..${head}`);
    }
    await ring.commit(head, tail === 0 ? from : tail, { sec: 1, nsec: 2 });
    tail = from;
    const replay = await wapbl_replay(dev, parsed());
    const content = new Uint8Array(512);
    dev.read(content, 0, 512, replay.sectors.get(at + (n % 9))!);
    if (content[0] !== ((n + 1) & 0xff)) t.fail(`transaction ${n}: another content`);
    if (replay.sectors.has(before) && revoked.size > 0) t.fail(`transaction ${n}: what it revokes is replayed`);
    if (replay.inodes.length !== inodes.size) t.fail(`transaction ${n}: ${replay.inodes.length} inodes`);
  }
  t.pass('each transaction is found as it was written');
  const failing = new FaultDevice(dev, { fault: (op) => (op === 'flush' ? { errno: E.EIO } : undefined) });
  const bad = new WapblRing(failing, place, 7);
  t.match(await failure(bad.commit(1024, 1024, { sec: 0, nsec: 0 })), /^EIO/, 'a barrier that fails');
  t.same([bad.generation, bad.head, bad.tail], [9, 1024, 1024], 'what may be on the disk is kept');
});
