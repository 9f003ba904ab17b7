import { spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { rehearse } from '../../src/cli/rehearsal.js';
import { loadFormats } from '../../src/cli/volume-format.js';
import { ffs } from '../../src/fs/ffs/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { fromServer } from '../../src/fuse/messages.js';
import { Messenger } from '../../src/fuse/messenger.js';
import { InBuf, Message, OutBuf } from '../../src/fuse/protocol/message.js';
import { MemoryFile } from '../../src/fuse/succession/memory-file.js';
import { Notes } from '../../src/fuse/succession/notes.js';
import { rehearseServing } from '../../src/fuse/succession/rehearsal.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { nodeRumpuser } from '../../src/kernel/rumpuser/node.js';
import { KEEP_BYTES_MIN, Keep, SERVER_BYTES } from '../../src/kernel/keep/keep.js';

/** A socket whose other side is the test. */
function messenger(): { ours: Messenger; push(text: string): void; got: unknown[]; ends: (string | undefined)[] } {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const ours = new Messenger(socket as Socket);
  const got: unknown[] = [];
  const ends: (string | undefined)[] = [];
  ours.onMessage = (message) => got.push(message);
  ours.onEnd = (misuse) => ends.push(misuse);
  return { ours, push: (text) => socket.emit('data', Buffer.from(text)), got, ends };
}

t.test('messages: lines in pieces', (t) => {
  const m = messenger();
  m.push('{"type":"re');
  m.push('ady"}\n{"type":"pong"}\n{"ty');
  t.same(m.got, [{ type: 'ready' }, { type: 'pong' }]);
  t.same(m.ends, []);
  t.end();
});

t.test('messages of somebody who means harm', (t) => {
  for (const [text, misuse] of [
    ['x'.repeat(70_000), 'a message is too long'],
    ['{"type":\n', 'a message is no JSON'],
    ['{"type":"pong"}\n'.repeat(300), 'too many messages'],
  ] as const) {
    const m = messenger();
    m.push(text);
    t.same(m.ends, [misuse]);
    m.push('{"type":"unmount"}\n');
    t.notMatch(m.got, [{ type: 'unmount' }], 'nothing counts after that');
    t.ok(m.got.length <= 200);
    t.notOk(m.ours.open);
  }
  for (const raw of [null, 1, 'unmount', [], {}, { type: 'go' }, { type: ['unmount'] }, { type: '__proto__' }]) {
    t.equal(fromServer(raw), undefined);
  }
  t.same(fromServer({ type: 'failed', message: 'a\u001b[2Jb'.repeat(1000), code: 7 }), {
    type: 'failed',
    message: 'a?[2Jb'.repeat(1000).slice(0, 1000),
    code: '',
  });
  t.same(fromServer({ type: 'volume', readonly: 1, fstype: {}, notice: 5 }), {
    type: 'volume',
    readonly: false,
    fstype: '',
    survives: false,
    notice: '',
  });
  t.same(
    fromServer({ type: 'standing', layers: [{ name: 'root', on: 'yes' }, null, { name: 'nonsense', on: true }] }),
    { type: 'standing', layers: [{ name: 'root', on: false }] },
  );
  for (const [start, end] of [
    [-1, 5],
    [0, 0],
    [5, 4],
    [0.5, 5],
    ['0', 5],
    [0, 2 ** 60],
  ]) {
    t.equal(fromServer({ type: 'place', start, end }), undefined);
  }
  t.end();
});

function request(place: number, lo: number, resent = false): Message {
  const m = new Message(new InBuf(64), new OutBuf(64));
  m.place = place;
  m.uniqueLo = lo;
  m.uniqueHi = resent ? 0x80000000 : 0;
  m.opcode = 1;
  return m;
}

t.test('what a server notes of its work', (t) => {
  const memory = new Uint8Array(SERVER_BYTES);
  let notes = new Notes(memory);
  t.notOk(notes.inherited);
  notes.agreed({ minor: 40, max_write: 1 << 20, resend: true });
  /** The server dies; the next one. */
  const next = () => {
    notes = new Notes(memory);
    t.ok(notes.inherited);
    notes.suspectPredecessor();
  };
  for (let death = 1; death <= 12; death++) {
    notes.begin(request(0, 10, death > 1)); // the processor is at it each time it dies
    if (death === 1) notes.asleep(request(0, 10));
    notes.begin(request(1, 20, death > 1)); // waits all the time
    notes.asleep(request(1, 20));
    notes.begin(request(0, 10, death > 1));
    next();
    t.equal(notes.isPoison(request(0, 10, true)), death >= 3, `death ${death}`);
    t.equal(notes.isPoison(request(1, 20, true)), death >= 12);
    t.notOk(notes.isPoison(request(0, 30, true)));
  }
  notes.begin(request(0, 10, true));
  notes.end(request(0, 10, true));
  t.notOk(notes.isPoison(request(0, 10, true)), 'answered: no suspicion is left');
  t.ok(notes.isPoison(request(1, 20, true)));
  t.same(notes.agreement, { minor: 40, max_write: 1 << 20, resend: true });
  for (let i = 0; i < 1000; i++) {
    notes.begin(request(0, 1000 + i));
    next();
  }
  t.notOk(notes.isPoison(request(0, 1999, true)), 'the table is finite');
  t.end();
});

t.test('what a server was at when it died, where the host does not send it again', (t) => {
  const memory = MemoryFile.make()!;
  const words = new Uint8Array(SERVER_BYTES);
  const put = () => writeSync(memory.fd, words, 0, words.length, 0);
  const notes = new Notes(words);
  notes.begin(request(0, 10));
  put();
  t.same(memory.noted(), [], 'nothing has been agreed');
  notes.agreed({ minor: 40, max_write: 1 << 20, resend: false });
  notes.begin(request(5, 20));
  notes.begin(request(6, 30));
  notes.end(request(6, 30));
  put();
  t.same(memory.noted().sort(), [10n, 20n, 30n], 'the answer to the last may not have reached the host');
  notes.agreed({ minor: 40, max_write: 1 << 20, resend: true });
  put();
  t.same(memory.noted(), []);
  memory.close();
  t.end();
});

t.test('no room for what another server would need, and room again', (t) => {
  const block = (b_bcount: number) => ({
    b_offset: 0,
    b_bcount,
    b_data: new Uint8Array(b_bcount),
    dirty: true,
    kept: -1,
    keptlisted: false,
  });
  const driver = { quiet: true, changed: false, whole: false, delta() {}, snapshot() {}, forget() {}, settle() {} };
  for (const [bytes, times] of [[1 << 20, 0], [17 << 20, 1]] as const) {
    const memory = new Uint8Array(KEEP_BYTES_MIN);
    const keep = new Keep(memory);
    const told: boolean[] = [];
    keep.onroom = (there) => told.push(there);
    const dirty: ReturnType<typeof block>[] = [];
    keep.attach(driver, dirty);
    for (let i = 0; i < 2; i++) {
      dirty.push(block(bytes));
      keep.note(dirty.at(-1)!);
      void keep.commit();
    }
    t.same(told, new Array(times).fill(false), `${bytes} bytes`);
    if (times === 0) continue;
    keep.takeup();
    t.same(told, [false], 'not as long as there is that much');
    dirty.length = 0;
    keep.takeup();
    t.same(told, [false, true]);
    dirty.push({ ...block(4096), b_offset: 65536, b_data: new Uint8Array(4096).fill(7) });
    keep.note(dirty[0]!);
    void keep.commit();
    const { blocks } = new Keep(memory).inherit()!;
    t.same(
      blocks.map(({ offset_bytes, bytes }) => [offset_bytes, bytes.length, bytes[0]]),
      [[65536, 4096, 7]],
      'the next one finds what has changed since',
    );
  }
  t.end();
});

t.test('the memory: a file that nobody else can find, and whose room nobody else can take', (t) => {
  const file = MemoryFile.make()!;
  t.ok(file.bytes >= 64 << 20);
  t.same(file.look(), { progress: 0, busy: false, closed: false, turned_readonly: false });
  t.match(
    spawnSync('readlink', [`/proc/${process.pid}/fd/${file.fd}`], { encoding: 'utf8' }).stdout,
    /^\/memfd:rumpfuse \(deleted\)/,
  );
  file.close();
  t.end();
});

t.test('a stand-by rehearses what there is to be done', async (t) => {
  const ru = nodeRumpuser();
  const disk = new MemoryDevice({ size_bytes: 4 << 20 });
  await newfs(disk);
  const rump = await RumpKernel.boot({ rumpuser: ru, components: [tmpfs, ffs] });
  await rump.sys.mkdir('/v', 0o755);
  await rump.sys.mount('ffs', '/v', 0, { fspec: disk, options: new Map() });
  // Without handles there are no OPENDIR, no names that are not there are errors.
  t.same(await rehearseServing(rump.sys, '/v'), ['opendir']);
  await rump.halt();
  const loaded = await loadFormats(['ffs'], true);
  let scenes = 0;
  await rehearse(ru, loaded, [tmpfs, ffs], async () => ++scenes > 0);
  t.equal(scenes, 5, 'to the end');
  for (let last = 1; last < 5; last++) {
    scenes = 0;
    await rehearse(ru, loaded, [tmpfs, ffs], async () => ++scenes < last);
    t.equal(scenes, last, 'or not');
  }
});
