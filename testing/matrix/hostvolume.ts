import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { RUMPFUSE, run } from '../../test/cli/support.js';
import { HostFs } from './hostfs.js';
import type { MountOptions } from '../variants/variant.js';
import type { Volume } from './fs.js';

/** Runs a rumpfuse command. @throws with what it said */
async function rumpfuse(...args: string[]): Promise<void> {
  const { status, stderr } = await run(RUMPFUSE, args);
  if (status !== 0) throw new Error(`rumpfuse ${args.join(' ')}: exit ${status}: ${stderr}`);
}

const PIECE_BYTES = 1 << 20;

/** The disk as a file, with holes where it has zeros only. */
function save(disk: MemoryDevice, image: string): void {
  const fd = openSync(image, 'w');
  const piece = Buffer.alloc(PIECE_BYTES);
  const zeros = Buffer.alloc(PIECE_BYTES);
  for (let at = 0; at < disk.size_bytes; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, disk.size_bytes - at);
    void disk.read(piece, 0, length, at);
    if (piece.compare(zeros, 0, length, 0, length) !== 0) writeSync(fd, piece, 0, length, at);
  }
  ftruncateSync(fd, disk.size_bytes);
  closeSync(fd);
}

/**
 * The content of `disk` as an image file, mounted in the host by `rumpfuse mount`; `check` looks at it after the last
 * unmount. `only`: it is to be mounted read-only.
 */
export async function hostVolume(
  disk: MemoryDevice,
  options: MountOptions,
  check: (left: MemoryDevice) => Promise<void>,
  only = false,
): Promise<Volume> {
  const dir = mkdtempSync(join(tmpdir(), 'rumpfuse-matrix-'));
  chmodSync(dir, 0o755); // others must get through to the mount
  const image = join(dir, 'image');
  const mountpoint = join(dir, 'mnt');
  mkdirSync(mountpoint);
  save(disk, image);
  const more = [
    'allow_other',
    ...Object.entries(options).map(([name, value]) => (value === true ? name : `${name}=${value}`)),
  ].join(',');
  const mount = (readonly: boolean) => rumpfuse('mount', image, mountpoint, '-o', `${readonly ? 'ro' : 'rw'},${more}`);
  await mount(only);
  return {
    fs: new HostFs(mountpoint),
    async remount(readonly) {
      await rumpfuse('umount', mountpoint);
      await mount(readonly);
    },
    async cleanup() {
      await rumpfuse('umount', mountpoint);
      const left = new MemoryDevice({ content: readFileSync(image) });
      rmSync(dir, { recursive: true });
      await check(left);
    },
  };
}
