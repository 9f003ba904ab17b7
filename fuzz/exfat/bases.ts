import { exfat } from '../../src/fs/exfat/index.js';
import { newfs } from '../../src/fs/exfat/tools/newfs.js';
import type { NewfsOptions } from '../../src/fs/exfat/tools/newfs.js';
import { Bases } from '../../testing/fuzz/bases.js';
import type { Base as AnyBase } from '../../testing/fuzz/bases.js';
import { makeAtlas } from './atlas.js';
import type { Atlas } from './atlas.js';

export type Base = AnyBase<Atlas>;

const MIB = 2 ** 20;

const PLANS: Readonly<Record<string, { readonly newfs: NewfsOptions; readonly size_bytes: number }>> = {
  'exfat-512': { newfs: { clusterSize: 512, label: 'SMALL' }, size_bytes: 2 * MIB },
  'exfat-4k': { newfs: { clusterSize: 4096, guid: new Uint8Array(16).fill(7) }, size_bytes: 3 * MIB },
  'exfat-4k-sectors': { newfs: { clusterSize: 4096, sectorSize: 4096, packBitmap: true }, size_bytes: 3 * MIB },
  'exfat-32k': { newfs: { clusterSize: 32768 }, size_bytes: 6 * MIB },
};

export const bases = new Bases({
  driver: exfat,
  plans: PLANS,
  newfs: (dev, plan) => newfs(dev, { ...plan.newfs, serial: 0x12345678 }),
  atlas: makeAtlas,
});
