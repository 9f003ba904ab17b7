import t from 'tap';
import { FaultDevice } from '../../testing/devices/fault.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { wapbl_replay } from '../../src/fs/ffs/journal/replay.js';
import { WapblRing } from '../../src/fs/ffs/journal/ring.js';
import { E } from '../../src/kernel/errno.js';
import { MNT_LOG, MNT_RDONLY, MNT_UPDATE, O_RDONLY, O_RDWR } from '../../src/kernel/fcntl.js';
import { CutDisks } from '../../testing/powercut/examine.js';
import { failure, mountFfs } from './volumes.js';
import { UFS2, journal, stopped, superblock } from './wapbl-support.js';
import { V, bytesOf, checked, get, ls, newdisk, pattern, put, room, same } from './write-support.js';

/**
 * The journal when things are difficult: open files without names, large operations, failing disks, damage, bad
 * locators.
 */

t.setTimeout(0); // the runner has a limit of its own
t.test('files without a name when the power goes', async (t) => {
  const dev = await newdisk(UFS2, 24 * 2 ** 20);
  let vol = await mountFfs(dev, 0, { log: true });
  const empty = await room(vol.sys);
  const fds: number[] = [];
  for (let i = 0; i < 100; i++) {
    await put(vol.sys, `${V}/f${i}`, pattern(i === 0 ? 600_000 : 3000, i));
    fds.push(await vol.sys.open(`${V}/f${i}`, O_RDWR));
    await vol.sys.unlink(`${V}/f${i}`);
  }
  await vol.sys.sync();
  const log = await journal(dev);
  t.equal(
    (await wapbl_replay(dev, log)).inodes.length,
    100,
    'all of them are in the list, which is longer than a record',
  );
  // So many commits that the ring goes round.
  for (let i = 0; i < 60; i++) {
    await put(vol.sys, `${V}/x`, pattern(100, i));
    const fd = await vol.sys.open(`${V}/x`, O_RDONLY);
    await vol.sys.fsync(fd);
    await vol.sys.close(fd);
  }
  const cut = stopped(dev);
  for (const fd of fds.slice(50)) await vol.sys.close(fd);
  await vol.sys.sync();
  const later = stopped(dev);
  for (const fd of fds.slice(0, 50)) await vol.sys.close(fd);
  await vol.sys.unlink(`${V}/x`);
  await vol.sys.sync();
  t.equal(await room(vol.sys), empty, 'all room is back');
  await vol.close();
  await checked(t, dev, 'unmounted', UFS2);
  vol = await mountFfs(cut.clone());
  await vol.sys.mount('ffs', V, MNT_UPDATE, {});
  await vol.sys.unlink(`${V}/x`);
  await vol.sys.sync();
  t.equal(await room(vol.sys), empty, 'also when a read-only mount becomes a read-write one');
  t.not((await vol.sys.statvfs(V)).f_flag & MNT_LOG, 0, 'which then logs');
  await vol.close();
  for (const [what, image, left, options] of [
    ['all open', cut, 100, {}],
    ['half of them open', later, 50, {}],
    ['all open, mounted without log', cut.clone(), 100, { nolog: true }],
  ] as const) {
    vol = await mountFfs(image, 0, options);
    t.match(vol.log.join('\n'), new RegExp(`${left} inodes to free$`), `${what}: log`);
    await vol.sys.unlink(`${V}/x`);
    await vol.sys.sync();
    t.equal(await room(vol.sys), empty, `${what}: all room is back`);
    await vol.close();
    await checked(t, image, what, UFS2);
  }
});

