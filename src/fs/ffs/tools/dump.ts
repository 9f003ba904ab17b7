import type { Dump } from '../../format.js';
import { dumpfs, type DumpfsOptions } from './dumpfs.js';

const ALL: DumpfsOptions = {
  superblock: true,
  alternates: true,
  summary: true,
  groups: true,
  inodes: true,
  journal: true,
};

/** dumpfs by the options of the command line. */
export const ffs_dump: Dump = (dev, values) => dumpfs(dev, values['all'] === true ? ALL : (values as DumpfsOptions));
