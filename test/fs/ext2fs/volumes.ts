/** For the tests of ext2fs: volumes made by e2fsprogs, and mounting them in a kernel of its own. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { ext2fs } from '../../../src/fs/ext2fs/index.js';
import type { BlockDevice } from '../../../src/kernel/blkdev.js';
import { O_RDONLY } from '../../../src/kernel/fcntl.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, mountInMemory } from '../../../testing/mounted.js';
import type { MountedVolume } from '../../../testing/mounted.js';

export const MIB = 2 ** 20;
export const V = MOUNTPOINT;

/** Runs a program of e2fsprogs; throws what it says if it fails. */
export function run(program: string, args: readonly string[], input?: string): string {
  const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
  const done = spawnSync(program, args, {
    encoding: 'utf8',
    input,
    env: { ...process.env, PATH },
    maxBuffer: 64 * MIB,
  });
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.stdout}${done.stderr}`);
  return `${done.stdout}${done.stderr}`;
}

export async function withFolder<T>(body: (folder: string) => Promise<T> | T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'ext2fs-'));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes that nobody takes for others'. */
export function pattern(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export const BIG_NAMES = 250;
export const LONG_TARGET = 'y'.repeat(200);
export const bigname = (i: number): string => `file ${i} ${'n'.repeat(i % 120)}`;

/** What the volumes of {@link mkfs} hold. */
export function tree(folder: string): string {
  const root = join(folder, 'tree');
  mkdirSync(join(root, 'dir/below'), { recursive: true });
  mkdirSync(join(root, 'big'));
  writeFileSync(join(root, 'tiny'), 'tiny\n');
  writeFileSync(join(root, 'inline'), pattern(3, 120));
  writeFileSync(join(root, 'empty'), '');
  writeFileSync(join(root, 'large'), pattern(1, MIB + 17));
  writeFileSync(join(root, 'dir/below/deep'), pattern(2, 5000));
  for (let i = 0; i < BIG_NAMES; i++) writeFileSync(join(root, 'big', bigname(i)), `${i}`);
  symlinkSync('tiny', join(root, 'short'));
  symlinkSync(LONG_TARGET, join(root, 'long'));
  const fd = openSync(join(root, 'sparse'), 'w');
  writeFileSync(fd, pattern(4, 100));
  ftruncateSync(fd, 3 * MIB);
  closeSync(fd);
  return root;
}

/** An image with that tree, by mke2fs. `more`: what debugfs is to do. */
export async function mkfs(args: readonly string[], size = 16 * MIB, more = ''): Promise<Uint8Array> {
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    const fd = openSync(path, 'w');
    ftruncateSync(fd, size);
    closeSync(fd);
    run('mke2fs', ['-q', '-F', '-E', 'root_owner=0:0', ...args, '-d', tree(folder), path]);
    if (more !== '') run('debugfs', ['-w', '-f', '-', path], more);
    return readFileSync(path);
  });
}

export const MNT_RDONLY = 1;

/** Boots a kernel and mounts a volume on /vol. */
export function mount(
  content: Uint8Array | BlockDevice,
  options: Record<string, string | true> = {},
  flags = MNT_RDONLY,
  journal?: Uint8Array,
): Promise<MountedVolume> {
  const fspec = content instanceof Uint8Array ? new MemoryDevice({ content, readonly: true }) : content;
  const disks = new Map<string, BlockDevice>();
  if (journal !== undefined) disks.set('journal', new MemoryDevice({ content: journal, readonly: true }));
  return mountInMemory(ext2fs, { fspec, disks, flags, options });
}

export async function get(sys: RumpSys, path: string | Uint8Array): Promise<Uint8Array> {
  const fd = await sys.open(path, O_RDONLY);
  try {
    const bytes = new Uint8Array((await sys.fstat(fd)).st_size);
    for (let at = 0; at < bytes.length; ) {
      const n = await sys.read(fd, bytes, at, bytes.length - at);
      if (n === 0) throw new Error(`${bytes.length - at} bytes missing`);
      at += n;
    }
    return bytes;
  } finally {
    await sys.close(fd);
  }
}

/** The names of a directory, byte strings, without "." and "..". */
export async function list(sys: RumpSys, path: string): Promise<string[]> {
  const fd = await sys.open(path, O_RDONLY);
  const all: string[] = [];
  try {
    for (;;) {
      const entries = await sys.getdents(fd);
      if (entries.length === 0) return all;
      all.push(...entries.map((e) => e.d_name).filter((name) => name !== '.' && name !== '..'));
    }
  } finally {
    await sys.close(fd);
  }
}

/** All that is on a device. */
export async function bytesOf(dev: BlockDevice): Promise<Uint8Array> {
  const bytes = new Uint8Array(dev.size_bytes);
  await dev.read(bytes, 0, bytes.length, 0);
  return bytes;
}

/** What e2fsck -fn has to say against a volume; undefined: nothing. */
export async function strangerSays(dev: BlockDevice | Uint8Array): Promise<string | undefined> {
  const bytes = dev instanceof Uint8Array ? dev : await bytesOf(dev);
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    writeFileSync(path, bytes);
    const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
    const done = spawnSync('e2fsck', ['-fn', path], { encoding: 'utf8', env: { ...process.env, PATH } });
    return done.status === 0 ? undefined : `${done.stdout}${done.stderr}`;
  });
}

/** Later than the clocks of the tests. */
const E2FSCK_TIME = '1900000000';

/** What e2fsck -fn says of a volume; '' if it finds nothing. */
export async function e2fsck(dev: MemoryDevice, options = '-fn'): Promise<string> {
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    const bytes = new Uint8Array(dev.size_bytes);
    dev.read(bytes, 0, bytes.length, 0);
    writeFileSync(path, bytes);
    const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
    const done = spawnSync('e2fsck', [options, path], { encoding: 'utf8', env: { ...process.env, PATH, E2FSCK_TIME } });
    if (done.status === 0) return '';
    if (options !== '-fn') {
      const mended = readFileSync(path);
      dev.write(mended, 0, mended.length, 0);
    }
    return `${done.status}: ${done.stdout}${done.stderr}`;
  });
}
