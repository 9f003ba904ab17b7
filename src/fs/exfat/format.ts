import type { Format } from '../format.js';
import { MOUNT_OPTIONS, NEWFS_OPTIONS, TUNEFS_OPTIONS } from './options.js';

export const exfatFormat: Format = {
  name: 'exfat',
  title: 'exFAT, of large sticks, cards and cameras',
  source: 'disk',
  options: MOUNT_OPTIONS,
  partitionTypes: ['mbr:0x07', 'gpt:ebd0a0a2-b9e5-4433-87c0-68b6b72699c7'],
  probe: async (dev) => (await import('./disk/probe.js')).exfat_probe(dev),
  load: async () => (await import('./index.js')).exfat,
  tools: {
    describe: { load: async () => (await import('./tools/describe.js')).describe },
    make: { options: NEWFS_OPTIONS, load: async () => (await import('./tools/make.js')).exfat_make },
    check: { options: [], load: async () => (await import('./tools/check.js')).exfat_check },
    tune: { options: TUNEFS_OPTIONS, load: async () => (await import('./tools/tune.js')).exfat_tune },
  },
};
