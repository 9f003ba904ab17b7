import { ffs } from '../../src/fs/ffs/index.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { MemoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';

export const MOUNTPOINT = '/v';
/** Small, so that blocks are evicted and read again. */
const BUFCACHE_BYTES = 512 * 1024;
const NOW = 1_800_000_000;

export interface Mounted {
  readonly kernel: RumpKernel;
  readonly sys: RumpSys;
  /** What was logged, `level: message`. */
  readonly log: readonly string[];
}

/** Boots a kernel and mounts the device on {@link MOUNTPOINT}; a kernel whose mount failed is halted. */
export async function mountVolume(dev: BlockDevice, flags: number, options: Record<string, string> = {}): Promise<Mounted> {
  const log: string[] = [];
  const rumpuser = new MemoryRumpuser({ now: NOW });
  rumpuser.rumpuser_dprintf = (level, message) => void log.push(`${level}: ${message}`);
  const kernel = await RumpKernel.boot({ rumpuser, components: [tmpfs, ffs], bufcache_bytes: BUFCACHE_BYTES });
  const { sys } = kernel;
  await sys.mkdir(MOUNTPOINT, 0o755);
  try {
    await sys.mount('ffs', MOUNTPOINT, flags, { fspec: dev, options: new Map(Object.entries(options)) });
  } catch (thrown) {
    await kernel.halt();
    throw thrown;
  }
  return { kernel, sys, log };
}
