import t from 'tap';
import { O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import {
  GEOMETRIES,
  V,
  checked,
  errnameOf,
  get,
  ls,
  newdisk,
  pattern,
  put,
  room,
  rw,
  same,
  titleOf,
} from './write-support.js';

/** In a directory of its own, for the root directory stays as large as it became. */
const D = `${V}/dir`;

/** A full volume says so, stays in order, and is as empty as before when all has gone again. */
for (const geometry of GEOMETRIES) {
  await t.test(titleOf(geometry), async (t) => {
    const dev = await newdisk(geometry, 8 * 2 ** 20);
    let vol = await rw(dev);
    let { sys } = vol;
    const before = await room(sys);

    // One file to the last block.
    const fd = await sys.open(`${V}/big`, O_RDWR | O_CREAT, 0o644);
    const piece = pattern(150_000, 4);
    let written = 0;
    let error = '';
    while (error === '') {
      error = await errnameOf(
        sys.write(fd, piece).then((n) => {
          written += n;
        }),
      );
    }
    t.equal(error, 'ENOSPC');
    t.equal((await sys.fstat(fd)).st_size, written, 'the size is what was written');
    t.equal((await sys.statvfs(V)).f_bfree < 64, true, `nearly nothing is free`);
    await sys.close(fd);
    t.equal(await errnameOf(put(sys, `${V}/one-more`, pattern(100_000, 1))), 'ENOSPC', 'nothing fits');
    if ((await ls(sys, V)).includes('one-more')) await sys.unlink(`${V}/one-more`);
    const all = await get(sys, `${V}/big`);
    let bad = 0;
    for (let at = 0; at < all.length; at += piece.length)
      if (!same(all.subarray(at, at + piece.length), piece.subarray(0, Math.min(piece.length, all.length - at)))) {
        bad++;
      }
    t.equal(bad, 0, 'content');
    await vol.close();
    await checked(t, dev, 'full', geometry);

    // What is removed makes room at once, though the disk still has it.
    vol = await rw(dev);
    ({ sys } = vol);
    await sys.unlink(`${V}/big`);
    await put(sys, `${V}/big2`, pattern(written - 500_000, 6));
    await sys.unlink(`${V}/big2`);
    await sys.sync();
    t.equal(await room(sys), before, 'all room is back');

    // Small files to the last fragment or inode, directories among them.
    await sys.mkdir(D, 0o755);
    let n = 0;
    error = '';
    while (error === '' && n < 20_000) {
      const path = `${D}/${n % 100 === 0 ? 'd' : 'f'}${n}`;
      error = await errnameOf(n % 100 === 0 ? sys.mkdir(path, 0o755) : put(sys, path, pattern(n % 5000, n)));
      n++;
    }
    t.equal(error, 'ENOSPC');
    for (const name of ['x', 'y', 'z']) await errnameOf(sys.mkdir(`${D}/${name}`, 0o755));
    await vol.close();
    await checked(t, dev, 'full of small files', geometry);

    // The reserve is the superuser's.
    vol = await rw(dev);
    ({ sys } = vol);
    for (const name of await ls(sys, D)) {
      await (name.startsWith('d') || name.length === 1 ? sys.rmdir(`${D}/${name}`) : sys.unlink(`${D}/${name}`));
    }
    await sys.rmdir(D);
    await sys.sync();
    t.equal(await room(sys), before, 'all room is back');
    await sys.mkdir(`${V}/user`, 0o777);
    await sys.chmod(`${V}/user`, 0o777);
    const user = vol.kernel.newproc(1000, 1000);
    const ufd = await user.open(`${V}/user/f`, O_RDWR | O_CREAT, 0o644);
    for (error = ''; error === ''; ) error = await errnameOf(user.write(ufd, piece));
    await user.close(ufd);
    const st = await sys.statvfs(V);
    t.equal(error, 'ENOSPC');
    t.equal(st.f_bavail <= 8, true, `nothing available (${st.f_bavail})`);
    t.ok(st.f_bfree >= st.f_bresvd - 64, `the reserve of ${st.f_bresvd} is kept (${st.f_bfree})`);
    await put(sys, `${V}/root`, pattern(100_000, 2));
    await sys.unlink(`${V}/root`);
    await sys.unlink(`${V}/user/f`);
    await sys.rmdir(`${V}/user`);
    await sys.sync();
    t.equal(await room(sys), before, 'all room is back');
    await vol.close();
    t.equal(vol.log.join('\n'), '');
    await checked(t, dev, 'emptied', geometry);
  });
}
