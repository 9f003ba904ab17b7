import t from 'tap';
import { Fs } from '../../src/fs/ffs/disk/fs.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import {
  EXTATTR_NAMESPACE_USER,
  MNT_FORCE,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../src/kernel/fcntl.js';
import { makeAtlas } from '../../fuzz/ffs/atlas.js';
import type { Atlas } from '../../fuzz/ffs/atlas.js';
import { mountFfs } from './volumes.js';
import { V, bytesOf, checked, errnameOf, newdisk, pattern, put, rw } from './write-support.js';
import type { Geometry } from './write-support.js';

/** What the fuzzer found (npm run fuzz), one case each, made by hand. */

const UFS2EA: Geometry = { format: '2ea', endian: 'little', blockSize: 8192, fragSize: 1024 };

function atlasOf(dev: MemoryDevice): Atlas {
  return makeAtlas(bytesOf(dev), undefined);
}

/** The numbers `values` from byte `at` on, as 64-bit block pointers of a little-endian UFS2 volume. */
function pointers(dev: MemoryDevice, at: number, values: readonly number[]): void {
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setBigInt64(8 * i, BigInt(value), true));
  dev.write(bytes, 0, bytes.length, at);
}

await t.test('the attributes of short symlinks and devices hold blocks', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  const vol = await rw(dev);
  await vol.sys.symlink('target', `${V}/link`);
  await vol.sys.extattr_set_link(`${V}/link`, EXTATTR_NAMESPACE_USER, 'name', pattern(100, 1));
  await vol.close();
  await checked(t, dev, 'a short symlink with an attribute', UFS2EA);
});

/** A file through three levels of indirect blocks: each level has one block only, and all its pointers lead to it. */
async function tower(geometry: Geometry): Promise<MemoryDevice> {
  const dev = await newdisk(geometry, 4 * 2 ** 20);
  const vol = await rw(dev);
  const { fs_bsize, fs_nindir } = Fs.decode(bytesOf(dev).subarray(65536, 73728), 65536)!;
  const fd = await vol.sys.open(`${V}/tower`, O_RDWR | O_CREAT, 0o644);
  await vol.sys.pwrite(fd, pattern(100, 1), fs_bsize * (12 + fs_nindir + fs_nindir ** 2));
  await vol.sys.ftruncate(fd, fs_bsize * (12 + fs_nindir + fs_nindir ** 2 + fs_nindir ** 3) - 1);
  await vol.sys.close(fd);
  await put(vol.sys, `${V}/other`, pattern(100, 2));
  await vol.close();
  const { fs, indirects } = atlasOf(dev);
  for (const block of indirects) {
    const below = indirects.find((i) => i.level === block.level - 1);
    pointers(dev, block.at, new Array<number>(fs.fs_nindir).fill(below === undefined ? 0 : below.at / fs.fs_fsize));
  }
  return dev;
}

for (const removal of ['unlink', 'truncate']) {
  await t.test(`a tree of indirect blocks that leads to one block again and again: ${removal}`, async (t) => {
    const dev = await tower({ format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 });
    const vol = await rw(dev);
    const began = process.cpuUsage();
    await errnameOf(removal === 'unlink' ? vol.sys.unlink(`${V}/tower`) : vol.sys.truncate(`${V}/tower`, 10_000));
    await errnameOf(vol.sys.sync());
    t.equal(await errnameOf(vol.sys.mkdir(`${V}/again`, 0o755)), 'EIO', 'nothing is written any more');
    t.match(vol.log.join('\n'), /is met twice/);
    await vol.close();
    const { user, system } = process.cpuUsage(began);
    t.ok(user + system < 5_000_000, `${user + system} us`);
  });
}

/** Microseconds of CPU that a call takes. */
async function cpu(call: () => Promise<unknown>): Promise<number> {
  const began = process.cpuUsage();
  await call();
  const { user, system } = process.cpuUsage(began);
  return user + system;
}

function put32(dev: MemoryDevice, at: number, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  dev.write(bytes, 0, 4, at);
}

function put16(dev: MemoryDevice, at: number, value: number): void {
  dev.write(Uint8Array.of(value & 0xff, value >> 8), 0, 2, at);
}

await t.test('looking for data in endless holes', async (t) => {
  const vol = await rw(await tower({ format: 2, endian: 'little', blockSize: 16384, fragSize: 2048 }));
  const fd = await vol.sys.open(`${V}/tower`, O_RDONLY);
  for (const whence of [SEEK_DATA, SEEK_HOLE]) {
    const us = await cpu(async () => t.type(await vol.sys.lseek(fd, 13 * 16384, whence), 'number'));
    t.ok(us < 3_000_000, `${us} us`);
  }
  await vol.sys.close(fd);
  await vol.close();
});

