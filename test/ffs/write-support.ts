/** For the tests of the write side: fresh volumes, mounted read-write, and their examination afterwards. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import type { NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, Errno, errno } from '../../src/kernel/errno.js';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, mountFfs, names } from './volumes.js';
import type { MountedVolume } from './volumes.js';

export const V = MOUNTPOINT;

/** A geometry and what to call it. */
export interface Geometry extends NewfsVolumeOptions {
  readonly label?: string;
}

export const GEOMETRIES: readonly Geometry[] = [
  { format: 1, endian: 'little', blockSize: 4096, fragSize: 512 },
  { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024 },
  { format: 2, endian: 'little', blockSize: 16384, fragSize: 2048 },
  { format: 2, endian: 'big', blockSize: 8192, fragSize: 8192 },
  { format: '2ea', endian: 'little', blockSize: 32768, fragSize: 16384 },
  { format: 0, endian: 'big', blockSize: 4096, fragSize: 1024 },
];

export function titleOf(g: Geometry): string {
  return `ffs${g.format} ${g.endian} ${g.blockSize}/${g.fragSize}`;
}

export async function newdisk(geometry: NewfsVolumeOptions, size_bytes = 24 * 2 ** 20): Promise<MemoryDevice> {
  const dev = new MemoryDevice({ size_bytes });
  await newfs(dev, geometry);
  return dev;
}

export function rw(dev: BlockDevice, bufcache_bytes?: number): Promise<MountedVolume> {
  return mountFfs(dev, 0, {}, bufcache_bytes);
}

/** All bytes of a disk. */
export function bytesOf(dev: MemoryDevice): Uint8Array {
  const bytes = new Uint8Array(dev.size_bytes);
  dev.read(bytes, 0, bytes.length, 0);
  return bytes;
}

/**
 * NetBSD's own checker, if this machine has it: RUMPFUSE_FSCK_FFS names a program that takes an image and exits with 0
 * for a clean one.
 */
const YARDSTICK = process.env.RUMPFUSE_FSCK_FFS ?? '';

/** The volume must be in order and marked clean. */
export async function checked(t: Test, dev: MemoryDevice, what: string, geometry?: Geometry): Promise<void> {
  const report = await fsck(dev);
  t.equal(report.problems.slice(0, 8).map((p) => p.message).join('\n'), '', `${what}: checker finds nothing`);
  t.ok(report.clean, `${what}: clean`);
  // It may be older than the format with extended attributes.
  if (YARDSTICK === '' || !existsSync(YARDSTICK) || geometry?.format === '2ea') return;
  const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-write-'));
  try {
    const image = path.join(dir, 'img');
    writeFileSync(image, bytesOf(dev));
    const run = spawnSync(YARDSTICK, ['-c', image], { encoding: 'utf8', timeout: 900_000 });
    t.equal(run.status, 0, `${what}: NetBSD's checker: ${run.stdout.slice(0, 600)}`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Deterministic bytes, none of them zero. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = (seed + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = (x >>> 24) | 1;
  }
  return bytes;
}

export async function put(sys: RumpSys, file: string, bytes: Uint8Array): Promise<void> {
  const fd = await sys.open(file, O_RDWR | O_CREAT | O_TRUNC, 0o644);
  try {
    if ((await sys.write(fd, bytes)) !== bytes.length) throw errno(E.ENOBUFS, `short write to ${file}`);
  } finally {
    await sys.close(fd);
  }
}

export async function get(sys: RumpSys, file: string): Promise<Uint8Array> {
  const fd = await sys.open(file, O_RDONLY);
  try {
    const bytes = new Uint8Array((await sys.fstat(fd)).st_size);
    for (let at = 0; at < bytes.length; ) {
      const n = await sys.read(fd, bytes, at, bytes.length - at);
      if (n === 0) throw new Error(`${file} ends at ${at} of ${bytes.length}`);
      at += n;
    }
    return bytes;
  } finally {
    await sys.close(fd);
  }
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export async function ls(sys: RumpSys, dir: string): Promise<string[]> {
  return (await names(sys, Buffer.from(dir))).sort();
}

/** Free blocks and inodes as statvfs counts them. */
export async function room(sys: RumpSys): Promise<string> {
  const st = await sys.statvfs(V);
  return `${st.f_bfree} ${st.f_ffree}`;
}

/** The errno name that a call fails with, '' if it does not. */
export async function errnameOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return '';
  } catch (thrown) {
    if (thrown instanceof Errno) return thrown.code;
    throw thrown;
  }
}
