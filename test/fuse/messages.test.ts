/** What a server that has been taken over may say to its supervisor, and what comes of it. */
import fc from 'fast-check';
import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import t from 'tap';
import { fromServer } from '../../src/fuse/messages.js';
import { Messenger } from '../../src/fuse/messenger.js';

const TYPES = ['started', 'ready', 'pong', 'readonly', 'unmount', 'room', 'standing', 'place', 'volume', 'failed'];
const LONGEST = 4 * 1000;

/** Every text in a value. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(texts);
}

t.test('whatever it says, what is heard is of the form, short and printable', (t) => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: 'binary', maxLength: 3000 }),
    fc.integer(),
    fc.double(),
    fc.array(fc.string({ unit: 'binary' }), { maxLength: 300 }),
    fc.array(fc.record({ name: fc.string(), on: fc.jsonValue(), detail: fc.string({ unit: 'binary' }) })),
  );
  const message = fc
    .record(
      {
        type: fc.oneof(fc.constantFrom(...TYPES, '__proto__', 'constructor'), fc.jsonValue()),
        layers: value, start: value, end: value, formats: value, fstype: value, notice: value, message: value,
        code: value, there: value, readonly: value, survives: value, __proto__: value,
      },
      { requiredKeys: ['type'] },
    );
  fc.assert(
    fc.property(fc.oneof(message, fc.jsonValue()), (raw) => {
      const heard = fromServer(JSON.parse(JSON.stringify(raw)));
      if (heard === undefined) return true;
      if (!TYPES.includes(heard.type)) return false;
      if (heard.type === 'place') {
        const { start, end, formats } = heard;
        if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end <= start) return false;
        if (formats.length > 100) return false;
      }
      // eslint-disable-next-line no-control-regex -- that is what must not be there
      return texts(heard).every((text) => text.length <= LONGEST && !/[\u0000-\u001f\u007f-\u009f]/.test(text));
    }),
    { numRuns: 500 },
  );
  t.pass();
  t.end();
});

/** The supervisor's end of a channel on which somebody says this. */
function hears(chunks: readonly string[]): Promise<{ heard: unknown[]; misuse: string | undefined }> {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const messenger = new Messenger(socket as unknown as Socket);
  const heard: unknown[] = [];
  messenger.onMessage = (message) => heard.push(message);
  return new Promise((resolve) => {
    messenger.onEnd = (misuse) => resolve({ heard, misuse });
    for (const chunk of chunks) socket.push(chunk);
    socket.push(null);
    socket.on('end', () => setImmediate(() => resolve({ heard, misuse: undefined })));
  });
}

t.test('a channel that is misused is closed', async (t) => {
  t.match(await hears(['{"type":"ready"}\n{"type":', '"pong"}\n']), {
    heard: [{ type: 'ready' }, { type: 'pong' }],
    misuse: undefined,
  });
  t.match(await hears(['x'.repeat(40_000), 'x'.repeat(40_000)]), { heard: [], misuse: 'a message is too long' });
  t.match(await hears(['{"type":"ready"\n']), { heard: [], misuse: 'a message is no JSON' });
  const flood = await hears(['{"type":"unmount"}\n'.repeat(1000)]);
  t.equal(flood.misuse, 'too many messages');
  t.ok(flood.heard.length <= 400, `${flood.heard.length} of 1000 were heard`);
  const deep = await hears([`${'['.repeat(30_000)}${']'.repeat(30_000)}\n`]);
  t.equal(deep.heard.length, 1, 'nesting is no harm');
});
