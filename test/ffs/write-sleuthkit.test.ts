import t from 'tap';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import { GEOMETRIES, V, bytesOf, newdisk, pattern, put, rw, same, titleOf } from './write-support.js';
import { has } from './volumes.js';

/** What we write, another implementation reads: The Sleuth Kit's fls and icat. */
const skip = has('fls') && has('icat') ? false : 'sleuthkit is not installed';

const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-tsk-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

for (const geometry of GEOMETRIES) {
  // Its reader knows neither 16-bit owners' old layout nor the magic of UFS2ea.
  if (geometry.format === '2ea' || geometry.format === 0) continue;
  await t.test(titleOf(geometry), { skip }, async (t) => {
    const dev = await newdisk(geometry, 48 * 2 ** 20);
    const vol = await rw(dev);
    const { sys } = vol;
    const files = new Map<string, Uint8Array>();
    await sys.mkdir(`${V}/d`, 0o755);
    await sys.mkdir(`${V}/d/e`, 0o755);
    const bsize = geometry.blockSize!;
    for (const size of [0, 1, 511, 5000, bsize, 12 * bsize, 12 * bsize + 1, 1_300_000, (12 + bsize / 8) * bsize + 77]) {
      files.set(`d/f${size}`, pattern(size, size));
      await put(sys, `${V}/d/f${size}`, files.get(`d/f${size}`)!);
    }
    for (let i = 0; i < 300; i++) {
      const name = `d/e/name-${i}${'.'.repeat(i % 40)}`;
      await put(sys, `${V}/${name}`, pattern(i, i));
      if (i % 4 === 0) await sys.unlink(`${V}/${name}`);
      else files.set(name, pattern(i, i));
    }
    const sparse = await sys.open(`${V}/sparse`, O_RDWR | O_CREAT, 0o644);
    await sys.pwrite(sparse, pattern(100, 1), 3_000_000);
    await sys.ftruncate(sparse, 3_000_050);
    await sys.close(sparse);
    const holes = new Uint8Array(3_000_050);
    holes.set(pattern(100, 1).subarray(0, 50), 3_000_000);
    files.set('sparse', holes);
    await sys.rename(`${V}/d/f5000`, `${V}/moved`);
    files.set('moved', files.get('d/f5000')!);
    files.delete('d/f5000');
    await vol.close();

    const image = path.join(dir, 'img');
    writeFileSync(image, bytesOf(dev));
    const fls = spawnSync('fls', ['-f', 'ufs', '-r', '-p', '-F', '-u', image], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    t.equal(fls.status, 0, fls.stderr);
    const found = new Map<string, string>();
    for (const line of fls.stdout.split('\n')) {
      const match = /^r\/r (\d+):\t(.*)$/.exec(line);
      if (match !== null) found.set(match[2]!, match[1]!);
    }
    t.same([...found.keys()].sort(), [...files.keys()].sort(), 'names');
    let bad = '';
    for (const [name, content] of files) {
      if (name.startsWith('d/e/') && content.length % 29 !== 1) continue; // a process for each file takes long
      const icat = spawnSync('icat', ['-f', 'ufs', image, found.get(name) ?? '0'], { maxBuffer: 2 ** 27 });
      if (!same(icat.stdout, content)) bad += ` ${name}`;
    }
    t.equal(bad, '', 'contents');
  });
}
