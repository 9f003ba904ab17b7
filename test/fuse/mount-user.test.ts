import { fileURLToPath } from 'node:url';
import t from 'tap';
import { asNobody, skip } from './fixtures/nobody.js';

function run(args: object = {}, host: object = {}, how = '', prepare = ''): Record<string, unknown> {
  const { status, stdout, stderr } = asNobody(
    [
      process.execPath,
      fileURLToPath(new URL('./fixtures/user.js', import.meta.url)),
      JSON.stringify(args),
      JSON.stringify(host),
      how,
    ],
    prepare,
  );
  if (status !== 0) return { status, stderr };
  return JSON.parse(stdout) as Record<string, unknown>;
}

t.test('an ordinary user mounts, works and unmounts', { skip }, (t) => {
  const seen = run();
  t.match(
    seen,
    {
      uid: 65534,
      fstype: 'fuse.rumpfuse',
      source: '/a,b\\c d',
      content: 'content',
      owner: 65534,
      ended: true,
      mounted: false,
      readonly: false,
    },
    JSON.stringify(seen),
  );
  for (const option of ['nosuid', 'nodev', 'user_id=65534', 'default_permissions']) {
    t.ok((seen['options'] as string[]).includes(option), option);
  }
  t.notOk((seen['options'] as string[]).includes('allow_other'));
  t.same(seen['record'], ['open', 'closed']);
  t.end();
});

t.test('a volume that can only be read is mounted so', { skip }, (t) => {
  const seen = run({ readonly: true });
  t.match(seen, { readonly: true, ended: true, mounted: false }, JSON.stringify(seen));
  t.ok((seen['options'] as string[]).includes('ro'));
  t.end();
});

for (const how of ['signal', 'kill', 'orphan']) {
  t.test(`the end: ${how}`, { skip }, (t) => {
    t.match(run({}, {}, how), { ended: true, mounted: false });
    t.end();
  });
}

t.test('the server of an ordinary user dies, and his mount goes on', { skip }, (t) => {
  const script = `
    set -e
    cd "$(mktemp -d)"; mkdir m
    "$0" newfs -s 16m img >&2
    "$0" mount img m
    mkdir m/before
    for i in 1 2 3; do
      server=$("$0" info --json m | sed -n 's/.*"server_pid": \\([0-9]*\\).*/\\1/p' | tail -n 1)
      kill -9 "$server"
      mkdir "m/d$i"; echo "content $i" > "m/d$i/f"; cat "m/d$i/f"
      while [ "$("$0" info m | sed -n 's/ *restarts: *//p')" != "$i" ]; do sleep 0.1; done
    done
    ls m
    "$0" umount m
    "$0" fsck img | tail -n 1
    rm -rf "$PWD"`;
  const { stdout, stderr } = asNobody([
    'sh',
    '-c',
    script,
    fileURLToPath(new URL('../../../bin/rumpfuse', import.meta.url)),
  ]);
  t.equal(stdout, 'content 1\ncontent 2\ncontent 3\nbefore\nd1\nd2\nd3\nimg: clean\n', stderr);
  t.match(stderr, /warning: the file system server of .* died \(SIGKILL\); another one goes on/);
  t.end();
});

t.test('what is not permitted says why', { skip }, (t) => {
  t.match(run({}, { allow_other: true }, '', 'echo > /mnt/fuse.conf; mount --bind /mnt/fuse.conf /etc/fuse.conf'), {
    stderr: /user_allow_other into \/etc\/fuse\.conf/,
  });
  const allowed = run(
    {},
    { allow_other: true },
    '',
    'echo user_allow_other > /mnt/fuse.conf; mount --bind /mnt/fuse.conf /etc/fuse.conf',
  );
  t.ok((allowed['options'] as string[] | undefined)?.includes('allow_other'), 'allow_other where root allows it');
  t.match(run({}, {}, '', 'umount /dev/fuse; mknod -m 600 /mnt/closed c 10 229; mount --bind /mnt/closed /dev/fuse'), {
    stderr: /no permission to open \/dev\/fuse/,
  });
  t.match(
    run({}, { mountpoint: '/usr' }),
    { stderr: /cannot mount on \/usr: fusermount3?: / },
    "somebody else's directory",
  );
  t.match(run({}, {}, '', 'mkdir /mnt/bin; ln -s $(command -v setpriv) /mnt/bin/setpriv; export PATH=/mnt/bin'), {
    stderr: /fusermount3 is missing/,
  });
  t.end();
});
