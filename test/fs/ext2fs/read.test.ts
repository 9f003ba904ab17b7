import t, { type Test } from 'tap';
import { O_RDONLY, SEEK_DATA, SEEK_HOLE } from '../../../src/kernel/fcntl.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { BIG_NAMES, LONG_TARGET, MIB, V, bigname, get, list, mkfs, mount, pattern, same } from './volumes.js';

const SIZE = 32 * MIB;

const COMBINATIONS: readonly (readonly string[])[] = [
  ['-t', 'ext2', '-b', '1024', '-I', '128'],
  ['-t', 'ext2', '-r', '0', '-O', 'none'],
  ['-t', 'ext3', '-b', '2048'],
  ['-t', 'ext3', '-b', '4096', '-O', '^dir_index,^filetype'],
  ['-t', 'ext4', '-b', '1024'],
  ['-t', 'ext4', '-b', '4096', '-O', 'inline_data,ea_inode,metadata_csum_seed'],
  ['-t', 'ext4', '-b', '1024', '-O', 'inline_data,^metadata_csum,uninit_bg'],
  ['-t', 'ext4', '-b', '4096', '-O', 'bigalloc', '-C', '65536'],
  ['-t', 'ext4', '-b', '1024', '-O', 'bigalloc', '-C', '4096'],
  ['-t', 'ext4', '-b', '1024', '-g', '1024', '-O', 'meta_bg,^resize_inode,^flex_bg'],
  ['-t', 'ext4', '-b', '1024', '-g', '2048', '-O', 'sparse_super2,^64bit,large_dir,project,quota,verity,mmp'],
  ['-t', 'ext4', '-b', '16384'],
  ['-t', 'ext4', '-b', '65536', '-N', '1024', '-O', 'orphan_file'],
];

async function everything(t: Test, sys: RumpSys): Promise<void> {
  t.same((await list(sys, V)).sort(), [
    'big',
    'dir',
    'empty',
    'inline',
    'large',
    'long',
    'lost+found',
    'short',
    'sparse',
    'tiny',
  ]);
  t.ok(same(await get(sys, `${V}/tiny`), Buffer.from('tiny\n')));
  t.ok(same(await get(sys, `${V}/inline`), pattern(3, 120)));
  t.ok(same(await get(sys, `${V}/large`), pattern(1, MIB + 17)));
  t.ok(same(await get(sys, `${V}/dir/below/deep`), pattern(2, 5000)));
  t.equal((await get(sys, `${V}/empty`)).length, 0);
  t.equal(Buffer.from(await sys.readlink(`${V}/short`)).toString(), 'tiny');
  t.equal(Buffer.from(await sys.readlink(`${V}/long`)).toString(), LONG_TARGET);
  t.same(new Set(await list(sys, `${V}/big`)), new Set(Array.from({ length: BIG_NAMES }, (_, i) => bigname(i))));
  for (let i = 0; i < BIG_NAMES; i += 7) t.ok(same(await get(sys, `${V}/big/${bigname(i)}`), Buffer.from(`${i}`)));
  await t.rejects(sys.lstat(`${V}/big/none`), { code: 'ENOENT' });
  t.equal((await sys.stat(`${V}/dir/..`)).st_ino, 2n);
  t.equal((await sys.stat(`${V}/dir/below/..`)).st_ino, (await sys.stat(`${V}/dir`)).st_ino);
  const fd = await sys.open(`${V}/sparse`, O_RDONLY);
  t.equal(await sys.lseek(fd, 0, SEEK_DATA), 0);
  const hole = await sys.lseek(fd, 0, SEEK_HOLE);
  t.ok(hole > 0 && hole <= 65536, `a hole at ${hole}`);
  await t.rejects(sys.lseek(fd, 2 * MIB, SEEK_DATA), { code: 'ENXIO' });
  await sys.close(fd);
}

for (const args of COMBINATIONS) {
  await t.test(`mke2fs ${args.join(' ')}`, async (t) => {
    const m = await mount(await mkfs(args, SIZE));
    await everything(t, m.sys);
    const { f_blocks, f_bfree } = await m.sys.statvfs(V);
    t.ok(f_bfree > 0 && f_bfree < f_blocks);
    t.same(m.log, []);
    await m.close();
  });
}

t.test('a device that cannot be written is mounted read-only, which is said once; who insists is refused', async (t) => {
  const image = await mkfs(['-t', 'ext4', '-b', '4096']);
  const before = Buffer.from(image);
  const m = await mount(image, {}, 0);
  t.same(m.log, ['warn: memory disk: mounted read-only: the device cannot be written']);
  await t.rejects(m.sys.mkdir(`${V}/new`, 0o755), { code: 'EROFS' });
  await t.rejects(m.sys.unlink(`${V}/tiny`), { code: 'EROFS' });
  await get(m.sys, `${V}/large`);
  await m.close();
  t.ok(same(before, image), 'nothing was written');
  await t.rejects(mount(image, { 'force-rw': true }, 0), { code: 'EROFS' });
  await t.rejects(mount(image, { unheard: true }), { code: 'EINVAL' });
});

t.test('a wrong checksum is an error that names the structure; nocheck reads on', async (t) => {
  const image = await mkfs(['-t', 'ext4', '-b', '4096']);
  const sb = new DataView(image.buffer, image.byteOffset + 1024);
  sb.setUint8(0x78, 0x41);
  await t.rejects(mount(image), { code: 'EFTYPE', message: /superblock: checksum is wrong/ });
  const m = await mount(image, { nocheck: true });
  await everything(t, m.sys);
  await m.close();
});
