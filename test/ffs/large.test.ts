import t from 'tap';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { O_CREAT, O_RDONLY, O_RDWR, SEEK_DATA, SEEK_HOLE } from '../../src/kernel/fcntl.js';
import { LargeDevice } from './large-device.js';
import { failure, mountFfs, names } from './volumes.js';
import { V, put, rw } from './write-support.js';

/**
 * Volumes, files and directories at the upper end. FFS_LARGE=1 runs them at full size (a million names, a million
 * holes, newfs' own geometry; minutes), otherwise the counts are smaller. Times are printed as comments and not judged:
 * what is judged is how much is read and written, which must not grow with the size of the volume.
 */
const FULL = process.env.FFS_LARGE === '1';
const KIB = 1024;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;
t.setTimeout(0);

async function timed<T>(what: string, run: () => Promise<T>): Promise<T> {
  const heap = process.memoryUsage();
  const start = performance.now();
  const result = await run();
  const now = process.memoryUsage();
  const grown = now.heapUsed + now.arrayBuffers - heap.heapUsed - heap.arrayBuffers;
  t.comment(
    `${what}: ${Math.round(performance.now() - start)} ms, memory ${grown >= 0 ? '+' : ''}${Math.round(grown / MIB)} ` +
      'MiB',
  );
  return result;
}

/** What a mount with a little work costs, bytes. */
async function cost(
  size_bytes: number,
  blockSize: number,
): Promise<{ dev: LargeDevice; read: number; written: number; summary: number }> {
  const dev = new LargeDevice(size_bytes);
  await timed(`newfs of ${size_bytes / GIB} GiB`, () =>
    newfs(dev, FULL ? { format: 2 } : { format: 2, blockSize, fragSize: blockSize / 8 }),
  );
  const fs = await ffs_superblock_search(dev);
  dev.read_bytes = 0;
  dev.written_bytes = 0;
  const vol = await timed('mount', () => rw(dev));
  await timed('200 files in 20 directories', async () => {
    for (let d = 0; d < 20; d++) {
      await vol.sys.mkdir(`${V}/d${d}`, 0o755);
      for (let i = 0; i < 10; i++) await put(vol.sys, `${V}/d${d}/f${i}`, new Uint8Array(3000).fill(i));
    }
    for (let i = 0; i < 10; i++) await vol.sys.unlink(`${V}/d3/f${i}`);
    await vol.sys.sync();
  });
  await timed('unmount', () => vol.close());
  return { dev, read: dev.read_bytes, written: dev.written_bytes, summary: fs.fs_cssize };
}

t.test('UFS2 of 16 TiB', async (t) => {
  const small = await cost(4 * GIB, 65536);
  const large = await cost(16 * TIB, 65536);
  const fs = await ffs_superblock_search(large.dev);
  t.ok(fs.fs_size * fs.fs_fsize > 15.9 * TIB, `${fs.fs_ncg} groups`);
  t.comment(
    `4 GiB: ${small.read} bytes read, ${small.written} written; 16 TiB: ${large.read} read, ${large.written} ` +
      `written, summary area ${large.summary}`,
  );
  // More groups take part, each with its block; and the summary area is read once.
  t.ok(large.read - large.summary < 4 * small.read + 8 * MIB, 'reads do not grow with the volume');
  t.ok(large.written < 4 * small.written + 8 * MIB, 'nor do writes');

  const vol = await rw(large.dev);
  const { sys } = vol;
  const free = await sys.statvfs(V);
  t.ok(free.f_blocks * free.f_frsize > 15.7 * TIB, 'statvfs');
  await timed('a file of 4 TiB with data at its end', async () => {
    const fd = await sys.open(`${V}/sparse`, O_RDWR | O_CREAT, 0o644);
    await sys.ftruncate(fd, 4 * TIB);
    await sys.pwrite(fd, Buffer.from('the end'), 4 * TIB - 7);
    await sys.pwrite(fd, Buffer.from('the middle'), 2 * TIB + 12345);
    await sys.fsync(fd);
    t.equal((await sys.fstat(fd)).st_size, 4 * TIB);
    t.ok((await sys.fstat(fd)).st_blocks * 512 < MIB, 'takes no room');
    await sys.close(fd);
  });
  await timed('an empty file of 1 PiB', async () => {
    const fd = await sys.open(`${V}/empty`, O_RDWR | O_CREAT, 0o644);
    await sys.ftruncate(fd, 1024 * TIB);
    await sys.close(fd);
  });
  await vol.close();

  const again = await mountFfs(large.dev, 0);
  await timed('reading it', async () => {
    const fd = await again.sys.open(`${V}/sparse`, O_RDONLY);
    const bytes = new Uint8Array(64 * KIB);
    t.equal(await again.sys.pread(fd, bytes, 4 * TIB - 7), 7);
    t.equal(Buffer.from(bytes.subarray(0, 7)).toString(), 'the end');
    t.equal(await again.sys.pread(fd, bytes, 1 * TIB), 64 * KIB);
    t.ok(bytes.every((byte) => byte === 0), 'holes are zero');
    const middle = await again.sys.lseek(fd, 0, SEEK_DATA);
    t.ok(middle >= 2 * TIB && middle <= 2 * TIB + 12345, 'the first data are found');
    const hole = await again.sys.lseek(fd, middle, SEEK_HOLE);
    const last = await again.sys.lseek(fd, hole, SEEK_DATA);
    t.ok(last > 4 * TIB - 128 * KIB, 'and the last');
    await again.sys.close(fd);
  });
  await timed('removing both', async () => {
    await again.sys.unlink(`${V}/sparse`);
    await again.sys.unlink(`${V}/empty`);
    await again.sys.sync();
  });
  await again.close();
  const report = await timed('checking 16 TiB', () => fsck(large.dev));
  t.same(report.problems.map((p) => p.message), []);
  t.ok(report.clean);
  t.ok(
    large.dev.held_bytes < (FULL ? 600 : 128) * MIB,
    `the volume's metadata take ${Math.round(large.dev.held_bytes / MIB)} MiB`,
  );
});

