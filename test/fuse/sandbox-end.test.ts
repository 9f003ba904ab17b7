import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { LAYERS } from '../../src/fuse/sandbox/layers.js';
import { BREAKOUT, breakout, layers, skip } from './fixtures/run-breakout.js';

const EPERM = -1;
/** Each of them ends the server. */
const FATAL = ['exec', 'ptrace', 'mount'];

for (const who of ['root', 'user'] as const) {
  for (const probe of who === 'root' ? FATAL : ['exec']) {
    t.test(`${who}: ${probe} ends the server`, { skip }, (t) => {
      const seen = breakout(who, { sandbox: { mode: 'on' }, probes: [probe, 'open'] });
      t.equal(seen.probes[probe], undefined, 'it did not come back');
      t.equal(seen.probes['open'], undefined, 'and nothing came after it');
      t.ok(seen.ended, 'the supervisor has unmounted and gone');
      t.match(seen.log, /ended unexpectedly \(SIGSYS: it tried what its confinement forbids\)/, 'and says why');
      t.ok(seen.intact);
      t.end();
    });
  }

  t.test(`${who}: a volume mounted for reading`, { skip }, (t) => {
    const seen = breakout(who, {
      sandbox: { mode: 'required' },
      readonly: true,
      probes: ['disk-inside-read', 'disk-inside-write', 'disk-otherwise'],
    });
    t.same(seen.probes['disk-inside-read'], [512, 1024]);
    t.same(seen.probes['disk-inside-write'], [EPERM]);
    t.same(seen.probes['disk-otherwise']?.filter((result) => result !== EPERM), []);
    t.equal(seen.work, 'fine');
    t.end();
  });

  t.test(`${who}: the supervisor dies`, { skip }, (t) => {
    const seen = breakout(who, { sandbox: { mode: 'on' }, kill: 'supervisor' });
    t.ok(seen.ended, 'the mount is detached, the server ends');
    t.equal(seen.kept, true, 'with everything written');
    t.end();
  });

  t.test(`${who}: the server dies`, { skip }, (t) => {
    const seen = breakout(who, { sandbox: { mode: 'on' }, kill: 'server' });
    t.equal(seen.after?.work, 'fine', 'another one goes on');
    t.ok((seen.after?.threads.length ?? 0) > 0);
    const kinds = (threads: readonly Record<string, string>[] = []) =>
      [...new Set(threads.map((thread) => JSON.stringify(thread)))].sort();
    t.same(kinds(seen.after?.threads), kinds(seen.threads), 'as confined as the first');
    t.same(seen.after?.root, seen.root);
    t.ok(seen.ended);
    t.equal(seen.kept, true, 'with everything written');
    t.match(seen.log, /died \(SIGKILL\); another one goes on/);
    t.end();
  });
}

for (const who of ['root', 'user'] as const) {
  t.test(`${who}: a server that lies about its confinement`, { skip }, (t) => {
    t.match(breakout(who, { sandbox: { mode: 'required' }, program: './liar.js' }, { RUMP_LIE: 'now' }), {
      refused:
        /^--require-sandbox: not in force on this host: .*system-calls \(not to be seen from outside: Seccomp is 0\), disk /,
      ended: true,
      intact: true,
    });
    const seen = breakout(who, { sandbox: { mode: 'on' }, program: './liar.js' }, { RUMP_LIE: 'now' });
    // Namespaces and descriptors are the supervisor's own doing; of Landlock the kernel shows nothing.
    const own = [
      'descriptors',
      'landlock',
      'namespaces',
      ...(who === 'user' ? ['no-new-privs', 'root', 'capabilities', 'user'] : ['no-new-privs']),
    ];
    t.same(layers(seen), own.sort(), 'is shown as it is');
    t.ok(seen.ended);
    t.end();
  });
}

t.test('a server that goes on lies about its confinement', { skip }, (t) => {
  const marks = mkdtempSync('/tmp/rumpfuse-lie-');
  const seen = breakout(
    'root',
    { sandbox: { mode: 'on', way: 'no namespaces' }, program: './liar.js', kill: 'server' },
    { RUMP_LIE: path.join(marks, 'first') },
  );
  t.match(
    seen.log,
    /a server that should stand by is not confined as the mount demands: not as confined as the first: /,
  );
  t.same(seen.after?.threads, [], 'nobody goes on');
  t.ok(seen.ended);
  rmSync(marks, { recursive: true });
  t.end();
});

t.test('all layers or no mount', { skip }, (t) => {
  t.match(breakout('root', { sandbox: { mode: 'required', way: 'no namespaces' } }), {
    refused: /^--require-sandbox: not in force on this host: namespaces \(.*\), root \(.*\)$/,
    ended: true,
    intact: true,
  });
  t.match(breakout('user', { sandbox: { mode: 'required', way: 'unshare' } }), {
    refused: /^--require-sandbox: not in force on this host: root \(.*\)$/,
    ended: true,
    intact: true,
  });
  // A root with this in it would bring the mount itself along.
  const inside = mkdtempSync(path.join(path.dirname(BREAKOUT), 'mountpoint-'));
  t.match(breakout('root', { sandbox: { mode: 'required' }, mountpoint: inside }), {
    refused: /root \(the mount point lies in .*\)$/,
    ended: true,
  });
  const seen = breakout('root', { sandbox: { mode: 'on' }, mountpoint: inside, probes: ['open'] });
  t.match(seen, { work: 'fine', ended: true, probes: { open: [EPERM, EPERM, EPERM, EPERM] } });
  t.same(layers(seen), LAYERS.filter((name) => name !== 'root').sort());
  rmSync(inside, { recursive: true });
  t.end();
});
