/** What happens at the ends: of a file, a directory, a volume, a name. */
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { newfs } from '../../../src/fs/msdosfs/tools/newfs.js';
import type { NewfsOptions } from '../../../src/fs/msdosfs/tools/newfs.js';
import { O_CREAT, O_EXCL, O_RDWR } from '../../../src/kernel/fcntl.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { MIB, VOL, fsckFat, fsckImage, mountFat, names, pattern, readFile, run, save, writeFile } from './volumes.js';

t.setTimeout(0); // the runner has a limit

async function volume(size_bytes: number, options: NewfsOptions): Promise<MemoryDevice> {
  const dev = new MemoryDevice({ size_bytes });
  await newfs(dev, options);
  return dev;
}

async function create(sys: RumpSys, name: string): Promise<void> {
  await sys.close(await sys.open(`${VOL}/${name}`, O_RDWR | O_CREAT | O_EXCL, 0o644));
}

t.test('a file has 4 GiB less one byte', async (t) => {
  const dev = await volume(4.5 * 1024 * MIB, { type: 32, clusterBytes: 65536 });
  const m = await mountFat(dev);
  const fd = await m.sys.open(`${VOL}/big`, O_RDWR | O_CREAT, 0o644);
  const max = 2 ** 32 - 1;
  await t.rejects(m.sys.pwrite(fd, Buffer.from('x'), max), { code: 'EFBIG' });
  await t.rejects(m.sys.ftruncate(fd, max + 1), { code: 'EFBIG' });
  t.equal((await m.sys.fstat(fd)).st_size, 0);
  await m.sys.close(fd);
  await m.close();
});

t.test('the root directory of FAT12 is full', async (t) => {
  const dev = await volume(1440 * 1024, { type: 12, rootEntries: 112 });
  const m = await mountFat(dev);
  let n = 0;
  const more = async (): Promise<void> => {
    for (; ; n++) await create(m.sys, `LONGNAME ${n}`);
  };
  await t.rejects(more(), { code: 'ENOSPC' });
  t.equal(n, 56);
  await create(m.sys, 'lower').catch(() => t.pass('no room for a long name'));
  await t.rejects(m.sys.mkdir(`${VOL}/DIR`, 0o755), { code: 'ENOSPC' });
  await m.sys.unlink(`${VOL}/LONGNAME 5`);
  await m.sys.mkdir(`${VOL}/DIR`, 0o755);
  for (let i = 0; i < 200; i++) await create(m.sys, `DIR/LONGNAME ${i}`);
  await t.rejects(m.sys.rename(`${VOL}/DIR/LONGNAME 7`, `${VOL}/NEWNAME7 is long`), { code: 'ENOSPC' });
  t.equal((await names(m.sys, `${VOL}/DIR`)).length, 200);
  await m.close();
  t.equal(await fsckFat(dev), '');
});

