/** The options of an ext2, ext3 or ext4 mount, as data: --help and the manual page come from here. */
import type { FormatOption } from '../format.js';

export const MOUNT_OPTIONS: readonly FormatOption[] = [
  { name: 'journal', kind: 'disk', describe: 'where the journal is, if it is not in the volume' },
  { name: 'nocheck', kind: 'flag', describe: 'read on where a checksum is wrong' },
  { name: 'noload', kind: 'flag', describe: 'do not replay the journal; norecovery is the same' },
  { name: 'norecovery', kind: 'flag', describe: 'the same' },
  { name: 'sb', kind: 'number', describe: 'use the copy of the superblock at this block of 1 KiB' },
];
