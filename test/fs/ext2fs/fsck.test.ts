/** Damage done by debugfs, judged by e2fsck and by us; and what repairs leave, judged by e2fsck. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { fsck } from '../../../src/fs/ext2fs/tools/fsck/index.js';
import { MIB, V, bytesOf, get, mkfs, mount, pattern, run, same, strangerSays, withFolder } from './volumes.js';

/** e2fsck says of these that they are clean, after it has taken a copy of the superblock, or without looking. */
const STRICTER: readonly string[] = ['ssv blocks_count 99999999', 'set_bg 0 block_bitmap 5', 'ssv last_orphan 14'];

const DAMAGES: readonly string[] = [
  'sif large mode 0',
  'sif large links_count 5',
  'sif large size 10',
  'sif large blocks 2',
  'sif large dtime 12345',
  'sif large flags 0x1000',
  'sif short size 3',
  'sif large block[0] 3',
  'sif large file_acl 77777',
  'sif dir mode 0100644',
  'sif big size 1024',
  'clri dir',
  'clri <11>',
  'clri <2>',
  'freeb 3000 50',
  'freei large',
  'seti <400>',
  'unlink dir',
  'ln large big/again',
  'ssv magic 0',
  'set_bg 0 free_blocks_count 7',
  'set_bg 0 flags 3',
  'set_bg 0 itable_unused 400',
  'punch large 3 9',
  'punch big 1 1',
  'ea_set tiny user.x hello',
  'rm large',
  ...STRICTER,
];

async function damaged(image: Uint8Array, command: string): Promise<Uint8Array> {
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    writeFileSync(path, image);
    run('debugfs', ['-w', '-f', '-', path], `${command}\n`);
    return readFileSync(path);
  });
}

for (const [turn, args] of [
  ['-t', 'ext2', '-N', '1000'],
  ['-t', 'ext4', '-N', '1000'],
].entries()) {
  await t.test(`damage: mke2fs ${args.join(' ')}`, async (t) => {
    const image = await mkfs(['-b', '1024', ...args], 16 * MIB);
    t.match(await fsck(new MemoryDevice({ content: image, readonly: true }), 'check'), { clean: true, problems: [] });
    // Each sees half of them.
    for (const command of DAMAGES.filter((_, i) => i % 2 === turn)) {
      const bytes = await damaged(image, command);
      const before = Buffer.from(bytes);
      const dev = new MemoryDevice({ content: bytes });
      const report = await fsck(dev, 'check');
      t.ok(same(await bytesOf(dev), before), 'a check writes nothing');
      const stranger = await strangerSays(bytes);
      if (!STRICTER.includes(command))
        t.equal(report.problems.length === 0, stranger === undefined, `${command}: as e2fsck sees it`);
      t.equal(report.exitStatus, report.problems.length === 0 ? 0 : 4, command);
      const repair = await fsck(dev, 'repair');
      t.ok(repair.clean, `${command}: repaired`);
      t.match(await fsck(dev, 'check'), { clean: true, exitStatus: 0 }, command);
      t.equal(await strangerSays(dev), undefined, `${command}: clean for e2fsck`);
    }
  });
}

t.test('what a repair must not lose', async (t) => {
  const image = await mkfs(['-b', '1024', '-t', 'ext4', '-N', '1000'], 16 * MIB);
  for (const command of ['sif large flags 0', 'clri dir', 'set_bg 0 itable_unused 480', 'ssv magic 0', 'clri <2>']) {
    const dev = new MemoryDevice({ content: await damaged(image, command) });
    t.ok((await fsck(dev, 'repair')).clean, command);
    const m = await mount(dev);
    const path = command === 'clri <2>' ? `${V}/lost+found/#268` : `${V}/large`;
    t.ok(same(await get(m.sys, path), pattern(1, MIB + 17)), command);
    await m.close();
  }
});

t.test('two files that claim the same blocks both have them afterwards', async (t) => {
  const image = await mkfs(['-b', '1024', '-t', 'ext2', '-N', '1000'], 16 * MIB);
  const first = await firstBlock(image, 'large');
  const dev = new MemoryDevice({ content: await damaged(image, `sif inline block[0] ${first}`) });
  const report = await fsck(dev, 'check');
  t.match(report.problems.map(({ code }) => code), /shared/);
  t.ok((await fsck(dev, 'repair')).clean);
  t.equal(await strangerSays(dev), undefined);
  const m = await mount(dev);
  t.ok(same(await get(m.sys, `${V}/large`), pattern(1, MIB + 17)));
  t.ok(same(await get(m.sys, `${V}/inline`), pattern(1, 120)), 'a copy');
  await m.close();
});

/** The first block of a file. */
async function firstBlock(image: Uint8Array, file: string): Promise<string> {
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    writeFileSync(path, image);
    return run('debugfs', ['-R', `blocks ${file}`, path]).split('\n')[0]!.trim().split(/\s+/)[0]!;
  });
}

t.test('a journal that is to be replayed', async (t) => {
  const clean = await mkfs(['-b', '1024', '-t', 'ext4', '-N', '1000'], 16 * MIB);
  const image = await withFolder((folder) => {
    const path = join(folder, 'volume');
    writeFileSync(path, clean);
    const block = run('debugfs', ['-R', 'blocks large', path]).split('\n')[0]!.trim().split(/\s+/)[0]!;
    writeFileSync(join(folder, 'data'), pattern(50, 1024));
    run('debugfs', ['-w', '-f', '-', path], `jo -c -v 3\njw -b ${block} ${join(folder, 'data')}\njc\n`);
    return readFileSync(path);
  });
  const dev = new MemoryDevice({ content: image });
  t.match((await fsck(dev, 'check')).problems.map(({ code }) => code), ['replay']);
  t.match(await fsck(dev, 'preen'), { clean: true, exitStatus: 1, modified: true });
  t.equal(await strangerSays(dev), undefined);
  const m = await mount(dev);
  t.same(m.log, []);
  t.ok(same((await get(m.sys, `${V}/large`)).subarray(0, 1024), pattern(50, 1024)));
  await m.close();
});
