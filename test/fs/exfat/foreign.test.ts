/** Strangers write what we read, and read what we write: exfat-fuse on a loop device, The Sleuth Kit. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MNT_RDONLY } from '../../../src/kernel/fcntl.js';
import { MIB, V, bytesof, disk, get, has, list, mkfs, mount, pattern, put, run, same, withFolder } from './volumes.js';

t.setTimeout(0); // the runner has a limit

const NAMES = [
  'plain',
  'with blank ',
  'Grüße',
  '漢字',
  'emoji 😀',
  'ЖЖ'.repeat(60),
  'x'.repeat(255),
  '.hidden',
  '+,;=[]',
  'e\u0301',
];

/** Runs `body` with the image mounted by exfat-fuse; false: this machine has no loop devices for us. */
async function stranger(image: string, folder: string, body: (dir: string) => void): Promise<boolean> {
  const loop = run('losetup', '-f', '--show', image);
  if (loop.status !== 0) return false;
  const device = loop.text.trim();
  const dir = join(folder, 'mnt');
  mkdirSync(dir, { recursive: true });
  try {
    const mounted = run('mount.exfat-fuse', device, dir);
    if (mounted.status !== 0) throw new Error(mounted.text);
    try {
      body(dir);
    } finally {
      spawnSync('umount', [dir]);
    }
  } finally {
    run('losetup', '-d', device);
  }
  return true;
}

await t.test('exfat-fuse writes, we read and change, it reads', { skip: !has('mount.exfat-fuse') }, async (t) => {
  await withFolder(async (folder) => {
    const image = join(folder, 'volume');
    writeFileSync(image, await mkfs(32 * MIB, '-c', '4K'));
    const written = new Map<string, Uint8Array>();
    const could = await stranger(image, folder, (dir) => {
      mkdirSync(join(dir, 'sub'));
      NAMES.forEach((name, i) => {
        const content = pattern(i, i * 9000);
        written.set(`sub/${name}`, content);
        writeFileSync(join(dir, 'sub', name), content);
      });
      // In turns, so that both are fragmented.
      for (let i = 0; i < 20; i++) {
        for (const name of ['a', 'b']) {
          writeFileSync(join(dir, name), pattern(i, 5000), { flag: 'a' });
        }
      }
      for (let i = 0; i < 100; i++) writeFileSync(join(dir, 'sub', `gone ${i}`), 'x');
      for (let i = 0; i < 100; i++) unlinkSync(join(dir, 'sub', `gone ${i}`));
    });
    if (!could) return t.comment('no loop device');
    for (const name of ['a', 'b']) {
      written.set(name, Buffer.concat(Array.from({ length: 20 }, (_, i) => pattern(i, 5000))));
    }
    const dev = disk(readFileSync(image));
    const m = await mount(dev);
    t.same(m.log, []);
    for (const [name, content] of written) t.ok(same(await get(m.sys, `${V}/${name}`), content), name.slice(0, 20));
    t.same((await list(m.sys, `${V}/sub`)).sort(), [...NAMES].sort());
    await put(m.sys, `${V}/sub/ours`, pattern(77, 100_000));
    await m.sys.rename(`${V}/sub/plain`, `${V}/sub/a much longer name than it had before, which needs more entries`);
    await m.sys.unlink(`${V}/a`);
    await m.sys.truncate(`${V}/b`, 7777);
    await m.close();
    writeFileSync(image, bytesof(dev));
    await stranger(image, folder, (dir) => {
      t.same(readdirSync(dir).sort(), ['b', 'sub']);
      t.ok(same(readFileSync(join(dir, 'sub', 'ours')), pattern(77, 100_000)));
      t.ok(same(readFileSync(join(dir, 'b')), written.get('b')!.subarray(0, 7777)));
      t.equal(readdirSync(join(dir, 'sub')).length, NAMES.length + 1);
    });
    t.equal(run('fsck.exfat', '-n', image).status, 0);
    return undefined;
  });
});

await t.test('The Sleuth Kit reads what we write', { skip: !has('fls') }, async (t) => {
  await withFolder(async (folder) => {
    const image = join(folder, 'volume');
    for (const cluster of ['512', '4K', '64K']) {
      const dev = disk(await mkfs(24 * MIB, '-c', cluster));
      const m = await mount(dev);
      await m.sys.mkdir(`${V}/dir`, 0o755);
      for (let i = 0; i < 20; i++) await put(m.sys, `${V}/dir/file${i}`, pattern(i, i * 3000));
      for (let i = 0; i < 10; i++) for (const name of ['a', 'b']) {
        const fd = await m.sys.open(`${V}/${name}`, 0x202, 0o644);
        await m.sys.pwrite(fd, pattern(i, 70_000), i * 70_000);
        await m.sys.close(fd);
      }
      await m.close();
      writeFileSync(image, bytesof(dev));
      const listing = run('fls', '-rp', '-f', 'exfat', image).text;
      const inodes = new Map([...listing.matchAll(/^r\/r (\d+):\t(.*)$/gm)].map((match) => [match[2]!, match[1]!]));
      for (let i = 0; i < 20; i++) {
        const read = spawnSync('icat', ['-f', 'exfat', image, inodes.get(`dir/file${i}`)!], { maxBuffer: 8 * MIB });
        t.ok(same(read.stdout, pattern(i, i * 3000)), `${cluster}: file${i}`);
      }
      const whole = Buffer.concat(Array.from({ length: 10 }, (_, i) => pattern(i, 70_000)));
      for (const name of ['a', 'b']) {
        t.ok(
          same(spawnSync('icat', ['-f', 'exfat', image, inodes.get(name)!], { maxBuffer: 8 * MIB }).stdout, whole),
          `${cluster}: ${name}`,
        );
      }
    }
  });
});

await t.test('volumes of all geometries, made by mkfs.exfat', { skip: !has('mkfs.exfat') }, async (t) => {
  for (const [megabytes, ...args] of [
    [6, '-c', '512'],
    [9, '-c', '1K'],
    [20, '-c', '8K', '--pack-bitmap'],
    [40, '-c', '256K'],
    [100, '-c', '2M'],
    [40, '-c', '4K', '-L', 'ÄÖÜ 漢字'],
  ] as [number, ...string[]][]) {
    const dev = disk(await mkfs(megabytes * MIB, ...args));
    const m = await mount(dev);
    t.same(m.log, [], args.join(' '));
    await put(m.sys, `${V}/f`, pattern(megabytes, 600_000));
    await m.sys.mkdir(`${V}/d`, 0o755);
    await m.close();
    const again = await mount(dev, MNT_RDONLY);
    t.ok(same(await get(again.sys, `${V}/f`), pattern(megabytes, 600_000)));
    await again.close();
    await withFolder((folder) => {
      const image = join(folder, 'volume');
      writeFileSync(image, bytesof(dev));
      t.equal(run('fsck.exfat', '-n', image).status, 0, 'fsck.exfat');
      t.ok(statSync(image).size > 0);
    });
  }
});
