/** A device mounted in a kernel of its own, in memory: what tests of every driver begin with. */
import { tmpfs } from '../src/fs/tmpfs/index.js';
import { RumpKernel } from '../src/kernel/rump.js';
import type { BootOptions, Component } from '../src/kernel/rump.js';
import { MemoryRumpuser } from '../src/kernel/rumpuser/memory.js';
import type { RumpSys } from '../src/kernel/sys/rumpsys.js';
import type { MountArgs } from '../src/kernel/vfs/vfsops.js';

export const MOUNTPOINT = '/vol';

export interface MountedVolume {
  readonly kernel: RumpKernel;
  readonly sys: RumpSys;
  /** What the kernel logged, `level: message`. */
  readonly log: string[];
  close(): Promise<void>;
}

export interface MountHow extends Pick<BootOptions, 'bufcache_bytes'>, Pick<MountArgs, 'disks' | 'fspec'> {
  /** MNT_*; default 0. */
  readonly flags?: number;
  readonly options?: Record<string, string | true>;
  /** Time when the kernel boots, seconds since 1970. */
  readonly now?: number;
}

/** Boots a kernel with the driver and mounts on {@link MOUNTPOINT}. @throws what mount(2) throws */
export async function mountInMemory(driver: Component, how: MountHow): Promise<MountedVolume> {
  const { flags = 0, options = {}, now = 1_800_000_000, bufcache_bytes, ...args } = how;
  const log: string[] = [];
  const rumpuser = new MemoryRumpuser({ now });
  rumpuser.rumpuser_dprintf = (level, message) => void log.push(`${level}: ${message}`);
  const components = [tmpfs, driver];
  const kernel = await RumpKernel.boot({
    rumpuser,
    components,
    ...(bufcache_bytes === undefined ? {} : { bufcache_bytes }),
  });
  const { sys } = kernel;
  await sys.mkdir(MOUNTPOINT, 0o755);
  try {
    await sys.mount(driver.vfsops!.vfs_name, MOUNTPOINT, flags, { ...args, options: new Map(Object.entries(options)) });
  } catch (thrown) {
    await kernel.halt();
    throw thrown;
  }
  return {
    kernel, sys, log,
    async close() {
      await sys.unmount(MOUNTPOINT);
      await kernel.halt();
    },
  };
}