t.test('the list of files without a name is in every journal that could be replayed', async (t) => {
  const memory = await newdisk(UFS2, 16 * 2 ** 20);
  const dev = new FaultDevice(memory, { record: true });
  const vol = await mountFfs(dev, 0, { log: '420k' });
  for (let i = 0; i < 90; i++) {
    await put(vol.sys, `${V}/f${i}`, pattern(3000, i));
    await vol.sys.open(`${V}/f${i}`, O_RDWR);
    await vol.sys.unlink(`${V}/f${i}`);
  }
  await vol.sys.sync();
  const before = bytesOf(memory);
  const from = dev.events.length;
  // A journal that is too small for what is changed, so that it is emptied in between.
  for (let i = 0; i < 12; i++) {
    await vol.sys.mkdir(`${V}/d${i}`, 0o755);
    for (let k = 0; k < 12; k++) await put(vol.sys, `${V}/d${i}/f${k}`, pattern(100, i));
  }
  await vol.sys.sync();
  const events = dev.events.slice(from);
  const disks = new CutDisks(before, events);
  let lost = 0;
  for (let at = 0; at <= events.length; at++) {
    if (at > 0 && events[at - 1]!.op !== 'flush') continue;
    const disk = disks.after({ events: at });
    const after = await mountFfs(disk, 0);
    if (!/ 90 inodes to free/.test(after.log.join())) lost++;
    await after.close();
    if (!(await fsck(disk)).clean) lost++;
  }
  t.equal(lost, 0, `${events.filter((e) => e.op === 'flush').length} moments`);
  for (let fd = 0; fd < 200; fd++) await vol.sys.close(fd).catch(() => undefined);
  await vol.close();
  await checked(t, memory, 'unmounted', UFS2);
});

t.test('a power cut while a replay frees inodes', async (t) => {
  const dev = await newdisk(UFS2, 24 * 2 ** 20);
  const vol = await mountFfs(dev, 0, { log: true });
  const empty = await room(vol.sys);
  for (let i = 0; i < 20; i++) {
    await put(vol.sys, `${V}/f${i}`, pattern(i % 5 === 0 ? 300_000 : 3000, i));
    await vol.sys.open(`${V}/f${i}`, O_RDWR);
    await vol.sys.unlink(`${V}/f${i}`);
  }
  await vol.sys.sync();
  const cut = stopped(dev);
  for (const options of [{}, { nolog: true }] as Record<string, string | true>[]) {
    const recorder = new FaultDevice(cut.clone(), { record: true });
    await (await mountFfs(recorder, 0, options)).close();
    let bad = 0;
    for (let n = 0; n <= recorder.events.length; n++) {
      const half = cut.clone();
      for (const event of recorder.events.slice(0, n))
        if (event.op === 'write') {
          half.write(event.bytes, 0, event.bytes.length, event.offset_bytes);
        }
      const again = await mountFfs(half, 0, options);
      // Once the journal is off, a volume in use asks for the checker as any other does.
      const unclean = again.log.some((l) => l.includes('not cleanly unmounted'));
      if (unclean !== ('nolog' in options && unclean)) bad++;
      if ((await room(again.sys)) !== empty) bad++;
      await again.close();
      const report = await fsck(half);
      if (!(unclean ? report.consistent : report.clean)) bad++;
    }
    t.equal(bad, 0, `${recorder.events.length} moments, ${JSON.stringify(options)}`);
  }
});

