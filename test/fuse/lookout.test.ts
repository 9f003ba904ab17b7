import t from 'tap';
import { Lookout } from '../../src/fuse/channel/lookout.js';

/** Looks taken by `reads` reads when a request is there at look number `when` (from 1 on) of each; 0: never. */
function looks(
  lookout: { watch(fd: number, bytes: number): void },
  asked: { count: number; at: number },
  reads: number,
  when: number,
): number {
  const before = asked.count;
  for (let i = 0; i < reads; i++) {
    asked.at = when === 0 ? Infinity : asked.count + when;
    lookout.watch(7, 0);
  }
  return asked.count - before;
}

function watched(): { lookout: Lookout; asked: { count: number; at: number } } {
  const asked = { count: 0, at: Infinity };
  // A look takes a microsecond.
  return { lookout: new Lookout((fd) => fd === 7 && ++asked.count >= asked.at, () => asked.count / 1000), asked };
}

t.test('while requests come it looks out for them', (t) => {
  const { lookout, asked } = watched();
  t.equal(looks(lookout, asked, 1000, 3), 3000);
  t.end();
});

t.test('it looks for some time, however long a look takes', (t) => {
  for (const [look_us, bytes, most] of [[1, 0, 60], [7, 0, 9], [1000, 0, 1], [10, 1_000_000, 26]] as const) {
    let count = 0;
    const lookout = new Lookout(() => ++count < 0, () => (count * look_us) / 1000);
    lookout.watch(7, bytes);
    t.equal(count, most, `${look_us} us a look, ${bytes} bytes`);
  }
  t.end();
});

t.test('in vain it costs next to nothing', (t) => {
  const { lookout, asked } = watched();
  t.ok(looks(lookout, asked, 100_000, 0) < 100_000 / 2, 'where one that went on would take sixty looks for each read');
  const idle = looks(lookout, asked, 300, 0);
  t.ok(idle > 0, 'it tries again now and then');
  t.ok(looks(lookout, asked, 2000, 1) > 1000, 'and comes back when it pays');
  t.end();
});

t.test('one failure in a while does not end it', (t) => {
  const { lookout, asked } = watched();
  for (let i = 0; i < 50; i++) {
    t.equal(looks(lookout, asked, 10, 1), 10);
    looks(lookout, asked, 1, 0);
  }
  t.end();
});
