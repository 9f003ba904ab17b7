import t from 'tap';
import { O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { V, checked, errnameOf, ls, newdisk, pattern, put, room, rw, titleOf } from './write-support.js';
import type { Geometry } from './write-support.js';

const GEOMETRY: readonly Geometry[] = [
  { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024, inodes: 30_000 },
  { format: 0, endian: 'little', blockSize: 4096, fragSize: 512, inodes: 30_000 },
  { format: 1, endian: 'big', blockSize: 16384, fragSize: 16384, inodes: 30_000 },
];
/** The first geometry is tried with many, the others with fewer. */
const MANY = [20_000, 5000, 5000];

async function touch(sys: RumpSys, file: string): Promise<void> {
  await sys.close(await sys.open(file, O_RDWR | O_CREAT, 0o644));
}

for (const [which, geometry] of GEOMETRY.entries()) {
  const many = MANY[which]!;
  await t.test(`${titleOf(geometry)}: ${many} names`, async (t) => {
    const dev = await newdisk(geometry, 32 * 2 ** 20);
    let vol = await rw(dev);
    let { sys } = vol;
    const before = await room(sys);
    const dir = `${V}/many`;
    const there = new Set<string>();
    await sys.mkdir(dir, 0o755);
    for (let i = 0; i < many; i++) {
      const name = `n${i}${'-'.repeat(i % 23)}`;
      await touch(sys, `${dir}/${name}`);
      there.add(name);
    }
    await sys.sync();
    // Every third goes, and longer ones come into their gaps.
    let i = 0;
    for (const name of [...there]) {
      if (i++ % 3 !== 0) continue;
      await sys.unlink(`${dir}/${name}`);
      there.delete(name);
    }
    for (let k = 0; k < many / 7; k++) {
      const name = `longer${k}${'+'.repeat(k % 60)}`;
      await touch(sys, `${dir}/${name}`);
      there.add(name);
    }
    t.same(await ls(sys, dir), [...there].sort(), 'names');
    const size = (await sys.stat(dir)).st_size;
    await vol.close();
    await checked(t, dev, 'filled', geometry);

    vol = await rw(dev);
    ({ sys } = vol);
    t.same(await ls(sys, dir), [...there].sort(), 'names after a remount');
    t.equal(await errnameOf(sys.rmdir(dir)), 'ENOTEMPTY');
    for (const name of there) await sys.unlink(`${dir}/${name}`);
    t.equal(await errnameOf(sys.stat(`${dir}/n1-`)), 'ENOENT');
    await touch(sys, `${dir}/last`);
    t.ok((await sys.stat(dir)).st_size < size / 4, 'the directory has shrunk');
    await sys.unlink(`${dir}/last`);
    await sys.rmdir(dir);
    await sys.sync();
    t.equal(await room(sys), before, 'all room is back');
    await vol.close();
    t.equal(vol.log.join('\n'), '');
    await checked(t, dev, 'emptied', geometry);
  });
}

await t.test('renames: every kind of source, target and place', async (t) => {
  const geometry = GEOMETRY[0]!;
  const dev = await newdisk(geometry, 16 * 2 ** 20);
  const vol = await rw(dev);
  const { sys } = vol;
  const before = await room(sys);
  let n = 0;
  for (const kind of ['file', 'dir'] as const) {
    for (const target of ['none', 'same', 'full'] as const) {
      for (const place of ['here', 'there', 'up', 'down'] as const) {
        for (const flushed of [false, true]) {
          const root = `${V}/r${n++}`;
          await sys.mkdir(root, 0o755);
          await sys.mkdir(`${root}/a`, 0o755);
          await sys.mkdir(`${root}/a/deep`, 0o755);
          await sys.mkdir(`${root}/b`, 0o755);
          const from = `${root}/a/from`;
          const to =
            place === 'here'
              ? `${root}/a/to`
              : place === 'there'
                ? `${root}/b/to`
                : place === 'up'
                  ? `${root}/to`
                  : `${root}/a/deep/to`;
          const make = async (path: string, full: boolean, seed: number): Promise<void> => {
            if (kind === 'file') {
              await put(sys, path, pattern(3000, seed));
            } else {
              await sys.mkdir(path, 0o755);
              if (full) await put(sys, `${path}/in`, pattern(500, seed));
            }
          };
          await make(from, true, 1);
          if (target !== 'none') await make(to, target === 'full', 2);
          if (flushed) await sys.sync();
          const what = `${kind} to ${target} ${place}${flushed ? ', flushed' : ''}`;
          const ino = (await sys.stat(from)).st_ino;
          const error = await errnameOf(sys.rename(from, to));
          const refused = kind === 'dir' && target === 'full';
          t.equal(error, refused ? 'ENOTEMPTY' : '', what);
          t.equal((await sys.stat(refused ? from : to)).st_ino, ino, `${what}: the file`);
          t.equal(
            await errnameOf(sys.stat(refused ? `${to}/in` : from)),
            refused ? '' : 'ENOENT',
            `${what}: the other name`,
          );
          if (kind === 'dir') {
            const parent = (refused ? from : to).replace(/\/[^/]*$/, '');
            t.equal(
              (await sys.stat(`${refused ? from : to}/..`)).st_ino,
              (await sys.stat(parent)).st_ino,
              `${what}: ".."`,
            );
            const subdirs = (
              await Promise.all(
                (await ls(sys, parent)).map(async (name) => (await sys.lstat(`${parent}/${name}`)).st_mode),
              )
            ).filter((mode) => (mode & 0o170000) === 0o040000).length;
            t.equal((await sys.stat(parent)).st_nlink, 2 + subdirs, `${what}: links of the parent`);
          }
        }
      }
    }
  }
  await sys.sync();
  const report = await vol.sys.statvfs(V);
  t.ok(report.f_bfree > 0);
  const clear = async (dir: string): Promise<void> => {
    for (const name of await ls(sys, dir)) {
      const path = `${dir}/${name}`;
      if (((await sys.lstat(path)).st_mode & 0o170000) === 0o040000) {
        await clear(path);
        await sys.rmdir(path);
      } else {
        await sys.unlink(path);
      }
    }
  };
  await clear(V);
  await sys.sync();
  t.equal(await room(sys), before, 'all room is back');
  await vol.close();
  await checked(t, dev, 'renamed', geometry);
});