t.test('operations larger than the journal', async (t) => {
  // Groups of 512 blocks: a large file has blocks in all of them.
  const geometry = {
    format: 2,
    endian: 'little',
    blockSize: 4096,
    fragSize: 4096,
    maxFragsPerGroup: 512,
    maxbpg: 16,
  } as const;
  const dev = await newdisk(geometry, 64 * 2 ** 20);
  let vol = await mountFfs(dev, 0, { log: '256k' });
  const { sys } = vol;
  const empty = await room(sys);
  const big = pattern(40 * 2 ** 20, 1);
  await put(sys, `${V}/big`, big);
  t.ok(same(await get(sys, `${V}/big`), big), 'written');
  const fd = await sys.open(`${V}/big`, O_RDWR);
  await sys.fdiscard(fd, 1_000_000, 20 * 2 ** 20);
  big.fill(0, 1_000_000, 1_000_000 + 20 * 2 ** 20);
  t.ok(same(await get(sys, `${V}/big`), big), 'punched');
  await sys.posix_fallocate(fd, 2_000_000, 10 * 2 ** 20);
  t.ok(same(await get(sys, `${V}/big`), big), 'allocated');
  t.match(await failure(sys.posix_fallocate(fd, 40 * 2 ** 20, 100 * 2 ** 20)), /^ENOSPC/, 'no room');
  t.equal((await sys.fstat(fd)).st_size, big.length, 'the size is as before');
  await sys.ftruncate(fd, 17 * 2 ** 20 + 5);
  t.ok(same(await get(sys, `${V}/big`), big.subarray(0, 17 * 2 ** 20 + 5)), 'cut');
  await sys.unlink(`${V}/big`);
  await sys.sync();
  const cut = stopped(dev);
  await sys.close(fd);
  t.not(await room(sys), '', 'freed');
  await sys.sync();
  t.equal(await room(sys), empty, 'all room is back');
  await vol.close();
  await checked(t, dev, 'unmounted', geometry);
  vol = await mountFfs(cut, 0);
  t.equal(await room(vol.sys), empty, 'and after a power cut');
  await vol.close();
  await checked(t, cut, 'after a power cut', geometry);

  const many = await mountFfs(dev, 0);
  for (let i = 0; i < 1500; i++) await put(many.sys, `${V}/${'name'.repeat(30)}${i}`, pattern(10, i));
  for (let i = 0; i < 1500; i++) await many.sys.chmod(`${V}/${'name'.repeat(30)}${i}`, 0o600);
  for (let i = 0; i < 1500; i++) await many.sys.unlink(`${V}/${'name'.repeat(30)}${i}`);
  await put(many.sys, `${V}/last`, pattern(10, 1));
  await many.close();
  await checked(t, dev, 'many names', geometry);
});

t.test('blocks that were metadata are used for data', async (t) => {
  const dev = await newdisk(UFS2, 5 * 2 ** 20);
  const vol = await mountFfs(dev, 0, { log: '1m' });
  const { sys } = vol;
  // A large directory and indirect blocks, in the journal.
  await sys.mkdir(`${V}/d`, 0o755);
  await put(sys, `${V}/one`, pattern(10, 1));
  for (let i = 0; i < 500; i++) await sys.link(`${V}/one`, `${V}/d/${'n'.repeat(70)}${i}`);
  for (let i = 0; i < 8; i++) await put(sys, `${V}/large${i}`, pattern(14 * 8192, i));
  await sys.sync();
  const logged = (await wapbl_replay(dev, await journal(dev))).sectors.size;
  for (let i = 0; i < 500; i++) await sys.unlink(`${V}/d/${'n'.repeat(70)}${i}`);
  await sys.rmdir(`${V}/d`);
  for (let i = 0; i < 8; i++) await sys.unlink(`${V}/large${i}`);
  await sys.sync();
  const left = (await wapbl_replay(dev, await journal(dev))).sectors.size;
  t.ok(left < logged, `${logged} sectors in the journal, ${left} after what was freed has been revoked`);
  // Every free block becomes data.
  const files: number[] = [];
  for (let i = 0; ; i++) {
    try {
      await put(sys, `${V}/f${i}`, pattern(8192 * 5, 100 + i));
      files.push(i);
    } catch {
      break;
    }
  }
  await sys.sync();
  const cut = stopped(dev);
  await vol.close();
  await checked(t, dev, 'unmounted', UFS2);
  for (const flags of [MNT_RDONLY, 0]) {
    const after = await mountFfs(cut, flags);
    let wrong = 0;
    for (const i of files) if (!same(await get(after.sys, `${V}/f${i}`), pattern(8192 * 5, 100 + i))) wrong++;
    t.equal(wrong, 0, `${files.length} files are whole after a replay ${flags === 0 ? 'to the disk' : 'into memory'}`);
    await after.close();
  }
  await checked(t, cut, 'after a power cut', UFS2);
});

