import { msdosfs } from '../../src/fs/msdosfs/index.js';
import { newfs } from '../../src/fs/msdosfs/tools/newfs.js';
import type { NewfsOptions } from '../../src/fs/msdosfs/tools/newfs.js';
import { Bases } from '../../testing/fuzz/bases.js';
import type { Base as AnyBase } from '../../testing/fuzz/bases.js';
import { makeAtlas } from './atlas.js';
import type { Atlas } from './atlas.js';

export type Base = AnyBase<Atlas>;

const NOW = 1_800_000_000;
const MIB = 2 ** 20;

const PLANS: Readonly<Record<string, { readonly newfs: NewfsOptions; readonly size_bytes: number }>> = {
  fat12: { newfs: { type: 12, clusterBytes: 1024, label: 'TWELVE' }, size_bytes: 2 * MIB },
  'fat12-one-fat': { newfs: { type: 12, fats: 1, sectorBytes: 4096 }, size_bytes: 4 * MIB },
  fat16: { newfs: { type: 16, clusterBytes: 512, rootEntries: 64 }, size_bytes: 3 * MIB },
  fat32: { newfs: { type: 32, clusterBytes: 512, label: 'THIRTYTWO' }, size_bytes: 34 * MIB },
};

export const bases = new Bases({
  driver: msdosfs,
  plans: PLANS,
  options: { tz: 'UTC' },
  newfs: (dev, plan) => newfs(dev, { ...plan.newfs, volumeId: 0x12345678, now: NOW }),
  atlas: makeAtlas,
});