await t.test('rotors beyond the group', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  for (const at of atlasOf(dev).groups) for (const rotor of [40, 44, 48]) put32(dev, at + rotor, 0x80000000);
  const vol = await rw(dev);
  const us = await cpu(async () => {
    for (let i = 0; i < 10; i++) await put(vol.sys, `${V}/f${i}`, pattern(i * 3000, i));
  });
  t.ok(us < 3_000_000, `${us} us`);
  await vol.close();
});

await t.test('a superblock whose groups have no room for their maps', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  put32(dev, atlasOf(dev).superblock + 160, 176);
  t.equal(await errnameOf(rw(dev)), 'EFTYPE');
});

await t.test('a superblock whose groups end inside of a block', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  const { superblock, fs } = atlasOf(dev);
  put32(dev, superblock + 188, fs.fs_fpg + 2);
  t.equal(await errnameOf(rw(dev)), 'EFTYPE');
});

await t.test('a directory that became a fifo keeps its block until it is removed', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  let vol = await rw(dev);
  await vol.sys.mkdir(`${V}/d`, 0o755);
  await vol.close();
  put16(dev, atlasOf(dev).inodes.find((i) => i.path === '/d')!.at, 0o010755);
  await fsck(dev, { mode: 'repair' });
  vol = await rw(dev);
  await vol.sys.unlink(`${V}/d`);
  await vol.close();
  await checked(t, dev, 'afterwards', UFS2EA);
});

const OLD: Geometry = { format: 0, endian: 'little', blockSize: 4096, fragSize: 1024 };

await t.test('cylinders of less than no sectors', async (t) => {
  const dev = await newdisk(OLD, 4 * 2 ** 20);
  put32(dev, atlasOf(dev).superblock + 172, 0xffffffff);
  const vol = await rw(dev);
  t.equal(await errnameOf(put(vol.sys, `${V}/f`, pattern(20_000, 1))), '');
  await vol.close();
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
});

await t.test('more rotational positions than a group has room for', async (t) => {
  const dev = await newdisk(OLD, 4 * 2 ** 20);
  put32(dev, atlasOf(dev).superblock + 1360, 512);
  await fsck(dev, { mode: 'repair' });
  const vol = await rw(dev);
  t.equal(await errnameOf(put(vol.sys, `${V}/f`, pattern(20_000, 1))), '');
  await vol.close();
  await checked(t, dev, 'repaired and used');
});

await t.test('one rotational position, and cylinders that end before their groups', async (t) => {
  const dev = await newdisk({ ...OLD, endian: 'big' }, 4 * 2 ** 20);
  const { superblock, fs } = atlasOf(dev);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, fs.fs_old_spc / 2);
  dev.write(bytes, 0, 4, superblock + 172);
  await fsck(dev, { mode: 'repair' });
  const vol = await rw(dev);
  for (let i = 0; i < 68; i++) await put(vol.sys, `${V}/f${i}`, pattern(50_000, i));
  await vol.close();
  await checked(t, dev, 'repaired and used');
});

await t.test('no rotational positions at all', async (t) => {
  const dev = await newdisk(OLD, 4 * 2 ** 20);
  put32(dev, atlasOf(dev).superblock + 1360, 0);
  await fsck(dev, { mode: 'repair' });
  const vol = await rw(dev);
  for (let i = 0; i < 10; i++) await put(vol.sys, `${V}/f${i}`, pattern(50_000, i));
  await vol.close();
  await checked(t, dev, 'repaired and used');
});

await t.test('a directory entry in the last bytes of its chunk', async (t) => {
  const dev = await newdisk(OLD, 4 * 2 ** 20);
  const dot2 = atlasOf(dev).entries.find((e) => e.name === '..')!;
  put16(dev, dot2.at + 4, dot2.reclen - 4);
  t.match((await fsck(dev)).problems.map((p) => p.code), ['DIRECTORY_CORRUPTED']);
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
});

await t.test('a directory that ends inside of a chunk', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  let vol = await rw(dev);
  await vol.sys.mkdir(`${V}/d`, 0o755);
  await put(vol.sys, `${V}/d/f`, pattern(10, 1));
  await vol.close();
  // Apple's chunks are twice as long.
  vol = await mountFfs(dev, 0, { dialect: 'apple' });
  for (const call of [vol.sys.unlink(`${V}/d/f`), vol.sys.mkdir(`${V}/d/e`, 0o755), vol.sys.rmdir(`${V}/d`)]) {
    t.match(await errnameOf(call), /^E|^$/);
  }
  await vol.close();
});

