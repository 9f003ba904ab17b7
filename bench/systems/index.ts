import { FORMATS, type Registered } from '../../src/fs/registry.js';
import type { System } from '../system.js';
import { exfatFuseSystem } from './exfat-fuse.js';
import { exfatSystem } from './exfat.js';
import { ffsLogSystem } from './ffs-log.js';
import { ffsNoSandboxSystem } from './ffs-no-sandbox.js';
import { ffsOtherSystem } from './ffs-other.js';
import { ffsSystem } from './ffs.js';
import { fusefatSystem } from './fusefat.js';
import { fuseisoSystem } from './fuseiso.js';
import { fuse2fsSystem } from './fuse2fs.js';
import { fuseNativeSystem } from './fuse-native.js';
import { isoSystem } from './iso.js';
import { msdosfsSystem } from './msdosfs.js';
import { makeVolume, rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';
import { zerofsSystem } from './zerofs.js';

/** In the order in which they take turns. */
const LISTED: readonly System[] = [
  ffsSystem, ffsLogSystem, zerofsSystem, fuse2fsSystem, fuseNativeSystem, isoSystem, fuseisoSystem, ffsNoSandboxSystem,
  ffsOtherSystem, exfatSystem, exfatFuseSystem, msdosfsSystem, fusefatSystem,
];

/** A file system of the registry that no file here is about, with what its newfs makes by default. */
async function registered(entry: Registered): Promise<System | undefined> {
  const { name, tools } = await entry.load();
  if (tools.make === undefined || LISTED.some((system) => system.format?.name === name)) return undefined;
  return {
    name,
    title: `rumpfuse ${name}`,
    format: { name, make: (image) => makeVolume(name, image) },
    onlyAsked: true,
    missing: rumpfuseMissing,
    mount: (_volume, image, directory, _sizes, env) => rumpfuseMount(['-t', name, image, directory], env),
    unmount: rumpfuseUnmount,
  };
}

export const systems: readonly System[] = [
  ...LISTED,
  ...(await Promise.all(FORMATS.map(registered))).filter((system) => system !== undefined),
];
