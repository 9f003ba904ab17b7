import t from 'tap';
import { S_IFCHR, S_IFIFO, makedev } from '../../src/kernel/stat.js';
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

/** Every kind of file is made, seen after a remount, and removed without a trace. */
for (const geometry of GEOMETRIES) {
  await t.test(titleOf(geometry), async (t) => {
    const dev = await newdisk(geometry);
    let vol = await rw(dev);
    const before = await room(vol.sys);
    let { sys } = vol;
    await put(sys, `${V}/small`, pattern(1000, 1));
    await put(sys, `${V}/large`, pattern(2_000_003, 2));
    await sys.mkdir(`${V}/dir`, 0o750);
    await put(sys, `${V}/dir/in`, pattern(5000, 3));
    await sys.symlink('short', `${V}/fast`);
    await sys.symlink('x'.repeat(300), `${V}/slow`);
    await sys.link(`${V}/small`, `${V}/dir/hard`);
    await sys.mknod(`${V}/null`, S_IFCHR | 0o666, makedev(2, 2));
    await sys.mknod(`${V}/pipe`, S_IFIFO | 0o600, 0n);
    await sys.rename(`${V}/dir/in`, `${V}/out`);
    await sys.mkdir(`${V}/dir/sub`, 0o700);
    await sys.rename(`${V}/dir/sub`, `${V}/sub`);
    t.equal(await errnameOf(sys.rmdir(`${V}/dir`)), 'ENOTEMPTY');
    await vol.close();
    t.equal(vol.log.join('\n'), '', 'nothing is logged');
    await checked(t, dev, 'filled', geometry);

    vol = await rw(dev);
    ({ sys } = vol);
    t.ok(same(await get(sys, `${V}/small`), pattern(1000, 1)), 'small');
    t.ok(same(await get(sys, `${V}/large`), pattern(2_000_003, 2)), 'large');
    t.ok(same(await get(sys, `${V}/out`), pattern(5000, 3)), 'renamed');
    t.equal((await ls(sys, V)).join(), 'dir,fast,large,null,out,pipe,slow,small,sub');
    t.equal((await ls(sys, `${V}/dir`)).join(), 'hard');
    t.equal(Buffer.from(await sys.readlink(`${V}/fast`)).toString(), 'short');
    t.equal(Buffer.from(await sys.readlink(`${V}/slow`)).toString(), 'x'.repeat(300));
    t.equal((await sys.lstat(`${V}/null`)).st_rdev, makedev(2, 2));
    t.equal((await sys.stat(`${V}/small`)).st_nlink, 2);
    t.equal((await sys.stat(V)).st_nlink, 4);
    t.equal((await sys.stat(`${V}/sub/..`)).st_ino, (await sys.stat(V)).st_ino);

    for (const name of ['small', 'large', 'dir/hard', 'fast', 'slow', 'null', 'pipe', 'out']) {
      await sys.unlink(`${V}/${name}`);
    }
    for (const name of ['dir', 'sub']) await sys.rmdir(`${V}/${name}`);
    t.equal((await ls(sys, V)).join(), '');
    await sys.sync();
    t.equal(await room(sys), before, 'all room is back');
    await vol.close();
    t.equal(vol.log.join('\n'), '', 'nothing is logged');
    await checked(t, dev, 'emptied', geometry);
  });
}
