/** Listing with attributes: what it says of files without a vnode is what lstat says. */
import t from 'tap';
import type { Test } from 'tap';
import { MNT_RDONLY, O_RDONLY } from '../../src/kernel/fcntl.js';
import { VFSTOUFS } from '../../src/fs/ffs/volume/ffsmount.js';
import { Stat, makedev } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { GEOMETRIES, V, newdisk, pattern, put, rw, titleOf } from './write-support.js';
import { mountFfs } from './volumes.js';
import type { MountedVolume } from './volumes.js';

function words(st: Stat): string {
  return Object.values(st).join(' ');
}

/** By name; null where the listing knows no attributes. */
async function listing(sys: RumpSys, path: string): Promise<Map<string, string | null>> {
  const found = new Map<string, string | null>();
  const st = new Stat();
  const fd = await sys.open(path, O_RDONLY);
  while (
    (await sys.getdirentriesattr(
      fd,
      50,
      st,
      (entry, known) => found.set(entry.d_name, known ? words(st) : null) !== undefined,
    )) > 0
  );
  await sys.close(fd);
  found.delete('.');
  found.delete('..');
  return found;
}

async function forget({ kernel }: MountedVolume): Promise<void> {
  for (const mp of kernel.mountlist) await kernel.vcache.drain(mp);
}

async function compare(t: Test, vol: MountedVolume, path: string, count: number): Promise<void> {
  await forget(vol);
  const before = vol.kernel.vcache.count;
  const listed = await listing(vol.sys, path);
  t.ok(vol.kernel.vcache.count <= before + 1, 'no vnode but the directory itself');
  t.equal(listed.size, count);
  for (const [name, said] of listed) t.equal(said, words(await vol.sys.lstat(`${path}/${name}`)), name);
  t.same([...await listing(vol.sys, path)], [...listed], 'the same from vnodes');
}

for (const geometry of GEOMETRIES) {
  t.test(titleOf(geometry), async (t) => {
    const dev = await newdisk(geometry);
    let vol = await rw(dev);
    const { sys } = vol;
    await sys.mkdir(`${V}/d`, 0o755);
    for (let i = 0; i < 90; i++) await put(sys, `${V}/d/f${i}`, pattern(i * 100, i));
    await sys.mkdir(`${V}/d/sub`, 0o2750);
    await sys.symlink('f1', `${V}/d/short`);
    await sys.symlink('x'.repeat(200), `${V}/d/long`);
    await sys.mknod(`${V}/d/null`, 0o020666, makedev(2, 2));
    await sys.mkfifo(`${V}/d/fifo`, 0o600);
    await sys.link(`${V}/d/f7`, `${V}/linked`);
    await sys.chown(`${V}/d/f8`, 1234, 567);
    await sys.utimes(`${V}/d/f9`, { sec: -5, nsec: 7000 }, { sec: 1_000_000_000, nsec: 9000 });
    await compare(t, vol, `${V}/d`, 95);

    // The inode block counts a link more than there are until the name has gone from the disk.
    await sys.sync();
    await sys.unlink(`${V}/linked`);
    await sys.chmod(`${V}/d/f10`, 0o4711);
    await compare(t, vol, `${V}/d`, 95);
    await vol.close();

    vol = await mountFfs(dev, MNT_RDONLY);
    await compare(t, vol, `${V}/d`, 95);
    await vol.close();
  });
}

t.test('a damaged inode is left to lookup', async (t) => {
  const dev = await newdisk(GEOMETRIES[2]!);
  let vol = await rw(dev);
  for (const name of ['a', 'b', 'c']) await put(vol.sys, `${V}/${name}`, pattern(10, 1));
  const { st_ino } = await vol.sys.lstat(`${V}/b`);
  const fs = VFSTOUFS([...vol.kernel.mountlist].at(-1)!).um_fs;
  await vol.close();
  dev.write(new Uint8Array(2), 0, 2, fs.fsbtob(fs.ino_to_fsba(Number(st_ino))) + fs.ino_to_bo(Number(st_ino)));
  vol = await mountFfs(dev, MNT_RDONLY);
  const listed = await listing(vol.sys, V);
  t.same([...listed].map(([name, said]) => [name, said !== null]), [['a', true], ['b', false], ['c', true]]);
  t.same(vol.log.filter((line) => line.startsWith('error')), []);
  await t.rejects(vol.sys.lstat(`${V}/b`), { code: 'EIO' });
  await vol.close();
});
