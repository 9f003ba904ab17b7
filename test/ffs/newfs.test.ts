import t from 'tap';
import { E, Errno } from '../../src/kernel/errno.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { describe } from '../../src/fs/ffs/tools/describe.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import type { NewfsFormat, NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import { newfsLayout } from '../../src/fs/ffs/tools/newfs_layout.js';
import { Volume } from './damage.js';
import { SparseDevice } from './sparse-device.js';

const MIB = 2 ** 20;
const FORMATS: NewfsFormat[] = [0, 1, 2, '2ea'];

t.test('every block and fragment size, format and byte order is clean', async (t) => {
  for (let bsize = 4096; bsize <= 65536; bsize *= 2) {
    for (let fsize = bsize; fsize >= Math.max(512, bsize / 8); fsize /= 2) {
      for (const format of FORMATS) {
        for (const endian of ['little', 'big'] as const) {
          const dev = new SparseDevice(24 * MIB);
          const { layout } = await newfs(dev, { format, endian, blockSize: bsize, fragSize: fsize });
          const report = await fsck(dev);
          t.ok(
            report.clean && report.problemCount === 0 && report.files === 1,
            `${bsize}/${fsize} format ${format} ${endian}`,
          );
          if (!report.clean)
            t.comment(
              report.problems
                .slice(0, 5)
                .map((p) => p.message)
                .join('\n'),
            );
          t.ok(layout.fs_cgsize <= bsize && layout.fs_fpg % 8 === 0 && layout.fs_ipg % layout.fs_inopb === 0);
        }
      }
    }
  }
});

t.test('sizes of every kind', async (t) => {
  for (const bytes of [
    1.3 * MIB,
    2 * MIB,
    5 * MIB + 512,
    19.9 * MIB,
    20 * MIB,
    101 * MIB + 7 * 512,
    700 * MIB,
    999 * MIB,
    3000 * MIB,
  ]) {
    for (const format of FORMATS) {
      const dev = new SparseDevice(Math.floor(bytes / 512) * 512);
      const { layout } = await newfs(dev, { format });
      const report = await fsck(dev);
      t.ok(report.clean, `${bytes} bytes, format ${format}: ${layout.fs_ncg} groups of ${layout.fs_fpg}`);
    }
  }
});

t.test('defaults follow the size of the volume', async (t) => {
  const sizes = (bytes: number, options: NewfsVolumeOptions = {}): number[] => {
    const l = newfsLayout(options, bytes);
    return [l.fs_bsize, l.fs_fsize, l.fs_ncg];
  };
  // Figures of NetBSD's newfs -N -O 2.
  t.strictSame(sizes(2 * MIB, { format: 2 }), [4096, 512, 3]);
  t.strictSame(sizes(30 * MIB, { format: 2 }), [8192, 1024, 4]);
  t.strictSame(sizes(2048 * MIB, { format: 2 }), [16384, 2048, 12]);
  t.strictSame(sizes(204800 * MIB, { format: 2 }), [32768, 4096, 276]);
  t.strictSame(sizes(2 ** 40, { format: 2 }), [32768, 4096, 1413]);
  t.match(
    newfsLayout({}, 30 * MIB, 4096),
    { fs_fsize: 4096, fs_bsize: 32768, fs_fsbtodb: 3 },
    'no fragment below a sector',
  );
  t.match(newfsLayout({ blockSize: 8192 }, 30 * MIB, 4096), { fs_fsize: 4096, fs_bsize: 8192 });
  t.equal(newfsLayout({}, 30 * MIB).fs_optim, 0);
  t.equal(newfsLayout({ minfree: 3 }, 30 * MIB).fs_optim, 1, 'little in reserve: for space');
});

t.test('options reach the volume', async (t) => {
  const dev = new SparseDevice(64 * MIB);
  await newfs(dev, {
    format: 2,
    endian: 'big',
    label: 'archive',
    minfree: 12,
    optimization: 'space',
    maxcontig: 5,
    maxbpg: 77,
    avgfilesize: 1234,
    avgfpdir: 9,
    bytesPerInode: 65536,
    maxFragsPerGroup: 8000,
    uid: 7,
    gid: 8,
    mode: 0o1777,
    time: { sec: 1_234_567_890, nsec: 5000 },
    fsid: 0x1234,
  });
  const { fs } = new Volume(dev.bytes());
  t.match(fs, {
    le: false,
    fs_volname: 'archive',
    fs_minfree: 12,
    fs_optim: 1,
    fs_maxcontig: 5,
    fs_contigsumsize: 5,
    fs_maxbpg: 77,
    fs_avgfilesize: 1234,
    fs_avgfpdir: 9,
    fs_time: 1_234_567_890,
    fs_id1: 0x1234,
  });
  t.ok(fs.fs_fpg <= 8000 && fs.fs_ncg >= 8, `${fs.fs_ncg} groups of ${fs.fs_fpg} fragments`);
  t.ok(fs.ninodes <= 1200, `${fs.ninodes} inodes for 64 MiB`);
  const root = new Volume(dev.bytes()).inode(2);
  t.match(
    { mode: root.mode, uid: root.uid, gid: root.gid, mtime: root.mtime, nlink: root.nlink, size: root.size },
    { mode: 0o41777, uid: 7, gid: 8, mtime: 1_234_567_890, nlink: 2, size: 512 },
  );
  t.ok((await fsck(dev)).clean);
  const told = await describe(dev);
  t.match(told.facts, {
    format: 'FFSv2',
    byte_order: 'big',
    label: 'archive',
    clean: true,
    journal: 'none',
    minfree_percent: 12,
    directories: 1,
  });
  t.ok(told.lines.every(([name, value]) => name !== '' && value !== ''));
});

t.test('few inodes, many inodes', async (t) => {
  for (const options of [{ inodes: 1 }, { inodes: 100_000 }, { bytesPerInode: 1 }, { bytesPerInode: 2 ** 30 }]) {
    for (const format of [1, 2] as const) {
      const dev = new SparseDevice(40 * MIB);
      const { layout } = await newfs(dev, { format, ...options });
      t.ok(
        (await fsck(dev)).clean,
        `${JSON.stringify(options)}, format ${format}: ${layout.fs_ncg * layout.fs_ipg} inodes`,
      );
    }
  }
});

t.test('what cannot be is refused in words', async (t) => {
  const refused = async (options: NewfsVolumeOptions, bytes: number, errno: number, words: RegExp): Promise<void> => {
    const dev = new SparseDevice(bytes);
    const thrown = await newfs(dev, options).then(
      () => undefined,
      (e: unknown) => e,
    );
    t.ok(
      thrown instanceof Errno && thrown.errno === errno && words.test(thrown.message),
      `${JSON.stringify(options)}: ${String(thrown)}`,
    );
    t.equal(dev.writes, 0, 'and nothing is written');
  };
  await refused({ blockSize: 5000 }, 24 * MIB, E.EINVAL, /power of two/);
  await refused({ blockSize: 2048, fragSize: 512 }, 24 * MIB, E.EINVAL, /too small/);
  await refused({ blockSize: 131072, fragSize: 16384 }, 24 * MIB, E.EINVAL, /too large/);
  await refused({ blockSize: 8192, fragSize: 512 }, 24 * MIB, E.EINVAL, /smallest for blocks of 8192 is 1024/);
  await refused({ blockSize: 4096, fragSize: 8192 }, 24 * MIB, E.EINVAL, /larger than the block/);
  await refused({ minfree: 100 }, 24 * MIB, E.EINVAL, /minfree/);
  await refused({ avgfpdir: 0 }, 24 * MIB, E.EINVAL, /avgfpdir/);
  await refused({ size: 48 * MIB }, 24 * MIB, E.ENOSPC, /more than the device/);
  await refused({}, 10_240, E.ENOSPC, /too small/);
  await refused({ format: 2 }, 65536, E.ENOSPC, /too small/);
  await refused({ format: 1, fragSize: 512, blockSize: 4096 }, 2 ** 41, E.EINVAL, /UFS1/);
  await refused({ label: 'x'.repeat(32) }, 24 * MIB, E.EINVAL, /label/);
  await refused({ label: 'old', format: 0 }, 24 * MIB, E.EINVAL, /no place for a label/);
  const readonly = new SparseDevice(24 * MIB, true);
  await t.rejects(newfs(readonly), { code: 'EROFS' });
});

t.test('old superblocks do not come back', async (t) => {
  for (const [before, after] of [[2, 1], [1, 2], [1, 1], [2, 2], [0, 2]] as const) {
    for (const bsize of [8192, 65536]) {
      const dev = new SparseDevice(64 * MIB);
      await newfs(dev, { format: before, blockSize: bsize, fragSize: bsize / 8, endian: 'big' });
      await newfs(dev, { format: after, blockSize: 16384, fragSize: 2048 });
      const { facts } = await describe(dev);
      t.match(facts, { block_size: 16384, byte_order: 'little' }, `${after} over ${before} with blocks of ${bsize}`);
      t.ok((await fsck(dev)).clean);
    }
  }
});

t.test('a dry run writes nothing', async (t) => {
  const dev = new SparseDevice(64 * MIB);
  const result = await newfs(dev, { format: 2, dryRun: true });
  t.equal(dev.writes, 0);
  t.equal(result.superblockCopies.length, result.layout.fs_ncg);
});

t.test('a volume of 1 TiB costs its metadata', async (t) => {
  const dev = new SparseDevice(2 ** 40);
  const began = performance.now();
  const result = await newfs(dev, { format: 2 });
  const made = performance.now();
  const report = await fsck(dev);
  t.ok(report.clean);
  t.ok(result.bytesWritten < 80 * MIB, `${Math.round(result.bytesWritten / MIB)} MiB written`);
  t.comment(`newfs ${Math.round(made - began)} ms, fsck ${Math.round(performance.now() - made)} ms`);
});
