import t from 'tap';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { fixture, fixtureNames, has, manifest } from './volumes.js';
import { V, checked, errnameOf, get, pattern, put, rw, same } from './write-support.js';

/** Volumes that others made are written on: NetBSD's own, and Debian's makefs'. */

/** Changes a bit of everything; what was there before must stay as it was. */
async function workOn(t: Tap, dev: MemoryDevice, what: string): Promise<void> {
  let vol = await rw(dev);
  const before = (await manifest(vol.sys)).split('\n').filter((line) => !line.startsWith('\td\t'));
  const { sys } = vol;
  await sys.mkdir(`${V}/new`, 0o755);
  for (let i = 0; i < 150; i++) {
    await put(sys, `${V}/new/file-${i}-${'n'.repeat(i % 60)}`, pattern((i * 977) % 30_000, i));
  }
  for (let i = 0; i < 150; i += 2) await sys.unlink(`${V}/new/file-${i}-${'n'.repeat(i % 60)}`);
  await put(sys, `${V}/new/large`, pattern(3_000_000, 5));
  await sys.truncate(`${V}/new/large`, 1_000_001);
  await sys.symlink('somewhere', `${V}/new/link`);
  await sys.mkdir(`${V}/new/sub`, 0o755);
  await sys.rename(`${V}/new/sub`, `${V}/new/moved`);
  await vol.close();
  await checked(t, dev, `${what}, written`);

  vol = await rw(dev);
  t.ok(same(await get(vol.sys, `${V}/new/large`), pattern(3_000_000, 5).subarray(0, 1_000_001)), `${what}: large file`);
  for (let i = 1; i < 150; i += 2) await vol.sys.unlink(`${V}/new/file-${i}-${'n'.repeat(i % 60)}`);
  for (const name of ['large', 'link']) await vol.sys.unlink(`${V}/new/${name}`);
  await vol.sys.rmdir(`${V}/new/moved`);
  await vol.sys.rmdir(`${V}/new`);
  const after = (await manifest(vol.sys)).split('\n').filter((line) => !line.startsWith('\td\t'));
  t.same(after, before, `${what}: what was there`);
  // And what others wrote can be changed and removed.
  let removed = 0;
  for (const line of before) {
    const [name, type] = line.split('\t');
    if (name === '' || name === undefined || type === undefined || type === 'd') continue;
    if (type === 'f') await errnameOf(vol.sys.truncate(`${V}/${name}`, 700));
    if ((await errnameOf(vol.sys.unlink(`${V}/${name}`))) === '') removed++;
  }
  t.ok(removed > 3, `${what}: ${removed} of its files removed`);
  await vol.close();
  t.equal(vol.log.join('\n'), '', `${what}: nothing is logged`);
  await checked(t, dev, `${what}, emptied`);
}

type Tap = Parameters<typeof checked>[0];

for (const name of fixtureNames) {
  if (name.includes('log')) continue; // journals are the read side's business
  await t.test(name, { skip: has('zstd') ? false : 'zstd is not installed' }, async (t) => {
    await workOn(t, new MemoryDevice({ content: fixture(name) }), name);
  });
}

const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-foreign-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));
const tree = path.join(dir, 'tree');

for (const [version, bsize, fsize, order] of [
  [1, 8192, 1024, 'le'],
  [2, 16384, 2048, 'be'],
  [2, 32768, 4096, 'le'],
  [1, 4096, 4096, 'be'],
] as const) {
  await t.test(
    `makefs ${version} ${bsize}/${fsize} ${order}`,
    { skip: has('makefs') ? false : 'makefs is not installed' },
    async (t) => {
      rmSync(tree, { recursive: true, force: true });
      mkdirSync(path.join(tree, 'd'), { recursive: true });
      for (let i = 0; i < 40; i++) writeFileSync(path.join(tree, 'd', `f${i}`), pattern(i * 3001, i));
      const image = path.join(dir, 'img');
      const run = spawnSync(
        'makefs',
        [
          '-t',
          'ffs',
          '-B',
          order,
          '-s',
          '32m',
          '-f',
          '400',
          '-o',
          `version=${version},bsize=${bsize},fsize=${fsize}`,
          image,
          tree,
        ],
        { encoding: 'utf8' },
      );
      t.equal(run.status, 0, run.stderr);
      const content = new Uint8Array(readFileSync(image));
      await workOn(t, new MemoryDevice({ content }), `makefs ${version} ${bsize}/${fsize} ${order}`);
    },
  );
}
