import type { Format } from '../format.js';
import { MOUNT_OPTIONS, NEWFS_OPTIONS, TUNEFS_OPTIONS } from './options.js';

export const ext2fsFormat: Format = {
  name: 'ext2fs',
  title: 'ext2, ext3 and ext4 of Linux',
  source: 'disks',
  implied: { ext2: { kind: 'ext2' }, ext3: { kind: 'ext3' }, ext4: { kind: 'ext4' } },
  options: MOUNT_OPTIONS,
  partitionTypes: ['mbr:0x83', 'gpt:0fc63daf-8483-4772-8e79-3d69d8477de4', 'bsd:17'],
  probe: async (dev) => (await import('./disk/probe.js')).ext2_probe(dev),
  load: async () => (await import('./index.js')).ext2fs,
  tools: {
    make: { options: NEWFS_OPTIONS, load: async () => (await import('./tools/make.js')).ext2_make },
    describe: { load: async () => (await import('./tools/describe.js')).describe },
    check: { options: [], load: async () => (await import('./tools/check.js')).ext2_check },
    tune: { options: TUNEFS_OPTIONS, load: async () => (await import('./tools/tune.js')).ext2_tune },
    dump: { options: [], load: async () => (await import('./tools/dump.js')).ext2_dump },
  },
};
