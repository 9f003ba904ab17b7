import t from 'tap';
import type { Test } from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { ffs_evidence } from '../../src/fs/ffs/disk/dialect.js';
import { Fs } from '../../src/fs/ffs/disk/fs.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import type { NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import { S_IFBLK, S_IFCHR, major, makedev, minor } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { V, bytesOf, checked, pattern, put, rw } from './write-support.js';
import { disk, failure, manifest, mountFfs } from './volumes.js';

/** The bytes of a fresh volume, to be changed into another system's. */
async function volume(
  options: NewfsVolumeOptions,
  size_bytes = 8 * 2 ** 20,
): Promise<{ image: Uint8Array; view: DataView; fs: Fs; le: boolean }> {
  const dev = new MemoryDevice({ size_bytes });
  await newfs(dev, options);
  const image = bytesOf(dev);
  const fs = Fs.decode(image.subarray(8192, 16384), 8192)!;
  return { image, view: new DataView(image.buffer), fs, le: fs.le };
}

/** Offsets of the superblock and its copies. */
function superblocks(fs: Fs): number[] {
  const places = [8192];
  for (let c = 0; c < fs.fs_ncg; c++) places.push(fs.fsbtob(fs.cgsblock(c)));
  return places;
}

async function dialectOf(image: Uint8Array): Promise<string> {
  const dev = disk(image, true);
  return (await ffs_evidence(dev, await ffs_superblock_search(dev), undefined)).dialect;
}

async function work(sys: RumpSys): Promise<void> {
  for (let d = 0; d < 3; d++) {
    await sys.mkdir(`${V}/d${d}`, 0o755);
    for (let i = 0; i < 60; i++) {
      await put(sys, `${V}/d${d}/${'n'.repeat(1 + ((i * 7) % 50))}${i}`, pattern((i * 997) % 9000, i));
    }
  }
  for (let i = 0; i < 60; i += 2) await sys.unlink(`${V}/d1/${'n'.repeat(1 + ((i * 7) % 50))}${i}`);
  await put(sys, `${V}/large`, pattern(300_000, 3));
  await sys.link(`${V}/large`, `${V}/d0/second`);
  await sys.symlink('t'.repeat(200), `${V}/link`);
  await sys.symlink('short', `${V}/shortlink`);
  await sys.rename(`${V}/d2`, `${V}/d0/moved`);
  await sys.truncate(`${V}/large`, 100_001);
}

async function writesAndReads(t: Test, image: Uint8Array, what: string): Promise<void> {
  const dev = disk(image);
  const vol = await rw(dev);
  t.same(vol.log, [], 'mounted for writing');
  await work(vol.sys);
  const held = await manifest(vol.sys);
  await vol.close();
  await checked(t, dev, what);
  const again = await mountFfs(dev, MNT_RDONLY);
  t.equal(await manifest(again.sys), held, 'reads what was written');
  await again.close();
}

/** Into the layout of 4.2BSD: groups with fixed places for their maps, and tables of rotational positions. */
async function v42(endian: 'little' | 'big', format: 0 | 1 = 0): Promise<Uint8Array> {
  const { image, view, fs, le } = await volume({ format, endian, blockSize: 4096, fragSize: 1024, inodes: 2000 });
  const cpg = 16;
  const spc = (fs.fs_fpg * 2) / cpg;
  for (const sb of superblocks(fs)) {
    view.setInt32(sb + 1356, -1, le); // fs_postblformat
    view.setInt32(sb + 1360, 8, le); // fs_nrpos
    view.setInt32(sb + 1316, 0, le); // fs_contigsumsize
    view.setInt32(sb + 160, 2048, le); // fs_cgsize
    for (const [at, value] of [
      [132, spc / 8],
      [164, 8],
      [168, spc / 8],
      [172, spc],
      [176, Math.ceil((fs.fs_size * 2) / spc)],
      [180, cpg],
    ]) {
      view.setInt32(sb + at!, value!, le);
    }
  }
  for (let c = 0; c < fs.fs_ncg; c++) {
    const at = fs.fsbtob(fs.cgtod(c));
    const old = image.slice(at, at + 4096);
    const oldview = new DataView(old.buffer);
    const iused = oldview.getUint32(92, le);
    const free = oldview.getUint32(96, le);
    image.fill(0, at + 84, at + 4096);
    image.set(old.subarray(iused, iused + Math.ceil(fs.fs_ipg / 8)), at + 724);
    image.set(old.subarray(free, free + Math.ceil(fs.fs_fpg / 8)), at + 984);
    view.setInt32(at + 4, 0, le);
    view.setInt32(at + 980, 0x90255, le);
    view.setInt16(at + 16, cpg, le);
  }
  // The tables of rotational positions.
  const dev = disk(image);
  await fsck(dev, { mode: 'repair' });
  return bytesOf(dev);
}

