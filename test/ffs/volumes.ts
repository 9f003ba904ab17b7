/** For the FFS tests: the volumes of test/fixtures/netbsd, and mounting a device in a kernel of its own. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { ffs } from '../../src/fs/ffs/index.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { bytestrToBytes } from '../../src/kernel/bytestr.js';
import { Errno } from '../../src/kernel/errno.js';
import { MNT_RDONLY, O_RDONLY } from '../../src/kernel/fcntl.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, mountInMemory } from '../../testing/mounted.js';
import type { MountedVolume } from '../../testing/mounted.js';

export { MOUNTPOINT };
export type { MountedVolume };

/** Compiled tests run from a build folder two levels above this file's own. */
const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/netbsd/', import.meta.url));

export const fixtureNames = readdirSync(FIXTURES)
  .filter((n) => n.endsWith('.img.zst'))
  .map((n) => n.slice(0, -'.img.zst'.length))
  .sort();

/** Is a program installed? */
export function has(program: string): boolean {
  return (process.env.PATH ?? '')
    .split(':')
    .concat('/usr/sbin', '/sbin')
    .some((dir) => dir !== '' && existsSync(`${dir}/${program}`));
}

const images = new Map<string, Uint8Array>();

/** The bytes of a fixture; needs zstd. Callers must not change them. */
export function fixture(name: string): Uint8Array {
  let image = images.get(name);
  if (image === undefined) {
    const run = spawnSync('zstd', ['-dcq', `${FIXTURES}${name}.img.zst`], { maxBuffer: 64 * 2 ** 20 });
    if (run.status !== 0) throw new Error(`zstd: ${String(run.stderr)}`);
    images.set(name, (image = new Uint8Array(run.stdout)));
  }
  return image;
}

export function fixtureManifest(name: string): string {
  return readFileSync(`${FIXTURES}${name}.manifest`, 'utf8');
}

/** Boots a kernel and mounts `dev` on /vol. */
export function mountFfs(
  fspec: BlockDevice, flags = MNT_RDONLY, options: Record<string, string | true> = {}, bufcache_bytes?: number,
): Promise<MountedVolume> {
  return mountInMemory(ffs, { fspec, flags, options, ...(bufcache_bytes === undefined ? {} : { bufcache_bytes }) });
}

/** A disk in memory with this content. */
export function disk(content: Uint8Array, readonly = false): MemoryDevice {
  return new MemoryDevice({ content, readonly });
}

const TYPES = new Map([
  [S_IFREG, 'f'],
  [S_IFDIR, 'd'],
  [S_IFBLK, 'b'],
  [S_IFCHR, 'c'],
  [S_IFLNK, 'l'],
  [S_IFSOCK, 's'],
  [S_IFIFO, 'p'],
]);

/** A path from bytes and names. */
export function join(dir: Uint8Array, name: string): Uint8Array {
  return Buffer.concat([dir, Buffer.from('/'), bytestrToBytes(name)]);
}

/** The names of a directory, byte strings, without "." and "..". */
export async function names(sys: RumpSys, path: Uint8Array): Promise<string[]> {
  const fd = await sys.open(path, O_RDONLY);
  const all: string[] = [];
  for (;;) {
    const entries = await sys.getdents(fd);
    if (entries.length === 0) break;
    for (const e of entries) if (e.d_name !== '.' && e.d_name !== '..') all.push(e.d_name);
  }
  await sys.close(fd);
  return all;
}

export async function readFile(sys: RumpSys, path: Uint8Array | string, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  const fd = await sys.open(path, O_RDONLY);
  try {
    let at = 0;
    while (at < size) {
      const n = await sys.read(fd, bytes, at, size - at);
      if (n === 0) throw new Error(`${size - at} bytes missing`);
      at += n;
    }
    return bytes;
  } finally {
    await sys.close(fd);
  }
}

/** What the volume on /vol holds, in the form of the fixtures' manifests. */
export async function manifest(sys: RumpSys): Promise<string> {
  const lines: { path: Buffer; line: string }[] = [];
  const sums: { path: Buffer; line: string }[] = [];
  const pending: { path: Uint8Array; shown: Buffer }[] = [{ path: Buffer.from(MOUNTPOINT), shown: Buffer.alloc(0) }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { path, shown } = next;
    const st = await sys.lstat(path);
    const type = TYPES.get(st.st_mode & S_IFMT) ?? '?';
    const target = type === 'l' ? Buffer.from(await sys.readlink(path)).toString() : '';
    const mtime = `${st.st_mtime}.${String(st.st_mtimensec).padStart(9, '0')}0`;
    const mode = (st.st_mode & 0o7777).toString(8);
    lines.push({
      path: shown,
      line: [shown.toString(), type, mode, st.st_uid, st.st_gid, st.st_nlink, st.st_size, mtime, target].join('\t'),
    });
    if (type === 'f') {
      const sum = createHash('sha256').update(await readFile(sys, path, st.st_size)).digest('hex');
      sums.push({ path: shown, line: `${sum}  ./${shown.toString()}` });
    }
    if (type === 'd') {
      for (const name of await names(sys, path)) {
        const bytes = Buffer.from(name, 'latin1');
        pending.push({
          path: join(path, name),
          shown: shown.length === 0 ? bytes : Buffer.concat([shown, Buffer.from('/'), bytes]),
        });
      }
    }
  }
  const sorted = (of: typeof lines): string[] => of.sort((a, b) => Buffer.compare(a.path, b.path)).map((l) => l.line);
  return [...sorted(lines), '---', ...sorted(sums), ''].join('\n');
}

/** The errno and message that a call fails with; '' if it does not fail. (tap cannot look into frozen errors.) */
export async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return '';
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    return `${thrown.code}: ${thrown.message}`;
  }
}
