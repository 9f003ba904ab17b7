import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { MNT_FORCE, MNT_RDONLY, MNT_UPDATE } from '../../src/kernel/fcntl.js';
import type { Component } from '../../src/kernel/rump.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { MemoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import { RumpFs } from './rumpfs.js';
import type { Fs, Volume } from './fs.js';

const MOUNTPOINT = '/vol';

export interface RumpVolumeOptions {
  readonly component: Component;
  /** -o options. */
  readonly options?: Record<string, string | true>;
  /** What is mounted; left to the caller to close. */
  readonly dev?: BlockDevice;
  /** MNT_* of every mount. */
  readonly flags?: number;
  /** After the last unmount; throws when the volume is damaged. */
  check?(): Promise<void>;
}

/** A device that outlives its mounts. */
function lasting(dev: BlockDevice): BlockDevice {
  return {
    name: dev.name, size_bytes: dev.size_bytes, sector_bytes: dev.sector_bytes, readonly: dev.readonly,
    read: (into, at, length, offset) => dev.read(into, at, length, offset),
    write: (from, at, length, offset) => dev.write(from, at, length, offset),
    flush: () => dev.flush(),
    discard: (offset, length) => dev.discard(offset, length),
    close() {},
  };
}

/**
 * Boots a kernel of its own with one driver and mounts a volume. Its clock is the host's at the start and moves by
 * itself.
 */
export async function rumpVolume(given: RumpVolumeOptions): Promise<Volume & { fs: Fs; kernel: RumpKernel }> {
  const kernel = await RumpKernel.boot({
    rumpuser: new MemoryRumpuser({ now: Math.floor(Date.now() / 1000) }),
    components: given.component === tmpfs ? [tmpfs] : [tmpfs, given.component],
  });
  const { sys } = kernel;
  const options = new Map(Object.entries(given.options ?? {}));
  const type = given.component.vfsops!.vfs_name;
  const mount = (flags: number) =>
    sys.mount(
      type,
      MOUNTPOINT,
      (given.flags ?? 0) | flags,
      given.dev === undefined ? { options } : { options, fspec: lasting(given.dev) },
    );
  await sys.mkdir(MOUNTPOINT, 0o755);
  await mount(0);
  return {
    kernel,
    fs: new RumpFs(kernel, sys, MOUNTPOINT),
    async update(readonly, force = false) {
      await sys.mount(
        type,
        MOUNTPOINT,
        (given.flags ?? 0) | MNT_UPDATE | (readonly ? MNT_RDONLY : 0) | (force ? MNT_FORCE : 0),
        { options: new Map() },
      );
    },
    async remount(readonly) {
      await sys.unmount(MOUNTPOINT);
      await mount(readonly ? MNT_RDONLY : 0);
    },
    async cleanup() {
      // A descriptor that a case left open makes this fail with EBUSY: a leak in the case, or a reference lost in the
      // kernel.
      await sys.unmount(MOUNTPOINT);
      await kernel.halt();
      await given.check?.();
    },
  };
}