for (const [name, size, options] of [
  ['fat12', 1440 * 1024, { type: 12 }],
  ['fat16', 5 * MIB, { type: 16, clusterBytes: 1024 }],
  ['fat32', 34 * MIB, { type: 32, clusterBytes: 512 }],
] as const) {
  t.test(`${name}: filled to the last cluster, and emptied`, async (t) => {
    const dev = await volume(size, options);
    const m = await mountFat(dev);
    const before = await m.sys.statvfs(VOL);
    await m.sys.mkdir(`${VOL}/d`, 0o755);
    const written: number[] = [];
    let last = 0;
    for (let full = false; !full; ) {
      const fd = await m.sys.open(`${VOL}/d/f${written.length}`, O_RDWR | O_CREAT, 0o644);
      const bytes = pattern(200_000 * (name === 'fat32' ? 20 : 1), written.length);
      last = 0;
      try {
        while (last < bytes.length) last += await m.sys.write(fd, bytes, last, bytes.length - last);
      } catch (error) {
        t.match(error, { code: 'ENOSPC' });
        full = true;
      }
      await m.sys.close(fd);
      written.push((await m.sys.stat(`${VOL}/d/f${written.length}`)).st_size);
    }
    t.equal((await m.sys.statvfs(VOL)).f_bfree, 0, 'nothing is free');
    await t.rejects(writeFile(m.sys, `${VOL}/d/one more`, pattern(1, 1)), { code: 'ENOSPC' });
    await t.rejects(m.sys.mkdir(`${VOL}/e`, 0o755), { code: 'ENOSPC' });
    await m.sys.sync();
    for (const [i, length] of written.entries()) {
      const expected = pattern(200_000 * (name === 'fat32' ? 20 : 1), i).subarray(0, length);
      t.ok((await readFile(m.sys, `${VOL}/d/f${i}`)).equals(expected), `file ${i}`);
      // Room in the last cluster is there all the same.
      if (i > 0) await m.sys.unlink(`${VOL}/d/f${i}`);
    }
    await writeFile(m.sys, `${VOL}/d/again`, pattern(150_000, 9));
    for (const one of await names(m.sys, `${VOL}/d`)) await m.sys.unlink(`${VOL}/d/${one}`);
    await m.sys.rmdir(`${VOL}/d`);
    await m.sys.sync();
    t.equal((await m.sys.statvfs(VOL)).f_bfree, before.f_bfree, 'all of it is free again');
    await m.close();
    t.strictSame(m.log, []);
    t.equal(await fsckFat(dev), '');
  });
}

/** Rules of Linux's vfat with UTF-8 names: what is made, as what it is listed, and by what it is found. */
const NAMES: readonly (readonly [string, string | { readonly code: string }, readonly string[]])[] = [
  ['plain.txt', 'plain.txt', ['PLAIN.TXT', 'Plain.Txt', 'plain.txt.', 'plain.txt....']],
  ['dots...', 'dots', ['dots', 'DOTS.', 'dots...']],
  ['.hidden', '.hidden', ['.HIDDEN', 'HIDDEN~1']],
  ['...three', '...three', ['...THREE']],
  ['inner. dot', 'inner. dot', ['INNER. DOT', 'INNER~1.DOT']],
  [' leading blank', ' leading blank', ['LEADIN~1']],
  ['blank behind ', { code: 'EINVAL' }, []],
  ['blank and dots ...', { code: 'EINVAL' }, []],
  ['....', { code: 'ENOENT' }, []],
  ...['a*b', 'a"b', 'a:b', 'a<b', 'a>b', 'a?b', 'a\\b', 'a|b', 'a\tb', 'a\x01b'].map(
    (name) => [name, { code: 'EINVAL' }, []] as const,
  ),
  ['+,;=[].+,;', '+,;=[].+,;', ['______~1.___']],
  ['x'.repeat(255), 'x'.repeat(255), ['X'.repeat(255), 'XXXXXX~1']],
  ['x'.repeat(256), { code: 'ENAMETOOLONG' }, []],
  [`${'y'.repeat(255)}...`, 'y'.repeat(255), ['y'.repeat(255)]],
  ['漢'.repeat(255), '漢'.repeat(255), []],
  ['漢'.repeat(256), { code: 'ENAMETOOLONG' }, []],
  [`${'😀'.repeat(127)}z`, `${'😀'.repeat(127)}z`, []],
  ['😀'.repeat(128), { code: 'ENAMETOOLONG' }, []],
  ['Grüße', 'Grüße', ['GRüßE']],
  ['ÄÖÜ', 'ÄÖÜ', []],
  // Its short name would be that of the one before.
  ['äöü', { code: 'EEXIST' }, []],
  ['Ελληνικά', 'Ελληνικά', []],
  ['русский.текст', 'русский.текст', []],
  ['עברית', 'עברית', []],
  ['العربية', 'العربية', []],
  ['日本語', '日本語', []],
  ['한국어', '한국어', []],
  ['ไทย', 'ไทย', []],
  ['हिन्दी', 'हिन्दी', []],
  ['e\u0301', 'e\u0301', []],
  ['\u00e9', '\u00e9', []],
  ['CON', 'CON', ['con']],
  ['aux.txt', 'aux.txt', ['AUX.TXT']],
  ['a~1', 'a~1', ['A~1']],
  ['\xe5.bin', '\xe5.bin', []],
];

