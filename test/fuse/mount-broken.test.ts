/** What is left when whoever mounts is killed in the middle, or is refused by the program that he mounts with. */
import { chmodSync, chownSync, existsSync, readFileSync, readdirSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { statOf } from '../../src/fuse/sandbox/orphans.js';
import { folder, until } from './fixtures/mounted.js';
import { inNamespace, skip } from './fixtures/nobody.js';

const RUMPFUSE = fileURLToPath(new URL('../../../bin/rumpfuse', import.meta.url));
const NOBODY = 65534;

/** Processes with that in their environment; seen by root. */
function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
        return environment.includes(`RUMP_MARK=${mark}`) && statOf(pid)?.state !== 'Z';
      } catch {
        return false;
      }
    });
}

/** A folder of nobody's with a program in bin/ that is found before the real one. */
function placeWith(program: string, script: string): string {
  const place = folder();
  const bin = path.join(place, 'bin');
  for (const dir of [place, bin, path.join(place, 'mnt')]) {
    mkdirSync(dir, { recursive: true });
    chmodSync(dir, 0o755);
    chownSync(dir, NOBODY, NOBODY);
  }
  writeFileSync(path.join(bin, program), script, { mode: 0o755 });
  return place;
}

/**
 * Runs a shell script in a place, as root in a namespace of its own, with the place's programs before all others; then
 * waits until no process is left of it, and adds to its output its `$status` and the mounts there are.
 */
async function start(
  place: string,
  script: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ stdout: string; stderr: string }> {
  const mark = path.basename(place);
  const child = inNamespace(`cd "$PLACE"\n${script}\necho "status $status"; read line; cat /proc/self/mountinfo`, {
    PLACE: place,
    RUMPFUSE,
    RUMP_MARK: mark,
    XDG_RUNTIME_DIR: place,
    PATH: `${path.join(place, 'bin')}:${process.env['PATH']}`,
    ...env,
  });
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  let over = false;
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve(void (over = true))));
  await until(() => over || (stdout.includes('status ') && marked(mark).length === 1));
  child.stdin!.on('error', () => {});
  child.stdin!.end('\n');
  await closed;
  return { stdout, stderr };
}

function records(place: string, directory = path.join(place, 'rumpfuse')): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** fusermount3 that waits before or after it mounts until somebody lets it go on, and says who has started it. */
const SLOW = `#!/bin/sh
wait_here() { echo "$PPID" > "$PLACE/there.new"; mv "$PLACE/there.new" "$PLACE/there"
  while [ ! -e "$PLACE/go" ]; do sleep 0.05; done; }
[ "$1" = -u ] && exec /usr/bin/fusermount3 "$@"
[ "$WHEN" = before ] && { wait_here; exec /usr/bin/fusermount3 "$@"; }
/usr/bin/fusermount3 "$@"; status=$?
wait_here
exit $status
`;

for (const when of ['before', 'after']) {
  for (const [who, sandbox] of [
    ['the supervisor', '--untrusted'],
    ['the supervisor', '--no-sandbox'],
    ['supervisor and launcher', ''],
  ] as const) {
    t.test(`${who} killed ${when} fusermount3 mounts ${sandbox}`, { skip }, async (t) => {
      const place = placeWith('fusermount3', SLOW);
      const going = start(
        place,
        `$SETPRIV "$RUMPFUSE" newfs -s 4m img
        status=0; $SETPRIV "$RUMPFUSE" mount ${sandbox} img mnt >&2 || status=$?`,
        { WHEN: when },
      );
      t.ok(await until(() => existsSync(path.join(place, 'there'))), 'fusermount3 is at work');
      const supervisor = Number(readFileSync(path.join(place, 'there'), 'latin1'));
      const launcher = statOf(supervisor)!.parent;
      process.kill(supervisor, 'SIGKILL');
      if (who !== 'the supervisor') process.kill(launcher, 'SIGKILL');
      writeFileSync(path.join(place, 'go'), '');
      const { stdout, stderr } = await going;
      t.notMatch(stdout, `${place}/mnt`, `no mount stays: ${stderr}`);
      if (who === 'the supervisor') {
        t.match(stdout, 'status 32\n');
        t.match(stderr, /the supervisor ended \(SIGKILL\) before the mount was up/);
      }
      t.same(records(place).filter((name) => name.endsWith('.json')), [], 'no record');
    });
  }
}