for (const endian of ['little', 'big'] as const) {
  t.test(`4.2BSD, ${endian}-endian`, async (t) => {
    const image = await v42(endian);
    t.equal(await dialectOf(image), '4.2bsd');
    await writesAndReads(t, image, '4.2BSD');
  });
}

for (const endian of ['little', 'big'] as const) {
  t.test(`groups of 4.2BSD under newer inodes, ${endian}-endian`, async (t) => {
    await writesAndReads(t, await v42(endian, 1), 'UFS1');
  });
}

for (const format of [0, 1] as const) {
  for (const [blockSize, fragSize] of [[4096, 512], [8192, 1024]] as const) {
    for (const all of [false, true]) {
      t.test(
        `ffs${format} ${blockSize}/${fragSize}: ${all ? 'every superblock claims' : 'the superblock claims'} groups ` +
          'of 4.2BSD that would have no room for their map',
        async (t) => {
          const { image, view, fs, le } = await volume({ format, endian: 'big', blockSize, fragSize });
          for (const sb of all ? superblocks(fs) : [8192]) {
            view.setInt32(sb + 1356, -1, le); // fs_postblformat
            view.setUint8(sb + 211, view.getUint8(sb + 211) & 0x7f); // FS_FLAGS_UPDATED
          }
          const dev = disk(image);
          t.match(await failure(mountFfs(dev)), /^EFTYPE: .*fs_cgsize/);
          t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
          t.same((await fsck(dev)).problems, [], 'at once');
          await writesAndReads(t, bytesOf(dev), 'repaired and used');
        },
      );
    }
  }
}

/** A root directory of one chunk of 1 KiB. */
function longchunk(image: Uint8Array, view: DataView, fs: Fs): void {
  const inode = fs.fsbtob(fs.ino_to_fsba(2)) + fs.ino_to_bo(2);
  const root = fs.fsbtob(view.getInt32(inode + 40, fs.le));
  view.setUint32(inode + 12, 1024, fs.le);
  view.setUint16(root + 12 + 4, 1012, fs.le);
}

t.test('Apple UFS', async (t) => {
  const { image, view, fs } = await volume({ format: 1, endian: 'big', blockSize: 8192, fragSize: 1024, maxcontig: 1 });
  const label = 7168;
  view.setUint32(label, 0x4c41424c);
  view.setUint32(label + 8, 1); // ul_version
  view.setUint16(label + 16, 3);
  image.set(Buffer.from('Mac'), label + 18);
  let sum = 0;
  for (let i = 0; i < 1024; i += 2) sum += view.getUint16(label + i);
  sum = (sum >>> 16) + (sum & 0xffff);
  sum += sum >>> 16;
  view.setUint16(label + 4, ~sum & 0xffff);
  longchunk(image, view, fs);
  t.equal(await dialectOf(image), 'apple');
  await writesAndReads(t, image, 'Apple UFS');
});

t.test('NeXTSTEP', async (t) => {
  const { image, view, fs } = await volume({ format: 0, endian: 'big', blockSize: 8192, fragSize: 1024 });
  t.equal(await dialectOf(image), 'netbsd', 'chunks of 512 bytes are not NeXT\'s');
  longchunk(image, view, fs);
  t.equal(await dialectOf(image), 'next');
  const vol = await rw(disk(image));
  t.match(vol.log.join('\n'), /mounted read-only: it is a NeXTSTEP volume/);
  t.equal((await vol.sys.stat(V)).st_size, 1024);
  await vol.close();
  t.ok((await fsck(disk(image))).clean, 'the checker knows the chunks');
});

/** Into a volume as Solaris leaves it; `put` in it before, as 4.3BSD. */
async function sun(
  endian: 'little' | 'big',
  change: (image: Uint8Array, view: DataView, fs: Fs) => void = () => undefined,
): Promise<Uint8Array> {
  const made = await volume({ format: 0, endian, blockSize: 8192, fragSize: 1024 });
  const dev = disk(made.image);
  const vol = await rw(dev);
  await vol.sys.mkdir(`${V}/dir`, 0o750);
  await put(vol.sys, `${V}/dir/file`, pattern(20_000, 5));
  await vol.sys.symlink('dir/file', `${V}/link`);
  await put(vol.sys, `${V}/both`, pattern(10, 5));
  await vol.sys.mknod(`${V}/disk`, S_IFBLK | 0o600, makedev(1, 2));
  await vol.sys.chown(`${V}/dir/file`, 1000, 100);
  await vol.close();
  const image = bytesOf(dev);
  const { fs, le } = made;
  const view = new DataView(image.buffer);
  for (const sb of superblocks(fs)) {
    view.setInt32(sb + 1316, 0, le);
    view.setInt32(sb + 1320, 1, le); // fs_version
    view.setInt32(sb + 1324, 5000, le); // fs_logbno
    image.fill(0, sb + 1328, sb + 1356);
    view.setUint32(sb + 1340 + (le ? 0 : 4), fs.fs_bsize - 1, le);
    view.setUint32(sb + 1348 + (le ? 0 : 4), fs.fs_fsize - 1, le);
    view.setUint8(sb + 211, 1); // FSLARGEFILES
    view.setUint8(sb + 209, 0xfd); // FSLOG
    view.setInt32(sb + 4, 1, le); // fs_rolled
    view.setInt32(sb + (le ? 132 : 1336), 0x7c269d38 - view.getInt32(sb + 32, le), le);
  }
  change(image, view, fs);
  return image;
}