await t.test('a superblock that takes inodes for old and directories for new', async (t) => {
  const dev = await newdisk({ format: 1, endian: 'little', blockSize: 8192, fragSize: 1024 }, 4 * 2 ** 20);
  put32(dev, atlasOf(dev).superblock + 1324, 0xffffffff);
  t.match((await fsck(dev)).problems.map((p) => p.code), ['SB_FIELD']);
  await fsck(dev, { mode: 'repair' });
  const vol = await rw(dev);
  await vol.sys.mkdir(`${V}/d`, 0o755);
  await vol.close();
  await checked(t, dev, 'repaired and used');
});

await t.test('a block count that is too small', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  let vol = await rw(dev);
  await put(vol.sys, `${V}/f`, pattern(30_000, 1));
  await vol.close();
  pointers(dev, atlasOf(dev).inodes.find((i) => i.path === '/f')!.at + 24, [1]);
  vol = await rw(dev);
  await vol.sys.truncate(`${V}/f`, 20_000);
  t.equal((await vol.sys.stat(`${V}/f`)).st_blocks, 0);
  await vol.close();
});

for (const [what, at] of [['data', 112], ['attributes', 96]] as const) {
  await t.test(`a pointer to ${what} beyond all numbers`, async (t) => {
    for (const far of [2 ** 52, 2 ** 52 + 2 ** 50, 2 ** 62, -(2 ** 52), -(2 ** 62)]) {
      const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
      let vol = await rw(dev);
      await put(vol.sys, `${V}/f`, pattern(5000, 1));
      await vol.sys.extattr_set_link(`${V}/f`, EXTATTR_NAMESPACE_USER, 'a', pattern(100, 1));
      await vol.close();
      pointers(dev, atlasOf(dev).inodes.find((i) => i.path === '/f')!.at + at, [far]);
      vol = await rw(dev);
      t.match(await errnameOf(vol.sys.unlink(`${V}/f`)), /^EIO$|^$/);
      await errnameOf(vol.sys.sync());
      await vol.close();
    }
  });
}

await t.test('room behind "." is not taken: ".." has to be the next entry', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  let vol = await rw(dev);
  await vol.sys.mkdir(`${V}/d`, 0o755);
  for (let i = 0; i < 5; i++) await put(vol.sys, `${V}/d/f${i}`, pattern(10, i));
  await vol.close();
  // ".." is lost behind the length of ".".
  const dot = atlasOf(dev).entries.find((e) => e.name === '.' && e.dir !== 2)!;
  put16(dev, dot.at + 4, 24);
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
  vol = await rw(dev);
  for (let i = 0; i < 30; i++) await put(vol.sys, `${V}/d/n${i}`, pattern(10, i));
  await vol.close();
  await checked(t, dev, 'repaired and used');
});

await t.test('a directory that ends in the reach of an indirect block that it has not', async (t) => {
  const dev = await newdisk({ format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 }, 4 * 2 ** 20);
  let vol = await rw(dev);
  for (const name of ['a', 'b', 'c']) await put(vol.sys, `${V}/${name.repeat(120)}`, pattern(10, 1));
  await vol.close();
  pointers(dev, atlasOf(dev).inodes[0]!.at + 16, [16 * 8192 + 512]);
  vol = await rw(dev);
  t.equal(await errnameOf(vol.sys.mkdir(`${V}/${'d'.repeat(200)}`, 0o755)), 'EIO');
  await vol.close();
});

await t.test('initialised inodes that end inside of a block', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  let vol = await rw(dev);
  for (let i = 0; i < 3; i++) await put(vol.sys, `${V}/f${i}`, pattern(1000, i));
  await vol.close();
  const { groups, inodes } = atlasOf(dev);
  // As many as are in use, to the inode.
  put32(dev, groups[0]! + 120, Math.max(...inodes.map((i) => i.ino)) + 1);
  vol = await rw(dev);
  for (let i = 3; i < 60; i++) await put(vol.sys, `${V}/f${i}`, pattern(1000, i));
  await vol.close();
  await checked(t, dev, 'used');
});