/** Mounts so often, and refuses from then on. */
const REFUSING = `#!/bin/sh
[ "$1" = -u ] && exec /usr/bin/fusermount3 "$@"
echo x >> "$PLACE/asked"
[ "$(wc -l < "$PLACE/asked")" -gt "$TIMES" ] && { echo 'fusermount3: not today' >&2; exit 1; }
exec /usr/bin/fusermount3 "$@"
`;

/** An image that was being written when its server was killed. */
const DIRTY = `$SETPRIV "$RUMPFUSE" newfs -s 4m img
"$RUMPFUSE" mount -o nosurvive img mnt
: > mnt/file
kill -9 $("$RUMPFUSE" info --json mnt | sed -n 's/.*"server_pid": \\([0-9]*\\).*/\\1/p' | tail -n 1)
while grep -q "$PLACE/mnt" /proc/self/mountinfo; do sleep 0.05; done
cp img before`;

t.test('fusermount3 refuses when the volume has turned out to be one that can only be read', { skip }, async (t) => {
  const place = placeWith('fusermount3', REFUSING);
  const { stdout, stderr } = await start(
    place,
    `${DIRTY}
    export TIMES=1; status=0; $SETPRIV "$RUMPFUSE" mount img mnt >&2 || status=$?`,
  );
  t.equal(readFileSync(path.join(place, 'asked'), 'latin1'), 'x\nx\n', 'it was asked for the second time');
  t.match(stdout, 'status 32\n', stderr);
  t.match(stderr, /^rumpfuse: cannot mount on .*\/mnt: fusermount3: not today$/m);
  t.notMatch(stdout, `${place}/mnt`, 'no mount stays');
  t.ok(readFileSync(path.join(place, 'img')).equals(readFileSync(path.join(place, 'before'))), 'nothing was written');
  t.same(records(place), [], 'no record, no log');
});

t.test('fusermount3 mounts and says that it has not', { skip }, async (t) => {
  const place = placeWith('fusermount3', '#!/bin/sh\n/usr/bin/fusermount3 "$@"; [ "$1" = -u ]\n');
  const { stdout, stderr } = await start(
    place,
    `$SETPRIV "$RUMPFUSE" newfs -s 4m img; cp img before
    status=0; $SETPRIV "$RUMPFUSE" mount img mnt >&2 || status=$?`,
  );
  t.match(stdout, 'status 32\n', stderr);
  t.match(stderr, /^rumpfuse: cannot mount on .*\/mnt: fusermount3: no reason given$/m);
  t.notMatch(stdout, `${place}/mnt`, 'no mount stays');
  t.ok(readFileSync(path.join(place, 'img')).equals(readFileSync(path.join(place, 'before'))), 'nothing was written');
  t.same(records(place), [], 'no record, no log');
});

t.test('mount(8) refuses root when the volume has been opened', { skip }, async (t) => {
  const place = placeWith('mount', `#!/bin/sh
case "$*" in *fuse.rumpfuse*) echo 'mount: not today' >&2; exit 1 ;; esac
exec /usr/bin/mount "$@"
`);
  // Without koffi the supervisor has no mount(2).
  writeFileSync(
    path.join(place, 'no-koffi.cjs'),
    `const { Module } = process.getBuiltinModule?.('node:module') ?? require('node:module');
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name === 'koffi') throw new Error('no koffi');
      return load(name, ...rest);
    };`,
  );
  const before = records(place, '/run/rumpfuse');
  const { stdout, stderr } = await start(
    place,
    `"$RUMPFUSE" newfs -s 4m img
    status=0; NODE_OPTIONS="--require $PLACE/no-koffi.cjs" "$RUMPFUSE" mount img mnt >&2 || status=$?
    "$RUMPFUSE" fsck -p img`,
  );
  t.match(stdout, 'status 32\n', stderr);
  t.match(stderr, /^rumpfuse: cannot mount on .*\/mnt: mount: not today$/m);
  t.match(stdout, /clean/);
  t.notMatch(stdout, `${place}/mnt`, 'no mount stays');
  t.same(records(place, '/run/rumpfuse').filter((name) => !before.includes(name) && name.endsWith('.json')), []);
});
