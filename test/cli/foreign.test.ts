import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import { freebsdise, badhashes } from '../ffs/freebsd.js';
import { bytesOf } from '../ffs/write-support.js';
import { Workplace, noMount, rumpfuse, run } from './support.js';

/**
 * Volumes with extended attributes through a real mount, with the host's own tools; among them one as FreeBSD makes it.
 */
const place = new Workplace();
t.teardown(() => place.end());
const why =
  noMount ??
  (['/usr/bin/getfattr', '/bin/getfattr'].some((file) => existsSync(file))
    ? undefined
    : 'getfattr and setfattr are not installed');
const real = { skip: why ?? false };

async function make(name: string, format: 2 | '2ea', freebsd: boolean): Promise<string> {
  const dev = new MemoryDevice({ size_bytes: 8 * 2 ** 20 });
  await newfs(dev, { format });
  const image = bytesOf(dev);
  if (freebsd) freebsdise(image, { flags: 0x2 });
  writeFileSync(place.path(name), image);
  return place.path(name);
}

for (const [what, format, freebsd] of [['NetBSD', '2ea', false], ['FreeBSD', 2, true]] as const) {
  t.test(`attributes through the mount: ${what}`, real, async (t) => {
    const image = await make(`${what}.img`, format, freebsd);
    const dir = place.folder(`${what}.mnt`);
    const mounted = await rumpfuse('mount', image, dir);
    t.match(mounted, { status: 0, stderr: '' }, 'mounted for writing');
    const file = path.join(dir, 'file');
    writeFileSync(file, 'content');
    for (const [name, value] of [['user.colour', 'green'], ['user.empty', ''], ['user.long', 'x'.repeat(3000)]]) {
      t.match(await run('setfattr', ['-n', name!, '-v', value!, file]), { status: 0, stderr: '' }, name);
    }
    const got = await run('getfattr', ['--absolute-names', '-d', file]);
    t.match(got.stdout, /user\.colour="green"\nuser\.empty(="")?\nuser\.long="x{3000}"\n/, 'getfattr -d');
    t.match(await run('setfattr', ['-x', 'user.empty', file]), { status: 0 });
    t.not((await run('getfattr', ['--absolute-names', '-n', 'user.empty', file])).status, 0, 'removed');
    t.match(
      await run('setfattr', ['-n', 'security.other', '-v', '1', file]),
      { status: 0, stderr: '' },
      'security.* lie in the system namespace',
    );
    t.match(await run('setfattr', ['-x', 'security.other', file]), { status: 0, stderr: '' });
    t.match(await rumpfuse('umount', dir), { status: 0 });
    t.match(await rumpfuse('fsck', image), { status: 0, stdout: /: clean\n/ });
    if (freebsd) t.same(badhashes(new Uint8Array(readFileSync(image))), [], 'FreeBSD\'s check hashes are right');
    await rumpfuse('mount', '-r', image, dir);
    t.match(
      (await run('getfattr', ['--absolute-names', '-n', 'user.colour', '--only-values', file])).stdout,
      'green',
      'kept',
    );
    t.match(await rumpfuse('umount', dir), { status: 0 });
  });
}

t.test('tunefs and dumpfs', async (t) => {
  const image = await make('tune.img', 2, false);
  t.match(await rumpfuse('tunefs', image, '-m', '7', '-v', 'two words', '-o', 'space'), {
    status: 0,
    stdout: /volume name changes from "" to "two words"\nminimum percentage of free space changes from 5% to 7%\n/,
  });
  t.match(await rumpfuse('tunefs', image), { status: 1, stderr: /what is to change/ });
  t.match(await rumpfuse('tunefs', image, '-m', '300'), { status: 1, stderr: /minfree must be a whole number/ });
  t.match(await rumpfuse('dumpfs', '-s', image), { status: 0, stdout: /minfree 7%[\s\S]*volname two words/ });
  t.match(await rumpfuse('dumpfs', '--newfs', image), { status: 0, stdout: /rumpfuse newfs --format 2 .*--minfree 7/ });
  t.match(await rumpfuse('dumpfs', '-f', image), { status: 0, stdout: /^\d+(-\d+)?\n/ });
  t.match(await rumpfuse('dumpfs', '--all', image), {
    status: 0,
    stdout: /superblock of cg 0[\s\S]*journal:[\s\S]*cg 0:[\s\S]*inodes of cg 0/,
  });
  t.match(await rumpfuse('fsck', image), { status: 0 });
});
