import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { describe } from '../../src/fs/ffs/tools/describe.js';
import { ffs_evidence } from '../../src/fs/ffs/disk/dialect.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import type { NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { crc32c } from '../../src/fs/lib/crc32c.js';
import { EXTATTR_NAMESPACE_USER, MNT_RDONLY, O_RDONLY, SEEK_DATA, SEEK_HOLE } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import {
  FS_DOSOFTDEP,
  FS_METACKHASH,
  FS_NEEDSFSCK,
  FS_SUJ,
  badhashes,
  freebsdise,
  look,
  rehashall,
  slowcrc32c,
  superblock,
} from './freebsd.js';
import type { FreebsdOptions } from './freebsd.js';
import { V, bytesOf, pattern, put, rw } from './write-support.js';
import { disk, failure, manifest, mountFfs, names } from './volumes.js';

/** A volume as FreeBSD's newfs makes it. */
async function freebsd(options: FreebsdOptions = {}, geometry: NewfsVolumeOptions = {}): Promise<MemoryDevice> {
  const dev = new MemoryDevice({ size_bytes: 8 * 2 ** 20 });
  await newfs(dev, { format: 2, blockSize: 32768, fragSize: 4096, maxFragsPerGroup: 512, ...geometry });
  const image = bytesOf(dev);
  freebsdise(image, options);
  return new MemoryDevice({ content: image });
}

/** A bit of everything that changes metadata. */
async function work(sys: RumpSys, attributes: boolean): Promise<void> {
  for (let d = 0; d < 3; d++) {
    await sys.mkdir(`${V}/d${d}`, 0o755);
    for (let i = 0; i < 12; i++) await put(sys, `${V}/d${d}/f${i}`, pattern((i * 7919) % 50_000, i));
  }
  await put(sys, `${V}/large`, pattern(600_000, 3));
  for (let i = 0; i < 12; i += 2) await sys.unlink(`${V}/d1/f${i}`);
  await sys.link(`${V}/d0/f1`, `${V}/d2/second name`);
  await sys.symlink('target', `${V}/link`);
  await sys.rename(`${V}/d2`, `${V}/d0/moved`);
  await sys.chmod(`${V}/d0/f3`, 0o600);
  await sys.truncate(`${V}/large`, 1000);
  if (attributes) await sys.extattr_set_file(`${V}/d0/f4`, EXTATTR_NAMESPACE_USER, 'colour', pattern(300, 9));
}

/**
 * FreeBSD's own checker, if this machine has it: RUMPFUSE_FSCK_FREEBSD names its fsck_ffs; _BE one for big-endian
 * volumes, for it reads those of its machine's byte order.
 */
const FREEBSD_FSCK = { le: process.env.RUMPFUSE_FSCK_FREEBSD ?? '', be: process.env.RUMPFUSE_FSCK_FREEBSD_BE ?? '' };

