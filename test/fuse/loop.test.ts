import t from 'tap';
import type { Test } from 'tap';
import { E, errno } from '../../src/kernel/errno.js';
import { L } from '../../src/fuse/protocol/errno.js';
import { Loop, NO_REPLY } from '../../src/fuse/channel/loop.js';
import type { Dispatch, LoopOptions } from '../../src/fuse/channel/loop.js';
import { Trace } from '../../src/fuse/trace.js';
import { fuse_write_in } from '../../src/fuse/protocol/fuse_kernel.js';
import { requestBytes } from './fixtures/request.js';
import { FakeTransport } from './fixtures/transport.js';

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function start(
  dispatch: Dispatch,
  options: Partial<LoopOptions> = {},
): { transport: FakeTransport; loop: Loop; end: Promise<void>; bugs: unknown[] } {
  const transport = new FakeTransport();
  const bugs: unknown[] = [];
  const loop = new Loop({ transport, dispatch, max_write: 65536, onBug: (error) => bugs.push(error), ...options });
  return { transport, loop, end: loop.run(), bugs };
}

const getattr = (unique: number) => requestBytes('getattr', { unique }, [['u32', 0], ['u32', 0], ['u64', 0]]);
const write = (unique: number, data: string) =>
  requestBytes('write', { unique }, [
    ['u64', 1],
    ['u64', 0],
    ['u32', data.length],
    ['u32', 0],
    ['u64', 0],
    ['u32', 0],
    ['u32', 0],
    ['bytes', Buffer.from(data)],
  ]);

/** Only for what hangs. Milliseconds. */
const FAR_MS = 600_000;

async function until(t: Test, what: string, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + FAR_MS; !condition() && performance.now() < end; ) await sleep(1);
  t.ok(condition(), what);
}

