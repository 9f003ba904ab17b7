import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import {
  GEOMETRIES,
  VOL,
  fsckImage,
  image,
  mountFat,
  names,
  openDisk,
  pattern,
  readFile,
  run,
  scratch,
  writeFile,
} from './volumes.js';

const LONG = `${'a long name with blanks '.repeat(9)}end.text`;
const FILES: readonly (readonly [string, number])[] = [
  ['EMPTY.TXT', 0], ['one', 1], ['Sector', 512], ['odd name.bin', 513], ['big.bin', 70_001], [LONG, 3],
  ['Grüße ünd 日本語.txt', 4097],
];

for (const geometry of GEOMETRIES) {
  t.test(`${geometry.name}: what mtools write we read, what we write they read`, async (t) => {
    const file = image(geometry, ['-n', 'TESTLABEL']);
    const from = path.join(scratch, geometry.name);
    mkdirSync(path.join(from, 'sub', 'Deeper Down'), { recursive: true });
    FILES.forEach(([name, length], i) => {
      writeFileSync(path.join(from, name), pattern(length, i));
      writeFileSync(path.join(from, 'sub', 'Deeper Down', name), pattern(length, i + 100));
    });
    const copied = run('mcopy', [
      '-s',
      '-i',
      file,
      ...FILES.map(([name]) => path.join(from, name)),
      path.join(from, 'sub'),
      '::',
    ]);
    t.equal(copied.status, 0, copied.out);
    const dev = await openDisk(file);
    const m = await mountFat(dev);
    t.strictSame(await names(m.sys, VOL), [...FILES.map(([name]) => name), 'sub'].sort());
    for (const [i, [name, length]] of FILES.entries()) {
      t.ok((await readFile(m.sys, `${VOL}/${name}`)).equals(pattern(length, i)), name);
      t.ok(
        (await readFile(m.sys, `${VOL}/SUB/deeper down/${name}`)).equals(pattern(length, i + 100)),
        `deeper: ${name}`,
      );
    }
    await m.sys.mkdir(`${VOL}/made here`, 0o755);
    for (const [i, [name, length]] of FILES.entries()) {
      await writeFile(m.sys, `${VOL}/made here/${name}`, pattern(length, i + 200));
    }
    await m.sys.unlink(`${VOL}/BIG.BIN`);
    await m.sys.rename(`${VOL}/${LONG}`, `${VOL}/sub/short`);
    await m.sys.rename(`${VOL}/sub`, `${VOL}/made here/Sub`);
    const { f_bfree, f_frsize } = await m.sys.statvfs(VOL);
    await m.close();
    t.strictSame(m.log, []);
    t.equal(fsckImage(file), '', 'fsck.fat');
    for (const [i, [name, length]] of FILES.entries()) {
      const read = run('mtype', ['-i', file, `::/made here/${name}`]);
      t.ok(read.bytes.equals(pattern(length, i + 200)), `mtools read ${name}`);
    }
    t.ok(run('mtype', ['-i', file, '::/made here/sub/SHORT']).bytes.equals(pattern(3, 5)));
    t.not(run('mtype', ['-i', file, '::/big.bin']).status, 0);
    const free = /([\d ]+) bytes free/.exec(run('mdir', ['-i', file, '::']).out)![1]!;
    t.equal(Number(free.replace(/ /g, '')), f_bfree * f_frsize, 'free');
  });
}