await t.test('the root directory linked into one of its directories', async (t) => {
  const dev = await newdisk({ format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 }, 4 * 2 ** 20);
  let vol = await rw(dev);
  await vol.sys.mkdir(`${V}/d`, 0o755);
  await put(vol.sys, `${V}/d/above`, pattern(10, 1));
  await vol.close();
  const name = Buffer.from(bytesOf(dev)).indexOf(Buffer.from('above\0'));
  const entry = new Uint8Array(7);
  dev.read(entry, 0, 7, name - 8);
  entry.set([2, 0, 0, 0]); // d_ino
  entry[6] = 4; // d_type: DT_DIR
  dev.write(entry, 0, 7, name - 8);
  vol = await rw(dev);
  const { sys } = vol;
  const all = Promise.allSettled([
    sys.rename(`${V}/d/above/d`, `${V}/x`),
    sys.unlink(`${V}/d/above/d`),
    sys.rename(`${V}/d`, `${V}/d/above/y`),
    sys.mkdir(`${V}/d/above/z`, 0o755),
    sys.lstat(`${V}/d/above`),
  ]);
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, 600_000, undefined).unref());
  const ends = await Promise.race([all, late]);
  t.same(
    ends?.map((end) => (end.status === 'rejected' ? (end.reason as { code: string }).code : 'done')),
    ['EIO', 'EIO', 'EIO', 'EIO', 'EIO'],
  );
  await vol.close();
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
  t.same((await fsck(dev)).problems, []);
});

for (const journal of [{}, { log: true }] as const) {
  await t.test(
    `a pointer in an indirect block beyond all numbers${'log' in journal ? ', with a journal' : ''}`,
    async (t) => {
      for (const far of [2 ** 52, 2 ** 62, -1, -(2 ** 62)]) {
        const dev = await newdisk(
          { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024, ...journal },
          16 * 2 ** 20,
        );
        let vol = await rw(dev);
        await put(vol.sys, `${V}/f`, pattern(8192 * 20, 1));
        await vol.close();
        const { indirects, inodes } = atlasOf(dev);
        const block = indirects.find(({ ino }) => ino === inodes.find(({ path }) => path === '/f')!.ino)!;
        pointers(dev, block.at + 8 * 5, [far]);
        vol = await rw(dev);
        const us = await cpu(async () => t.match(await errnameOf(vol.sys.truncate(`${V}/f`, 10_000)), /^EIO$/));
        t.ok(us < 3_000_000, `${us} us`);
        await vol.sys.unmount(V, MNT_FORCE);
        await vol.kernel.halt();
      }
    },
  );
}

await t.test('a block behind the end of the extended attributes', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  let vol = await rw(dev);
  await put(vol.sys, `${V}/f`, pattern(5000, 1));
  await vol.sys.extattr_set_link(`${V}/f`, EXTATTR_NAMESPACE_USER, 'a', pattern(100, 1));
  await vol.close();
  pointers(dev, atlasOf(dev).inodes.find((i) => i.path === '/f')!.at + 104, [3000]);
  t.match((await fsck(dev)).problems.map((p) => p.code), ['EXTATTR_SIZE']);
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
  vol = await rw(dev);
  await vol.sys.extattr_set_link(`${V}/f`, EXTATTR_NAMESPACE_USER, 'b', pattern(100, 1));
  await vol.close();
  await checked(t, dev, 'repaired and used', UFS2EA);
});

await t.test('lost+found gets the number that a lost directory calls its parent', async (t) => {
  const dev = await newdisk({ format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 }, 4 * 2 ** 20);
  const vol = await rw(dev);
  for (const name of ['d', 'e']) await vol.sys.mkdir(`${V}/${name}`, 0o755);
  await vol.close();
  const { entries } = atlasOf(dev);
  const ino = (name: string): number => entries.find((e) => e.name === name)!.ino;
  for (const dir of [ino('d'), ino('e')]) {
    // The first number that is free.
    put32(dev, entries.find((e) => e.dir === dir && e.name === '..')!.at, 3);
    put32(dev, entries.find((e) => e.dir === 2 && e.ino === dir)!.at, 0);
  }
  const report = await fsck(dev, { mode: 'repair' });
  t.equal(report.clean, true);
  t.equal(report.notes.filter((note) => note.startsWith('Phase 1 ')).length, 2, 'one repair and the check of it');
  await checked(t, dev, 'repaired');
  const again = await rw(dev);
  t.equal(Number((await again.sys.stat(`${V}/lost+found`)).st_ino), 3);
  t.equal((await again.sys.stat(`${V}/lost+found`)).st_nlink, 4);
  await again.close();
});

