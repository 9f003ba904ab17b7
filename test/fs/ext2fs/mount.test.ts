import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { Workplace, noMount, rumpfuse } from '../../cli/support.js';
import { BIG_NAMES, LONG_TARGET, MIB, bigname, mkfs, pattern, same } from './volumes.js';

const place = new Workplace();
t.teardown(() => place.end());

await t.test('a volume mounted with --untrusted, found by looking', { skip: noMount ?? false }, async (t) => {
  const image = place.path('disk.img');
  writeFileSync(image, await mkfs(['-t', 'ext4', '-b', '4096', '-O', 'inline_data,ea_inode']));
  const before = readFileSync(image);
  const mnt = place.folder('mnt');
  t.match(await rumpfuse('mount', image, mnt), {
    status: 0,
    stderr: /mounted read-only: features that are only read here: ea_inode/,
  });
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.match(
    await rumpfuse('mount', '--untrusted', image, mnt),
    { status: 0, stderr: '' },
    'which is read-only by itself',
  );
  t.ok(same(readFileSync(`${mnt}/large`), pattern(1, MIB + 17)));
  t.ok(same(readFileSync(`${mnt}/inline`), pattern(3, 120)));
  t.equal(readdirSync(`${mnt}/big`).length, BIG_NAMES);
  t.equal(readFileSync(`${mnt}/big/${bigname(9)}`, 'utf8'), '9');
  t.equal(readlinkSync(`${mnt}/long`), LONG_TARGET);
  t.throws(() => writeFileSync(`${mnt}/new`, ''), { code: 'EROFS' });
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.ok(same(readFileSync(image), before), 'nothing was written');
  t.match(await rumpfuse('mount', '-t', 'ext4', '-o', 'rw', image, mnt), {
    status: 32,
    stderr: /cannot be mounted read-write/,
  });
  t.match(await rumpfuse('info', image), { status: 0, stdout: /ext4/ });
  t.match(await rumpfuse('dumpfs', image), { status: 0, stdout: /group 0: blocks 0-/ });
});
