import { PassThrough } from 'node:stream';
import t from 'tap';
import { Hearing, bounded } from '../../src/fuse/sandbox/hearing.js';

t.test('a server that says too much', (t) => {
  const heard: string[] = [];
  let now = 0;
  const hear = bounded((line) => heard.push(line), () => now);
  const bytes = () => heard.reduce((sum, line) => sum + line.length + 1, 0);
  for (let i = 0; i < 10_000; i++) hear('x'.repeat(99));
  t.equal(heard.length, 655, 'at once 64 KiB');
  now = 1000;
  hear('short');
  t.match(heard.at(-2), '9345 lines of the file system server are left out');
  t.equal(heard.at(-1), 'short', 'something for each second');
  for (let day = 0; day < 100; day++) {
    now += 86_400_000;
    for (let i = 0; i < 1000; i++) hear('x'.repeat(99));
  }
  t.ok(bytes() < 600 << 10, `${bytes()} bytes in all`);
  t.match(heard.at(-1), 'no more of it is kept');
  t.end();
});

t.test('lines, and what counts of them', async (t) => {
  const heard: string[] = [];
  const stream = new PassThrough();
  const hearing = new Hearing(stream, (line) => heard.push(line));
  stream.write('one\ntw');
  stream.write('o\u001b[2J\n');
  await new Promise((resolve) => setImmediate(resolve));
  t.same(heard, [], 'nothing yet');
  hearing.count();
  t.same(heard, ['one', 'two?[2J'], 'and freed of what a terminal would act upon');
  for (let i = 0; i < 100; i++) stream.write('y'.repeat(10_000));
  stream.end();
  await hearing.end;
  t.equal(heard.length, 3);
  t.equal(heard[2]!.length, 2003, 'of a line without an end its beginning');

  const other = new PassThrough();
  const forgotten = new Hearing(other, (line) => heard.push(line));
  other.end('a way that does not work here\n');
  await forgotten.end;
  forgotten.forget();
  forgotten.count();
  t.equal(heard.length, 3);
});
