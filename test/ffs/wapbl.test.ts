import t from 'tap';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { FS_DOWAPBL, FS_ISCLEAN, FS_WASCLEAN } from '../../src/fs/ffs/disk/fs_const.js';
import { wapbl_place } from '../../src/fs/ffs/journal/header.js';
import { MNT_LOG, MNT_RDONLY, MNT_UPDATE, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import { disk, failure, fixture, fixtureManifest, has, manifest, mountFfs } from './volumes.js';
import { UFS2, journal, stopped, superblock } from './wapbl-support.js';
import { GEOMETRIES, V, checked, get, ls, newdisk, pattern, put, room, same, titleOf } from './write-support.js';

/** Journals that are replayed, made, filled, turned off and on, and removed. */

const skip = has('zstd') ? false : 'zstd is not installed';

t.setTimeout(0); // the runner has a limit of its own
for (const name of ['netbsd-ffs2-log-dirty', 'netbsd-ffs1-be-log-dirty']) {
  t.test(`${name}: replayed to the disk`, { skip }, async (t) => {
    for (const options of [{}, { log: true }, { nolog: true }, { log: 'remove' }] as Record<string, string | true>[]) {
      const what = JSON.stringify(options);
      const dev = disk(fixture(name).slice());
      const vol = await mountFfs(dev, 0, options);
      t.match(
        vol.log.join('\n'),
        /^info: .*journal replayed to the disk: \d+ records, \d+ sectors, 0 inodes to free$/,
        `${what}: log`,
      );
      t.equal(await manifest(vol.sys), fixtureManifest(name), `${what}: what NetBSD reads in it`);
      const flag = (await vol.sys.statvfs(V)).f_flag & MNT_LOG;
      t.equal(flag !== 0, !('nolog' in options) && options.log !== 'remove', `${what}: logs`);
      await put(vol.sys, `${V}/new`, pattern(30_000, 1));
      await vol.close();
      await checked(t, dev, what);
      const fs = await superblock(dev);
      t.equal(fs.fs_flags & FS_DOWAPBL, 0, `${what}: nothing to replay any more`);
      t.equal(fs.fs_journal_location, options.log === 'remove' ? 0 : 2, `${what}: where the journal is`);
      const again = await mountFfs(dev);
      t.ok(same(await get(again.sys, `${V}/new`), pattern(30_000, 1)), `${what}: written`);
      await again.close();
    }
  });

  t.test(`${name}: from read-only to read-write`, { skip }, async (t) => {
    const dev = disk(fixture(name).slice());
    const vol = await mountFfs(dev);
    t.equal(await manifest(vol.sys), fixtureManifest(name), 'from memory');
    await vol.sys.mount('ffs', V, MNT_UPDATE, {});
    t.match(vol.log.join('\n'), /replayed into memory.*\n.*replayed to the disk/, 'log');
    t.equal(await manifest(vol.sys), fixtureManifest(name), 'from the disk');
    await put(vol.sys, `${V}/new`, pattern(5000, 2));
    await vol.sys.mount('ffs', V, MNT_UPDATE | MNT_RDONLY, {});
    t.ok((await fsck(dev)).clean, 'clean while mounted read-only');
    await vol.sys.mount('ffs', V, MNT_UPDATE, {});
    await put(vol.sys, `${V}/newer`, pattern(6000, 3));
    await vol.close();
    await checked(t, dev, 'after all');
  });
}

for (const geometry of GEOMETRIES) {
  t.test(`${titleOf(geometry)}: a journal is made, filled many times, and left empty`, async (t) => {
    const dev = await newdisk(geometry, 32 * 2 ** 20);
    if (geometry.format === 0) {
      t.match(await failure(mountFfs(dev, 0, { log: true })), /^EINVAL: .*old layout/, 'no place in an old superblock');
      await checked(t, dev, 'untouched', geometry);
      return;
    }
    const vol = await mountFfs(dev, MNT_LOG);
    t.same(vol.log, [], 'nothing to say');
    const made = await journal(dev);
    t.equal(made.le, geometry.endian === 'little', "byte order of the volume's");
    t.ok(made.circ_size >= 2 ** 20 - 1024, `${made.circ_size} bytes`);
    let fs = await superblock(dev);
    t.equal(fs.fs_flags & FS_DOWAPBL, FS_DOWAPBL, 'to be replayed while it is mounted');
    t.equal(fs.fs_clean, FS_WASCLEAN, 'and in use');
    await vol.sys.mkdir(`${V}/d`, 0o755);
    const content = pattern(9000, 5);
    for (let i = 0; i < 150; i++) {
      const fd = await vol.sys.open(`${V}/d/f${i}`, O_RDWR | O_CREAT, 0o644);
      await vol.sys.write(fd, content);
      if (i % 3 === 0) await vol.sys.fsync(fd);
      await vol.sys.close(fd);
      if (i % 5 === 4) await vol.sys.rename(`${V}/d/f${i}`, `${V}/g${i}`);
      if (i % 7 === 6) await vol.sys.unlink(`${V}/d/f${i - 3}`).catch(() => undefined);
    }
    await vol.sys.sync();
    const cut = stopped(dev);
    const names = await ls(vol.sys, `${V}/d`);
    await vol.close();
    await checked(t, dev, 'unmounted', geometry);
    fs = await superblock(dev);
    t.equal(fs.fs_flags & FS_DOWAPBL, 0, 'nothing to replay');
    t.equal(fs.fs_clean, FS_ISCLEAN, 'clean');
    const end = await journal(dev);
    t.same([end.head, end.tail], [0, 0], 'empty');
    t.ok(end.generation > made.generation + 50, `${end.generation - made.generation} commits`);

    const memory = await mountFfs(stopped(cut));
    t.same(await ls(memory.sys, `${V}/d`), names, 'after a power cut, from memory');
    const seen = await manifest(memory.sys);
    await memory.close();
    const replayed = await mountFfs(cut, 0);
    t.equal(await manifest(replayed.sys), seen, 'and from the disk');
    await replayed.close();
    await checked(t, cut, 'after a power cut', geometry);
  });
}

t.test('the superblock asks for a journal, or to have it removed', async (t) => {
  const dev = await newdisk({ ...UFS2, log: 512 * 1024 });
  let fs = await superblock(dev);
  t.same([fs.fs_journal_location, fs.fs_journal_flags], [2, 1], 'asked for');
  t.ok((await fsck(dev)).clean, 'in order');
  let vol = await mountFfs(dev, 0, { nolog: true });
  t.equal((await vol.sys.statvfs(V)).f_flag & MNT_LOG, 0, 'nolog goes before');
  await vol.close();
  t.equal((await superblock(dev)).fs_journal_flags, 1, 'still asked for');
  vol = await mountFfs(dev, 0);
  t.not((await vol.sys.statvfs(V)).f_flag & MNT_LOG, 0, 'made');
  await put(vol.sys, `${V}/a`, pattern(1000, 1));
  await vol.close();
  await checked(t, dev, 'with a journal', UFS2);
  fs = await superblock(dev);
  t.equal(wapbl_place(fs, true, dev.size_bytes)!.bytes, 512 * 1024, 'as large as asked for');

  const flagged = new Uint8Array(4);
  new DataView(flagged.buffer).setUint32(0, 2, true);
  dev.write(flagged, 0, 4, fs.fs_sblockloc + 868);
  const before = await room(await mountFfs(stopped(dev)).then((v) => v.sys));
  vol = await mountFfs(dev, 0);
  t.equal((await vol.sys.statvfs(V)).f_flag & MNT_LOG, 0, 'removed');
  await put(vol.sys, `${V}/b`, pattern(1000, 1));
  await vol.close();
  fs = await superblock(dev);
  t.same(
    [fs.fs_journal_version, fs.fs_journal_location, fs.fs_journal_flags, ...fs.fs_journallocs],
    [0, 0, 0, 0n, 0n, 0n, 0n],
    'no trace',
  );
  const after = await mountFfs(dev);
  t.ok(Number((await room(after.sys)).split(' ')[0]) > Number(before.split(' ')[0]) + 500, 'its blocks are free');
  await after.close();
  await checked(t, dev, 'without a journal', UFS2);
});

t.test('options', async (t) => {
  const dev = await newdisk(UFS2, 16 * 2 ** 20);
  const wrong: [Record<string, string | true>, RegExp][] = [
    [{ log: 'huge' }, /size in bytes/], [{ log: '12' }, /a journal of this volume has \d+\.\./],
    [{ log: '999m' }, /a journal of this volume/], [{ log: true, nolog: true }, /does not go with log/],
    [{ nolog: 'x' }, /no value/], [{ 'log-endian': 'middle' }, /little or big/],
    [{ log: true, dialect: 'freebsd' }, /only NetBSD/],
  ];
  for (const [options, why] of wrong) {
    const said = await failure(mountFfs(dev, 0, options));
    t.match(said, /^EINVAL/, JSON.stringify(options));
    t.match(said, why, 'and why');
  }
  t.match(await failure(mountFfs(dev, 0, { log: '15m' })), /^ENOSPC: .*one piece/, 'larger than what is free');
  t.ok((await fsck(dev)).clean, 'as clean as before');
  let vol = await mountFfs(dev, 0, { log: '700k', 'log-endian': 'big' });
  await put(vol.sys, `${V}/a`, pattern(10_000, 1));
  t.equal((await journal(dev)).le, false, 'byte order as asked for');
  await vol.sys.mount('ffs', V, MNT_UPDATE, { options: new Map([['nolog', true]]) });
  await put(vol.sys, `${V}/b`, pattern(10_000, 2));
  t.equal((await superblock(dev)).fs_flags & FS_DOWAPBL, 0, 'off while mounted');
  await vol.sys.mount('ffs', V, MNT_UPDATE, { options: new Map([['log', true]]) });
  await put(vol.sys, `${V}/c`, pattern(10_000, 3));
  t.equal((await superblock(dev)).fs_flags & FS_DOWAPBL, FS_DOWAPBL, 'and on again');
  await vol.sys.sync();
  const cut = stopped(dev);
  await vol.close();
  await checked(t, dev, 'unmounted', UFS2);
  vol = await mountFfs(cut);
  t.same(await ls(vol.sys, V), ['a', 'b', 'c'], 'a journal of the other byte order is replayed');
  await vol.close();
});
