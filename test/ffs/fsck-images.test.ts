import t from 'tap';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, dumpfs } from '../../src/fs/ffs/tools/dumpfs.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import { Volume, damages } from './damage.js';
import { SparseDevice } from './sparse-device.js';
import { disk, fixture, fixtureManifest, fixtureNames, has, manifest, mountFfs } from './volumes.js';

/** Volumes of other makers: NetBSD's kernel, Debian's makefs; and ours before sleuthkit. */
const skip = has('zstd') ? false : 'zstd is not installed';
const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-fsck-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

async function contents(dev: SparseDevice): Promise<string> {
  const vol = await mountFfs(disk(dev.bytes()));
  const told = await manifest(vol.sys);
  await vol.close();
  return told;
}

for (const name of fixtureNames) {
  t.test(name, { skip }, async (t) => {
    const dev = SparseDevice.from(fixture(name));
    const dirty = name.endsWith('-dirty');
    const report = await fsck(dev);
    t.equal(report.consistent, true);
    t.equal(report.clean, !dirty);
    t.strictSame(report.problems.map((p) => p.code), dirty ? ['JOURNAL_DIRTY'] : []);
    t.equal(report.exitStatus, 0);
    t.equal(dev.writes, 0, 'a check writes nothing');
    const told = await describe(dev);
    t.match(told.facts, {
      format: name.includes('ffs2') ? 'FFSv2' : /^FFSv1/,
      byte_order: name.includes('-be') ? 'big' : 'little',
      clean: !dirty,
      last_mounted_on: '/mnt',
      dialect: 'netbsd',
      journal: dirty ? 'dirty' : name.includes('log') ? 'empty' : 'none',
    });
    for (const mode of ['preen', 'repair'] as const) {
      const copy = dev.clone();
      const mended = await fsck(copy, { mode });
      t.equal(mended.clean, true, `${mode}: ${mended.problems.map((p) => p.message).join('; ')}`);
      t.equal(mended.modified, dirty);
      t.equal(await contents(copy), fixtureManifest(name), `${mode}: nothing is lost`);
    }
    const dump = await dumpfs(dev, { superblock: true, groups: true, inodes: true, journal: true });
    t.match(dump, /nbfree \d+/);
    t.match(dump, /cg 3:/);
    t.match(dump, /inodes of cg 0:/);
  });
}

t.test('what is mended without loss, is', { skip }, async (t) => {
  const name = 'netbsd-ffs2-le';
  const base = SparseDevice.from(fixture(name));
  for (const damage of damages) {
    if (damage.loses === true) continue;
    const bytes = fixture(name).slice();
    const volume = new Volume(bytes);
    if (damage.possible?.(volume) === false) continue;
    damage.apply(volume);
    const dev = base.with(bytes);
    t.ok((await fsck(dev, { mode: 'repair' })).clean);
    const [is, was] = [await contents(dev), fixtureManifest(name)];
    t.ok(is === was, damage.name);
    if (is !== was) t.comment(is.split('\n').filter((line) => !was.includes(line)).slice(0, 5).join('\n'));
  }
});

t.test('preen mends what needs no judgement, and stops at the rest', { skip }, async (t) => {
  const preenable = new Set([
    'link count too high',
    'unlinked file still there',
    'unreferenced file',
    'block count wrong',
    'group counts',
    'totals',
    'used inode marked free',
    'cluster counts',
    'not marked clean',
    'copy of the superblock',
  ]);
  const name = 'netbsd-ffs1-le';
  const base = SparseDevice.from(fixture(name));
  for (const damage of damages) {
    const wanted = preenable.has(damage.name);
    if (
      !wanted &&
      ![
        'block of two files',
        'link count too low',
        'no "."',
        'entry of an unallocated inode',
        'root is gone',
        'superblock gone',
        'group magic',
      ].includes(damage.name)
    ) {
      continue;
    }
    const bytes = fixture(name).slice();
    damage.apply(new Volume(bytes));
    const dev = base.with(bytes);
    const report = await fsck(dev, { mode: 'preen' });
    t.equal(report.clean, wanted, damage.name);
    t.equal(report.exitStatus, wanted ? 0 : 8, `${damage.name}: exit status`);
  }
});

