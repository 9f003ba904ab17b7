import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { LAYERS } from '../../src/fuse/sandbox/layers.js';
import type { Breakout } from './fixtures/breakout.js';
import { NOBODY, breakout, layers, skip } from './fixtures/run-breakout.js';
import type { Who } from './fixtures/run-breakout.js';

const EPERM = -1;
const ENOMEM = -12;
/** Each of them is refused, and the server goes on. */
const REFUSED = [
  'open',
  'open-proc',
  'stat',
  'change-files',
  'socket',
  'signal',
  'processes',
  'become-more',
  'descriptors',
  'rings',
  'terminal',
  'disk-outside',
  'disk-otherwise',
  'filter',
];

/** What holds in whatever way it was started. */
function checkConfined(t: Test, who: Who, seen: Breakout): void {
  for (const name of REFUSED) t.same(seen.probes[name]?.filter((result) => result !== EPERM), [], `${name} is refused`);
  // The process that reads the partition table, and the server itself, when they read the first byte.
  const early = [...seen.log.matchAll(/^PROBE early (.*)$/gm)].map(([, results]) => JSON.parse(results!) as number[]);
  t.equal(early.length, 2);
  t.same(early[0]!.slice(0, 2), [512, 512], 'whoever looks for the partition reads the disk');
  t.same(
    early[0]!.slice(2).filter((result) => result !== EPERM),
    [],
    'and nothing else',
  );
  t.same(
    early[1]!.filter((result) => result !== EPERM),
    [],
    'the server is confined to its partition before it reads from it',
  );
  t.same(seen.probes['disk-inside-write'], [512], 'the partition can be written');
  t.same(seen.probes['disk-inside-read'], [512, 1024], 'and read');
  t.same(seen.probes['much-memory'], [ENOMEM]);
  t.ok(seen.probes['some-memory']![0]! > 0);
  t.ok(seen.threads.length > 4);
  for (const thread of seen.threads) {
    t.match(thread, { Seccomp: '2', NoNewPrivs: '1', CapPrm: /^0+$/, CapEff: /^0+$/, CapAmb: /^0+$/, Groups: '' });
    for (const ids of [thread['Uid']!, thread['Gid']!]) {
      for (const id of ids.split('\t')) {
        t.ok(who === 'root' ? Number(id) >= 0x70000000 : id === NOBODY, `id ${id}`);
      }
    }
  }
  t.equal(seen.work, 'fine', 'programs can work on the mount');
  t.ok(seen.intact, 'the rest of the disk is as it was');
  t.ok(seen.ended, 'unmounting ends everything');
  t.equal(seen.kept, true, 'what was written is there, on a clean volume');
  t.notMatch(seen.log, /^(?!PROBE)./m, 'nothing was logged');
}

const PROBES = [...REFUSED, 'disk-inside-write', 'disk-inside-read', 'much-memory', 'some-memory'];

for (const who of ['root', 'user'] as const) {
  t.test(`${who}: all layers`, { skip }, (t) => {
    const seen = breakout(who, { sandbox: { mode: 'required' }, probes: PROBES });
    t.same(layers(seen), [...LAYERS].sort(), 'are in force');
    checkConfined(t, who, seen);
    if (who === 'root') {
      t.same(seen.root, [], 'an empty root');
      t.same(seen.namespaces, ['net', 'mnt', 'pid', 'ipc', 'uts']);
    } else {
      // Where this checkout and Node lie is there, with nothing else in it.
      const needed = [fileURLToPath(import.meta.url), process.execPath].map((file) => file.split('/')[1]);
      for (const name of ['home', 'tmp', 'proc', 'dev', 'run', 'root', 'sys', 'var'].filter(
        (folder) => !needed.includes(folder),
      )) {
        t.notOk(seen.root?.includes(name), `no ${name} in its root`);
      }
      t.same(seen.namespaces, ['net', 'mnt', 'pid', 'ipc', 'uts', 'user']);
    }
    t.end();
  });

  for (const [way, missing] of [
    ['own root', []],
    ['unshare', ['root']],
    ['no namespaces', ['namespaces', 'root']],
  ] as const) {
    if (way === 'own root' && who === 'user') continue;
    t.test(`${who}: where only this can be had: ${way}`, { skip }, (t) => {
      const seen = breakout(who, { sandbox: { mode: 'on', way }, probes: PROBES });
      t.same(layers(seen), LAYERS.filter((name) => !(missing as readonly string[]).includes(name)).sort());
      checkConfined(t, who, seen);
      if (way === 'own root') t.same(seen.root, [], 'an empty root');
      t.end();
    });
  }

}

t.test('the attempts work where nothing holds them back', { skip }, (t) => {
  const { probes, threads, work } = breakout('root', {
    sandbox: { mode: 'off' },
    probes: ['open', 'stat', 'signal', 'descriptors', 'disk-outside', 'much-memory', 'fork'],
  });
  t.ok(probes['open']![0]! > 0);
  t.equal(probes['stat']![1], 0);
  t.equal(probes['signal']![0], 0);
  t.ok(probes['descriptors']![0]! > 0);
  t.equal(probes['disk-outside']![6], 512, 'what lies before the partition can be read');
  t.ok(probes['much-memory']![0]! > 0);
  t.match(threads[0], { Seccomp: '0', Uid: /^0\t/ });
  t.equal(work, 'fine');
  t.end();
});

