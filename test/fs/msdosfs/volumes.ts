/** For the FAT tests: volumes made by mkfs.fat, and mounting them in a kernel of their own. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, ftruncateSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openImage } from '../../../src/blockdev/image.js';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { msdosfs } from '../../../src/fs/msdosfs/index.js';
import type { BlockDevice } from '../../../src/kernel/blkdev.js';
import { nodeRumpuser } from '../../../src/kernel/rumpuser/node.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../../../src/kernel/fcntl.js';
import { MOUNTPOINT, mountInMemory } from '../../../testing/mounted.js';
import type { MountedVolume } from '../../../testing/mounted.js';

export const MIB = 2 ** 20;
export const VOL = MOUNTPOINT;

/** A folder for images that is gone when the process ends. */
export const scratch = mkdtempSync(path.join(tmpdir(), 'rumpfuse-fat-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

export interface Geometry {
  readonly name: string;
  readonly size: number;
  /** Arguments of mkfs.fat. */
  readonly args: readonly string[];
}

/** What mkfs.fat makes of all that it can make. */
export const GEOMETRIES: readonly Geometry[] = [
  { name: 'fat12-floppy', size: 1440 * 1024, args: ['-F', '12'] },
  { name: 'fat12-one-fat', size: 4 * MIB, args: ['-F', '12', '-f', '1', '-s', '4'] },
  { name: 'fat16-512', size: 32 * MIB, args: ['-F', '16', '-s', '1'] },
  { name: 'fat16-32k', size: 160 * MIB, args: ['-F', '16', '-s', '64', '-r', '1024'] },
  { name: 'fat16-4096', size: 64 * MIB, args: ['-F', '16', '-S', '4096', '-s', '1'] },
  { name: 'fat32-512', size: 64 * MIB, args: ['-F', '32', '-s', '1'] },
  { name: 'fat32-4k', size: 300 * MIB, args: ['-F', '32', '-s', '8'] },
  { name: 'fat32-s2048', size: 300 * MIB, args: ['-F', '32', '-S', '2048', '-s', '2', '-f', '1'] },
];

export function run(
  program: string,
  args: readonly string[],
  input?: Uint8Array,
): { status: number; out: string; bytes: Buffer } {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    maxBuffer: 64 * MIB,
    env: { ...process.env, MTOOLS_SKIP_CHECK: '1', TZ: 'UTC', LC_ALL: 'C.UTF-8' },
    ...(input === undefined ? {} : { input }),
  });
  if (error !== undefined) throw error;
  return { status: status ?? -1, out: `${String(stdout)}${String(stderr)}`, bytes: stdout };
}

let count = 0;

/** The path of a new image. */
export function image({ size, args }: Geometry, more: readonly string[] = []): string {
  const file = path.join(scratch, `${count++}.img`);
  const fd = openSync(file, 'w');
  ftruncateSync(fd, size);
  closeSync(fd);
  const made = run('mkfs.fat', [...args, ...more, file]);
  if (made.status !== 0) throw new Error(made.out);
  return file;
}

/** An image as a disk; sparse, as the file is. */
export function openDisk(file: string): Promise<BlockDevice> {
  return openImage(nodeRumpuser(), file, { writable: true });
}

/** The content of an image as a disk in memory; and the way back. */
export function disk(file: string): MemoryDevice {
  return new MemoryDevice({ content: readFileSync(file) });
}

export async function save(dev: BlockDevice, file = path.join(scratch, `${count++}.img`)): Promise<string> {
  const bytes = Buffer.alloc(dev.size_bytes);
  await dev.read(bytes, 0, bytes.length, 0);
  writeFileSync(file, bytes);
  return file;
}

/** What fsck.fat has to say against an image; '' if nothing. */
export function fsckImage(file: string): string {
  const { status, out } = run('fsck.fat', ['-n', file]);
  return status === 0 ? '' : out;
}

/** What fsck.fat has to say against a volume; '' if nothing. */
export async function fsckFat(dev: BlockDevice): Promise<string> {
  const file = await save(dev);
  const said = fsckImage(file);
  rmSync(file);
  return said;
}

export function mountFat(
  fspec: BlockDevice, flags = 0, options: Record<string, string | true> = {},
): Promise<MountedVolume> {
  return mountInMemory(msdosfs, { fspec, flags, options: { tz: 'UTC', ...options } });
}

export async function names(sys: RumpSys, dir: string): Promise<string[]> {
  const fd = await sys.open(dir, O_RDONLY);
  const all: string[] = [];
  for (;;) {
    const entries = await sys.getdents(fd);
    if (entries.length === 0) break;
    for (const e of entries)
      if (e.d_name !== '.' && e.d_name !== '..') {
        all.push(Buffer.from(e.d_name, 'latin1').toString());
      }
  }
  await sys.close(fd);
  return all.sort();
}

export async function readFile(sys: RumpSys, file: string): Promise<Buffer> {
  const fd = await sys.open(file, O_RDONLY);
  try {
    const st = await sys.fstat(fd);
    const bytes = Buffer.alloc(st.st_size);
    for (let at = 0; at < bytes.length; ) {
      const n = await sys.read(fd, bytes, at, bytes.length - at);
      if (n === 0) throw new Error(`${file}: ${bytes.length - at} bytes missing`);
      at += n;
    }
    return bytes;
  } finally {
    await sys.close(fd);
  }
}

export async function writeFile(sys: RumpSys, file: string, bytes: Uint8Array): Promise<void> {
  const fd = await sys.open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  try {
    for (let at = 0; at < bytes.length; ) at += await sys.write(fd, bytes, at, bytes.length - at);
  } finally {
    await sys.close(fd);
  }
}

/** Bytes that tell where they are from. */
export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let x = (seed * 2654435761) >>> 0;
  for (let i = 0; i + 4 <= length; i += 4) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(x, i);
  }
  return bytes;
}
