/** Files that grow in turn: where their clusters lie, and that nothing of it is left on the disk. */
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { NO_FAT_CHAIN } from '../../../src/fs/exfat/disk/entry.js';
import { fsck } from '../../../src/fs/exfat/tools/fsck/index.js';
import { newfs } from '../../../src/fs/exfat/tools/newfs.js';
import { O_CREAT, O_RDWR } from '../../../src/kernel/fcntl.js';
import { Crafted } from './craft.js';
import { MIB, V, bytesof, get, mount, pattern, put, same } from './volumes.js';

t.setTimeout(0); // the runner has a limit

const CLUSTER = 4096;

interface Layout {
  readonly contiguous: boolean;
  /** Rows of clusters. */
  readonly rows: number;
}

function layout(dev: MemoryDevice, name: string): Layout {
  const c = new Crafted(bytesof(dev));
  const stream = c.entries(name)[1]!;
  const contiguous = (c.bytes[stream + 1]! & NO_FAT_CHAIN) !== 0;
  if (contiguous) return { contiguous, rows: 1 };
  let rows = 1;
  for (let cluster = c.first(name); ; ) {
    const next = c.view.getUint32(c.atlas.fatat + 4 * cluster, true);
    if (next === 0xffffffff) return { contiguous, rows };
    if (next !== cluster + 1) rows++;
    cluster = next;
  }
}

/** Files that get a piece each in turn, and stay open meanwhile. */
async function grow(dev: MemoryDevice, names: readonly string[], pieces: number, bytes: number): Promise<void> {
  const m = await mount(dev);
  const fds: number[] = [];
  for (const name of names) fds.push(await m.sys.open(`${V}/${name}`, O_RDWR | O_CREAT, 0o644));
  for (let i = 0; i < pieces; i++) {
    for (const [k, fd] of fds.entries()) await m.sys.write(fd, pattern(i * 10 + k, bytes));
  }
  for (const fd of fds) await m.sys.close(fd);
  for (const [k, name] of names.entries()) {
    const content = Buffer.concat(Array.from({ length: pieces }, (_, i) => pattern(i * 10 + k, bytes)));
    t.ok(same(await get(m.sys, `${V}/${name}`), content), `${name} as it was written`);
  }
  await m.close();
  t.same((await fsck(dev, 'check')).problems, [], 'nothing is left of what was kept free');
}

async function volume(megabytes: number): Promise<MemoryDevice> {
  const dev = new MemoryDevice({ size_bytes: megabytes * MIB });
  await newfs(dev, { clusterSize: CLUSTER });
  return dev;
}

await t.test('two files that grow in turn are in one row each', async (t) => {
  const dev = await volume(96);
  await grow(dev, ['a', 'b'], 40, 5000);
  for (const name of ['a', 'b']) t.same(layout(dev, name), { contiguous: true, rows: 1 }, name);
});

await t.test('many, and large ones, are in a few', async (t) => {
  const dev = await volume(96);
  await grow(dev, ['a', 'b', 'c'], 100, 64 << 10);
  for (const name of ['a', 'b', 'c']) {
    const { rows } = layout(dev, name);
    t.ok(rows <= 10, `${name}: ${rows} rows of 100 pieces`);
  }
});

await t.test('files that are written one after the other lie one behind the other', async (t) => {
  const dev = await volume(96);
  const m = await mount(dev);
  for (let i = 0; i < 50; i++) await put(m.sys, `${V}/f${i}`, pattern(i, 9000));
  await m.close();
  const c = new Crafted(bytesof(dev));
  const firsts = Array.from({ length: 50 }, (_, i) => c.first(`f${i}`));
  // The root gets a cluster among them.
  t.ok(firsts.every((first, i) => i === 0 || first - firsts[i - 1]! <= 4), firsts.join(' '));
  t.ok(firsts[49]! - firsts[0]! <= 3 * 50);
});

await t.test('a volume is filled to the last cluster, though files keep room', async (t) => {
  const dev = await volume(8);
  const m = await mount(dev);
  const fds: number[] = [];
  for (const name of ['a', 'b', 'c']) fds.push(await m.sys.open(`${V}/${name}`, O_RDWR | O_CREAT, 0o644));
  const full = new Set<number>();
  while (full.size < fds.length) {
    for (const fd of fds) if (!full.has(fd)) await m.sys.write(fd, pattern(1, 5000)).catch(() => full.add(fd));
  }
  t.equal((await m.sys.statvfs(V)).f_bfree, 0);
  for (const fd of fds) await m.sys.close(fd);
  for (const name of ['a', 'b', 'c']) await m.sys.unlink(`${V}/${name}`);
  await m.close();
  t.same((await fsck(dev, 'check')).problems, []);
});
