import { createHash } from 'node:crypto';
import t from 'tap';
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { detect } from '../../../src/fs/detect.js';
import { iso_describe } from '../../../src/fs/cd9660/tools/describe.js';
import { DEEP, hostTree, lines, makeSource, noise } from './host.js';
import { V, missing, mountIso, run, scratch, tree } from './support.js';
import type { Seen } from './support.js';

/**
 * Discs that others' programs made, held against the files that they were made of, and against what others' readers
 * make of them.
 */
const skip = missing('genisoimage', 'xorriso', 'bsdtar', '7z', 'iso-info', 'iso-read', 'isoinfo');
const dir = scratch(t);
const src = path.join(dir, 'src');
mkdirSync(src);
makeSource(src);
const source = hostTree(src);
const at = (name: string) => path.join(dir, name);

const ALL: readonly (keyof Seen)[] = ['type', 'mode', 'size', 'mtime', 'uid', 'gid', 'nlink', 'link', 'sha'];
const CONTENT: readonly (keyof Seen)[] = ['type', 'size', 'link', 'sha'];

async function seen(image: string, options: Record<string, string | true> = {}): Promise<Map<string, Seen>> {
  const m = await mountIso(image, options);
  const found = await tree(m.sys);
  t.same(m.log, [], `${path.basename(image)}: nothing to be said about it`);
  await m.close();
  return found;
}

/** Extracted by bsdtar. */
function byBsdtar(image: string, ...options: string[]): Map<string, Seen> {
  const into = `${image}.bsdtar`;
  mkdirSync(into, { recursive: true });
  run('bsdtar', ['-xf', image, '-C', into, ...options]);
  return hostTree(into);
}

function by7z(image: string): Map<string, Seen> {
  const into = `${image}.7z`;
  run('7z', ['x', '-y', `-o${into}`, image]);
  return hostTree(into);
}

const WRITERS: Readonly<Record<string, (image: string) => void>> = {
  'genisoimage -R': (image) => void run('genisoimage', ['-quiet', '-R', '-o', image, src]),
  'genisoimage -R -J': (image) => void run('genisoimage', ['-quiet', '-R', '-J', '-joliet-long', '-o', image, src]),
  'genisoimage -R -J -udf': (image) =>
    void run('genisoimage', ['-quiet', '-R', '-J', '-joliet-long', '-udf', '-allow-limited-size', '-o', image, src]),
  'genisoimage -R -hfs': (image) => void run('genisoimage', ['-quiet', '-R', '-hfs', '-o', image, src]),
  xorriso: (image) => void run('xorriso', ['-outdev', image, '-map', src, '/', '-commit']),
  'xorriso -as mkisofs -iso-level 3 -R -J': (image) =>
    void run('xorriso', ['-as', 'mkisofs', '-quiet', '-iso-level', '3', '-R', '-J', '-o', image, src]),
  'xorriso -as mkisofs --hardlinks -hfsplus -partition_offset 16': (image) =>
    void run('xorriso', [
      '-as',
      'mkisofs',
      '-quiet',
      '-R',
      '-hfsplus',
      '--hardlinks',
      '-partition_offset',
      '16',
      '-o',
      image,
      src,
    ]),
};

for (const [writer, make] of Object.entries(WRITERS)) {
  await t.test(writer, { skip }, async (t) => {
    const image = at(`${writer.replaceAll(/\W/g, '')}.iso`);
    make(image);
    const found = await seen(image);
    t.same(lines(found, ALL), lines(source, ALL), 'exactly what it was made of');
    t.same(lines(found, CONTENT), lines(byBsdtar(image), CONTENT), 'as bsdtar extracts it');
    const device = new MemoryDevice({ content: readFileSync(image), readonly: true });
    const [best] = await detect(device);
    t.match(
      best,
      { format: { name: 'cd9660' }, score: writer.includes('udf') ? 60 : 90 },
      'recognised as a whole disc',
    );
    const { facts } = await iso_describe(device);
    t.match(facts, { rock_ridge: true, joliet: writer.includes('-J'), udf: writer.includes('udf') });
  });
}

/** Files as libcdio lists them: path, size. It does not follow directories that were moved. */
function byLibcdio(image: string): Map<string, number> {
  const found = new Map<string, number>();
  let folder = '/';
  for (const line of run('iso-info', ['-l', '-i', image]).split('\n')) {
    const entry = /^ *-.*\[LSN +\d+\] +(\d+) .{20} {2}(.+)$/.exec(line);
    if (entry !== null) found.set(folder + entry[2]!, Number(entry[1]));
    else if (/^\/.*:$/.test(line)) folder = line.slice(0, -1);
  }
  return found;
}

