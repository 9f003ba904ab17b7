import t from 'tap';
import { spawnSync } from 'node:child_process';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  utimesSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { S_IFMT } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, disk, has, mountFfs, names, readFile } from './volumes.js';

/**
 * Images of another implementation, Debian's makefs: every legal block and fragment size. FFS_ALL=1 tries all of them
 * in both formats and orders.
 */
const skip = has('makefs') ? false : 'makefs is not installed';

const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-makefs-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));
const tree = path.join(dir, 'tree');

/** Deterministic bytes. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

function plant(): void {
  mkdirSync(path.join(tree, 'd/e/f'), { recursive: true });
  mkdirSync(path.join(tree, 'many'));
  const sizes = [0, 1, 511, 512, 513, 4095, 4096, 8191, 8193, 49151, 49152, 49153, 98305, 196608, 600001, 1_100_000];
  for (const size of sizes) writeFileSync(path.join(tree, `d/f${size}`), noise(size, size + 7));
  for (let i = 0; i < 300; i++) {
    writeFileSync(path.join(tree, 'many', `a-file-with-the-number-${i}`), String(i).repeat(i % 5));
  }
  for (const length of [1, 59, 60, 61, 119, 120, 121, 400]) {
    symlinkSync('t'.repeat(length), path.join(tree, `link${length}`));
  }
  linkSync(path.join(tree, 'd/f511'), path.join(tree, 'hard'));
  writeFileSync(path.join(tree, 'ünï-日本'), 'x');
  writeFileSync(path.join(tree, 'n'.repeat(255)), 'long');
  chmodSync(path.join(tree, 'hard'), 0o4751);
  utimesSync(path.join(tree, 'd/f1'), 1_000_000_000, 1_234_567_890);
  utimesSync(path.join(tree, 'd/f512'), 1, 86_400);
}

/** Paths where the volume differs from the host's tree. */
async function differences(sys: RumpSys): Promise<string[]> {
  const bad: string[] = [];
  const pending = [''];
  for (let rel = pending.pop(); rel !== undefined; rel = pending.pop()) {
    const host = lstatSync(tree + rel);
    const st = await sys.lstat(MOUNTPOINT + rel);
    const isdir = host.isDirectory();
    const want = [
      host.mode,
      host.uid,
      host.gid,
      Math.floor(host.mtimeMs / 1000),
      isdir ? 0 : host.nlink,
      isdir ? 0 : host.size,
    ];
    const got = [st.st_mode, st.st_uid, st.st_gid, st.st_mtime, isdir ? 0 : st.st_nlink, isdir ? 0 : st.st_size];
    if (want.join() !== got.join()) bad.push(`${rel}: ${got.join()} is not ${want.join()}`);
    if (host.isFile() && !readFileSync(tree + rel).equals(await readFile(sys, MOUNTPOINT + rel, st.st_size))) {
      bad.push(`${rel}: content`);
    }
    if (
      host.isSymbolicLink() &&
      readlinkSync(tree + rel) !== Buffer.from(await sys.readlink(MOUNTPOINT + rel)).toString()
    ) {
      bad.push(`${rel}: target`);
    }
    if (isdir) {
      const there = (await names(sys, Buffer.from(MOUNTPOINT + rel)))
        .map((n) => Buffer.from(n, 'latin1').toString())
        .sort();
      const here = readdirSync(tree + rel).sort();
      if (there.join('/') !== here.join('/')) bad.push(`${rel}: names`);
      for (const name of here) pending.push(`${rel}/${name}`);
    }
    if ((st.st_mode & S_IFMT) === 0) bad.push(`${rel}: no type`);
  }
  return bad;
}

/** A device that answers later, as a slow or remote one does. */
function later(dev: BlockDevice): BlockDevice {
  return {
    name: dev.name, size_bytes: dev.size_bytes, sector_bytes: dev.sector_bytes, readonly: dev.readonly,
    async read(into, at, length, offset) {
      await null;
      await dev.read(into, at, length, offset);
    },
    async write(from, at, length, offset) {
      await dev.write(from.slice(at, at + length), 0, length, offset);
    },
    flush: () => dev.flush(),
    discard: (offset, length) => dev.discard(offset, length),
    close: () => dev.close(),
  };
}

const variants = (['1', '2'] as const).flatMap((version) =>
  (['le', 'be'] as const).map((order) => ({ version, order })),
);
const geometries = [4096, 8192, 16384, 32768, 65536].flatMap((bsize) =>
  [1, 2, 4, 8].map((frag) => ({ bsize, fsize: bsize / frag })),
);

t.test('geometries', { skip }, async (t) => {
  plant();
  const all = process.env.FFS_ALL === '1';
  for (const [g, { bsize, fsize }] of geometries.entries()) {
    for (const [v, { version, order }] of variants.entries()) {
      // One variant for each geometry, another one each time.
      if (!all && (g + (g >> 2)) % 4 !== v) continue;
      const image = path.join(dir, 'image');
      rmSync(image, { force: true });
      const run = spawnSync(
        'makefs',
        [
          '-t',
          'ffs',
          '-o',
          `version=${version},bsize=${bsize},fsize=${fsize},density=8192`,
          '-B',
          order,
          '-s',
          '48m',
          image,
          tree,
        ],
        { env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` } },
      );
      if (run.status !== 0) {
        t.fail(`makefs: ${String(run.stderr)}`);
        continue;
      }
      const dev = disk(readFileSync(image));
      const vol = await mountFfs(g % 5 === 0 ? later(dev) : dev, MNT_RDONLY, {}, g % 3 === 0 ? 300_000 : undefined);
      t.same(await differences(vol.sys), [], `UFS${version} ${order} ${bsize}/${fsize}`);
      t.same(vol.log, [], 'nothing to complain of');
      await vol.close();
    }
  }
});
