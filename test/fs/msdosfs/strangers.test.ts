/**
 * Volumes that others make with options out of the ordinary, filled by mtools: found by their bytes, read exactly,
 * written, and clean for fsck.fat and sleuthkit afterwards.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { detect } from '../../../src/fs/detect.js';
import { fsck } from '../../../src/fs/msdosfs/tools/fsck/index.js';
import { MIB, VOL, fsckImage, image, mountFat, names, openDisk, pattern, readFile, run, scratch, writeFile } from './volumes.js';

t.setTimeout(0); // the runner has a limit

const KIB = 1024;
/** Of mkfs.fat, or (where they begin with "mformat") of mformat. */
const VOLUMES: readonly (readonly [string, number])[] = [
  ['-F 12 -A', 4 * MIB],
  ['-F 12 -S 4096', 4 * MIB],
  ['-F 12 -s 64 -r 16', 4 * MIB],
  ['-F 16 -A', 60 * MIB],
  ['-F 16 -f 4 -s 32 -R 32', 150 * MIB],
  ['-F 16 -a -h 63 -g 255/63', 40 * MIB],
  ['-F 16 --mbr=y -S 1024', 40 * MIB],
  ['-F 16 -f 3 -r 4096', 40 * MIB],
  ['-F 32 -f 1 -s 1 -R 9', 40 * MIB],
  ['-F 32 -S 4096 -R 2000', 300 * MIB],
  ['-F 32 -a -b 12 -R 40 -h 2048 --mbr=y', 70 * MIB],
  ...[160, 180, 320, 360, 720, 1200, 1440, 2880].map((kib) => [`mformat -f ${kib}`, kib * KIB] as const),
  ['mformat -F -c 1 -T 204800 -h 16 -s 32', 100 * MIB],
  ['mformat -d 1 -r 20 -T 40960 -h 16 -s 32', 20 * MIB],
];

const from = path.join(scratch, 'strangers');
mkdirSync(path.join(from, 'sub'), { recursive: true });
const FILES: readonly (readonly [string, number])[] = [['A Long Name.text', 6], ['BIG.BIN', 30_000], ['sub/Grüße.bin', 3000]];
FILES.forEach(([name, length], i) => writeFileSync(path.join(from, name), pattern(length, i)));

for (const [options, size] of VOLUMES) {
  t.test(options, async (t) => {
    const args = options.split(' ');
    const file = image({ name: options, size, args: args[0] === 'mformat' ? ['-F', '12'] : args });
    if (args[0] === 'mformat') {
      writeFileSync(file, Buffer.alloc(size));
      const made = run('mformat', ['-i', file, ...args.slice(1), '::']);
      t.equal(made.status, 0, made.out);
    }
    const copied = run('mcopy', ['-s', '-i', file, ...['A Long Name.text', 'BIG.BIN', 'sub'].map((n) => path.join(from, n)), '::']);
    t.equal(copied.status, 0, copied.out);
    const before = fsckImage(file);
    const dev = await openDisk(file);
    t.equal((await detect(dev))[0]?.format.name, 'msdosfs', 'is found');
    t.match(await fsck(dev, { mode: 'check' }), { exitStatus: 0, problems: [] });
    const m = await mountFat(dev);
    for (const [i, [name, length]] of FILES.entries()) {
      t.ok((await readFile(m.sys, `${VOL}/${name}`)).equals(pattern(length, i)), name);
    }
    await m.sys.mkdir(`${VOL}/our dir`, 0o755);
    await writeFile(m.sys, `${VOL}/our dir/copied here`, pattern(20_000, 9));
    await m.sys.rename(`${VOL}/sub/Grüße.bin`, `${VOL}/our dir/x y z`);
    await m.sys.unlink(`${VOL}/A Long Name.text`);
    t.strictSame(await names(m.sys, `${VOL}/our dir`), ['copied here', 'x y z']);
    await m.close();
    t.strictSame(m.log, []);
    // The last line counts files and clusters; of Atari's volumes it does not like mkfs.fat's own label.
    const said = (text: string): string => text.replace(/^.* files, .* clusters$/m, '');
    t.equal(said(fsckImage(file)), said(before), 'for fsck.fat it is as it was');
    if (options.includes('-A')) return;
    const list = run('fls', ['-rp', '-f', 'fat', file]);
    t.match(list.out, /our dir\/copied here/, 'sleuthkit lists it');
    rmSync(file);
  });
}