await t.test('as libcdio and isoinfo read them', { skip }, async (t) => {
  const from = at('flat');
  mkdirSync(path.join(from, 'Some Folder/in it'), { recursive: true });
  for (let i = 0; i < 40; i++) writeFileSync(path.join(from, 'Some Folder', `file number ${i}.data`), noise(i * 977, i));
  writeFileSync(path.join(from, 'Some Folder/in it/last'), noise(100_000, 99));
  const writers = {
    rr: (image: string) => run('xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-o', image, from]),
    plain: (image: string) => run('genisoimage', ['-quiet', '-o', image, from]),
  };
  for (const [name, make] of Object.entries(writers)) {
    const image = at(`libcdio-${name}.iso`);
    make(image);
    const found = await seen(image);
    const files = [...found].filter(([, { sha }]) => sha !== undefined);
    t.same(
      files.map(([file, { size }]) => [file, size]).sort(),
      [...byLibcdio(image)].sort(),
      `${name}: names and sizes`,
    );
    for (const [file, { sha }] of files.slice(0, 8)) {
      run('iso-read', ['-i', image, '-e', file, '-o', at('extracted')]);
      const extracted = createHash('sha1').update(readFileSync(at('extracted'))).digest('hex');
      t.equal(extracted, sha, `${name}: ${file}`);
    }
    const listed = run('isoinfo', [...(name === 'rr' ? ['-R'] : []), '-f', '-i', image]).trim().split('\n');
    const plainly = (file: string): string => (name === 'rr' ? file : file.toLowerCase().replace(/\.?;1$/, ''));
    t.same(listed.map(plainly).sort(), [...found.keys()].sort(), `${name}: as isoinfo -f`);
  }
});

await t.test('names without Rock Ridge', { skip }, async (t) => {
  const plain = at('plain.iso');
  run('genisoimage', ['-quiet', '-l', '-D', '-o', plain, src]);
  const sizes: readonly (keyof Seen)[] = ['type', 'size', 'sha'];
  const judged = byBsdtar(plain);
  t.ok(judged.size > 300);
  t.same(
    lines(await seen(plain), sizes),
    lines(judged, sizes, (name) => name.toLowerCase()),
  );
  t.same(
    lines(await seen(plain), sizes),
    lines(by7z(plain), sizes, (name) => name.toLowerCase()),
  );

  const joliet = at('joliet.iso');
  run('genisoimage', ['-quiet', '-J', '-joliet-long', '-l', '-o', joliet, src]);
  t.same(lines(await seen(joliet), sizes), lines(by7z(joliet), sizes));
  t.same(lines(await seen(joliet), sizes), lines(byBsdtar(joliet), sizes));
  const m = await mountIso(joliet);
  t.equal((await m.sys.stat(`${V}/HELLO.txt`)).st_size, 100, 'in either case');
  t.equal((await m.sys.stat(`${V}/\u00c4\u00d6\u00dc-\u6f22\u5b57.TXT`)).st_size, 7);
  await t.rejects(m.sys.stat(`${V}/hello.tx`), { code: 'ENOENT' });
  await m.close();
  const strict = await mountIso(joliet, { check: 'strict' });
  await t.rejects(strict.sys.stat(`${V}/HELLO.txt`), { code: 'ENOENT' });
  await strict.close();

  const both = at('genisoimageRJ.iso');
  t.ok((await seen(both, { norock: true })).has('/hello.txt'));
  const bare = await seen(both, { norock: true, nojoliet: true });
  t.ok(bare.has('/big_file.dat') && bare.has('/hello.txt'), [...bare.keys()].slice(0, 9).join(' '));

  const enhanced = at('enhanced.iso');
  run('genisoimage', ['-quiet', '-iso-level', '4', '-o', enhanced, src]);
  const found = await seen(enhanced);
  t.ok(
    found.has('/Big File with a long name, spaces and more.data') && found.has(`/${DEEP}/leaf.txt`),
    [...found.keys()].slice(0, 9).join(' '),
  );
  t.same(lines(found, sizes), lines(byBsdtar(enhanced), sizes));
});

