import t from 'tap';
import { createHash } from 'node:crypto';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { wapbl_open } from '../../src/fs/ffs/journal/header.js';
import { MNT_RDONLY, O_RDONLY, SEEK_DATA, SEEK_HOLE } from '../../src/kernel/fcntl.js';
import { S_IFMT } from '../../src/kernel/stat.js';
import {
  disk,
  failure,
  fixture,
  fixtureManifest,
  fixtureNames,
  has,
  manifest,
  mountFfs,
  MOUNTPOINT,
} from './volumes.js';

const skip = has('zstd') ? false : 'zstd is not installed';
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

t.equal(fixtureNames.length, 8, 'the volumes are there');

for (const name of fixtureNames) {
  t.test(name, { skip }, async (t) => {
    const image = fixture(name);
    const before = sha(image);
    const dev = disk(image);
    const vol = await mountFfs(dev);
    t.equal(await manifest(vol.sys), fixtureManifest(name), 'all that NetBSD reads in it, exactly');
    await vol.close();
    const after = new Uint8Array(dev.size_bytes);
    dev.read(after, 0, after.length, 0);
    t.equal(sha(after), before, 'a read-only mount writes nothing');
    t.match(vol.log.join('\n'), name.endsWith('-dirty') ? /journal replayed into memory/ : /^$/, 'log');
  });
}

t.test('details of a volume', { skip }, async (t) => {
  const vol = await mountFfs(disk(fixture('netbsd-ffs2-be')));
  const { sys } = vol;
  const fsstat = await sys.statvfs(MOUNTPOINT);
  t.match(
    fsstat,
    {
      f_bsize: 8192,
      f_frsize: 1024,
      f_blocks: 23927,
      f_bfree: 2749 * 8 + 24,
      f_files: 2046,
      f_ffree: 1727,
      f_namemax: 255,
    },
    'statvfs',
  );

  const sparse = await sys.stat(`${MOUNTPOINT}/sparse`);
  t.ok(sparse.st_blocks * 512 < sparse.st_size, 'a sparse file takes less than its size');
  const fd = await sys.open(`${MOUNTPOINT}/sparse`, O_RDONLY);
  const extents: [number, number][] = [];
  for (let at = 0; at < sparse.st_size; ) {
    let data: number;
    try {
      data = await sys.lseek(fd, at, SEEK_DATA);
    } catch {
      break;
    }
    at = await sys.lseek(fd, data, SEEK_HOLE);
    extents.push([data, at]);
  }
  const held = extents.reduce((sum, [a, b]) => sum + b - a, 0);
  t.ok(held > 0 && held < sparse.st_size && held <= sparse.st_blocks * 512, `data in ${JSON.stringify(extents)}`);
  const bytes = new Uint8Array(sparse.st_size);
  await sys.pread(fd, bytes, 0);
  let at = 0;
  for (const [from, to] of [...extents, [sparse.st_size, sparse.st_size] as const]) {
    t.ok(bytes.subarray(at, from).every((b) => b === 0), `hole ${at}..${from} is zero`);
    at = to;
  }
  t.match(await failure(sys.lseek(fd, sparse.st_size, SEEK_DATA)), /^ENXIO/, 'no data behind the end');
  // Reads at every odd place give the same bytes as one read of the whole.
  const small = new Uint8Array(10_000);
  for (const from of [0, 1, 8191, 8192, 98303, 98304, 98305, sparse.st_size - 5]) {
    const n = await sys.pread(fd, small, from);
    t.same(Buffer.from(small.subarray(0, n)), Buffer.from(bytes.subarray(from, from + n)), `read at ${from}`);
    t.equal(n, Math.min(10_000, sparse.st_size - from), 'as much as there is');
  }
  await sys.close(fd);

  const fh = await sys.getfh(`${MOUNTPOINT}/hello.txt`);
  t.equal((await sys.fhstat(fh)).st_size, 13, 'a file by its handle');
  t.match(
    await failure(sys.fhstat({ ...fh, fh_fid: { ...fh.fh_fid, fid_gen: fh.fh_fid.fid_gen ^ 1 } })),
    /^ESTALE/,
    'another generation is another file',
  );
  t.match(
    await failure(sys.fhstat({ ...fh, fh_fid: { ...fh.fh_fid, fid_ino: 1500 } })),
    /^ESTALE/,
    'an inode that is not in use',
  );
  t.match(
    await failure(sys.fhstat({ ...fh, fh_fid: { ...fh.fh_fid, fid_ino: 99999 } })),
    /^ESTALE/,
    'an inode that does not exist',
  );
  t.match(await failure(sys.stat(`${MOUNTPOINT}/none`)), /^ENOENT/);
  t.match(await failure(sys.mkdir(`${MOUNTPOINT}/new`, 0o755)), /^EROFS/);
  t.equal((await sys.lstat(`${MOUNTPOINT}/disk`)).st_mode & S_IFMT, 0o060000, 'a block device');
  await vol.close();
});

