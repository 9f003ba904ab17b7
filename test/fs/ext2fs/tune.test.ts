import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { fsck } from '../../../src/fs/ext2fs/tools/fsck/index.js';
import { newfs } from '../../../src/fs/ext2fs/tools/newfs/index.js';
import { ext2_tune } from '../../../src/fs/ext2fs/tools/tune.js';
import { MIB, bytesOf, run, strangerSays, withFolder } from './volumes.js';

const UUID = '00112233-4455-6677-8899-aabbccddeeff';

for (const features of [[], ['uninit_bg', '^metadata_csum'], ['meta_bg', 'uninit_bg', '^metadata_csum'], ['^flex_bg']])
  await t.test(`settings: ${features.join(' ')}`, async (t) => {
    const dev = new MemoryDevice({ size_bytes: 40 * MIB });
    await newfs(dev, { kind: 'ext4', features, label: 'OLD' });
    const values = {
      label: 'NEW', uuid: UUID, reserved: 1, 'max-mount-count': 30, interval: 10, errors: 'remount-ro',
      'mount-options': '^acl,discard', features: 'large_dir,verity',
    };
    const before = await bytesOf(dev);
    const lines = await ext2_tune(dev, values, { dryRun: true });
    t.equal(lines.length, 9);
    t.ok(Buffer.compare(before, await bytesOf(dev)) === 0, 'a rehearsal writes nothing');
    t.same(await ext2_tune(dev, values, { dryRun: false }), lines);
    t.equal(await strangerSays(dev), undefined);
    t.match(await fsck(dev, 'check'), { clean: true });
    await withFolder(async (folder) => {
      const path = join(folder, 'volume');
      writeFileSync(path, await bytesOf(dev));
      const said = run('dumpe2fs', ['-h', path]);
      t.match(said, /volume name: +NEW\n/);
      t.match(said, new RegExp(`UUID: +${UUID}\n`));
      t.match(said, /Reserved block count: +409\n/);
      t.match(said, /Maximum mount count: +30\n/);
      t.match(said, /Check interval: +864000 /);
      t.match(said, /Errors behavior: +Remount read-only\n/);
      t.match(said, /Default mount options: +user_xattr discard\n/);
      t.match(said, /large_dir.*verity/);
      // The copies have it, too.
      t.match(run('dumpe2fs', ['-h', '-o', 'superblock=8193', '-o', 'blocksize=1024', path]), /volume name: +NEW\n/);
    });
  });

t.test('what cannot be', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 8 * MIB });
  await newfs(dev, {});
  for (const [values, message] of [
    [{}, /what is to change/],
    [{ features: '^extents' }, /extents cannot be taken away/],
    [{ features: 'metadata_csum' }, /cannot be given/],
    [{ uuid: 'x' }, /no UUID/],
    [{ reserved: 90 }, /0 to 50/],
    [{ 'mount-options': 'quick' }, /no mount option quick/],
  ] as const)
    await t.rejects(ext2_tune(dev, values, { dryRun: false }), { message });
});
