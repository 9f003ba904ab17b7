import type { Format } from '../format.js';
import { MOUNT_OPTIONS, NEWFS_OPTIONS, TUNE_OPTIONS } from './options.js';

export const msdosfsFormat: Format = {
  name: 'msdosfs',
  title: 'FAT12, FAT16 and FAT32 with long names',
  source: 'disk',
  implied: { fat12: { fat: '12' }, fat16: { fat: '16' }, fat32: { fat: '32' } },
  options: MOUNT_OPTIONS,
  partitionTypes: [
    'mbr:0x01', 'mbr:0x04', 'mbr:0x06', 'mbr:0x0b', 'mbr:0x0c', 'mbr:0x0e', 'mbr:0x11', 'mbr:0x14', 'mbr:0x16',
    'mbr:0x1b', 'mbr:0x1c', 'mbr:0x1e', 'mbr:0xef', 'gpt:ebd0a0a2-b9e5-4433-87c0-68b6b72699c7',
    'gpt:c12a7328-f81f-11d2-ba4b-00a0c93ec93b', 'bsd:8', 'apm:dos_fat_12', 'apm:dos_fat_16', 'apm:dos_fat_32',
  ],
  probe: async (dev) => (await import('./disk/probe.js')).msdosfs_probe(dev),
  load: async () => (await import('./index.js')).msdosfs,
  tools: {
    describe: { load: async () => (await import('./tools/describe.js')).msdosfs_describe },
    make: { options: NEWFS_OPTIONS, load: async () => (await import('./tools/make.js')).msdosfs_make },
    check: { options: [], load: async () => (await import('./tools/check.js')).msdosfs_check },
    tune: { options: TUNE_OPTIONS, load: async () => (await import('./tools/tune.js')).msdosfs_tune },
  },
};
