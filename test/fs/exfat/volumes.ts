/** For the exFAT tests: volumes made by exfatprogs, and mounting a device in a kernel of its own. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { exfat } from '../../../src/fs/exfat/index.js';
import type { BlockDevice } from '../../../src/kernel/blkdev.js';
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../../../src/kernel/fcntl.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, mountInMemory } from '../../../testing/mounted.js';
import type { MountedVolume } from '../../../testing/mounted.js';

export const MIB = 2 ** 20;
export const V = MOUNTPOINT;

/** Is a program installed? */
export function has(program: string): boolean {
  return (process.env['PATH'] ?? '')
    .split(':')
    .concat('/usr/sbin', '/sbin')
    .some((dir) => dir !== '' && existsSync(`${dir}/${program}`));
}

/** Runs a program; what it says. */
export function run(program: string, ...args: string[]): { status: number | null; text: string } {
  const done = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
    maxBuffer: 64 * MIB,
  });
  return { status: done.status, text: `${done.stdout}${done.stderr}` };
}

/** A folder that is gone after `body`. */
export async function withFolder<T>(body: (folder: string) => Promise<T> | T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'exfat-'));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An image that mkfs.exfat made. */
export async function mkfs(bytes: number, ...args: string[]): Promise<Uint8Array> {
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    const fd = openSync(path, 'w');
    ftruncateSync(fd, bytes);
    closeSync(fd);
    const { status, text } = run('mkfs.exfat', ...args, path);
    if (status !== 0) throw new Error(text);
    return readFileSync(path);
  });
}

/** What fsck.exfat says of the device's content; undefined: nothing. */
export async function strangersays(dev: MemoryDevice): Promise<string | undefined> {
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    writeFileSync(path, bytesof(dev));
    const { status, text } = run('fsck.exfat', '-n', path);
    return status === 0 ? undefined : text;
  });
}

export function bytesof(dev: MemoryDevice): Uint8Array {
  const bytes = new Uint8Array(dev.size_bytes);
  dev.read(bytes, 0, bytes.length, 0);
  return bytes;
}

export function disk(content: Uint8Array, readonly = false): MemoryDevice {
  return new MemoryDevice({ content, readonly });
}

/** Boots a kernel and mounts `dev` on /vol. */
export function mount(
  fspec: BlockDevice, flags = 0, options: Record<string, string | true> = {}, now?: number,
): Promise<MountedVolume> {
  return mountInMemory(exfat, { fspec, flags, options, ...(now === undefined ? {} : { now }) });
}

export async function put(sys: RumpSys, path: string, content: Uint8Array): Promise<void> {
  const fd = await sys.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  try {
    for (let at = 0; at < content.length; ) at += await sys.write(fd, content, at, content.length - at);
  } finally {
    await sys.close(fd);
  }
}

export async function get(sys: RumpSys, path: string): Promise<Uint8Array> {
  const fd = await sys.open(path, O_RDONLY);
  try {
    const size = (await sys.fstat(fd)).st_size;
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const n = await sys.read(fd, bytes, at, size - at);
      if (n === 0) throw new Error(`${size - at} bytes missing`);
      at += n;
    }
    return bytes;
  } finally {
    await sys.close(fd);
  }
}

/** The names of a directory, without "." and "..". */
export async function list(sys: RumpSys, path: string): Promise<string[]> {
  const fd = await sys.open(path, O_RDONLY);
  const all: string[] = [];
  try {
    for (;;) {
      const entries = await sys.getdents(fd);
      if (entries.length === 0) return all;
      for (const e of entries)
        if (e.d_name !== '.' && e.d_name !== '..') {
          all.push(Buffer.from(e.d_name, 'latin1').toString('utf8'));
        }
    }
  } finally {
    await sys.close(fd);
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

/** Are they equal? (Comparing byte by byte with tap takes a minute a mebibyte.) */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
