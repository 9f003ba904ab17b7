import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { RUMPFUSE, run } from '../../test/cli/support.js';
import { HostFs } from './hostfs.js';
import type { Volume } from './fs.js';

/** Runs a rumpfuse command. @throws with what it said */
async function rumpfuse(...args: string[]): Promise<void> {
  const { status, stderr } = await run(RUMPFUSE, args, { timeout_ms: 30_000 });
  if (status !== 0) throw new Error(`rumpfuse ${args.join(' ')}: exit ${status}: ${stderr}`);
}

/** An FFS image made by `rumpfuse newfs`, mounted in the host by `rumpfuse mount`; our checker looks at it after the last unmount. */
export async function hostVolume(newfsArgs: readonly string[], mountOptions: string, size_bytes: number): Promise<Volume> {
  const dir = mkdtempSync(join(tmpdir(), 'rumpfuse-matrix-'));
  chmodSync(dir, 0o755); // others must get through to the mount
  const image = join(dir, 'image');
  const mountpoint = join(dir, 'mnt');
  mkdirSync(mountpoint);
  writeFileSync(image, '');
  truncateSync(image, size_bytes);
  const mount = (readonly: boolean) => rumpfuse('mount', image, mountpoint, '-o', `${readonly ? 'ro' : 'rw'},${mountOptions}`);
  await rumpfuse('newfs', ...newfsArgs, image);
  await mount(false);
  return {
    fs: new HostFs(mountpoint),
    async remount(readonly) {
      await rumpfuse('umount', mountpoint);
      await mount(readonly);
    },
    async cleanup() {
      await rumpfuse('umount', mountpoint);
      const report = await fsck(new MemoryDevice({ content: readFileSync(image) }));
      rmSync(dir, { recursive: true });
      if (!report.clean) throw new Error(`fsck: ${report.problems.slice(0, 5).map((problem) => problem.message).join('; ')}`);
    },
  };
}
