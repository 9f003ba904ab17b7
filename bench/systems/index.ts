import type { System } from '../system.js';
import { exfatFuseSystem } from './exfat-fuse.js';
import { exfatSystem } from './exfat.js';
import { ffsLogSystem } from './ffs-log.js';
import { ffsNoSandboxSystem } from './ffs-no-sandbox.js';
import { ffsSystem } from './ffs.js';
import { fuseisoSystem } from './fuseiso.js';
import { fuse2fsSystem } from './fuse2fs.js';
import { fuseNativeSystem } from './fuse-native.js';
import { isoSystem } from './iso.js';
import { zerofsSystem } from './zerofs.js';

/** In the order in which they take turns. */
export const systems: readonly System[] = [
  ffsSystem, ffsLogSystem, zerofsSystem, fuse2fsSystem, fuseNativeSystem, isoSystem, fuseisoSystem, ffsNoSandboxSystem, exfatSystem, exfatFuseSystem,
];
