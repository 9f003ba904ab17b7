import { ext2fs } from '../../src/fs/ext2fs/index.js';
import { newfs } from '../../src/fs/ext2fs/tools/newfs/index.js';
import type { NewfsOptions } from '../../src/fs/ext2fs/tools/newfs/layout.js';
import { Bases } from '../../testing/fuzz/bases.js';
import type { Base as AnyBase } from '../../testing/fuzz/bases.js';
import { makeAtlas } from './atlas.js';
import type { Atlas } from './atlas.js';

export type Base = AnyBase<Atlas>;

const MIB = 2 ** 20;
const ID = Uint8Array.from({ length: 16 }, (_, i) => 17 * i + 1);

interface Plan {
  readonly newfs: NewfsOptions;
  readonly size_bytes: number;
  /** The log is full: the volume is as the power left it. */
  readonly dirty?: boolean;
}

const PLANS: Readonly<Record<string, Plan>> = {
  'ext2-1k': { newfs: { kind: 'ext2', inodes: 200 }, size_bytes: 2 * MIB },
  'ext2-4k': { newfs: { kind: 'ext2', blockSize: 4096, inodeSize: 128, inodes: 200 }, size_bytes: 3 * MIB },
  'ext3-1k': { newfs: { kind: 'ext3', inodes: 200 }, size_bytes: 4 * MIB },
  'ext4-1k': { newfs: { inodes: 300, blocksPerGroup: 2048 }, size_bytes: 4 * MIB },
  'ext4-2k': { newfs: { blockSize: 2048, features: ['^has_journal', '^64bit', '^flex_bg'] }, size_bytes: 3 * MIB },
  'ext4-uninit': {
    newfs: { features: ['uninit_bg', '^metadata_csum', '^has_journal'], blocksPerGroup: 1024, blockSize: 1024 },
    size_bytes: 3 * MIB,
  },
  'ext4-dirty': { newfs: { inodes: 200, blockSize: 1024 }, size_bytes: 4 * MIB, dirty: true },
  'ext3-dirty': { newfs: { kind: 'ext3', inodes: 200 }, size_bytes: 4 * MIB, dirty: true },
};

export const bases = new Bases({
  driver: ext2fs,
  plans: PLANS,
  newfs: (dev, plan) => newfs(dev, { ...plan.newfs, uuid: ID, hashSeed: ID, time: 1_700_000_000 }),
  atlas: makeAtlas,
});