t.test('names, and whether others read them so', async (t) => {
  const dev = await volume(34 * MIB, { type: 32, clusterBytes: 512 });
  const m = await mountFat(dev);
  const made: string[] = [];
  for (const [name, listed, found] of NAMES) {
    if (typeof listed !== 'string') {
      await t.rejects(create(m.sys, name), listed, JSON.stringify(name.slice(0, 20)));
      continue;
    }
    await create(m.sys, name);
    made.push(listed);
    for (const other of found) {
      await m.sys.stat(`${VOL}/${other}`).catch(() => t.fail(`${other.slice(0, 20)} is not found`));
      await t.rejects(create(m.sys, other), { code: 'EEXIST' }, `${other.slice(0, 20)} is there`);
    }
  }
  t.strictSame(await names(m.sys, `${VOL}/`), [...made].sort());
  await m.close();
  const file = await save(dev);
  t.equal(fsckImage(file), '');
  const mdir = run('mdir', ['-b', '-i', file, '::/']).out.split('\n').filter((line) => line !== '');
  // mtools have no names beyond U+FFFF.
  const plane0 = (list: readonly string[]): string[] => list.filter((name) => !/__z$|😀/u.test(name)).sort();
  t.strictSame(plane0(mdir.map((line) => line.replace('::/', ''))), plane0(made), 'mtools list the same names');
  const again = await mountFat(dev);
  t.strictSame(await names(again.sys, `${VOL}/`), [...made].sort(), 'and so does the next mount');
  await again.close();
});

t.test('short names: ~1 to ~9, then four digits of chance; renames that change only the case', async (t) => {
  const dev = await volume(34 * MIB, { type: 32, clusterBytes: 512 });
  const m = await mountFat(dev);
  for (let i = 0; i < 400; i++) await create(m.sys, `collision number ${i}.text`);
  for (let i = 1; i < 10; i++) await m.sys.stat(`${VOL}/COLLIS~${i}.TEX`);
  await create(m.sys, 'case.txt');
  for (const name of ['Case.txt', 'CASE.TXT', 'case.TXT', 'case.txt.', 'cAsE.tXt']) {
    const before = (await m.sys.stat(`${VOL}/case.txt`)).st_ino;
    await m.sys.rename(`${VOL}/case.txt`, `${VOL}/${name}`);
    t.ok((await names(m.sys, `${VOL}/`)).includes(name.replace(/\.$/, '')), name);
    t.equal((await m.sys.stat(`${VOL}/CASE.txt`)).st_ino, before);
  }
  await m.sys.rename(`${VOL}/COLLIS~3.TEX`, `${VOL}/another`);
  t.equal((await names(m.sys, `${VOL}/`)).length, 401);
  await m.close();
  const file = await save(dev);
  t.equal(fsckImage(file), '');
  const shorts = run('mdir', ['-a', '-i', file, '::/']).out.match(/^CO....~\d TEX/gm) ?? [];
  t.equal(new Set(shorts).size, 399);
});

t.test('a directory of 65,536 entries', async (t) => {
  const dev = await volume(40 * MIB, { type: 32, clusterBytes: 512 });
  const m = await mountFat(dev);
  await m.sys.mkdir(`${VOL}/D`, 0o755);
  // Names of twenty parts each: the end is near sooner.
  const name = (n: number): string => `${VOL}/D/${String(n).padStart(255, 'n')}`;
  let n = 0;
  const more = async (): Promise<void> => {
    for (; ; n++) await m.sys.close(await m.sys.open(name(n), O_RDWR | O_CREAT | O_EXCL, 0o644));
  };
  await t.rejects(more(), { code: 'ENOSPC' });
  t.ok(n >= 2900 && n <= 3120, `${n} names of 21 entries`);
  t.equal((await m.sys.stat(`${VOL}/D`)).st_size, 2 * MIB);
  await m.sys.unlink(name(17));
  await create(m.sys, `D/${'m'.repeat(255)}`);
  t.equal((await names(m.sys, `${VOL}/D`)).length, n);
  await m.close();
  t.equal(await fsckFat(dev), '');
});