t.test('blocks are used again only when the disk knows that they are free', async (t) => {
  const memory = await newdisk(UFS2, 5 * 2 ** 20);
  let vol = await mountFfs(memory, 0, { log: '1m' });
  const old = pattern(2 ** 20, 1);
  await put(vol.sys, `${V}/old`, old);
  await put(vol.sys, `${V}/cut`, old);
  await vol.close();
  const before = bytesOf(memory);
  const dev = new FaultDevice(memory, { record: true });
  vol = await mountFfs(dev, 0);
  await vol.sys.unlink(`${V}/old`);
  await vol.sys.truncate(`${V}/cut`, 40 * 8192); // within a block the old bytes go at once
  for (let i = 0; i < 200; i++) {
    try {
      await put(vol.sys, `${V}/f${i}`, pattern(40_000, i));
    } catch {
      break;
    }
  }
  const { events } = dev;
  const disks = new CutDisks(before, events);
  let wrong = 0;
  let gone = 0;
  for (let at = 0; at <= events.length; at++) {
    const after = await mountFfs(disks.after({ events: at }));
    for (const name of await ls(after.sys, V)) {
      if (name !== 'old' && name !== 'cut') continue;
      const content = await get(after.sys, `${V}/${name}`);
      if (!same(content, old.subarray(0, content.length))) wrong++;
    }
    if (!(await ls(after.sys, V)).includes('old')) gone++;
    await after.close();
  }
  t.equal(wrong, 0, `the old files are whole as long as they are there: ${events.length} moments, removed in ${gone}`);
  t.ok(gone > 0, 'they went in the end');
  await vol.close();
});

t.test('a disk that fails', async (t) => {
  for (const failing of ['write', 'flush'] as const) {
    let bad = '';
    for (let n = 0; n < 60; n += 3) {
      const memory = await newdisk(UFS2, 16 * 2 ** 20);
      const dev = new FaultDevice(memory);
      const vol = await mountFfs(dev, 0, { log: '400k' });
      const { sys } = vol;
      await put(sys, `${V}/safe`, pattern(20_000, 1));
      await sys.sync();
      const first = dev.operations + n;
      // Three writes fail, and the disk then works again; a barrier that fails is the end until the next mount.
      let failures = 0;
      dev.fault = (op, number) =>
        op === failing && number >= first && failures < (failing === 'write' ? 3 : 1)
          ? (failures++, { errno: E.EIO })
          : undefined;
      let errors = 0;
      const kept = ['safe'];
      for (let i = 0; i < 12; i++) {
        try {
          await put(sys, `${V}/f${i}`, pattern(5000, i));
          const fd = await sys.open(`${V}/f${i}`, O_RDONLY);
          try {
            await sys.fsync(fd);
            kept.push(`f${i}`);
          } finally {
            await sys.close(fd);
          }
        } catch {
          errors++;
        }
      }
      dev.fault = undefined;
      if (failing === 'write') await sys.sync();
      const cut = stopped(memory);
      const ended = await failure(vol.kernel.halt());
      if (failures > 0 && errors === 0) bad += `${n}: nobody was told; `;
      if (failing === 'write' && (ended !== '' || !(await fsck(memory)).clean)) bad += `${n}: not clean (${ended}); `;
      for (const disk of [memory, cut]) {
        const after = await mountFfs(disk, 0);
        const names = await ls(after.sys, V);
        if (
          kept.some((name) => !names.includes(name)) ||
          !same(await get(after.sys, `${V}/safe`), pattern(20_000, 1))
        ) {
          bad += `${n}: files are missing; `;
        }
        await after.close();
        if (!(await fsck(disk)).clean) bad += `${n}: not clean after a replay; `;
      }
    }
    t.equal(bad, '', `${failing}s fail`);
  }
});

t.test('a damaged volume ends with the last good commit and a mark', async (t) => {
  const dev = await newdisk(UFS2, 16 * 2 ** 20);
  let vol = await mountFfs(dev, 0, { log: '400k' });
  await put(vol.sys, `${V}/good`, pattern(20_000, 1));
  await vol.sys.sync();
  const fs = await superblock(dev);
  // The free map of every group now says that what is used is free: noticed when the file is removed.
  await vol.close();
  const groups = new Uint8Array(fs.cgbytes);
  for (let c = 0; c < fs.fs_ncg; c++) {
    const at = fs.fsbtob(fs.cgtod(c));
    dev.read(groups, 0, groups.length, at);
    const view = new DataView(groups.buffer);
    groups.fill(0xff, view.getUint32(96, true), view.getUint32(96, true) + Math.floor(fs.fs_fpg / 8));
    dev.write(groups, 0, groups.length, at);
  }
  vol = await mountFfs(dev, 0);
  await vol.sys.mkdir(`${V}/d`, 0o755).catch(() => undefined);
  await vol.sys.unlink(`${V}/good`);
  const fd = await vol.sys.open(V, O_RDONLY);
  t.match(await failure(vol.sys.fsync(fd)), /^EIO/, 'noticed');
  await vol.sys.close(fd);
  t.match(await failure(vol.sys.mkdir(`${V}/e`, 0o755)), /^EIO/, 'no further changes');
  await vol.kernel.halt().catch(() => undefined);
  const after = await mountFfs(dev, 0);
  t.match(after.log.join('\n'), /read-only: it was not cleanly unmounted/, 'asks for a check');
  t.ok((await ls(after.sys, V)).includes('good'), 'what was not committed has not happened');
  await after.close();
});

