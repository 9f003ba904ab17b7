import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Workplace, noMount, rumpfuse, run } from './support.js';

/** A volume on two disks: an ext4 of the host whose journal, not yet replayed, is on a device of its own. */
const place = new Workplace();
t.teardown(() => place.end());
const loops = noMount ?? (existsSync('/dev/loop-control') ? undefined : 'there are no loop devices here');
const real = { skip: loops ?? false };

/** Copies of both disks while the host has the volume mounted: what was fsynced is in the journal only. */
const MAKE = `set -e
  truncate -s 8M journal.disk; truncate -s 32M volume.disk
  J=$(losetup -f --show journal.disk); V=$(losetup -f --show volume.disk)
  trap 'umount host 2>/dev/null || :; losetup -d $V; losetup -d $J' EXIT
  mke2fs -q -b 1024 -O journal_dev $J; mke2fs -q -t ext4 -b 1024 -J device=$J $V
  mkdir host; mount $V host
  mkdir host/dir; seq 20000 > host/dir/file; sync host/dir/file
  cp journal.disk journal.img; cp volume.disk volume.img
  truncate -s 8M other.img; mke2fs -q -F -b 1024 -O journal_dev other.img`;

t.test('-o journal=: a volume on two disks', real, async (t) => {
  const dir = place.folder('made');
  const made = await run('sh', ['-c', MAKE], { cwd: dir });
  t.match(made, { status: 0 }, made.stderr);
  const at = (name: string) => path.join(dir, name);
  const mnt = place.folder('mnt');
  const mount = (options: string) => rumpfuse('mount', '-o', options, at('volume.img'), mnt);

  t.match(await mount('ro'), { status: 0, stderr: /journal is on another device.*-o journal=/ });
  t.notOk(existsSync(path.join(mnt, 'dir/file')), 'without its journal the volume is as it was');
  t.match(await rumpfuse('umount', mnt), { status: 0 });

  t.match(await mount(`ro,journal=${at('journal.img')}`), { status: 0 });
  t.equal((await run('seq', ['20000'])).stdout, readFileSync(path.join(mnt, 'dir/file'), 'utf8'), 'replayed');
  t.match((await rumpfuse('info', mnt)).stdout, /\[on \] disk +bytes 0 to 33554431, .*; bytes 0 to 8388607, /);
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });

  t.match(await mount(`ro,journal=${at('other.img')}`), { status: 32, stderr: /other\.img: .*another volume/ });
  t.match(await mount('ro,journal=/nowhere'), { status: 32, stderr: /\/nowhere: no such file/ });
  t.match(await mount('ro,journal'), { status: 1, stderr: /-o journal: needs an image or a device/ });
  await rumpfuse('newfs', '-s', '8m', at('ffs.img'));
  t.match(
    await rumpfuse('mount', '-o', `journal=${at('journal.img')}`, at('ffs.img'), mnt),
    { status: 32, stderr: /-o journal: ffs has no such option/ },
  );
});