t.test('what may not be written is mounted read-only', { skip }, async (t) => {
  for (const name of ['netbsd-ffs1-be-log-dirty', 'netbsd-ffs2-log-dirty']) {
    // The first record's type: the journal cannot be replayed.
    const image = fixture(name).slice();
    const dev = disk(image);
    const log = (await wapbl_open(dev, await ffs_superblock_search(dev)))!;
    new DataView(image.buffer).setUint32(log.start + log.tail, 0x12345678);
    const damaged = disk(image);
    const vol = await mountFfs(damaged, 0);
    t.match(vol.log.join('\n'), /warn: .*mounted read-only: its journal is damaged/, `${name}: one line says why`);
    t.equal(vol.log.filter((l) => l.startsWith('warn')).length, 1, 'one line');
    t.equal((await vol.sys.statvfs(MOUNTPOINT)).f_flag & MNT_RDONLY, MNT_RDONLY, 'read-only');
    t.match(await failure(vol.sys.mkdir(`${MOUNTPOINT}/new`, 0o755)), /^EROFS/);
    await vol.close();
    const after = new Uint8Array(damaged.size_bytes);
    damaged.read(after, 0, after.length, 0);
    t.equal(sha(after), sha(image), 'nothing was written');
    t.match(await failure(mountFfs(disk(image), 0, { 'force-rw': true })), /^EROFS/, 'not against its will');
  }
  const cases: [string, string, (view: DataView, bytes: Uint8Array) => void, RegExp][] = [
    ['not cleanly unmounted', 'netbsd-ffs2-le', (_v, b) => (b[209] = 0), /not cleanly unmounted/],
    ['mounted elsewhere when it stopped', 'netbsd-ffs2-le', (_v, b) => (b[209] = 2), /not cleanly unmounted/],
    ['snapshot', 'netbsd-ffs2-le', (v) => v.setUint32(1116, 77, true), /snapshot/],
    ['SU+J', 'netbsd-ffs2-le', (v, b) => (v.setUint32(1312, 0xa, true), (b[209] = 0)), /SU\+J/],
    ['SU+J with orphans', 'netbsd-ffs2-le', (v) => (v.setUint32(1312, 0xa, true), v.setInt32(1216, 5, true)), /SU\+J/],
    ['unknown flag', 'netbsd-ffs2-le', (v) => v.setUint32(1312, 0x100000, true), /flags 0x100000/],
    [
      'journal or ACLs, nothing tells',
      'netbsd-ffs2-le',
      (v) => v.setUint32(1312, 0x100, true),
      /dialect=netbsd or dialect=freebsd/,
    ],
    [
      'quota or check hashes, nothing tells',
      'netbsd-ffs1-le',
      (v) => v.setUint32(1312, 0x200, true),
      /dialect=netbsd or dialect=freebsd/,
    ],
    ['quotas', 'netbsd-ffs2-le', (v) => (v.setUint32(1312, 0x200, true), v.setUint32(904, 0xb746915e, true)), /quotas/],
    ['needs a check', 'netbsd-ffs2-le', (v) => v.setUint32(1312, 0x4, true), /needing a check/],
    ['free counts', 'netbsd-ffs2-le', (v) => v.setInt32(1020, -1, true), /counters are wrong/],
  ];
  for (const [what, name, change, why] of cases) {
    const image = fixture(name).slice();
    const at = name.includes('ffs2') ? 65536 : 8192;
    change(new DataView(image.buffer, at, 8192), image.subarray(at, at + 8192));
    const vol = await mountFfs(disk(image), 0);
    t.match(vol.log.join('\n'), why, what);
    t.equal((await vol.sys.statvfs(MOUNTPOINT)).f_flag & MNT_RDONLY, MNT_RDONLY, 'read-only');
    t.equal((await vol.sys.stat(`${MOUNTPOINT}/hello.txt`)).st_size, 13, 'and readable');
    await vol.close();
  }
});

t.test('what is no volume', { skip }, async (t) => {
  const image = fixture('netbsd-ffs2-le');
  const cut = image.slice(0, image.length / 2);
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /no FFS superblock/],
    ['zeros', new Uint8Array(2 ** 20), /no FFS superblock/],
    ['cut off', cut, /the device only 12582912/],
    ['tiny', image.slice(0, 70000), /no FFS superblock/],
  ];
  const unfinished = image.slice();
  new DataView(unfinished.buffer).setUint32(65536 + 1372, 0x19960408, true);
  cases.push(['unfinished newfs', unfinished, /newfs was interrupted/]);
  for (const [what, bytes, why] of cases) {
    const said = await failure(mountFfs(disk(bytes)));
    t.match(said, /^EFTYPE/, what);
    t.match(said, why, 'and why');
  }
  t.match(await failure(mountFfs(disk(image), MNT_RDONLY, { nonsense: true })), /^EINVAL/, 'an unknown option');
  t.match(await failure(mountFfs(disk(image), MNT_RDONLY, { dialect: 'dos' })), /^EINVAL/, 'an unknown dialect');
});
