/** Volumes of a variant: made in memory, mounted in a kernel of their own, checked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { defaultsOf } from '../../src/cli/tool-options.js';
import type { CheckMode, CheckReport, Format } from '../../src/fs/format.js';
import { formatNamed } from '../../src/fs/registry.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import type { Feature, Target } from '../matrix/fs.js';
import { hostVolume } from '../matrix/hostvolume.js';
import { makeReadingTree } from '../matrix/reading.js';
import { rumpVolume } from '../matrix/rumpvolume.js';
import { mountInMemory } from '../mounted.js';
import type { MountedVolume } from '../mounted.js';
import type { MountOptions, Variant } from './variant.js';

const SIZE_BYTES = 16 * 2 ** 20;

export function formatOf({ type }: Variant): Promise<Format> {
  return formatNamed(type)!.load();
}

/** For a format that is only read: the tree of the cases that read. */
async function mastered({ master }: Variant): Promise<MemoryDevice> {
  const folder = mkdtempSync(path.join(tmpdir(), 'rumpfuse-reading-'));
  try {
    makeReadingTree(folder);
    return await master!(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An empty volume; undefined for a format that lies on no disk. */
export async function newDisk(
  variant: Variant,
  size_bytes = variant.size_bytes ?? SIZE_BYTES,
): Promise<MemoryDevice | undefined> {
  if (variant.master !== undefined) return mastered(variant);
  if (variant.disk !== undefined) return variant.disk(size_bytes);
  const { source, tools } = await formatOf(variant);
  if (source === 'none') return undefined;
  const dev = new MemoryDevice({ size_bytes });
  const make = await tools.make!.load();
  await make(dev, { ...defaultsOf(tools.make!.options), ...variant.make }, { uid: 0, gid: 0 });
  return dev;
}

export async function check(variant: Variant, dev: BlockDevice, mode: CheckMode = 'check'): Promise<CheckReport> {
  const { tools } = await formatOf(variant);
  const run = await tools.check!.load();
  return run(dev, defaultsOf(tools.check!.options), { mode, skipClean: false });
}

/** For the driver's checker, and another's. @throws Error what they find */
async function mustBeClean(variant: Variant, dev: MemoryDevice): Promise<void> {
  if ((await formatOf(variant)).tools.check === undefined) {
    const said = await variant.stranger?.(dev);
    if (said !== undefined) throw new Error(`another's checker: ${said}`);
    return;
  }
  const report = await check(variant, dev);
  const said = report.clean ? await variant.stranger?.(dev) : undefined;
  if (said !== undefined) throw new Error(`another's checker: ${said}`);
  if (report.clean) return;
  const problems = report.problems.slice(0, 5).map(({ message }) => message);
  throw new Error(
    `${variant.type}: ${report.problemCount} problems${report.markedClean === false ? ', not marked clean' : ''}: ` +
      `${problems.join('; ')}`,
  );
}

/** Boots a kernel and mounts the device on {@link MOUNTPOINT}. @throws what mount(2) throws */
export async function mountVolume(
  variant: Variant, fspec: BlockDevice, flags = 0, more: MountOptions = {},
): Promise<MountedVolume> {
  const format = await formatOf(variant);
  const options = { ...variant.mount?.(fspec.size_bytes), ...more };
  return mountInMemory(await format.load(), { fspec, flags, options });
}

function demandsOf({ expected, namemax, master }: Variant): Pick<Target, 'expected' | 'namemax' | 'reading'> {
  return {
    ...(expected === undefined ? {} : { expected }),
    ...(namemax === undefined ? {} : { namemax }),
    reading: master !== undefined,
  };
}

/** For matrix, model and fsx: on a memory disk, which the driver's checker looks at after every unmount. */
export function targetOf(variant: Variant): Target {
  return {
    name: variant.name,
    features: new Set(variant.features),
    ...demandsOf(variant),
    async make(size_bytes = variant.size_bytes ?? SIZE_BYTES) {
      const format = await formatOf(variant);
      const dev = await newDisk(variant, size_bytes);
      const options = variant.mount?.(size_bytes) ?? {};
      return rumpVolume({
        component: await format.load(), options,
        ...(variant.master === undefined ? {} : { flags: MNT_RDONLY }),
        ...(dev === undefined ? {} : { dev }),
        ...(dev === undefined || (format.tools.check ?? variant.stranger) === undefined
          ? {}
          : { check: () => mustBeClean(variant, dev) }),
      });
    },
  };
}

/** What no mount of the host passes on. */
const HOST_LACKS: ReadonlySet<Feature> = new Set(['flags', 'filehandles', 'update', 'birthtime', 'xattr']);

/** The same as a real mount in the host. */
export function hostTargetOf(variant: Variant): Target {
  return {
    name: `mount-${variant.name}`,
    features: new Set(variant.features.filter((feature) => !HOST_LACKS.has(feature))),
    ...demandsOf(variant),
    shared: true,
    async make(size_bytes = variant.size_bytes ?? SIZE_BYTES) {
      const dev = (await newDisk(variant, size_bytes))!;
      const options = variant.mount?.(size_bytes) ?? {};
      return hostVolume(dev, options, (left) => mustBeClean(variant, left), variant.master !== undefined);
    },
  };
}