t.test('a directory of very many names', async (t) => {
  const count = FULL ? 1_000_000 : 10_000;
  const dev = new LargeDevice(FULL ? 4 * GIB : 512 * MIB);
  await newfs(dev, { format: 2, blockSize: 16384, fragSize: 2048, bytesPerInode: 2048 });
  let vol = await rw(dev);
  const name = (i: number): string => `${V}/dir/name number ${i}`;
  await vol.sys.mkdir(`${V}/dir`, 0o755);
  await timed(`${count} files made`, async () => {
    for (let i = 0; i < count; i++) await vol.sys.close(await vol.sys.open(name(i), O_RDWR | O_CREAT, 0o644));
  });
  await timed('unmount', () => vol.close());
  vol = await rw(dev);
  await timed('the first lookup', () => vol.sys.lstat(name(count - 1)));
  await timed('1000 lookups', async () => {
    for (let i = 0; i < 1000; i++) await vol.sys.lstat(name((i * 7919) % count));
  });
  t.match(await failure(vol.sys.lstat(`${V}/dir/no such name`)), /^ENOENT/);
  const all = await timed('readdir', () => names(vol.sys, Buffer.from(`${V}/dir`)));
  t.equal(new Set(all).size, count, 'every name once');
  await timed(`${count / 2} files removed`, async () => {
    for (let i = 0; i < count; i += 2) await vol.sys.unlink(name(i));
  });
  await timed('unmount', () => vol.close());
  const report = await timed('check', () => fsck(dev));
  t.same(report.problems.map((p) => p.message), []);
  t.equal(report.files, count / 2 + 2);
});

t.test('a file with very many holes', async (t) => {
  const count = FULL ? 1_000_000 : 10_000;
  const dev = new LargeDevice(16 * GIB);
  await newfs(dev, { format: 2, blockSize: 4096, fragSize: 4096 });
  let vol = await rw(dev);
  const block = new Uint8Array(4096).fill(0x61);
  const fd = await vol.sys.open(`${V}/holes`, O_RDWR | O_CREAT, 0o644);
  await timed(`${count} blocks with holes between them`, async () => {
    for (let i = 0; i < count; i++) await vol.sys.pwrite(fd, block, i * 8192);
  });
  await vol.sys.close(fd);
  await timed('unmount', () => vol.close());
  vol = await rw(dev);
  await timed('finding all of them', async () => {
    const fd = await vol.sys.open(`${V}/holes`, O_RDONLY);
    let found = 0;
    for (let at = 0; at < count * 8192 - 4096; found++) {
      const data = await vol.sys.lseek(fd, at, SEEK_DATA);
      at = await vol.sys.lseek(fd, data, SEEK_HOLE);
      if (data !== found * 8192 || at - data !== 4096) throw new Error(`data at ${data}..${at}`);
    }
    t.equal(found, count);
    await vol.sys.close(fd);
  });
  await timed('reading it', async () => {
    const fd = await vol.sys.open(`${V}/holes`, O_RDONLY);
    const bytes = new Uint8Array(MIB);
    for (let at = 0; at < count * 8192 - 4096; at += bytes.length) {
      const n = await vol.sys.pread(fd, bytes, at);
      if (bytes[0] !== 0x61 || bytes[4096] !== 0 || bytes[n - 1] !== (n % 8192 === 0 ? 0 : 0x61)) {
        throw new Error(`wrong data at ${at}`);
      }
    }
    await vol.sys.close(fd);
  });
  await timed('removing it', async () => {
    await vol.sys.unlink(`${V}/holes`);
    await vol.sys.sync();
  });
  await timed('unmount', () => vol.close());
  const report = await timed('check', () => fsck(dev));
  t.same(report.problems.map((p) => p.message), []);
  t.ok(report.clean);
});