await t.test('several sessions', { skip }, async (t) => {
  const second = at('second');
  mkdirSync(second);
  writeFileSync(path.join(second, 'new.txt'), 'new');
  const image = at('overwritten.iso');
  run('xorriso', ['-outdev', image, '-map', src, '/', '-commit']);
  run('xorriso', ['-dev', image, '-map', second, '/second', '-commit']);
  run('xorriso', ['-dev', image, '-rm', '/hello.txt', '--', '-commit']);
  const inSessions = async (file: string) => {
    const answers: string[] = [];
    for (const session of ['1', '2', '3', '0']) {
      const found = await seen(file, session === '0' ? {} : { session }).catch(() => undefined);
      answers.push(
        found === undefined
          ? '-'
          : `${found.has('/hello.txt') ? 'h' : ''}${found.has('/second/new.txt') || found.has('/new.txt') ? 'n' : ''}`,
      );
    }
    return answers.join(' ');
  };
  t.equal(await inSessions(image), 'h hn n n', 'descriptors of the newest at sector 16');
  await t.rejects(mountIso(image, { session: '4' }), { code: 'EINVAL', message: /it has 3/ });

  const first = at('first.iso');
  run('genisoimage', ['-quiet', '-R', '-J', '-joliet-long', '-o', first, src]);
  for (const [name, gap] of [
    ['behind', 0],
    ['a gap as on a CD', 11400],
  ] as const) {
    const start = Math.ceil(statSync(first).size / 2048 / 16) * 16 + gap;
    run('genisoimage', ['-quiet', '-R', '-C', `0,${start}`, '-M', first, '-o', at('next.iso'), second]);
    const whole = at(`appended${gap}.iso`);
    writeFileSync(whole, readFileSync(first));
    truncateSync(whole, start * 2048);
    writeFileSync(whole, readFileSync(at('next.iso')), { flag: 'a' });
    t.equal(await inSessions(whole), 'h hn - hn', name);
    t.ok((await seen(whole, { sbsector: String(start) })).has('/new.txt'));
    await t.rejects(mountIso(whole, { sbsector: '3' }), { code: 'EINVAL' });
  }
});

await t.test('zisofs', { skip: skip || missing('mkzftree') }, async (t) => {
  const plain = at('zsrc');
  mkdirSync(plain);
  const text = Buffer.from('the same words again and again, '.repeat(20_000));
  writeFileSync(path.join(plain, 'text'), text);
  writeFileSync(path.join(plain, 'zeros'), new Uint8Array(400_000));
  writeFileSync(
    path.join(plain, 'mixed'),
    Buffer.concat([noise(70_000, 5), new Uint8Array(100_000), text.subarray(0, 32768 * 2)]),
  );
  writeFileSync(path.join(plain, 'small'), 'x');
  const wanted = lines(hostTree(plain), ['type', 'mode', 'size', 'sha']);
  run('mkzftree', ['-F', plain, at('ztree')]);
  run('genisoimage', ['-quiet', '-R', '-z', '-o', at('z1.iso'), at('ztree')]);
  const filter = ['-map', plain, '/', '-set_filter_r', '--zisofs', '/', '--', '-commit'];
  run('xorriso', ['-outdev', at('z2.iso'), ...filter]);
  run('xorriso', ['-outdev', at('z3.iso'), '-zisofs', 'version_2=on:block_size_v2=128k', ...filter]);
  for (const image of ['z1.iso', 'z2.iso', 'z3.iso']) {
    t.ok(statSync(at(image)).size < 1_000_000, `${image} is compressed`);
    t.same(lines(await seen(at(image)), ['type', 'mode', 'size', 'sha']), wanted, image);
    const raw = await seen(at(image), { nocompress: true });
    t.ok(raw.get('/text')!.size < text.length, `${image}: as it is recorded`);
  }
});

await t.test('El Torito and hybrid discs', { skip }, async (t) => {
  const boot = at('boot');
  mkdirSync(boot);
  writeFileSync(path.join(boot, 'bios.img'), noise(2048, 1));
  writeFileSync(path.join(boot, 'efi.img'), noise(1_474_560, 2));
  const image = at('boot.iso');
  const args = [
    '-as',
    'mkisofs',
    '-quiet',
    '-R',
    '-V',
    'BOOTABLE',
    '-publisher',
    'Somebody',
    '-b',
    'bios.img',
    '-no-emul-boot',
    '-boot-load-size',
    '4',
  ];
  run('xorriso', [
    ...args,
    '-eltorito-alt-boot',
    '-e',
    'efi.img',
    '-no-emul-boot',
    '-isohybrid-gpt-basdat',
    '-isohybrid-apm-hfsplus',
    '-o',
    image,
    boot,
  ]);
  const device = new MemoryDevice({ content: readFileSync(image), readonly: true });
  const { facts, lines: said } = await iso_describe(device);
  t.match(facts, {
    label: 'BOOTABLE',
    publisher: 'SOMEBODY',
    boot_images: [
      { platform: 'x86', bootable: true, emulation: 'no emulation', load_count: 4 },
      { platform: 'UEFI', bootable: true },
    ],
  });
  t.equal(said.filter(([name]) => name === 'boots').length, 2);
  t.match(await detect(device), [{ score: 90, format: { name: 'cd9660' } }]);
  const found = await seen(image);
  t.ok(found.has('/efi.img'));
  t.same(lines(found, CONTENT), lines(byBsdtar(image), CONTENT));
});