t.test('UFS2 with extended attributes', { skip }, async (t) => {
  const bytes = fixture('netbsd-ffs2-be').slice();
  const v = new Volume(bytes);
  for (const at of [v.sb, ...Array.from({ length: v.fs.fs_ncg }, (_, c) => v.frag(v.fs.cgsblock(c)))]) {
    v.u32(at + 1372, 0x19012038);
  }
  const plain = SparseDevice.from(bytes);
  t.ok((await fsck(plain)).clean);
  t.equal((await describe(plain)).format, 'FFSv2 with extended attributes');
  // A fragment of attributes: it must be counted, in the inode and in the map.
  const inode = v.inode(v.ino('hello.txt'));
  v.u32(inode.off + 92, 100);
  v.view.setBigInt64(inode.off + 96, BigInt(v.fs.cgbase(4) - v.fs.fs_frag), v.fs.le);
  const dev = SparseDevice.from(bytes);
  t.strictSame((await fsck(dev)).problems.map((p) => p.code).slice(0, 2), ['BLOCK_COUNT', 'CG_SUMMARY']);
  t.ok((await fsck(dev, { mode: 'preen' })).clean);
  t.equal(new Volume(dev.bytes()).inode(v.ino('hello.txt')).blocks, 4, 'data and attributes');
});

t.test('a clean volume is left alone if so asked', { skip }, async (t) => {
  const dev = SparseDevice.from(fixture('netbsd-ffs2-le'));
  const report = await fsck(dev, { mode: 'preen', skipClean: true });
  t.ok(report.clean);
  t.match(report.notes.join(), /SKIPPING/);
  t.notMatch(report.notes.join(), /Phase/);
});

t.test('a superblock that is asked for', { skip }, async (t) => {
  const bytes = fixture('netbsd-ffs2-le').slice();
  const volume = new Volume(bytes);
  const copy = volume.frag(volume.fs.cgsblock(2));
  bytes.fill(0, volume.sb, volume.sb + 8192);
  const dev = SparseDevice.from(bytes);
  t.ok((await fsck(dev, { superblock: copy })).consistent, 'checks by the copy');
  t.equal((await fsck(dev, { superblock: 12345 })).exitStatus, 8);
  t.ok((await fsck(dev, { superblock: copy, mode: 'repair' })).clean);
  t.ok((await fsck(dev)).clean, 'and puts the standard one back');
});

t.test('makefs', { skip: has('makefs') ? false : 'makefs is not installed' }, async (t) => {
  const tree = path.join(dir, 'tree');
  mkdirSync(path.join(tree, 'a/b/c'), { recursive: true });
  for (let i = 0; i < 300; i++) writeFileSync(path.join(tree, 'a', `file${i}`), 'x'.repeat((i * 977) % 30000));
  writeFileSync(path.join(tree, 'large'), new Uint8Array(3_000_000).fill(7));
  symlinkSync('a/b/c', path.join(tree, 'link'));
  for (const version of [1, 2]) {
    for (const order of ['le', 'be']) {
      for (const [bsize, fsize] of [[8192, 1024], [16384, 2048], [4096, 4096], [65536, 8192]]) {
        const image = path.join(dir, 'makefs.img');
        const run = spawnSync(
          'makefs',
          [
            '-t',
            'ffs',
            '-B',
            order,
            '-s',
            '40m',
            '-o',
            `version=${version},bsize=${bsize},fsize=${fsize}`,
            image,
            tree,
          ],
          { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } },
        );
        t.equal(run.status, 0);
        const report = await fsck(SparseDevice.from(new Uint8Array(readFileSync(image))));
        t.ok(
          report.clean,
          `version ${version} ${order} ${bsize}/${fsize}: ${report.problems
            .slice(0, 3)
            .map((p) => p.message)
            .join('; ')}`,
        );
        t.equal(report.files, 306, 'all files seen');
      }
    }
  }
});

t.test('sleuthkit reads what newfs makes', { skip: has('fsstat') && has('fls') ? false : 'sleuthkit is not installed' }, async (t) => {
  for (const [format, fstype] of [[1, 'ufs1'], [2, 'ufs2']] as const) {
    for (const endian of ['little', 'big'] as const) {
      for (const [blockSize, fragSize] of [[8192, 1024], [16384, 2048], [32768, 4096]] as const) {
        const dev = new SparseDevice(40 << 20);
        const { layout } = await newfs(dev, { format, endian, blockSize, fragSize, ...(format === 2 ? { label: 'testing' } : {}) });
        const image = path.join(dir, 'ours.img');
        writeFileSync(image, dev.bytes());
        const stat = spawnSync('fsstat', ['-f', fstype, image], { encoding: 'utf8' });
        t.equal(stat.status, 0, `${format} ${endian} ${blockSize}: ${stat.stderr}`);
        t.match(stat.stdout, new RegExp(`Block Size: ${blockSize}`));
        t.match(stat.stdout, new RegExp(`Fragment Size: ${fragSize}`));
        t.match(stat.stdout, new RegExp(`Number of Cylinder Groups: ${layout.fs_ncg}`));
        const list = spawnSync('fls', ['-f', fstype, image], { encoding: 'utf8' });
        t.equal(list.status, 0, list.stderr);
        t.match(list.stdout, /OrphanFiles/);
      }
    }
  }
});
