import t from 'tap';
import { deflateSync } from 'node:zlib';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { detect } from '../../../src/fs/detect.js';
import { O_CREAT, O_RDONLY, O_RDWR } from '../../../src/kernel/fcntl.js';
import { SP, build, field, nm, num32, px, text } from '../../../testing/discs/iso.js';
import type { Built, Disc, Item } from '../../../testing/discs/iso.js';
import { V, mountIso, names, tree } from './support.js';
import type { MountedVolume } from '../../../testing/mounted.js';

/**
 * Discs that contradict themselves: what is intact is read, what is not fails with EIO and a line that says where;
 * nothing hangs.
 */

function mounted({ image }: Pick<Built, 'image'>, options: Record<string, string | true> = {}): Promise<MountedVolume> {
  return mountIso(new MemoryDevice({ content: image, readonly: true }), options);
}

const file = (name: string): Item => ({ name, data: Uint8Array.of(1, 2, 3) });
const rock = (root: readonly Item[]): Disc => ({ root, rootUse: Uint8Array.from([...SP, ...px(0o40755)]) });

await t.test('directories that lie in themselves', async (t) => {
  const disc = (places?: ReadonlyMap<string, number>): Disc => ({
    root: [
      file('A.;1'),
      { name: 'SELF', at: 20, children: [] },
      {
        name: 'SUB',
        children: [
          { name: 'BACK', children: [], at: places?.get('/SUB') ?? 20 },
          { name: 'UP', children: [], at: places?.get('') ?? 20 },
        ],
      },
    ],
  });
  const m = await mounted(build(disc(build(disc()).places)));
  t.same((await names(m.sys, V)).sort(), ['a', 'self', 'sub']);
  for (const name of ['self', 'sub/back', 'sub/up']) await t.rejects(m.sys.stat(`${V}/${name}`), { code: 'EIO' }, name);
  t.match(m.log.join('\n'), /which it lies in itself/);
  await m.close();
});

await t.test('records', async (t) => {
  const made = build({ root: Array.from({ length: 120 }, (_, i) => file(`FILE${String(i).padStart(3, '0')}.;1`)) });
  const root = made.places.get('')! * 2048;
  const clean = await mounted(made);
  t.equal((await names(clean.sys, V)).length, 120);
  await clean.close();
  const perBlock = made.image.subarray(root, root + 2048);
  for (const [what, at, value] of [
    ['a length of 33', 68, 33],
    ['a length beyond the block', 68, 255],
    ['no name', 68 + 32, 0],
    ['a name beyond the record', 68 + 32, 200],
  ] as const) {
    const image = made.image.slice();
    const last = what.includes('beyond the block') ? lastRecord(perBlock) : at;
    image[root + last] = value;
    const m = await mounted({ image });
    const seen = await names(m.sys, V);
    t.ok(seen.length >= 60 && seen.length < 120, `${what}: the other blocks are there (${seen.length})`);
    t.match(m.log.join('\n'), /directory record at byte \d+/);
    await m.close();
  }
  for (const name of ['/etc', '..', '\0', '.', 'a\0b']) {
    const m = await mounted(
      build(
        rock([
          { name: 'X.;1', use: Uint8Array.from(nm(name)) },
          { ...file('OK.;1'), use: Uint8Array.from(nm('ok')) },
        ]),
      ),
    );
    t.same(await names(m.sys, V), name === '/etc' ? ['.etc', 'ok'] : ['ok'], JSON.stringify(name));
    await m.close();
  }
});

function lastRecord(block: Uint8Array): number {
  let at = 0;
  while (at + block[at]! < block.length && block[at + block[at]!] !== 0) at += block[at]!;
  return at;
}

await t.test('system use fields that go on for ever, or nowhere', async (t) => {
  const ce = (block: number, offset: number, length: number) =>
    field('CE', ...num32(block), ...num32(offset), ...num32(length));
  const disc = (at: number): Disc =>
    rock([
      {
        name: 'HOLD.;1',
        data: Uint8Array.from([...nm('x'.repeat(200), 1), ...ce(at, 0, 300)]),
        use: Uint8Array.from(nm('hold')),
      },
      { name: 'LOOP.;1', use: Uint8Array.from([...nm('y', 1), ...ce(at, 0, 300)]) },
      { name: 'FAR.;1', use: Uint8Array.from([...nm('far'), ...ce(0xffffffff, 0, 300)]) },
      { name: 'LONG.;1', use: Uint8Array.from([...nm('long'), ...ce(at, 0, 0xffffffff)]) },
      { name: 'SHORT.;1', use: Uint8Array.from([...nm('short'), 0x4e, 0x4d, 200, 1]) },
    ]);
  const m = await mounted(build(disc(build(disc(20)).places.get('/HOLD.;1')!)));
  const seen = await names(m.sys, V);
  t.equal(seen.length, 5);
  t.ok(seen.includes('far') && seen.includes('long') && seen.includes('short'));
  t.equal(seen.find((name) => name.startsWith('y'))!.length, 255);
  t.match(m.log.join('\n'), /system use fields/);
  await m.close();
});