/** In order, and marked clean. (NetBSD's checker knows nothing of check hashes and is not asked.) */
async function sound(t: Test, dev: MemoryDevice, what: string): Promise<void> {
  const report = await fsck(dev);
  t.same(report.problems.map((p) => p.message), [], `${what}: checker finds nothing`);
  t.ok(report.clean, `${what}: clean`);
  const checker = FREEBSD_FSCK[superblock(bytesOf(dev)).le ? 'le' : 'be'];
  if (checker === '') return;
  const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-freebsd-'));
  try {
    writeFileSync(path.join(dir, 'img'), bytesOf(dev));
    const run = spawnSync(checker, ['-n', '-f', path.join(dir, 'img')], { encoding: 'utf8', timeout: 900_000 });
    // The last two it says of every volume with SU+J, fresh ones included.
    const complaints = run.stdout
      .split('\n')
      .filter(
        (line) =>
          line !== '' &&
          !/^\*\* |is not a disk device|^CONTINUE\? yes|files, .* fragmentation|^SETTING DIRTY FLAG IN READ_ONLY|^UNEXPECTED SOFT UPDATE INCONS/.test(
            line,
          ),
      );
    t.same([run.status, complaints], [0, []], `${what}: FreeBSD's own checker`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

t.test('crc32c', async (t) => {
  t.equal(
    crc32c(0xffffffff, Buffer.from('123456789'), 0, 9) ^ -1,
    0xe3069283 | 0,
    'the check value of the catalogues, before it is inverted',
  );
  for (const length of [0, 1, 3, 4, 5, 255, 1000]) {
    t.equal(crc32c(0xffffffff, pattern(length, 5), 0, length), slowcrc32c(pattern(length, 5)), `${length} bytes`);
  }
});

t.test('recognised', async (t) => {
  const cases: [string, FreebsdOptions, NewfsVolumeOptions][] = [
    ['all hashes', {}, {}],
    ['big-endian', {}, { endian: 'big' }],
    ['of groups alone (FreeBSD 12.0)', { metackhash: 2 }, {}],
    ['no hashes (FreeBSD 11)', { metackhash: 0 }, {}],
    ['UFS1', {}, { format: 1 }],
    ['SU+J', { metackhash: 0, flags: FS_DOSOFTDEP | FS_SUJ }, {}],
  ];
  for (const [what, options, geometry] of cases) {
    const dev = await freebsd(options, geometry);
    const evidence = await ffs_evidence(dev, await ffs_superblock_search(dev), undefined);
    t.match(evidence, { dialect: 'freebsd', readonly_because: undefined }, what);
  }
  const plain = new MemoryDevice({ size_bytes: 8 * 2 ** 20 });
  await newfs(plain, { format: 2 });
  t.equal(
    (await ffs_evidence(plain, await ffs_superblock_search(plain), undefined)).dialect,
    'netbsd',
    'without these marks it is not',
  );
});

for (const [what, options, geometry] of [
  ['UFS2, little-endian, all hashes, soft updates', { flags: FS_DOSOFTDEP }, {}],
  ['UFS2, big-endian, all hashes, SU+J', { flags: FS_DOSOFTDEP | FS_SUJ }, { endian: 'big' }],
  ['UFS2, hashes of groups alone', { metackhash: 2 }, {}],
  ['UFS2, no hashes', { metackhash: 0, flags: FS_DOSOFTDEP }, {}],
  ['UFS1, soft updates', { flags: FS_DOSOFTDEP }, { format: 1 }],
] as [string, FreebsdOptions, NewfsVolumeOptions][]) {
  t.test(`written: ${what}`, async (t) => {
    const dev = await freebsd(options, geometry);
    const { fs: before } = look(dev);
    const vol = await rw(dev);
    t.same(vol.log, [], 'nothing to complain of');
    const { fs: start } = look(dev);
    t.equal(start.fs_clean, 0, 'in use: FreeBSD takes all but 0 for clean');
    t.equal(start.fs_flags & FS_NEEDSFSCK, FS_NEEDSFSCK, 'a crash now may not be passed over as with soft updates');
    t.equal(start.fs_flags & FS_DOSOFTDEP, before.fs_flags & FS_DOSOFTDEP, 'soft updates stay configured');
    t.ok(start.fs_mtime > before.fs_mtime, 'a soft-updates journal is no longer valid');
    await work(vol.sys, before.ufs2);
    await vol.sys.sync();
    t.same(look(dev).bad, [], 'all hashes right after a sync');
    await put(vol.sys, `${V}/d0/f1`, pattern(70_000, 77));
    const fd = await vol.sys.open(`${V}/d0/f1`, O_RDONLY);
    await vol.sys.fsync(fd);
    await vol.sys.close(fd);
    const crashed = bytesOf(dev);
    const held = await manifest(vol.sys);
    await vol.close();
    const { fs: after, bad } = look(dev);
    t.same(bad, [], 'all hashes right in the end');
    t.equal(after.fs_flags, before.fs_flags, 'flags as before');
    t.equal(after.fs_clean, 1, 'clean');
    t.same(
      [after.fs_journallocs, after.fs_swuid, after.view.getBigUint64(992, after.le)],
      [before.fs_journallocs, before.fs_swuid, before.view.getBigUint64(992, before.le)],
      'fields that only FreeBSD knows',
    );
    await sound(t, dev, what);
    if (!after.ufs2) {
      const { cs_ndir, cs_nbfree, cs_nifree, cs_nffree } = after.fs_cstotal;
      t.same(
        [
          after.fs_old_cs_ndir,
          after.fs_old_cs_nbfree,
          after.fs_old_cs_nifree,
          after.fs_old_cs_nffree,
          after.fs_old_time,
        ],
        [cs_ndir, cs_nbfree, cs_nifree, cs_nffree, after.fs_time],
        'the totals at the old place too',
      );
    }
    const again = await mountFfs(dev, MNT_RDONLY);
    t.equal(await manifest(again.sys), held, 'what was written is read');
    await again.close();

    // The power goes after the fsync.
    t.same(
      badhashes(crashed).filter((what) => what.startsWith('inode')),
      [],
      'inodes on the disk always fit their hashes',
    );
    const broken = new MemoryDevice({ content: crashed });
    const refused = await rw(broken);
    t.match(refused.log.join('\n'), /mounted read-only: it.*run fsck/, 'not written as it is');
    await refused.close();
    const report = await fsck(broken, { mode: 'repair' });
    t.equal(report.exitStatus, 0, 'repaired');
    t.same(look(broken).bad, [], 'with right hashes');
    t.equal(look(broken).fs.fs_flags, before.fs_flags, 'and as before');
    t.ok(look(broken).fs.fs_mtime > start.fs_mtime, 'the soft-updates journal is still not valid');
    const mended = await rw(broken);
    t.same(mended.log, [], 'and may be written again');
    t.equal((await mended.sys.stat(`${V}/d0/f1`)).st_size, 70_000);
    await mended.close();
    await sound(t, broken, 'repaired');
  });
}

t.test('directories tell how deep they lie (FreeBSD 14), where that is known', async (t) => {
  for (const geometry of [{}, { format: 1 }, { endian: 'big' }] as NewfsVolumeOptions[]) {
    const dev = await freebsd({}, geometry);
    const { sys, close } = await rw(dev);
    for (const dir of ['a', 'a/b', 'a/b/c', 'd', 'd/old']) await sys.mkdir(`${V}/${dir}`, 0o755);
    await put(sys, `${V}/a/file`, pattern(10, 1));
    const inos = new Map<string, number>();
    for (const file of ['a', 'a/b', 'a/b/c', 'd', 'd/old', 'a/file']) {
      inos.set(file, Number((await sys.stat(`${V}/${file}`)).st_ino));
    }
    await sys.sync();
    const depth = (name: string, image = bytesOf(dev)): number => {
      const fs = superblock(image);
      const at = fs.fsbtob(fs.ino_to_fsba(inos.get(name)!)) + fs.ino_to_bo(inos.get(name)!);
      return new DataView(image.buffer).getUint32(at + (fs.ufs2 ? 240 : 4), fs.le);
    };
    t.same(['a', 'a/b', 'a/b/c', 'd', 'a/file'].map((name) => depth(name)), [1, 2, 3, 1, 0]);
    await sys.rename(`${V}/a/b/c`, `${V}/d/c`);
    await sys.rename(`${V}/a/b`, `${V}/b`);
    await close();
    t.same([depth('a/b/c'), depth('a/b')], [2, 1], 'and move');
    t.same(look(dev).bad, []);
    // Made by a system that does not count.
    const image = bytesOf(dev);
    const fs = superblock(image);
    const at = fs.fsbtob(fs.ino_to_fsba(inos.get('d/old')!)) + fs.ino_to_bo(inos.get('d/old')!);
    new DataView(image.buffer).setUint32(at + (fs.ufs2 ? 240 : 4), 0, fs.le);
    rehashall(image);
    const older = disk(image);
    const vol = await rw(older);
    await vol.sys.mkdir(`${V}/d/old/new`, 0o755);
    inos.set('new', Number((await vol.sys.stat(`${V}/d/old/new`)).st_ino));
    await vol.sys.rename(`${V}/d/c`, `${V}/d/old/c`);
    await vol.close();
    t.same([depth('new', bytesOf(older)), depth('a/b/c', bytesOf(older))], [0, 0], 'unknown stays unknown');
    await sound(t, older, 'depths');
  }
  const plain = new MemoryDevice({ size_bytes: 8 * 2 ** 20 });
  await newfs(plain, { format: 2 });
  const vol = await rw(plain);
  await vol.sys.mkdir(`${V}/a`, 0o755);
  const ino = Number((await vol.sys.stat(`${V}/a`)).st_ino);
  await vol.close();
  const fs = superblock(bytesOf(plain));
  t.equal(
    new DataView(bytesOf(plain).buffer).getUint32(fs.fsbtob(fs.ino_to_fsba(ino)) + fs.ino_to_bo(ino) + 240, fs.le),
    0,
    'NetBSD has nothing there',
  );
});

t.test('access control lists and labels: shown, and nothing is written', async (t) => {
  for (const [flag, feature, why] of [
    [0x10, 'POSIX ACLs', /mounted read-only: it has access control lists or labels, which new files would lack/],
    [0x20, 'MAC labels', /mounted read-only: it has access control lists or labels, which new files would lack/],
    [0x100, 'NFSv4 ACLs', /mounted read-only: it has NFSv4 access control lists, which new files would lack/],
  ] as const) {
    for (const geometry of [{}, { format: 1 }] as NewfsVolumeOptions[]) {
      const dev = await freebsd({ flags: flag | FS_DOSOFTDEP }, geometry);
      const before = bytesOf(dev);
      const { features, dialect } = (await describe(dev)).facts;
      t.match({ features: features.join(), dialect }, { features: feature, dialect: 'freebsd' });
      const vol = await rw(dev);
      t.match(vol.log.join('\n'), why, feature);
      t.equal(vol.log.length, 1, 'one line');
      t.match(await failure(vol.sys.mkdir(`${V}/x`, 0o755)), /^EROFS/);
      t.same(await names(vol.sys, Buffer.from(V)), []);
      await vol.close();
      t.match(await failure(mountFfs(dev, 0, { 'force-rw': true })), /^EROFS: .*which new files would lack/);
      t.ok(Buffer.compare(bytesOf(dev), before) === 0, 'untouched');
    }
  }
});

t.test('the power goes at any write', async (t) => {
  const base = bytesOf(await freebsd({ flags: FS_DOSOFTDEP | FS_SUJ }));
  const dev = disk(base.slice());
  const writes: { at: number; bytes: Uint8Array }[] = [];
  const write = dev.write.bind(dev);
  dev.write = (from, from_offset, length, at) => {
    writes.push({ at, bytes: from.slice(from_offset, from_offset + length) });
    return write(from, from_offset, length, at);
  };
  const vol = await rw(dev);
  await work(vol.sys, true);
  const fd = await vol.sys.open(`${V}/d0/f1`, O_RDONLY);
  await vol.sys.fsync(fd);
  await vol.sys.close(fd);
  await put(vol.sys, `${V}/later`, pattern(5000, 2));
  await vol.sys.unlink(`${V}/d1/f1`);
  await vol.close();
  const image = base.slice();
  const step = Math.max(1, Math.floor(writes.length / 40));
  let wrong = 0;
  for (const [i, { at, bytes }] of writes.entries()) {
    image.set(bytes, at);
    if (i % step !== 0 || i === writes.length - 1) continue;
    const cut = disk(image.slice());
    if (badhashes(image).some((what) => !what.startsWith('group'))) wrong++;
    const state = superblock(image);
    if (state.fs_clean !== 0 || (state.fs_flags & FS_NEEDSFSCK) === 0 || state.fs_mtime <= superblock(base).fs_mtime) {
      wrong++;
    }
    const report = await fsck(cut, { mode: 'repair' });
    if (report.exitStatus !== 0 || look(cut).bad.length > 0 || !(await fsck(cut)).clean) wrong++;
  }
  t.equal(wrong, 0, `of ${Math.floor(writes.length / step)} cuts`);
});

t.test('times that no clock says', async (t) => {
  for (const mtime of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 33n]) {
    const image = bytesOf(await freebsd({ flags: FS_DOSOFTDEP }));
    new DataView(image.buffer).setBigInt64(65536 + 1208, mtime, true);
    rehashall(image);
    const dev = disk(image);
    const vol = await rw(dev);
    t.not(look(dev).fs.view.getBigInt64(1208, true), mtime, String(mtime));
    await put(vol.sys, `${V}/x`, pattern(10, 1));
    await vol.close();
    await sound(t, dev, String(mtime));
  }
});

t.test('SU+J that was not left in order', async (t) => {
  const cases: [string, (image: Uint8Array, view: DataView) => void, RegExp][] = [
    ['unclean', (image) => (image[65536 + 209] = 0), /soft-updates journal \(SU\+J\) may hold work/],
    ['orphans', (_image, view) => view.setInt32(65536 + 1216, 5, true), /removed files that its soft-updates journal/],
  ];
  for (const [what, change, why] of cases) {
    const image = bytesOf(await freebsd({ flags: FS_DOSOFTDEP | FS_SUJ }));
    change(image, new DataView(image.buffer));
    rehashall(image);
    const dev = disk(image);
    const vol = await rw(dev);
    t.match(vol.log.join('\n'), why, what);
    t.match(await failure(vol.sys.mkdir(`${V}/x`, 0o755)), /^EROFS/);
    await vol.close();
    const mtime = superblock(image).fs_mtime;
    t.equal((await fsck(dev, { mode: 'repair' })).exitStatus, 0);
    t.match(look(dev), { bad: [], fs: { fs_clean: 1, fs_sujfree: 0 } }, 'a full check makes it good');
    t.ok(look(dev).fs.fs_mtime > mtime, 'and the journal worthless');
  }
});

t.test('hashes that do not fit', async (t) => {
  const dev = await freebsd();
  const vol = await rw(dev);
  await put(vol.sys, `${V}/good`, pattern(100, 1));
  await put(vol.sys, `${V}/bad`, pattern(100, 2));
  await vol.sys.mkdir(`${V}/dir`, 0o755);
  const ino = Number((await vol.sys.stat(`${V}/bad`)).st_ino);
  const dirino = Number((await vol.sys.stat(`${V}/dir`)).st_ino);
  await vol.close();
  const image = bytesOf(dev);
  const fs = superblock(image);

  t.test('inode', async (t) => {
    const hurt = image.slice();
    hurt[fs.fsbtob(fs.ino_to_fsba(ino)) + fs.ino_to_bo(ino) + 18]! ^= 1; // di_size
    const vol = await rw(disk(hurt));
    t.match(await failure(vol.sys.stat(`${V}/bad`)), /^EIO: .*inode [0-9]+: its check hash does not fit it/);
    t.equal((await vol.sys.stat(`${V}/good`)).st_size, 100, 'its neighbour is read');
    t.match(vol.log.join('\n'), /check hash/, 'told');
    await vol.close();
    const dev = disk(hurt);
    t.match((await fsck(dev)).problems.map((p) => p.code), ['INODE_CKHASH'], 'the checker sees it');
    await fsck(dev, { mode: 'repair' });
    t.same(look(dev).bad, []);
  });

  t.test('group', async (t) => {
    const hurt = image.slice();
    const c = fs.ino_to_cg(dirino);
    hurt[fs.fsbtob(fs.cgtod(c)) + 40]! ^= 1; // cg_rotor
    const dev = disk(hurt);
    const vol = await rw(dev);
    t.equal((await vol.sys.stat(`${V}/good`)).st_size, 100, 'reading does not need it');
    t.match(
      await failure(put(vol.sys, `${V}/dir/x`, pattern(10, 1))),
      new RegExp(`^EIO: .*cylinder group ${c} .*its check hash does not fit it`),
    );
    t.match(vol.log.join('\n'), /check hash/, 'told');
    await vol.close();
    t.equal(look(dev).fs.fs_clean, 0, 'not marked clean');
    const report = await fsck(disk(hurt));
    t.match(report.problems.map((p) => p.code).join(), /CG_CKHASH/, 'the checker sees it');
    await fsck(dev, { mode: 'repair' });
    t.same(look(dev).bad, []);
    t.equal(look(dev).fs.fs_clean, 1);
  });

  t.test('superblock', async (t) => {
    const hurt = image.slice();
    hurt[65536 + 680] = 0x41; // fs_volname
    const dev = disk(hurt);
    const vol = await rw(dev);
    t.match(vol.log.join('\n'), /mounted read-only: the check hash of its superblock is wrong; run fsck/);
    t.equal((await vol.sys.stat(`${V}/good`)).st_size, 100, 'read');
    await vol.close();
    t.match((await fsck(dev)).problems.map((p) => p.code), ['SB_CKHASH']);
    await fsck(dev, { mode: 'repair' });
    t.same(look(dev).bad, []);
  });

  t.test('not kept by the last system', async (t) => {
    const hurt = image.slice();
    const view = new DataView(hurt.buffer);
    view.setUint32(65536 + 1312, view.getUint32(65536 + 1312, true) & ~FS_METACKHASH, true);
    hurt[fs.fsbtob(fs.ino_to_fsba(ino)) + fs.ino_to_bo(ino) + 244]! ^= 1;
    const dev = disk(hurt);
    const vol = await rw(dev);
    t.same(vol.log, []);
    t.equal((await vol.sys.stat(`${V}/bad`)).st_size, 100, 'a stale hash is none');
    await vol.close();
    t.equal(look(dev).fs.fs_metackhash, 0, 'and is not to be believed later either');
  });
});

/**
 * Volumes of a real FreeBSD, in a folder that RUMPFUSE_FOREIGN_IMAGES names (they are not part of the project):
 * ufs-little.img.zst and ufs-big.img.zst of the fuse-ufs project.
 */
const FOREIGN = process.env.RUMPFUSE_FOREIGN_IMAGES ?? '';

for (const name of FOREIGN === '' ? [] : ['ufs-little', 'ufs-big']) {
  const file = path.join(FOREIGN, `${name}.img.zst`);
  t.test(`of FreeBSD 14: ${name}`, async (t) => {
    const run = spawnSync('zstd', ['-dcq'], { input: readFileSync(file), maxBuffer: 2 ** 26 });
    const dev = disk(new Uint8Array(run.stdout));
    t.same(look(dev).bad, [], 'FreeBSD computes the hashes as we do');
    const report = await fsck(dev);
    t.ok(report.clean, 'the checker finds nothing');
    const vol = await rw(dev);
    t.same(vol.log, []);
    const { sys } = vol;
    t.same((await names(sys, Buffer.from(V))).sort(), [
      '.snap',
      'dir1',
      'file1',
      'file3',
      'link1',
      'long-link',
      'sparse',
      'sparse2',
      'sparse3',
      'xattrs',
      'xattrs2',
      'xattrs3',
    ]);
    const content = async (file: string): Promise<Buffer> => {
      const fd = await sys.open(`${V}/${file}`, O_RDONLY);
      const bytes = new Uint8Array((await sys.fstat(fd)).st_size);
      await sys.pread(fd, bytes, 0);
      await sys.close(fd);
      return Buffer.from(bytes);
    };
    t.equal((await content('file1')).toString(), 'This is a simple file.\n');
    t.equal((await content('dir1/dir2/dir3/file2')).toString(), 'Hello World\n');
    let lines = '';
    for (let i = 0; i < 65536; i++) lines += `${i.toString(16).padStart(15, '0')}\n`;
    t.equal(
      createHash('sha256')
        .update(await content('file3'))
        .digest('hex'),
      createHash('sha256').update(lines).digest('hex'),
      'file3',
    );
    t.equal(Buffer.from(await sys.readlink(`${V}/link1`)).toString(), 'dir1/dir2/dir3/file2');
    t.equal(Buffer.from(await sys.readlink(`${V}/long-link`)).toString(), `${'./'.repeat(508)}//file1`);
    // dd bs=4096: data from block `at` of 32 KiB on, all x.
    for (const [file, at, length] of [
      ['sparse', 12 + 4096, 8 * 4096],
      ['sparse2', 12 + 4096, 4096],
      ['sparse3', 12 + 4096 + 4096 * 4096, 8 * 4096],
    ] as const) {
      const fd = await sys.open(`${V}/${file}`, O_RDONLY);
      t.equal((await sys.fstat(fd)).st_size, at * 32768 + length, file);
      // dd made the file as long as the hole first, for which FreeBSD allocates a block at the end.
      t.equal(await sys.lseek(fd, 0, SEEK_DATA), (at - 1) * 32768, 'one hole up to the data');
      t.equal(await sys.lseek(fd, at * 32768, SEEK_HOLE), at * 32768 + length);
      const bytes = new Uint8Array(length);
      await sys.pread(fd, bytes, at * 32768);
      t.ok(bytes.every((byte) => byte === 0x78), 'all x');
      await sys.close(fd);
    }
    t.equal(Buffer.from(await sys.getxattr(`${V}/xattrs`, 'user.test')).toString(), 'testvalue');
    const attrs = await sys.extattr_list_file(`${V}/xattrs2`, EXTATTR_NAMESPACE_USER);
    t.equal(attrs.length, 2297, 'many attributes');
    t.equal(
      Buffer.from(await sys.extattr_get_file(`${V}/xattrs2`, EXTATTR_NAMESPACE_USER, 'attr2000')).toString(),
      'value2000',
    );
    t.equal(
      (await sys.extattr_get_file(`${V}/xattrs3`, EXTATTR_NAMESPACE_USER, 'big')).length,
      4000 * 16 - 1,
      'a large one',
    );
    await sys.mkdir(`${V}/ours`, 0o755);
    await put(sys, `${V}/ours/file`, pattern(50_000, 1));
    await sys.unlink(`${V}/file3`);
    await vol.close();
    t.same(look(dev).bad, [], 'what we wrote has right hashes');
    await sound(t, dev, 'after writing');
  });
}
