import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import type { BlockDevice } from '../../../src/kernel/blkdev.js';
import { O_RDONLY } from '../../../src/kernel/fcntl.js';
import { S_IFDIR, S_IFREG } from '../../../src/kernel/stat.js';
import { detect } from '../../../src/fs/detect.js';
import { iso_describe } from '../../../src/fs/cd9660/tools/describe.js';
import { SP, build, field, nm, num32, px, rawSectors, text } from '../../../testing/discs/iso.js';
import type { Disc } from '../../../testing/discs/iso.js';
import { V, mountIso, names, tree } from './support.js';

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed * 13) & 0xff);
}

function disk(image: Uint8Array): BlockDevice {
  return new MemoryDevice({ content: image, readonly: true });
}

/** The same device, all of whose answers come later. */
function later(device: BlockDevice): BlockDevice {
  return {
    name: device.name,
    size_bytes: device.size_bytes,
    sector_bytes: device.sector_bytes,
    readonly: true,
    read: async (into, into_offset, length, offset) => {
      await new Promise((resolve) => setImmediate(resolve));
      await device.read(into, into_offset, length, offset);
    },
    write: () => Promise.reject(new Error('written')),
    flush() {},
    discard() {},
    close() {},
  };
}

async function content(
  sys: Awaited<ReturnType<typeof mountIso>>['sys'],
  file: string,
  length: number,
): Promise<Uint8Array> {
  const fd = await sys.open(`${V}/${file}`, O_RDONLY);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (let n; at < length && (n = await sys.read(fd, bytes, at, Math.min(length - at, 3001))) > 0; at += n);
  await sys.close(fd);
  return bytes.subarray(0, at);
}

const BIG = pattern(20_000, 3);
const SIMPLE: Disc = {
  root: [
    { name: 'A.TXT;1', data: pattern(3000, 1) },
    { name: 'EMPTY.;1', data: new Uint8Array(0) },
    {
      name: 'SUB',
      children: [
        { name: 'B.BIN;1', data: BIG },
        ...Array.from({ length: 200 }, (_, i) => ({ name: `F${i}.DAT;1`, data: pattern(i, i) })),
      ],
    },
  ],
};

for (const block of [512, 1024, 2048]) {
  for (const highSierra of [false, true]) {
    await t.test(`${highSierra ? 'High Sierra' : 'ISO 9660'} with blocks of ${block}`, async (t) => {
      const { image } = build({ ...SIMPLE, block, highSierra });
      for (const device of [disk(image), later(disk(image))]) {
        const m = await mountIso(device);
        const seen = await tree(m.sys);
        t.equal(seen.size, 204);
        t.same((await names(m.sys, V)).sort(), ['a.txt', 'empty', 'sub']);
        t.same(Buffer.from(await content(m.sys, 'sub/b.bin', 30_000)), Buffer.from(BIG));
        t.equal(seen.get('/a.txt')!.mtime, Date.UTC(1999, 1, 3, 4, 5, 6) / 1000 - (highSierra ? 0 : 3600));
        t.same(m.log, []);
        await m.close();
      }
      const { facts } = await iso_describe(disk(image));
      t.match(facts, { format: highSierra ? 'High Sierra' : 'ISO 9660', label: 'BUILT' });
      t.match(await detect(disk(image)), [{ score: 90, format: { name: 'cd9660' } }]);
    });
  }
}

for (const [sector, data] of [
  [2352, 16],
  [2352, 24],
  [2448, 16],
  [2336, 8],
] as const) {
  await t.test(`an image of raw sectors of ${sector} bytes, data at ${data}`, async (t) => {
    const raw = disk(rawSectors(build(SIMPLE).image, sector, data));
    t.match(await detect(raw), [{ score: 90, format: { name: 'cd9660' } }]);
    for (const device of [raw, later(raw)]) {
      const m = await mountIso(device);
      t.same(Buffer.from(await content(m.sys, 'sub/b.bin', 30_000)), Buffer.from(BIG));
      t.same(Buffer.from(await content(m.sys, 'a.txt', 5000)), Buffer.from(pattern(3000, 1)));
      await m.close();
    }
  });
}