await t.test('sizes and places', async (t) => {
  const big = build({
    root: [
      { name: 'CUT.;1', data: new Uint8Array(4096), size: 1_000_000 },
      { name: 'FAR.;1', at: 0xfffffff0, size: 100 },
      { name: 'HUGE', children: [], size: 0xffffffff },
      { name: 'LOW', children: [], at: 0 },
      { name: 'NODIR', children: [], at: 0xfffffff0 },
      { name: 'ZERO', children: [file('Z.;1')], size: 0 },
      { name: 'OPEN.;1', data: new Uint8Array(2048), flags: 0x80 },
      { name: 'OTHER.;1', data: new Uint8Array(10) },
    ],
  });
  const m = await mounted(big);
  const buffer = new Uint8Array(2_000_000);
  const cut = await m.sys.open(`${V}/cut`, O_RDONLY);
  const got = await m.sys.read(cut, buffer);
  t.ok(got >= 4096 && got < 100_000, 'what is there is read');
  await t.rejects(m.sys.read(cut, buffer), { code: 'EIO' }, 'and then it says so');
  await m.sys.close(cut);
  for (const name of ['far']) {
    const fd = await m.sys.open(`${V}/${name}`, O_RDONLY);
    await t.rejects(m.sys.read(fd, buffer), { code: 'EIO' });
    await m.sys.close(fd);
  }
  for (const name of ['huge', 'low', 'nodir']) await t.rejects(names(m.sys, `${V}/${name}`), { code: 'EIO' }, name);
  t.same(await names(m.sys, `${V}/zero`), []);
  t.equal((await m.sys.stat(`${V}/open`)).st_size, 2048);
  t.equal((await m.sys.stat(`${V}/other`)).st_size, 10);
  await m.close();
});

await t.test('descriptors', async (t) => {
  const made = build({ root: [file('A.;1')] });
  const broken = (change: (image: Uint8Array, view: DataView) => void): Uint8Array => {
    const image = made.image.slice();
    change(image, new DataView(image.buffer));
    return image;
  };
  const sector = 16 * 2048;
  const noRoot = broken((image) => void image.fill(0, sector + 156, sector + 190));
  await t.rejects(mounted({ image: noRoot }), { code: 'EFTYPE', message: /without a root directory/ });
  t.match(await detect(new MemoryDevice({ content: noRoot })), [{ score: 20 }]);
  const wild = broken((_image, view) => {
    view.setUint32(sector + 158, 0xffffff, true);
    view.setUint32(sector + 162, 0xffffff, false);
  });
  await t.rejects(mounted({ image: wild }), { code: 'EFTYPE' });
  const half = broken((_image, view) => view.setUint32(sector + 158, 0xffffff, true));
  const m = await mounted({ image: half });
  t.same(await names(m.sys, V), ['a'], 'one half of a number is wrong');
  await m.close();
  const notThere = broken((image) => void image.fill(0, 20 * 2048, 20 * 2048 + 100));
  await t.rejects(mounted({ image: notThere }), { code: 'EFTYPE', message: /no directory in block 20/ });
  await t.rejects(mounted({ image: made.image.slice(0, 17 * 2048) }), { code: 'EFTYPE' });
  await t.rejects(mounted({ image: new Uint8Array(100_000) }), { code: 'EFTYPE', message: /no ISO 9660 volume/ });
  const endless = new Uint8Array(400 * 2048);
  for (let i = 16; i < 400; i++) endless.set(made.image.subarray(sector, sector + 2048), i * 2048);
  await t.rejects(mounted({ image: endless }), { code: 'EFTYPE' });
  await t.rejects(mounted(made, { sessions: '1' }), { code: 'EINVAL', message: /unknown option sessions/ });
  await t.rejects(mounted(made, { mode: '999' }), { code: 'EINVAL' });
  await t.rejects(mounted(made, { map: 'some' }), { code: 'EINVAL' });
  await t.rejects(mounted(made, { 'force-rw': true }), { code: 'EROFS' });
});

const MAGIC_1 = [0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07];
const MAGIC_2 = [0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b, 0x95, 0xa0];
const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];