for (const [what, at, value, code] of [
  ['version', 864, 0xf9, 'JOURNAL_BAD'], ['location', 865, 7, 'JOURNAL_BAD'], ['quotas', 1313, 2, 'SB_FIELD'],
] as const) {
  await t.test(`a superblock that claims what NetBSD has not: ${what}`, async (t) => {
    const dev = await newdisk(
      { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024, log: true },
      16 * 2 ** 20,
    );
    await (await rw(dev)).close();
    const { superblock } = atlasOf(dev);
    const flags = new Uint8Array(1);
    dev.read(flags, 0, 1, superblock + at);
    // A journal that is in use, or quotas besides.
    dev.write(Uint8Array.of(at === 1313 ? flags[0]! | value : value), 0, 1, superblock + at);
    if (at !== 1313) dev.write(Uint8Array.of(1), 0, 1, superblock + 1313);
    t.match((await fsck(dev)).problems.map((p) => p.code), [code]);
    t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
    await checked(t, dev, 'repaired');
    const vol = await rw(dev);
    t.equal(await errnameOf(vol.sys.mkdir(`${V}/d`, 0o755)), '', 'written again');
    await vol.close();
    await checked(t, dev, 'used');
  });
}

await t.test('fs_maxbsize of a UFS1 volume', async (t) => {
  const dev = await newdisk({ format: 1, endian: 'big', blockSize: 8192, fragSize: 1024 }, 4 * 2 ** 20);
  let vol = await rw(dev);
  await put(vol.sys, `${V}/f`, pattern(5000, 1));
  await vol.close();
  put32(dev, atlasOf(dev).superblock + 860, 77);
  t.match((await fsck(dev)).problems.map((p) => p.code), ['SB_FIELD']);
  vol = await rw(dev);
  await put(vol.sys, `${V}/g`, pattern(5000, 1));
  await vol.close();
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
  await checked(t, dev, 'repaired');
});

await t.test('tracks of less than no sectors', async (t) => {
  const dev = await newdisk(OLD, 4 * 2 ** 20);
  const { superblock, fs } = atlasOf(dev);
  for (let c = -1; c < fs.fs_ncg; c++) put32(dev, (c < 0 ? superblock : fs.fsbtob(fs.cgsblock(c))) + 168, 0xfffffffd);
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true);
  t.same((await fsck(dev)).problems, []);
});

await t.test('a summary area in a group block', async (t) => {
  const dev = await newdisk({ format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 }, 4 * 2 ** 20);
  const { superblock, fs } = atlasOf(dev);
  pointers(dev, superblock + 1096, [fs.cgtod(fs.fs_ncg - 1)]);
  t.equal(await errnameOf(rw(dev)), 'EFTYPE');
  t.equal((await fsck(dev, { mode: 'repair' })).clean, true, 'by a copy');
  const vol = await rw(dev);
  await put(vol.sys, `${V}/f`, pattern(5000, 1));
  await vol.close();
  await checked(t, dev, 'repaired and used');
});

await t.test('the next inode to try lies behind those that are initialised', async (t) => {
  const dev = await newdisk(UFS2EA, 4 * 2 ** 20);
  const { fs } = atlasOf(dev);
  for (let c = 0; c < fs.fs_ncg; c++) put32(dev, fs.fsbtob(fs.cgtod(c)) + 48, fs.fs_ipg - 1);
  const vol = await rw(dev);
  t.equal(await errnameOf(vol.sys.mkdir(`${V}/d`, 0o755)), '');
  await put(vol.sys, `${V}/f`, pattern(5000, 1));
  await put(vol.sys, `${V}/d/g`, pattern(5000, 1));
  await vol.close();
  await checked(t, dev, 'used');
});

await t.test('a symlink that says it has no block, and has no room for its target in its inode', async (t) => {
  const dev = await newdisk(OLD, 4 * 2 ** 20);
  let vol = await rw(dev);
  const target = 'x'.repeat(400);
  await vol.sys.symlink(target, `${V}/long`);
  await vol.close();
  const { inodes } = atlasOf(dev);
  const { at } = inodes.find(({ dinode }) => dinode.i_size === target.length)!;
  put32(dev, at + 104, 0);
  t.match((await fsck(dev, { mode: 'repair' })).problems.map((p) => p.code), ['BLOCK_COUNT']);
  await checked(t, dev, 'repaired');
  vol = await rw(dev);
  t.equal(new TextDecoder().decode(await vol.sys.readlink(`${V}/long`)), target);
  await vol.sys.unlink(`${V}/long`);
  await vol.close();
  await checked(t, dev, 'used');
});
