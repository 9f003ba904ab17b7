import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { newfs } from '../../../src/fs/ext2fs/tools/newfs/index.js';
import type { NewfsOptions } from '../../../src/fs/ext2fs/tools/newfs/layout.js';
import { MIB, V, bytesOf, list, mkfs, mount, run, strangerSays, withFolder } from './volumes.js';

const KIB = 1024;
const UUID = Uint8Array.from({ length: 16 }, (_, i) => 16 * i + i);

async function made(size: number, options: NewfsOptions): Promise<MemoryDevice> {
  const dev = new MemoryDevice({ size_bytes: size });
  await newfs(dev, options);
  return dev;
}

/** Options, and bytes of the volume. */
const CASES: readonly (readonly [NewfsOptions, number])[] = [
  [{ kind: 'ext2' }, 64 * KIB],
  [{ kind: 'ext4' }, 100 * KIB],
  // The last group is too small, and goes.
  [{ kind: 'ext3' }, 8 * MIB + 64 * KIB],
  [{ kind: 'ext3', label: 'LABEL', reserved: 0 }, 40 * MIB],
  [{ kind: 'ext2', blockSize: 2048, inodeSize: 128, inodes: 3 }, 40 * MIB],
  [{ lazy: false, inodeSize: 1024 }, 24 * MIB],
  [{ features: ['^flex_bg', '^64bit', 'uninit_bg', '^metadata_csum'] }, 24 * MIB],
  [{ features: ['meta_bg', '^extents'] }, 40 * MIB],
  [{ features: ['bigalloc', 'orphan_file'] }, 40 * MIB],
  [{ features: ['sparse_super2', 'metadata_csum_seed', 'inline_data', 'casefold', 'large_dir'] }, 24 * MIB],
  [{ features: ['none'] }, 12 * MIB],
  [{ blockSize: 65536, journalSize: 64 * MIB }, 160 * MIB],
  [{ blocksPerGroup: 256, inodes: 8 }, 5 * MIB],
  [{ kind: 'ext3', journalSize: 20 * MIB, blockSize: 1024, blocksPerGroup: 1024 }, 48 * MIB],
];

for (const [options, size] of CASES) {
  await t.test(`${JSON.stringify(options)}, ${size / KIB} KiB`, async (t) => {
    const dev = await made(size, options);
    t.equal(await strangerSays(dev), undefined, 'clean for e2fsck');
    const m = await mount(dev);
    t.same(await list(m.sys, V), ['lost+found']);
    t.ok((await m.sys.statvfs(V)).f_bfree > 0);
    await m.close();
  });
}

t.test('the same features, counts and overhead as mke2fs gives by itself', async (t) => {
  const fields = /^(Filesystem features|Inode count|Block count|Inodes per group|Reserved GDT blocks|First block|Block size|Group descriptor size|Total journal size):.*$/gm;
  for (const kind of ['ext2', 'ext3', 'ext4'] as const)
    for (const size of [MIB, 9 * MIB, 64 * MIB]) {
      const ours = await made(size, { kind });
      await withFolder(async (folder) => {
        const path = join(folder, 'ours');
        writeFileSync(path, await bytesOf(ours));
        const theirs = join(folder, 'theirs');
        writeFileSync(theirs, new Uint8Array(0));
        run('mke2fs', ['-q', '-F', '-t', kind, theirs, `${size / KIB}k`]);
        const [a, b] = [path, theirs].map((p) => run('dumpe2fs', ['-h', p]).match(fields));
        t.same(a, b, `${kind}, ${size / KIB} KiB`);
      });
    }
});

t.test('a TiB takes little to make', async (t) => {
  await withFolder((folder) => {
    const path = join(folder, 'huge');
    const program = `
      const { openSync, ftruncateSync, readSync, writeSync } = await import('node:fs');
      const { newfs } = await import(${JSON.stringify(new URL('../../../src/fs/ext2fs/tools/newfs/index.js', import.meta.url).href)});
      const fd = openSync(${JSON.stringify(path)}, 'w+');
      const size_bytes = 2 ** 40;
      ftruncateSync(fd, size_bytes);
      await newfs({ name: 'huge', size_bytes, sector_bytes: 512, readonly: false,
        read: (b, o, n, at) => void readSync(fd, b, o, n, at), write: (b, o, n, at) => void writeSync(fd, b, o, n, at),
        flush() {}, discard() {}, close() {} });
      console.log(process.resourceUsage().maxRSS);
    `;
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    t.equal(done.stderr, '');
    t.ok(Number(done.stdout) < 400 * KIB, `${done.stdout.trim()} KiB resident`);
    t.match(run('dumpe2fs', ['-h', path]), /Block count: +268435456\n/);
  });
});

t.test('what cannot be', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 8 * MIB });
  for (const [options, message] of [
    [{ features: ['quota'] }, /feature quota cannot be given .*keeps no quota files/],
    [{ features: ['nonsense'] }, /there is no feature nonsense/],
    [{ features: ['bigalloc', '^extents'] }, /bigalloc needs extents/],
    [{ features: ['meta_bg', 'resize_inode'] }, /do not go together/],
    [{ blockSize: 3000 }, /a power of 2 from 1024 to 65536/],
    [{ inodeSize: 8192 }, /inodes of 8192/],
    [{ label: 'seventeen letters' }, /16 can be/],
    [{ journalSize: 64 * KIB }, /blocks of the journal: 64: 1024 to/],
    [{ size: 9 * MIB }, /the device has/],
    [{ size: 8 * KIB }, /too few/],
    [{ inodes: 1_000_000 }, /./],
  ] as const) {
    await t.rejects(newfs(dev, options), { message });
  }
});

t.test('the same options make the same volume, and nothing of it is random', async (t) => {
  const options = { uuid: UUID, hashSeed: UUID, time: 1_700_000_000 };
  t.ok(Buffer.compare(await bytesOf(await made(8 * MIB, options)), await bytesOf(await made(8 * MIB, options))) === 0);
});

t.test('a volume of mke2fs gives way', async (t) => {
  const dev = new MemoryDevice({ content: await mkfs(['-t', 'ext4', '-b', '4096']) });
  await newfs(dev, { kind: 'ext2' });
  t.equal(await strangerSays(dev), undefined);
});