await t.test('interleaved files, extended attributes, versions, hidden and associated files', async (t) => {
  const data = pattern(30_001, 9);
  const { image } = build({
    root: [
      { name: 'ATTR.;1', data, attributes: 2 },
      { name: 'FORK.TXT;1', data: pattern(10, 1), flags: 4 },
      { name: 'FORK.TXT;1', data: pattern(20, 2) },
      { name: 'HIDDEN.TXT;1', data: pattern(5, 5), flags: 1 },
      { name: 'MIXED.DAT;1', data, unit: 2, gap: 3 },
      { name: 'NOVERSN.X', data: pattern(7, 7) },
      { name: 'OLD.TXT;3', data: pattern(33, 3) },
      { name: 'OLD.TXT;1', data: pattern(11, 1) },
    ],
  });
  const m = await mountIso(disk(image));
  t.same((await names(m.sys, V)).sort(), [
    'attr',
    'fork.txt',
    'hidden.txt',
    'mixed.dat',
    'noversn.x',
    'old.txt',
    'old.txt;3',
  ]);
  t.same(Buffer.from(await content(m.sys, 'attr', 40_000)), Buffer.from(data));
  t.same(Buffer.from(await content(m.sys, 'mixed.dat', 40_000)), Buffer.from(data));
  t.equal((await content(m.sys, 'fork.txt', 100)).length, 20);
  t.equal((await content(m.sys, 'OLD.TXT;3', 100)).length, 33, 'in either case, with the version');
  t.equal((await content(m.sys, 'Attr.;1', 40_000)).length, 30_001);
  await m.close();
  const all = await mountIso(disk(image), { unhide: true });
  t.equal((await content(all.sys, '=fork.txt', 100)).length, 10);
  await all.close();
  const few = await mountIso(disk(image), { hide: true, check: 'strict' });
  t.notOk((await names(few.sys, V)).includes('hidden.txt'));
  await t.rejects(few.sys.stat(`${V}/FORK.TXT`), { code: 'ENOENT' });
  await few.close();
  const off = await mountIso(disk(image), { map: 'off', mode: '640', dmode: '750', uid: '7', gid: '8' });
  t.ok((await names(off.sys, V)).includes('OLD.TXT;3'));
  t.match(await off.sys.stat(`${V}/NOVERSN.X`), { st_mode: S_IFREG | 0o640, st_uid: 7, st_gid: 8 });
  t.match(await off.sys.stat(V), { st_mode: S_IFDIR | 0o750 });
  await off.close();
});

await t.test('a file of several extents', async (t) => {
  const parts = [pattern(6144, 1), pattern(2048, 2), pattern(999, 3)];
  const filler = Array.from({ length: 40 }, (_, i) => ({ name: `FILLER${i}.TXT;1`, data: pattern(1, i) }));
  const { image } = build({
    // So many files before it that its records lie on both sides of the end of a block.
    root: [
      ...filler,
      ...parts.map((data, i) => ({ name: 'LARGE.DAT;1', data, flags: i < 2 ? 0x80 : 0 })),
      { name: 'NEXT.;1', data: pattern(3, 3) },
    ],
  });
  for (const device of [disk(image), later(disk(image))]) {
    const m = await mountIso(device);
    t.equal((await m.sys.stat(`${V}/large.dat`)).st_size, 6144 + 2048 + 999);
    t.same(Buffer.from(await content(m.sys, 'large.dat', 20_000)), Buffer.concat(parts));
    t.equal((await names(m.sys, V)).length, 42);
    // By its number, as a server that has not seen the directory finds it.
    const fh = await m.sys.getfh(`${V}/large.dat`);
    await m.close();
    const again = await mountIso(device);
    t.equal((await again.sys.fhstat({ ...fh, fh_fsid: (await again.sys.getfh(V)).fh_fsid })).st_size, 9191);
    await again.close();
  }
});

await t.test('sizes of 4 GiB and more are exact', async (t) => {
  const half = 0xfffff800;
  const { image } = build({
    root: [
      { name: 'HUGE.DAT;1', data: pattern(100, 1), size: half, flags: 0x80 },
      { name: 'HUGE.DAT;1', data: pattern(100, 2), size: half, flags: 0x80 },
      { name: 'HUGE.DAT;1', data: pattern(77, 3) },
    ],
  });
  const m = await mountIso(disk(image));
  t.equal((await m.sys.stat(`${V}/huge.dat`)).st_size, 2 * half + 77);
  const fd = await m.sys.open(`${V}/huge.dat`, O_RDONLY);
  const bytes = new Uint8Array(100);
  t.equal(await m.sys.pread(fd, bytes, 2 * half), 77);
  t.same(Buffer.from(bytes.subarray(0, 77)), Buffer.from(pattern(77, 3)));
  t.equal(await m.sys.pread(fd, bytes, half), 100);
  t.same(Buffer.from(bytes), Buffer.from(pattern(100, 2)));
  await t.rejects(m.sys.pread(fd, bytes, half - 200), { code: 'EIO' }, 'the image ends before');
  await m.sys.close(fd);
  await m.close();
});