t.test('operations that need microtasks only are served without a turn of the event loop', async (t) => {
  const { transport, end } = start(async (m) => {
    for (let i = 0; i < 10; i++) await null;
    m.out.set32(0, m.uniqueLo);
    return 4;
  });
  let turns = 0;
  let counting = true;
  const count = () => {
    turns++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  for (let i = 1; i <= 500; i++) transport.push(getattr(2 * i));
  await until(t, 'all are answered', () => transport.replies.length === 500);
  counting = false;
  t.same(
    transport.replies.map((reply) => reply.unique),
    Array.from({ length: 500 }, (_, i) => 2 * (i + 1)),
    'in their order',
  );
  t.ok(transport.replies.every((reply) => reply.error === 0 && reply.payload.readUInt32LE(0) === reply.unique));
  t.equal(transport.asynchronous, 0, 'every read was a blocking one');
  t.ok(turns < 50, `${turns} turns of the event loop`);
  transport.close();
  await end;
});

t.test('while one operation sleeps others are served and the thread never blocks', async (t) => {
  let asleep = 0;
  const { transport, end, loop } = start(async (m) => {
    if (m.uniqueLo === 2) {
      asleep++;
      await sleep(60);
      asleep--;
    }
    return 0;
  });
  transport.onBlock = () => {
    if (asleep > 0) t.fail('blocked while an operation slept');
    return true;
  };
  transport.push(getattr(2), getattr(4));
  await until(t, 'the second is answered', () => transport.replies.length === 1);
  t.equal(transport.replies[0]!.unique, 4, 'before the first');
  t.equal(loop.waiting, 1);
  transport.push(getattr(6), getattr(8));
  await until(t, 'all are answered', () => transport.replies.length === 4);
  t.same(transport.replies.map((reply) => reply.unique), [4, 6, 8, 2]);
  t.ok(transport.asynchronous > 0);
  transport.push(getattr(10));
  await until(t, 'and it goes on', () => transport.replies.length === 5);
  const before = transport.asynchronous;
  transport.push(getattr(12));
  await until(t, 'with blocking reads', () => transport.replies.length === 6);
  t.equal(transport.asynchronous, before);
  transport.close();
  await end;
});

t.test('what a sleeping WRITE writes is not overwritten by later requests', async (t) => {
  const seen: string[] = [];
  const { transport, end } = start(async (m) => {
    await sleep(m.uniqueLo === 2 ? 40 : 5);
    seen.push(m.in.u8.toString('latin1', m.at(fuse_write_in.SIZEOF), m.length));
    return 0;
  });
  transport.push(write(2, 'first'), write(4, 'second'), write(6, 'third'));
  await until(t, 'all are answered', () => transport.replies.length === 3);
  t.same(seen.sort(), ['first', 'second', 'third']);
  transport.close();
  await end;
});

t.test('so many writes asleep stop the reading, and it goes on when they wake', async (t) => {
  const waiting: (() => void)[] = [];
  const { transport, end } = start((m) =>
    m.opcode === 16 ? new Promise<number>((resolve) => waiting.push(() => resolve(0))) : 0,
  );
  for (let i = 1; i <= 40; i++) transport.push(write(2 * i, 'x'));
  await until(t, 'so many are asleep', () => waiting.length >= 32);
  await sleep(50);
  t.equal(waiting.length, 32);
  t.equal(transport.requests.length, 8);
  waiting.shift()!();
  await until(t, 'one more is read', () => waiting.length === 32);
  for (let i = 0; i < 100; i++) {
    waiting.shift()?.();
    await sleep(0);
  }
  await until(t, 'all are answered', () => transport.replies.length === 40);
  transport.close();
  await end;
});

t.test(
  'an operation that waits for another request does not keep the loop from blocking, and is answered at once when ' +
    'woken',
  async (t) => {
    let wake: (() => void) | undefined;
    const { transport, end, loop } = start((m) => {
      if (m.opcode === 33) {
        m.parked = true;
        return new Promise<number>((resolve) => (wake = () => resolve(0)));
      }
      if (m.uniqueLo === 6) {
        wake!();
        return Promise.resolve(0);
      }
      return 0;
    });
    const lock = requestBytes('setlkw', { unique: 2 }, [
      ['u64', 1],
      ['u64', 7n],
      ['u64', 0],
      ['u64', 10],
      ['u32', 1],
      ['u32', 1],
      ['u32', 0],
      ['u32', 0],
    ]);
    transport.push(lock, getattr(4));
    await until(t, 'the second is answered', () => transport.replies.length === 1);
    t.equal(loop.waiting, 1);
    t.equal(transport.asynchronous, 0, 'with blocking reads');
    transport.push(getattr(6));
    let answeredAtBlock = 0;
    transport.onBlock = () => {
      if (transport.requests.length === 0 && answeredAtBlock === 0 && transport.replies.length > 1) {
        answeredAtBlock = transport.replies.length;
      }
      return true;
    };
    await until(t, 'both are answered', () => transport.replies.length === 3);
    t.equal(answeredAtBlock, 3, 'before the thread blocks again');
    t.equal(loop.waiting, 0);
    transport.close();
    await end;
  },
);

t.test('INTERRUPT cancels the one that waits', async (t) => {
  const { transport, end, loop } = start((m) => {
    if (m.opcode === 36) {
      loop.interrupt(m.lo(0), m.hi(0));
      return NO_REPLY;
    }
    m.parked = true;
    return new Promise<number>((_, reject) => (m.cancel = () => reject(errno(E.EINTR))));
  });
  const lock = (unique: number) =>
    requestBytes('setlkw', { unique }, [
      ['u64', 1],
      ['u64', 7n],
      ['u64', 0],
      ['u64', 10],
      ['u32', 1],
      ['u32', 1],
      ['u32', 0],
      ['u32', 0],
    ]);
  transport.push(lock(2), lock(4));
  await until(t, 'both wait', () => loop.waiting === 2);
  transport.push(
    requestBytes('interrupt', { unique: 5 }, [['u64', 4]]),
    requestBytes('interrupt', { unique: 7 }, [['u64', 999]]),
  );
  await until(t, 'one is answered', () => transport.replies.length === 1);
  t.match(transport.replies[0], { unique: 4, error: -L.EINTR });
  transport.close();
  await end;
  t.match(transport.replies[1], { unique: 2, error: -L.EINTR }, 'the end of the mount cancels the other');
});

t.test('failures', async (t) => {
  const { transport, end, bugs } = start((m) => {
    switch (m.uniqueLo) {
      case 2: throw errno(E.ENOTEMPTY);
      case 4: return Promise.reject(errno(E.EAGAIN));
      case 6: throw new Error('a bug');
      case 8: return Promise.reject(new TypeError('another'));
      case 10: throw errno(E.EIO, 'the disk');
      default: return 0;
    }
  });
  transport.push(...[2, 4, 6, 8, 10, 12].map(getattr));
  await until(t, 'all are answered', () => transport.replies.length === 6);
  t.same(
    transport.replies.map((reply) => reply.error),
    [-L.ENOTEMPTY, -L.EAGAIN, -L.EIO, -L.EIO, -L.EIO, 0],
  );
  t.same(
    bugs.map((bug) => (bug as Error).message),
    ['a bug', 'another'],
    'what is no errno is reported, an I/O error is none',
  );
  transport.close();
  await end;
});

t.test('replies that the host does not take', async (t) => {
  const undone: number[] = [];
  const { transport, end, bugs } = start((m) => {
    const { uniqueLo } = m;
    m.undo = async () => void undone.push(uniqueLo);
    return 0;
  });
  transport.refused.add(4);
  transport.malformed.add(6);
  transport.push(getattr(2), getattr(4), getattr(6));
  await until(t, 'all are answered', () => transport.replies.length === 3);
  t.same(undone, [4, 6]);
  t.match(
    transport.replies[2],
    { unique: 6, error: -L.EIO },
    'a malformed reply becomes an error: nobody waits for ever',
  );
  t.equal(bugs.length, 1);
  transport.close();
  await end;
});

t.test('what wants no reply gets none; what is no request is passed over', async (t) => {
  let served = 0;
  const { transport, end } = start(() => {
    served++;
    return NO_REPLY;
  });
  transport.push(
    new Uint8Array(10),
    requestBytes('forget', { unique: 2 }, [['u64', 1]]),
    requestBytes('getattr', { unique: 0 }, [
      ['u64', 0],
      ['u64', 0],
    ]),
  );
  await until(t, 'two are served', () => served === 2);
  transport.close();
  await end;
  t.same(transport.replies, []);
});

t.test('the mount ends when what was under way has been answered', async (t) => {
  let ended = false;
  let answer: (() => void) | undefined;
  const { transport, end } = start(() => new Promise<number>((resolve) => (answer = () => resolve(0))));
  void end.then(() => (ended = true));
  transport.push(getattr(2));
  await until(t, 'it is under way', () => answer !== undefined);
  transport.close();
  await sleep(10);
  t.notOk(ended);
  answer!();
  await end;
  t.equal(transport.replies.length, 1);
});

t.test('signals and timers get their turn', async (t) => {
  const { transport, end } = start(() => 0);
  let timer = false;
  setTimeout(() => (timer = true), 5);
  // Requests without end: the loop must let the event loop turn all the same.
  let unique = 2;
  transport.onBlock = () => true;
  const feed = () => {
    for (let i = 0; i < 300; i++) transport.requests.push(getattr((unique += 2)));
    if (!timer) setImmediate(feed);
  };
  feed();
  await until(t, 'a timer runs in between', () => timer);
  transport.close();
  await end;
});

t.test('work of the server itself keeps the loop from blocking', async (t) => {
  const { transport, end, loop } = start(() => 0);
  let working = true;
  await until(t, 'it idles', () => transport.blocked > 0);
  let done!: () => void;
  loop.track(new Promise<void>((resolve) => (done = resolve)));
  await sleep(5);
  transport.onBlock = () => {
    if (working) t.fail('blocked while work was under way');
    return true;
  };
  transport.push(getattr(2));
  await until(t, 'requests are served meanwhile', () => transport.replies.length === 1);
  working = false;
  done();
  transport.push(getattr(4));
  await until(t, 'and so after it', () => transport.replies.length === 2);
  transport.close();
  await end;
});

t.test('without somebody to interrupt reads the thread never blocks', async (t) => {
  const { transport, end } = start(() => 0, { blocking: false });
  transport.push(getattr(2), getattr(4));
  await until(t, 'served', () => transport.replies.length === 2);
  t.equal(transport.blocked, 0);
  transport.close();
  await end;
});

t.test('onModified is told of operations that change the volume; the trace of all', async (t) => {
  const lines: string[] = [];
  let modified = 0;
  const { transport, end } = start(() => 0, {
    trace: new Trace((line) => lines.push(line)),
    onModified: () => modified++,
  });
  transport.push(getattr(2), write(4, 'x'));
  await until(t, 'served', () => transport.replies.length === 2);
  t.equal(modified, 1);
  t.match(lines, [
    /^rx 2 GETATTR node 1/,
    /^tx 2 GETATTR .* us\)$/,
    /^rx 4 WRITE node 1 fh 1 1 bytes at 0/,
    /^tx 4 WRITE/,
  ]);
  transport.close();
  await end;
});

t.test('large replies get a buffer, which is used again', async (t) => {
  const { transport, end, loop } = start((m) => {
    const out = loop.large(m, 65536);
    out.u8.fill(m.uniqueLo, 16, 16 + 65536);
    return 65536;
  });
  transport.push(getattr(2), getattr(4));
  await until(t, 'served', () => transport.replies.length === 2);
  t.same(transport.replies.map((reply) => [reply.payload.length, reply.payload[65535]]), [[65536, 2], [65536, 4]]);
  transport.close();
  await end;
});
