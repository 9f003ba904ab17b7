import type { Format } from '../format.js';
import { DUMPFS_OPTIONS, FSCK_OPTIONS, MOUNT_OPTIONS, NEWFS_OPTIONS, TUNEFS_OPTIONS } from './options.js';

/** Partitions of NetBSD, FreeBSD, OpenBSD, NeXT, Apple and Solaris that usually hold FFS. */
const PARTITION_TYPES = [
  'bsd:7', 'mbr:0xa8', 'sun:2', 'sun:4', 'sun:7', 'sun:8', 'apm:apple_ufs', 'apm:apple_unix_svr2',
  'apm:netbsd', 'apm:freebsd-ufs', 'apm:openbsd', 'gpt:49f48d5a-b10e-11dc-b99b-0019d1879648',
  'gpt:516e7cb6-6ecf-11d6-8ff8-00022d09712b', 'gpt:55465300-0000-11aa-aa11-00306543ecac',
];

export const ffsFormat: Format = {
  name: 'ffs',
  title: 'FFS, the fast file system of the BSDs (UFS1, UFS2)',
  source: 'disk',
  options: MOUNT_OPTIONS,
  partitionTypes: PARTITION_TYPES,
  probe: async (dev) => (await import('./disk/probe.js')).ffs_probe(dev),
  load: async () => (await import('./index.js')).ffs,
  tools: {
    describe: { load: async () => (await import('./tools/describe.js')).describe },
    make: { options: NEWFS_OPTIONS, load: async () => (await import('./tools/make.js')).ffs_make },
    check: { options: FSCK_OPTIONS, load: async () => (await import('./tools/check.js')).ffs_check },
    tune: { options: TUNEFS_OPTIONS, load: async () => (await import('./tools/tune.js')).ffs_tune },
    dump: { options: DUMPFS_OPTIONS, load: async () => (await import('./tools/dump.js')).ffs_dump },
  },
};