await t.test('one number for a file with several names, also in another server', async (t) => {
  const data = pattern(5000, 5);
  const rr = (name: string, nlink: number, serial?: number) =>
    Uint8Array.from([...px(0o100644, nlink, 1, 2, serial), ...nm(name)]);
  const disc = (at?: number): Disc => ({
    rootUse: Uint8Array.from([...SP, ...px(0o40755)]),
    root: [
      { name: 'A.;1', data, use: rr('first', 3, 77) },
      { name: 'B.;1', ...(at === undefined ? { data } : { at, size: data.length }), use: rr('second', 3, 77) },
      { name: 'C.;1', ...(at === undefined ? { data } : { at, size: data.length }), use: rr('copy', 1, 78) },
      { name: 'D.;1', ...(at === undefined ? { data } : { at, size: 100 }), use: rr('part', 2, 79) },
      {
        name: 'SUB',
        children: [
          { name: 'E.;1', ...(at === undefined ? { data } : { at, size: data.length }), use: rr('third', 3, 77) },
        ],
        use: Uint8Array.from([...px(0o40755), ...nm('sub')]),
      },
    ],
  });
  const { image } = build(disc(build(disc()).places.get('/A.;1')));
  const m = await mountIso(disk(image));
  const ino = async (name: string) => (await m.sys.stat(`${V}/${name}`)).st_ino;
  t.equal(await ino('first'), await ino('second'));
  t.equal(await ino('first'), await ino('sub/third'));
  t.not(await ino('first'), await ino('copy'));
  t.not(await ino('first'), await ino('part'));
  t.equal((await m.sys.stat(`${V}/part`)).st_size, 100);
  const fh = await m.sys.getfh(`${V}/sub/third`);
  await m.close();
  const again = await mountIso(disk(image));
  const { fh_fsid } = await again.sys.getfh(V);
  t.match(await again.sys.fhstat({ fh_fsid, fh_fid: fh.fh_fid }), { st_size: 5000, st_nlink: 3 });
  await t.rejects(again.sys.fhstat({ fh_fsid, fh_fid: { ...fh.fh_fid, fid_ino: fh.fh_fid.fid_ino + 64 * 64 } }), {
    code: 'ESTALE',
  });
  await again.close();
});

await t.test('Rock Ridge: names and links in pieces, skipped bytes, moved directories, long times', async (t) => {
  const skip = [9, 9, 9];
  const sp = field('SP', 0xbe, 0xef, skip.length);
  const use = (...bytes: number[][]) => Uint8Array.from([...skip, ...bytes.flat()]);
  const link = field('SL', 1, 8, 0, 1, 2, ...text('us'), 0, 1, ...text('r'));
  const link2 = field('SL', 0, 4, 0, 0, 3, ...text('lib'), 2, 0);
  const date = text('2001020304050678');
  const tf = field('TF', 0x82, ...date, 0);
  const child = (at: number) => use(nm('deep'), px(0o40711), field('CL', ...num32(at)));
  const disc = (places?: ReadonlyMap<string, number>): Disc => ({
    rootUse: Uint8Array.from([...sp, ...px(0o40755)]),
    root: [
      { name: 'LINK.;1', use: use(px(0o120777), nm('a-', 1), nm('link'), link, link2) },
      {
        name: 'RR_MOVED',
        use: use(nm('rr_moved'), px(0o40555)),
        children: [
          {
            name: 'DEEP',
            use: use(nm('deep'), px(0o40755), field('RE')),
            dotUse: use(px(0o40711), tf),
            dotdotUse: use(px(0o40755), field('PL', ...num32(places?.get('/TOP') ?? 20))),
            children: [{ name: 'LEAF.;1', data: pattern(9, 9), use: use(nm('leaf'), px(0o100600)) }],
          },
        ],
      },
      {
        name: 'TOP',
        use: use(nm('top'), px(0o40755)),
        children: [{ name: 'DEEP.;1', use: child(places?.get('/RR_MOVED/DEEP') ?? 20) }],
      },
    ],
  });
  const { image } = build(disc(build(disc()).places));
  for (const device of [disk(image), later(disk(image))]) {
    const m = await mountIso(device);
    t.same((await names(m.sys, V)).sort(), ['a-link', 'top'], 'the folder of moved directories is not shown');
    t.equal(Buffer.from(await m.sys.readlink(`${V}/a-link`)).toString(), '/usr/../lib/.');
    const deep = await m.sys.stat(`${V}/top/deep`);
    t.match(deep, {
      st_mode: S_IFDIR | 0o711,
      st_mtime: Date.UTC(2001, 1, 3, 4, 5, 6) / 1000,
      st_mtimensec: 780_000_000,
    });
    t.equal((await content(m.sys, 'top/deep/leaf', 20)).length, 9);
    t.equal((await m.sys.stat(`${V}/top/deep/..`)).st_ino, (await m.sys.stat(`${V}/top`)).st_ino);
    const fh = await m.sys.getfh(`${V}/top/deep`);
    const topIno = (await m.sys.stat(`${V}/top`)).st_ino;
    await m.close();
    const again = await mountIso(device);
    const fd = await again.sys.fhopen({ fh_fsid: (await again.sys.getfh(V)).fh_fsid, fh_fid: fh.fh_fid }, O_RDONLY);
    t.equal((await again.sys.fstatat(fd, '..')).st_ino, topIno, 'its parent is found without its name');
    const entries = await again.sys.getdents(fd);
    t.equal(entries.find(({ d_name }) => d_name === '..')!.d_fileno, topIno);
    await again.sys.close(fd);
    await again.close();
    t.same(m.log, []);
  }
});