await t.test('zisofs', async (t) => {
  const zf = (size: number) => field('ZF', ...text('pz'), 4, 15, ...num32(size));
  const packed = [...deflateSync(Buffer.alloc(1000, 'x'))];
  const one = (blocks: number[], pointers: number[], size = 1000) => [
    ...MAGIC_1,
    ...u32(size),
    4,
    15,
    0,
    0,
    ...pointers.flatMap(u32),
    ...blocks,
  ];
  const end = 24 + packed.length;
  const wrong = packed.slice();
  wrong[wrong.length - 1]! ^= 1;
  const bomb = [...deflateSync(Buffer.alloc(50_000_000))];
  const cases: readonly [string, number[], string, number?][] = [
    ['good', one(packed, [24, end]), ''],
    ['checksum', one(wrong, [24, end]), 'EIO'],
    ['short', one(packed.slice(0, 10), [24, 34]), 'EIO'],
    ['order', one(packed, [end, 24]), 'EIO'],
    ['far', one(packed, [24, 0x7fffffff]), 'EIO'],
    ['more', one([...deflateSync(Buffer.alloc(2000))], [24, 24 + deflateSync(Buffer.alloc(2000)).length]), 'EIO'],
    ['less', one([...deflateSync(Buffer.alloc(100))], [24, 24 + deflateSync(Buffer.alloc(100)).length]), 'EIO'],
    ['bomb', one(bomb.slice(0, 30_000), [24, 24 + 30_000]), 'EIO'],
    ['magic', [...Array<number>(100).fill(7)], 'EIO'],
    ['blocks', [...MAGIC_1, ...u32(1000), 4, 30, 0, 0, ...u32(24), ...u32(end), ...packed], 'EIO'],
    ['empty', [], 'EIO'],
    ['pointers', one([], []), 'EIO', 2 ** 31],
    ['xz', [...MAGIC_2, 0, 6, 2, 15, ...u32(1000), ...u32(0), ...u32(0), ...packed], 'EOPNOTSUPP'],
  ];
  const m = await mounted(
    build(
      rock(
        cases.map(([name, data, , size]) => ({
          name: `${name.toUpperCase()}.;1`,
          data: Uint8Array.from(data),
          use: Uint8Array.from([...px(0o100644), ...nm(name), ...zf(size ?? 1000)]),
        })),
      ),
    ),
  );
  for (const [name, , code] of cases) {
    const fd = await m.sys.open(`${V}/${name}`, O_RDONLY);
    const buffer = new Uint8Array(2000);
    if (code === '') t.equal(await m.sys.read(fd, buffer), 1000, name);
    else await t.rejects(m.sys.read(fd, buffer), { code }, name);
    await m.sys.close(fd);
  }
  await m.close();
});

await t.test('sizes that no number of ours has are not believed', async (t) => {
  const wide = [...text('ZF'), 16, 2, ...text('PZ'), 6, 15, ...Array<number>(8).fill(0xff)];
  const sparse = field('SF', ...num32(0xffffffff), ...num32(0), 1);
  const use = (name: string, more: number[]): Uint8Array => Uint8Array.from([...px(0o100644), ...nm(name), ...more]);
  const m = await mounted(
    build(
      rock([
        { name: 'A.;1', data: new Uint8Array(10), use: use('wide', wide) },
        { name: 'B.;1', data: new Uint8Array(10), use: use('sparse', sparse) },
      ]),
    ),
  );
  for (const name of ['wide', 'sparse']) t.equal((await m.sys.stat(`${V}/${name}`)).st_size, 10, name);
  await m.close();
});

await t.test('sparse files are refused, and whole discs are walked', async (t) => {
  const sparse = [...px(0o100644), ...nm('sparse'), ...field('SF', ...num32(1), ...num32(5), 2)];
  const m = await mounted(
    build(
      rock([
        { name: 'S.;1', data: new Uint8Array(10), use: Uint8Array.from(sparse) },
        { ...file('B.;1'), use: Uint8Array.from(nm('b')) },
      ]),
    ),
  );
  const seen = await tree(m.sys);
  t.match(seen.get('/sparse'), { size: 2 ** 32 + 5, sha: 'EOPNOTSUPP' });
  t.equal(seen.size, 2);
  const { sys } = m;
  const changes: readonly (() => Promise<unknown>)[] = [
    () => sys.unlink(`${V}/b`),
    () => sys.mkdir(`${V}/d`, 0o755),
    () => sys.rename(`${V}/b`, `${V}/c`),
    () => sys.chmod(`${V}/b`, 0o600),
    () => sys.symlink('x', `${V}/l`),
    () => sys.truncate(`${V}/b`, 0),
    () => sys.open(`${V}/new`, O_RDWR | O_CREAT, 0o644),
    () => sys.link(`${V}/b`, `${V}/l`),
  ];
  for (const change of changes)
    await t.rejects(
      change().then(() => {}),
      { code: 'EROFS' },
    );
  await m.close();
});
