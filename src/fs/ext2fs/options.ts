/** The options of an ext2, ext3 or ext4 mount, as data: --help and the manual page come from here. */
import type { FormatOption } from '../format.js';

export const MOUNT_OPTIONS: readonly FormatOption[] = [
  { name: 'commit', kind: 'number', describe: 'seconds that changes may stay in memory' },
  {
    name: 'data', kind: 'text', choices: ['ordered', 'writeback'],
    describe: 'file data are on the disk before what leads to them; writeback is taken for ordered',
  },
  { name: 'journal', kind: 'disk', describe: 'where the journal is, if it is not in the volume' },
  { name: 'nocheck', kind: 'flag', describe: 'read on where a checksum is wrong' },
  { name: 'noload', kind: 'flag', describe: 'do not replay the journal; norecovery is the same' },
  { name: 'norecovery', kind: 'flag', describe: 'the same' },
  { name: 'sb', kind: 'number', describe: 'use the copy of the superblock at this block of 1 KiB' },
];

const LABEL: FormatOption = { name: 'label', alias: 'L', kind: 'text', describe: 'volume name, up to 16 bytes' };

export const NEWFS_OPTIONS: readonly FormatOption[] = [
  {
    name: 'kind', alias: 'T', kind: 'text', choices: ['ext2', 'ext3', 'ext4'],
    describe: 'whose features the volume gets; ext4, or what -t says',
  },
  {
    name: 'features', alias: 'O', kind: 'text',
    describe: 'further features, and with ^ before them those that it is not to have: a,^b; none takes all away',
  },
  { name: 'block-size', alias: 'b', kind: 'size', describe: '1024 to 65536; Linux mounts up to 4096 everywhere' },
  { name: 'cluster-size', alias: 'C', kind: 'size', describe: 'with the feature bigalloc; 16 blocks' },
  { name: 'inode-size', alias: 'I', kind: 'size', describe: '128 to the size of a block; 256' },
  { name: 'bytes-per-inode', alias: 'i', kind: 'size', describe: 'one inode for so many bytes' },
  { name: 'inodes', alias: 'N', kind: 'number', describe: 'how many inodes there are at least' },
  { name: 'blocks-per-group', alias: 'g', kind: 'number', describe: 'a multiple of 8 (clusters, with bigalloc)' },
  { name: 'flex-size', alias: 'G', kind: 'number', describe: 'groups whose tables lie together; 16' },
  LABEL,
  { name: 'uuid', alias: 'U', kind: 'text', describe: 'identification of the volume; random' },
  { name: 'reserved', alias: 'm', kind: 'number', describe: 'percent of the blocks kept for the superuser; 5' },
  { name: 'journal-size', alias: 'J', kind: 'size', describe: 'at least 1024 blocks' },
  {
    name: 'all-tables', kind: 'flag',
    describe: 'fill all tables of inodes with zeros now, rather than leaving that to who mounts the volume',
  },
];

export const TUNEFS_OPTIONS: readonly FormatOption[] = [
  LABEL,
  { name: 'uuid', alias: 'U', kind: 'text', describe: 'identification of the volume, or random' },
  { name: 'reserved', alias: 'm', kind: 'number', describe: 'percent of the blocks kept for the superuser' },
  { name: 'max-mount-count', alias: 'c', kind: 'number', describe: 'mounts after which e2fsck looks; -1: never' },
  { name: 'interval', alias: 'i', kind: 'number', describe: 'days after which e2fsck looks; 0: never' },
  {
    name: 'errors', alias: 'e', kind: 'text', choices: ['continue', 'remount-ro', 'panic'],
    describe: 'what Linux does where the volume contradicts itself',
  },
  { name: 'mount-options', alias: 'o', kind: 'text', describe: 'those of Linux that hold by themselves: acl,^discard' },
  { name: 'features', alias: 'O', kind: 'text', describe: 'features that the volume gets from now on' },
];