for (const endian of ['little', 'big'] as const) {
  t.test(`Solaris, ${endian}-endian`, async (t) => {
    const le = endian === 'little';
    const image = await sun(endian);
    t.equal(await dialectOf(image), 'solaris');
    const vol = await rw(disk(image));
    t.match(vol.log, [/mounted read-only: it is a Solaris volume, which is only read/]);
    t.equal(vol.log.length, 1, 'nothing else to say');
    const ino = Number((await vol.sys.stat(`${V}/dir/file`)).st_ino);
    const node = Number((await vol.sys.lstat(`${V}/disk`)).st_ino);
    t.match(await vol.sys.stat(`${V}/dir/file`), { st_size: 20_000, st_uid: 1000, st_gid: 100 });
    t.equal(Buffer.from(await vol.sys.readlink(`${V}/link`)).toString(), 'dir/file');
    await vol.close();

    const large = await sun(endian, (bytes, view, fs) => {
      const at = fs.fsbtob(fs.ino_to_fsba(ino)) + fs.ino_to_bo(ino);
      view.setUint16(at + 4, 0xffff, le); // UID_LONG
      view.setUint32(at + 116, 4_000_000_000, le);
      view.setUint32(at + 112, 7, le); // the inode of the access control list
      view.setUint32(at + 100, 0x4, le); // ic_flags
      view.setInt32(at + 20, 123_456, le); // microseconds
      const dev = fs.fsbtob(fs.ino_to_fsba(node)) + fs.ino_to_bo(node);
      view.setUint32(dev + 40, ((300 << 18) | 70_000) >>> 0, le);
      // A terabyte and more: another magic, the same layout.
      for (const sb of superblocks(fs)) view.setUint32(sb + 1372, 0x00decade, le);
      t.ok(bytes.length > 0);
    });
    t.equal(await dialectOf(large), 'solaris', 'MTB_UFS_MAGIC');
    const vol2 = await mountFfs(disk(large), MNT_RDONLY);
    t.match(
      await vol2.sys.stat(`${V}/dir/file`),
      { st_uid: 4_000_000_000, st_gid: 100, st_flags: 0, st_atimensec: 123_456_000 },
      'owners of 32 bits',
    );
    const { st_rdev } = await vol2.sys.lstat(`${V}/disk`);
    t.same([major(st_rdev), minor(st_rdev)], [300, 70_000], 'device numbers of 14 and 18 bits');
    t.same(vol2.log, []);
    await vol2.close();

    for (const [what, change, say] of [
      [
        'a log with something in it',
        (view: DataView, sb: number) => view.setInt32(sb + 4, 2, le),
        /its log may hold changes that are not shown/,
      ],
      [
        'in use when it stopped',
        (view: DataView, sb: number) => view.setUint8(sb + 209, 0),
        /not cleanly unmounted by Solaris/,
      ],
      [
        'a state that is not valid',
        (view: DataView, sb: number) => view.setInt32(sb + 32, 77, le),
        /not cleanly unmounted by Solaris/,
      ],
    ] as const) {
      const bad = await sun(endian, (_bytes, view) => change(view, 8192));
      const vol3 = await mountFfs(disk(bad), MNT_RDONLY);
      t.match(vol3.log.join('\n'), say, what);
      t.equal((await vol3.sys.stat(`${V}/both`)).st_size, 10, 'read all the same');
      t.match(await failure(vol3.sys.unlink(`${V}/both`)), /^EROFS/);
      await vol3.close();
    }
    t.match(
      await failure(mountFfs(disk(image), 0, { dialect: 'netbsd', 'force-rw': true })),
      /^EROFS: .*Solaris/,
      'no option makes it writable',
    );
    t.match(
      (await fsck(disk(image))).problems.map((p) => p.code),
      ['UNSUPPORTED'],
    );
  });
}