t.test('a locator that is not ours is never written to', async (t) => {
  const dev = await newdisk(UFS2, 16 * 2 ** 20);
  let vol = await mountFfs(dev, 0, { log: '400k' });
  await put(vol.sys, `${V}/file`, pattern(100_000, 7));
  await vol.close();
  const fs = await superblock(dev);
  const cases: [string, (view: DataView) => void][] = [
    ['another place', (v) => v.setBigUint64(872, v.getBigUint64(872, true) - 16n, true)],
    ['longer than its inode', (v) => v.setBigUint64(880, v.getBigUint64(880, true) + 16n, true)],
    ['another inode', (v) => v.setBigUint64(896, 4n, true)],
    ['no inode', (v) => v.setBigUint64(896, 99999n, true)],
    ['the root directory', (v) => v.setBigUint64(896, 2n, true)],
    ['at the end of the partition', (v) => v.setUint8(865, 1)],
  ];
  for (const [what, change] of cases) {
    const image = stopped(dev);
    const bytes = new Uint8Array(8192);
    image.read(bytes, 0, 8192, fs.fs_sblockloc);
    change(new DataView(bytes.buffer));
    image.write(bytes, 0, 8192, fs.fs_sblockloc);
    vol = await mountFfs(image, 0);
    t.match(vol.log.join('\n'), /not journalled: the journal cannot be used/, what);
    t.equal((await vol.sys.statvfs(V)).f_flag & MNT_LOG, 0, 'does not log');
    await put(vol.sys, `${V}/more`, pattern(1000, 1));
    t.ok(same(await get(vol.sys, `${V}/file`), pattern(100_000, 7)), 'nothing is overwritten');
    await vol.close();
    t.match(
      await failure(mountFfs(image, 0, { log: true })),
      /^EINVAL: .*the journal cannot be used/,
      'not even when asked to',
    );
  }
});

t.test('a list of inodes that is not to be believed', async (t) => {
  const dev = await newdisk(UFS2, 16 * 2 ** 20);
  const vol = await mountFfs(dev, 0, { log: '400k' });
  await put(vol.sys, `${V}/file`, pattern(100_000, 7));
  const { st_ino } = await vol.sys.stat(`${V}/file`);
  await vol.sys.sync();
  const log = await journal(dev);
  const ring = new WapblRing(dev, log.place, log.generation);
  ring.head = log.head;
  ring.tail = log.tail;
  const free = 100;
  const head = await ring.append([], {
    revoked: new Map(),
    inodes: new Map([
      [0, 0],
      [2, 0o40755],
      [Number(st_ino), 0o100644],
      [free, 0o100644],
      [0xffffffff, 0o100644],
    ]),
  });
  await ring.commit(head, log.tail, { sec: 1, nsec: 0 });
  const cut = stopped(dev);
  const after = await mountFfs(cut, 0);
  t.match(after.log.join('\n'), /5 inodes to free/);
  t.match(after.log.join('\n'), /inode 0 of the journal's list does not exist/);
  t.match(after.log.join('\n'), new RegExp(`inode ${st_ino} of the journal's list has 1 links and stays`));
  t.ok(same(await get(after.sys, `${V}/file`), pattern(100_000, 7)), 'a file with a name stays');
  await after.close();
  await checked(t, cut, 'after it', UFS2);
});
