/** What is written, judged by e2fsck: each kind of volume is filled, changed, emptied in part, and read again. */
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { O_CREAT, O_RDWR, O_TRUNC } from '../../../src/kernel/fcntl.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { MIB, V, e2fsck, get, list, mkfs, mount, pattern, same } from './volumes.js';

async function put(sys: RumpSys, path: string, bytes: Uint8Array): Promise<void> {
  const fd = await sys.open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644);
  await sys.write(fd, bytes, 0, bytes.length);
  await sys.close(fd);
}

const NAMES = 240;

t.setTimeout(0); // the runner has a limit

/** @param attributes the volume can have them */
async function work(sys: RumpSys, attributes: boolean): Promise<void> {
  await sys.mkdir(`${V}/new`, 0o755);
  for (let i = 0; i < NAMES; i++) await put(sys, `${V}/new/file ${i} ${'x'.repeat(i % 60)}`, pattern(i, 1 + ((i * 37) % 9000)));
  for (let i = 0; i < NAMES; i += 3) await sys.unlink(`${V}/new/file ${i} ${'x'.repeat(i % 60)}`);
  await put(sys, `${V}/large2`, pattern(77, 3 * MIB + 5));
  await sys.truncate(`${V}/large2`, MIB + 3);
  await sys.truncate(`${V}/large`, 100_000);
  const fd = await sys.open(`${V}/holes`, O_RDWR | O_CREAT, 0o644);
  for (let i = 0; i < 60; i++) await sys.pwrite(fd, pattern(i, 700), i * 30_000 + i);
  await sys.close(fd);
  for (const d of ['a', 'a/b', 'a/b/c', 'd']) await sys.mkdir(`${V}/${d}`, 0o755);
  await sys.rename(`${V}/a/b`, `${V}/d/b`);
  await sys.symlink('short target', `${V}/sym`);
  await sys.symlink('z'.repeat(300), `${V}/symlong`);
  await sys.link(`${V}/large2`, `${V}/d/link`);
  await sys.unlink(`${V}/large2`);
  await put(sys, `${V}/dir/below/more`, pattern(8, 20));
  await sys.unlink(`${V}/dir/below/more`);
  const grown = await sys.open(`${V}/inline`, O_RDWR);
  await sys.pwrite(grown, pattern(9, 10), 500);
  await sys.close(grown);
  await sys.rename(`${V}/dir/below`, `${V}/d/below`);
  await sys.rename(`${V}/tiny`, `${V}/large`);
  await sys.rmdir(`${V}/a`);
  await sys.unlink(`${V}/sparse`);
  if (!attributes) return;
  for (let i = 0; i < 12; i++) await sys.setxattr(`${V}/d/link`, `user.name ${i}`, pattern(i, i * 7));
  for (let i = 0; i < 12; i += 4) await sys.removexattr(`${V}/d/link`, `user.name ${i}`);
  await sys.setxattr(`${V}/d/link`, 'user.name 3', pattern(33, 200));
}

/** What is not as {@link work} has left it. */
async function look(sys: RumpSys, attributes: boolean): Promise<string[]> {
  const bad: string[] = [];
  if ((await list(sys, `${V}/new`)).length !== (NAMES * 2) / 3) bad.push('names');
  const name = (i: number): string => `${V}/new/file ${i} ${'x'.repeat(i % 60)}`;
  for (let i = 1; i < NAMES; i += 3)
    if (!same(await get(sys, name(i)), pattern(i, 1 + ((i * 37) % 9000)))) bad.push(name(i));
  if (!same(await get(sys, `${V}/d/link`), pattern(77, 3 * MIB + 5).subarray(0, MIB + 3))) bad.push('link');
  if (Buffer.from(await get(sys, `${V}/large`)).toString() !== 'tiny\n') bad.push('large');
  for (let i = 0; attributes && i < 12; i++) {
    if (i % 4 === 0 || i === 3) continue;
    if (!same(await sys.getxattr(`${V}/d/link`, `user.name ${i}`), pattern(i, i * 7))) bad.push(`attribute ${i}`);
  }
  if (attributes && !same(await sys.getxattr(`${V}/d/link`, 'user.name 3'), pattern(33, 200))) bad.push('attribute 3');
  const inline = await get(sys, `${V}/inline`);
  if (!same(inline.subarray(0, 120), pattern(3, 120)) || !same(inline.subarray(500), pattern(9, 10))) bad.push('inline');
  if (!same(await get(sys, `${V}/d/below/deep`), pattern(2, 5000))) bad.push('deep');
  const holes = await get(sys, `${V}/holes`);
  for (let i = 0; i < 60; i++)
    if (!same(holes.subarray(i * 30_000 + i, i * 30_000 + i + 700), pattern(i, 700))) bad.push(`hole ${i}`);
  return bad;
}

const KINDS: readonly (readonly [string, ...string[]])[] = [
  ['ext4', '-t', 'ext4'],
  ['ext4, blocks of 1 KiB', '-t', 'ext4', '-b', '1024'],
  ['ext3', '-t', 'ext3', '-b', '1024'],
  ['ext2', '-t', 'ext2', '-b', '1024'],
  ['ext2, revision 0', '-t', 'ext2', '-r', '0'],
  ['ext4 without a journal', '-t', 'ext4', '-O', '^has_journal', '-b', '1024'],
  ['ext4 with inline_data', '-t', 'ext4', '-O', 'inline_data', '-b', '1024'],
  ['ext4 with uninit_bg', '-t', 'ext4', '-O', '^metadata_csum,uninit_bg'],
  ['ext4 with meta_bg and metadata_csum_seed', '-t', 'ext4', '-O', '^resize_inode,meta_bg,metadata_csum_seed', '-b', '1024'],
];

for (const [name, ...args] of KINDS) {
  t.test(name, { timeout: 0 }, async (t) => {
    const dev = new MemoryDevice({ content: await mkfs(args, 24 * MIB) });
    const attributes = !name.includes('revision 0');
    const first = await mount(dev, {}, 0);
    t.same(first.log.filter((line) => line.startsWith('warn')), []);
    await work(first.sys, attributes);
    t.same(await look(first.sys, attributes), []);
    await first.close();
    t.equal(await e2fsck(dev), '', 'e2fsck -fn');
    const second = await mount(dev, {}, 0);
    t.same(await look(second.sys, attributes), []);
    await second.close();
    t.equal(await e2fsck(dev), '', 'e2fsck -fn after another mount');
  });
}