t.test('OpenBSD keeps flags and totals of FFS1 at the old places alone', async (t) => {
  const { image, view } = await volume({ format: 1 });
  view.setUint8(8192 + 211, 0x82); // FS_FLAGS_UPDATED, FS_DOSOFTDEP
  const dev = disk(image);
  const vol = await rw(dev);
  await work(vol.sys);
  await vol.sys.sync();
  const during = bytesOf(dev);
  t.equal(during[8192 + 211], 0x80, 'no soft updates while we write');
  t.equal(during[8192 + 209], 0, 'and not clean');
  await vol.close();
  const after = Fs.decode(bytesOf(dev).subarray(8192, 16384), 8192)!;
  t.equal(after.raw[211], 0x82, 'as before');
  t.equal(after.fs_old_cs_nbfree, after.fs_cstotal.cs_nbfree);
  await checked(t, dev, 'FFS1');
});

t.test('OpenBSD: FFS1 as its newfs makes it, and after its kernel has had it', async (t) => {
  for (const endian of ['little', 'big'] as const) {
    const { image, view, fs, le } = await volume({ format: 1, endian });
    // The wide fields without the flag for them, and the totals among them in the first superblock alone.
    for (const sb of superblocks(fs)) {
      image[sb + 211] = 0;
      view.setInt32(sb + 860, 0, le);
      if (sb !== 8192) image.fill(0, sb + 1008, sb + 1040);
    }
    // The number of cylinders is a multiple of those of a group, and the last group counts none.
    const last = fs.fsbtob(fs.cgtod(fs.fs_ncg - 1));
    view.setInt16(last + 16, 0, le);
    for (const sb of superblocks(fs)) view.setInt32(sb + 176, fs.fs_old_cpg * fs.fs_ncg, le);
    t.same((await fsck(disk(image))).problems, [], `${endian}: fresh`);
    t.equal(await dialectOf(image), 'openbsd');
    await writesAndReads(t, image, `${endian}: fresh`);
    // ffs1_compat_read: flags and the wide fields, in the first superblock alone.
    view.setInt32(8192 + 860, fs.fs_bsize, le);
    image[8192 + 211] = 0x80;
    const dev = disk(image);
    t.equal(await dialectOf(image), 'openbsd');
    t.same((await fsck(dev)).problems, [], `${endian}: mounted before`);
    t.match(await failure(mountFfs(disk(image), 0, { log: true })), /^EINVAL: .*only NetBSD reads this journal/);
    const vol = await rw(dev);
    t.same(vol.log, []);
    await work(vol.sys);
    await vol.close();
    const report = await fsck(dev);
    t.same([report.problems, report.clean], [[], true], `${endian}: written`);
    t.equal(new DataView(bytesOf(dev).buffer).getInt16(last + 16, le), 0, 'as OpenBSD counts');
  }
});

t.test('OpenBSD: FFS2', async (t) => {
  for (const endian of ['little', 'big'] as const) {
    const dev = new MemoryDevice({ size_bytes: 8 * 2 ** 20 });
    await newfs(dev, { format: 2, endian });
    const image = bytesOf(dev);
    t.equal(await dialectOf(image), 'netbsd');
    const fs = await ffs_superblock_search(dev);
    // fs_maxbsize
    for (const sb of [65536, ...superblocks(fs).slice(1)]) new DataView(image.buffer).setInt32(sb + 860, 0, fs.le);
    t.equal(await dialectOf(image), 'openbsd');
    await writesAndReads(t, image, endian);
    const vol = await rw(disk(image));
    await vol.sys.mknod(`${V}/tty`, S_IFCHR | 0o600, makedev(8, 300));
    t.equal((await vol.sys.stat(`${V}/tty`)).st_rdev, makedev(8, 300));
    await vol.close();
  }
});

t.test('quota files', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 8 * 2 ** 20 });
  await newfs(dev, { format: 2 });
  let vol = await rw(dev);
  await put(vol.sys, `${V}/quota.user`, new Uint8Array(0));
  await vol.close();
  vol = await rw(dev);
  t.same(vol.log, [], 'an empty one is not in use');
  await put(vol.sys, `${V}/quota.group`, new Uint8Array(64));
  await vol.close();
  vol = await rw(dev);
  t.match(
    vol.log.join('\n'),
    /mounted read-only: its quotas \(quota\.group\) would go wrong; mount with -o stale-quotas/,
  );
  t.match(await failure(vol.sys.mkdir(`${V}/x`, 0o755)), /^EROFS/);
  await vol.close();
  t.match(await failure(mountFfs(dev, 0, { 'force-rw': true })), /^EROFS: .*quotas/);
  vol = await mountFfs(dev, 0, { 'stale-quotas': true });
  t.same(vol.log, []);
  await vol.sys.unlink(`${V}/quota.group`);
  await vol.close();
  await checked(t, dev, 'quotas');
});
